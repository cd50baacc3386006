//! HTTP APIs: routes that go to functions, behind stages that need no deployment.
//!
//! Comes in:   what CloudFormation declares, and calls of the APIs.
//! Rule: API Gateway V2 API reference, 2018-11-29; developer guide, "Routes for HTTP APIs": the most exact route
//!       wins, `$default` is the last. A stage deploys by itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::execute::{function_of, trace_header};
use super::{Call, Invoker, http_event, routing};
use crate::http::{Failure, Response, response, set_header};
use crate::ids;
use crate::place::Place;
use crate::seams::Kept;
use crate::sync::lock;

const APIS_MAX: usize = 500;
/// API Gateway's own quota of routes is 300; of each of the three kinds an API may have this many.
const PARTS_PER_API_MAX: usize = 1_000;
/// HTTP APIs wait 30 s ("Quotas for HTTP APIs"). Here a function's start on a busy machine fits too.
const TIMEOUT: Duration = Duration::from_secs(60);
/// "Quotas for HTTP APIs": payload size.
const BODY_BYTES_MAX: usize = 10 << 20;
/// The stage that an address without a stage means.
const DEFAULT: &str = "$default";

/// One HTTP API.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct HttpApi {
    /// Ten letters and digits.
    pub id: String,
    /// For people.
    pub name: String,
    /// By id.
    pub integrations: BTreeMap<String, HttpIntegration>,
    /// By id.
    pub routes: BTreeMap<String, HttpRoute>,
    /// Name, and its variables.
    pub stages: BTreeMap<String, BTreeMap<String, String>>,
    /// What answers preflights; `None`: they are calls like others.
    pub cors: Option<Cors>,
}

/// Where a route's calls go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HttpIntegration {
    /// The ARN of a function.
    pub function: String,
    /// Whether the function gets events of format 2.0, and not of 1.0.
    pub is_format_2: bool,
}

/// What calls go where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HttpRoute {
    /// `POST /producer`, `ANY /{proxy+}` or `$default`.
    pub key: String,
    /// The id of an integration.
    pub integration: String,
}

/// What browsers are told; lists are joined by commas.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cors {
    /// `*`, or origins.
    pub origins: String,
    /// Verbs.
    pub methods: String,
    /// Names of headers.
    pub headers: String,
}

/// The account's HTTP APIs.
pub(crate) struct HttpApis {
    place: Arc<Place>,
    apis: Mutex<BTreeMap<String, HttpApi>>,
    changes: AtomicU64,
}

/// A route that fits, and the values of its path's variables.
type Found = (HttpRoute, BTreeMap<String, String>);

impl HttpApis {
    /// No APIs yet.
    pub(crate) fn new(place: Arc<Place>) -> Self {
        Self { place, apis: Mutex::default(), changes: AtomicU64::new(0) }
    }

    /// Creates an API and gives its id.
    pub(crate) fn create(&self, name: &str, cors: Option<Cors>) -> Result<String, Failure> {
        let mut apis = lock(&self.apis);
        if apis.len() >= APIS_MAX {
            return Err(Failure::new(429, "TooManyRequestsException", "too many HTTP APIs"));
        }
        let api = HttpApi { id: ids::api_id(), name: name.to_owned(), cors, ..HttpApi::default() };
        let id = api.id.clone();
        apis.insert(id.clone(), api);
        self.changed();
        Ok(id)
    }

    /// Deletes an API with all it has.
    pub(crate) fn delete(&self, id: &str) -> Result<(), Failure> {
        self.changed();
        lock(&self.apis).remove(id).map(|_| ()).ok_or_else(no_such_api)
    }

    /// Changes an API in place.
    pub(crate) fn change<T>(
        &self,
        id: &str,
        change: impl FnOnce(&mut HttpApi) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut apis = lock(&self.apis);
        let api = apis.get_mut(id).ok_or_else(no_such_api)?;
        let changed = change(api)?;
        if [api.integrations.len(), api.routes.len(), api.stages.len()]
            .into_iter()
            .any(|count| count > PARTS_PER_API_MAX)
        {
            return Err(Failure::new(
                429,
                "TooManyRequestsException",
                "the API has too many parts",
            ));
        }
        self.changed();
        Ok(changed)
    }

    /// Whether this is the id of one.
    pub(crate) fn has(&self, id: &str) -> bool {
        lock(&self.apis).contains_key(id)
    }

    /// Answers a call of an API that is one. `call.stage` is the first part of the path, be it a stage or not.
    pub(crate) async fn execute(&self, call: Call, invoker: &dyn Invoker) -> Response {
        let trace_header = trace_header(call.request.header("x-amzn-trace-id"));
        let answer = self.answer(&call, invoker, &trace_header).await;
        let mut answer = answer.unwrap_or_else(|failure| {
            let body = format!("{{\"message\":{}}}", Value::from(failure.message));
            response(failure.status, "application/json", body)
        });
        set_header(&mut answer, "apigw-requestid", &call.request.request_id);
        answer
    }

    async fn answer(
        &self,
        call: &Call,
        invoker: &dyn Invoker,
        trace_header: &str,
    ) -> Result<Response, Failure> {
        let not_found = || Failure::new(404, "NotFoundException", "Not Found");
        let api = lock(&self.apis).get(&call.api).cloned().ok_or_else(not_found)?;
        if call.request.body.len() > BODY_BYTES_MAX {
            return Err(Failure::new(
                413,
                "RequestEntityTooLargeException",
                "Request Entity Too Large",
            ));
        }
        let (stage, path) = staged(&api, call).ok_or_else(not_found)?;
        let verb = call.request.method.as_str();
        let found = route(&api, verb, &path);
        if let Some(cors) = api.cors.as_ref().filter(|_| verb == "OPTIONS" && found.is_none()) {
            return Ok(preflight(cors));
        }
        let (route, variables) = found.ok_or_else(not_found)?;
        let failed = || Failure::new(500, "InternalServerErrorException", "Internal Server Error");
        let integration = api.integrations.get(&route.integration).ok_or_else(failed)?;
        let event = http_event::Parts {
            place: &self.place,
            api: &api,
            stage: &stage,
            path: &path,
            route_key: &route.key,
            variables: &variables,
            request: &call.request,
            trace_header,
        };
        let event = if integration.is_format_2 { event.format_2() } else { event.format_1() };
        let function = function_of(&integration.function).unwrap_or(&integration.function);
        let called = invoker.invoke(function, Bytes::from(event.to_string()), trace_header);
        let mut answer = match tokio::time::timeout(TIMEOUT, called).await {
            Err(_) => return Err(Failure::new(503, "ServiceUnavailable", "Service Unavailable")),
            Ok(None) => return Err(failed()),
            Ok(Some(payload)) => {
                http_event::reply(&payload, integration.is_format_2).ok_or_else(failed)?
            }
        };
        if let Some(cors) = &api.cors {
            set_header(&mut answer, "access-control-allow-origin", &cors.origins);
        }
        Ok(answer)
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }
}

/// The stage that a call names by its first part, else `$default`, and the rest of its path.
fn staged(api: &HttpApi, call: &Call) -> Option<(String, Vec<String>)> {
    if call.stage != DEFAULT && api.stages.contains_key(&call.stage) {
        return Some((call.stage.clone(), call.path.clone()));
    }
    if !api.stages.contains_key(DEFAULT) {
        return None;
    }
    let first = Some(call.stage.clone()).filter(|part| !part.is_empty() && part != DEFAULT);
    Some((DEFAULT.to_owned(), first.into_iter().chain(call.path.iter().cloned()).collect()))
}

/// The most exact path wins; on one path, its own verb before `ANY`.
fn route(api: &HttpApi, verb: &str, path: &[String]) -> Option<Found> {
    let fits = api.routes.values().filter_map(|route| {
        let (of_route, template) = route.key.split_once(' ')?;
        if of_route != verb && of_route != "ANY" {
            return None;
        }
        let (rank, variables) = routing::fit(template, path)?;
        Some(((rank, of_route == "ANY"), route, variables))
    });
    let best = fits.min_by(|one, other| one.0.cmp(&other.0));
    let default = || {
        let route = api.routes.values().find(|route| route.key == DEFAULT)?;
        Some((route.clone(), BTreeMap::new()))
    };
    best.map(|(_, route, variables)| (route.clone(), variables)).or_else(default)
}

fn preflight(cors: &Cors) -> Response {
    let mut answer = response(204, "", "");
    set_header(&mut answer, "access-control-allow-origin", &cors.origins);
    set_header(&mut answer, "access-control-allow-methods", &cors.methods);
    set_header(&mut answer, "access-control-allow-headers", &cors.headers);
    answer
}

fn no_such_api() -> Failure {
    Failure::new(404, "NotFoundException", "Invalid API identifier specified")
}

impl Kept for HttpApis {
    fn name(&self) -> &'static str {
        "apigatewayv2"
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    fn save(&self) -> Value {
        serde_json::to_value(&*lock(&self.apis)).unwrap_or_default()
    }

    fn load(&self, saved: Value) -> Result<(), String> {
        *lock(&self.apis) = serde_json::from_value(saved).map_err(|err| err.to_string())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(verb: &str, path: &str, expected: Option<&str>) {
        let mut api = HttpApi::default();
        let keys = ["GET /users", "ANY /users", "GET /users/{id}", "ANY /{proxy+}"];
        for key in keys {
            let route = HttpRoute { key: key.to_owned(), integration: String::new() };
            api.routes.insert(key.to_owned(), route);
        }
        let path: Vec<String> =
            path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let found = route(&api, verb, &path).map(|(route, _)| route.key);
        assert_eq!(found.as_deref(), expected, "{verb} {path:?}");
    }

    #[test]
    fn the_most_exact_route_wins_and_its_own_verb_before_any() {
        check("GET", "/users", Some("GET /users"));
        check("POST", "/users", Some("ANY /users"));
        check("GET", "/users/7", Some("GET /users/{id}"));
        check("POST", "/users/7", Some("ANY /{proxy+}"));
        check("GET", "/", None);
    }
}
