//! API Gateway: REST APIs with their resources, methods, deployments and stages; HTTP APIs (`http_apis`).
//!
//! Comes in:   what CloudFormation or a control call declares (`control`), and calls of the APIs (`execute`).
//! Rule: API Gateway V1 API reference, 2015-07-09. A stage serves what its deployment froze.

mod control;
mod event;
mod execute;
mod http_apis;
mod http_event;
mod reply;
mod routing;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::Failure;
use crate::ids;
use crate::place::Place;
use crate::seams::Kept;
use crate::sync::lock;

pub(crate) use execute::function_of;
pub(crate) use execute::{Call, Invoker};
pub(crate) use http_apis::{Cors, HttpApis, HttpIntegration, HttpRoute};

const APIS_MAX: usize = 500;
/// API Gateway's own quota is 300.
const RESOURCES_PER_API_MAX: usize = 1_000;
const DEPLOYMENTS_PER_API_MAX: usize = 200;

/// One REST API.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RestApi {
    /// Ten letters and digits.
    pub id: String,
    /// For people.
    pub name: String,
    /// For people.
    pub description: String,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// The resource `/`.
    pub root_id: String,
    /// Media types that are handed over in base64.
    pub binary_media_types: Vec<String>,
    /// Key and value.
    pub tags: BTreeMap<String, String>,
    /// By id.
    pub resources: BTreeMap<String, Resource>,
    /// By id.
    pub deployments: BTreeMap<String, Deployment>,
    /// By name.
    pub stages: BTreeMap<String, Stage>,
}

/// A part of a path.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Resource {
    /// Six to ten letters and digits.
    pub id: String,
    /// `None` for the root.
    pub parent_id: Option<String>,
    /// `users`, `{id}` or `{proxy+}`; empty for the root.
    pub path_part: String,
    /// `/users/{id}`.
    pub path: String,
    /// By verb, `ANY` among them.
    pub methods: BTreeMap<String, Method>,
}

/// What a verb does there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Method {
    /// `NONE`; others are remembered and not enforced.
    pub authorization: String,
    /// Whether a key is asked for: remembered only.
    pub api_key_required: bool,
    /// Where the call goes.
    pub integration: Option<Integration>,
}

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Integration {
    /// To a function, with the whole request as its event: `AWS_PROXY`.
    Function {
        /// `arn:aws:apigateway:..:lambda:path/2015-03-31/functions/ARN/invocations`.
        uri: String,
    },
    /// Nowhere: status and headers are set, as for CORS preflight: `MOCK`.
    Mock {
        /// The answer's status.
        status: u16,
        /// Header and value.
        headers: BTreeMap<String, String>,
        /// The answer's body.
        body: String,
    },
}

/// What a stage serves: the resources as they were.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Deployment {
    /// Six to ten letters and digits.
    pub id: String,
    /// For people.
    pub description: String,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    resources: BTreeMap<String, Resource>,
}

/// A name under which a deployment is called.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stage {
    /// What it serves.
    pub deployment_id: String,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// Name and value.
    pub variables: BTreeMap<String, String>,
    /// Whether X-Ray was asked for.
    pub tracing: bool,
    /// Key and value.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// The account's REST APIs.
pub(crate) struct ApiGateway {
    place: Arc<Place>,
    apis: Mutex<BTreeMap<String, RestApi>>,
    changes: AtomicU64,
}

impl ApiGateway {
    /// No APIs yet.
    pub(crate) fn new(place: Arc<Place>) -> Self {
        Self { place, apis: Mutex::default(), changes: AtomicU64::new(0) }
    }

    /// Creates an API with its root resource.
    pub(crate) fn create_api(
        &self,
        name: &str,
        description: &str,
        binary_media_types: Vec<String>,
        tags: BTreeMap<String, String>,
    ) -> Result<RestApi, Failure> {
        let mut apis = lock(&self.apis);
        if apis.len() >= APIS_MAX {
            return Err(Failure::new(429, "LimitExceededException", "too many REST APIs"));
        }
        let root = Resource {
            id: ids::api_id(),
            parent_id: None,
            path_part: String::new(),
            path: "/".to_owned(),
            methods: BTreeMap::new(),
        };
        let api = RestApi {
            id: ids::api_id(),
            name: name.to_owned(),
            description: description.to_owned(),
            created_ms: ids::now_ms(),
            root_id: root.id.clone(),
            binary_media_types,
            tags,
            resources: BTreeMap::from([(root.id.clone(), root)]),
            deployments: BTreeMap::new(),
            stages: BTreeMap::new(),
        };
        apis.insert(api.id.clone(), api.clone());
        self.changed();
        Ok(api)
    }

    /// An API by id.
    pub(crate) fn api(&self, id: &str) -> Result<RestApi, Failure> {
        lock(&self.apis).get(id).cloned().ok_or_else(no_such_api)
    }

    /// Deletes an API with all it has.
    pub(crate) fn delete_api(&self, id: &str) -> Result<(), Failure> {
        self.changed();
        lock(&self.apis).remove(id).map(|_| ()).ok_or_else(no_such_api)
    }

    /// Changes an API in place.
    pub(crate) fn change_api<T>(
        &self,
        id: &str,
        change: impl FnOnce(&mut RestApi) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut apis = lock(&self.apis);
        let changed = change(apis.get_mut(id).ok_or_else(no_such_api)?)?;
        self.changed();
        Ok(changed)
    }

    /// Creates a resource below another and gives its id.
    pub(crate) fn create_resource(
        &self,
        api: &str,
        parent: &str,
        part: &str,
    ) -> Result<String, Failure> {
        self.change_api(api, |api| {
            let parent_path = match api.resources.get(parent) {
                Some(parent) => parent.path.trim_end_matches('/').to_owned(),
                None => return Err(not_found("Invalid Resource identifier specified")),
            };
            if !routing::is_path_part(part) {
                let problem = "Resource's path part only allow a-zA-Z0-9._-: or a valid greedy path variable and curly braces at the beginning and the end.";
                return Err(Failure::new(400, "BadRequestException", problem));
            }
            let path = format!("{parent_path}/{part}");
            if api.resources.values().any(|resource| resource.path == path) {
                let problem = "Another resource with the same parent already has this name: ";
                return Err(Failure::new(409, "ConflictException", format!("{problem}{part}")));
            }
            if api.resources.len() >= RESOURCES_PER_API_MAX {
                return Err(Failure::new(429, "LimitExceededException", "too many resources"));
            }
            let resource = Resource {
                id: ids::api_id(),
                parent_id: Some(parent.to_owned()),
                path_part: part.to_owned(),
                path,
                methods: BTreeMap::new(),
            };
            let id = resource.id.clone();
            api.resources.insert(id.clone(), resource);
            Ok(id)
        })
    }

    /// Deletes a resource and all below it. What is deployed stays.
    pub(crate) fn delete_resource(&self, api: &str, id: &str) -> Result<(), Failure> {
        self.change_api(api, |api| {
            let Some(gone) = api.resources.remove(id) else {
                return Err(not_found("Invalid Resource identifier specified"));
            };
            let below = format!("{}/", gone.path.trim_end_matches('/'));
            api.resources.retain(|_, resource| !resource.path.starts_with(&below));
            Ok(())
        })
    }

    /// Sets what a verb does.
    pub(crate) fn put_method(
        &self,
        api: &str,
        resource: &str,
        verb: &str,
        method: Method,
    ) -> Result<(), Failure> {
        self.change_api(api, |api| {
            let Some(resource) = api.resources.get_mut(resource) else {
                return Err(not_found("Invalid Resource identifier specified"));
            };
            resource.methods.insert(verb.to_owned(), method);
            Ok(())
        })
    }

    /// Takes a verb away; nothing to take is no error.
    pub(crate) fn delete_method(
        &self,
        api: &str,
        resource: &str,
        verb: &str,
    ) -> Result<(), Failure> {
        self.change_api(api, |api| {
            if let Some(resource) = api.resources.get_mut(resource) {
                resource.methods.remove(verb);
            }
            Ok(())
        })
    }

    /// Freezes the API and puts it behind a stage, if one is named; gives the deployment's id.
    pub(crate) fn deploy(
        &self,
        api: &str,
        stage: Option<&str>,
        description: &str,
    ) -> Result<String, Failure> {
        self.change_api(api, |api| {
            if api.deployments.len() >= DEPLOYMENTS_PER_API_MAX {
                return Err(Failure::new(429, "LimitExceededException", "too many deployments"));
            }
            if api.resources.values().all(|resource| resource.methods.is_empty()) {
                let problem = "The REST API doesn't contain any methods";
                return Err(Failure::new(400, "BadRequestException", problem));
            }
            let deployment = Deployment {
                id: ids::api_id(),
                description: description.to_owned(),
                created_ms: ids::now_ms(),
                resources: api.resources.clone(),
            };
            let id = deployment.id.clone();
            api.deployments.insert(id.clone(), deployment);
            if let Some(name) = stage {
                put_stage(api, name, &id);
            }
            Ok(id)
        })
    }

    /// Puts a deployment behind a stage.
    pub(crate) fn put_stage(
        &self,
        api: &str,
        stage: &str,
        deployment: &str,
    ) -> Result<(), Failure> {
        self.change_api(api, |api| {
            if !api.deployments.contains_key(deployment) {
                return Err(not_found("Invalid Deployment identifier specified"));
            }
            put_stage(api, stage, deployment);
            Ok(())
        })
    }

    /// Deletes a deployment, and the stages that serve it.
    pub(crate) fn delete_deployment(&self, api: &str, id: &str) -> Result<(), Failure> {
        self.change_api(api, |api| {
            api.deployments.remove(id);
            api.stages.retain(|_, stage| stage.deployment_id != id);
            Ok(())
        })
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }
}

fn put_stage(api: &mut RestApi, name: &str, deployment: &str) {
    let new = || Stage {
        deployment_id: String::new(),
        created_ms: ids::now_ms(),
        variables: BTreeMap::new(),
        tracing: false,
        tags: BTreeMap::new(),
    };
    let stage = api.stages.entry(name.to_owned()).or_insert_with(new);
    stage.deployment_id = deployment.to_owned();
}

fn no_such_api() -> Failure {
    not_found("Invalid API identifier specified")
}

fn not_found(message: &str) -> Failure {
    Failure::new(404, "NotFoundException", message)
}

impl Kept for ApiGateway {
    fn name(&self) -> &'static str {
        "apigateway"
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
