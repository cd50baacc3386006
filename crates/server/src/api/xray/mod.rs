//! The X-Ray API: all operations of the model, at the root of the daemon's port and under `/xray`
//! on the main port.
//!
//! One table says what there is. Every operation is a POST to a path of its own with a JSON object
//! as body and answer. Rule: X-Ray API model 2016-04-12, restJson1. SDKs check answers strictly, so
//! members that are not there are left out, and times are numbers.

mod body;
mod documents;
mod encryption;
mod error;
mod filters;
mod graph;
mod groups;
mod insights;
mod policies;
mod put;
mod quota;
mod retrieval;
mod sampling;
mod settings;
mod signature;
mod summaries;
mod tags;
mod time_series;
mod token;
mod traces;

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use throughline_query::QueryError;
use throughline_query::xray_filter::XrayFilter;
use throughline_store::Snapshot;

pub use settings::OpenSettingsError;

use self::body::Answer;
use self::error::{ErrorKind, XrayError};
use self::quota::Sampling;
use self::retrieval::Retrievals;
use self::settings::SettingsFile;
use crate::app::App;
use crate::clock::now_unix_nano;
use crate::doors::body as door_body;
use crate::metrics::DoorName;

/// Entries of one page, where an answer has pages. AWS does not say its sizes.
const PAGE_SIZE: usize = 1_000;

/// What the API remembers besides spans.
pub(crate) struct XrayState {
    settings: SettingsFile,
    sampling: Mutex<Sampling>,
    retrievals: Mutex<Retrievals>,
}

impl XrayState {
    /// Reads the settings of a data directory.
    pub(crate) fn open(directory: &Path) -> Result<Self, OpenSettingsError> {
        let settings = SettingsFile::open(directory)?;
        Ok(Self { settings, sampling: Mutex::default(), retrievals: Mutex::default() })
    }
}

/// An operation of the model.
struct Operation {
    #[cfg_attr(not(test), expect(dead_code, reason = "tests compare the names with the model"))]
    name: &'static str,
    path: &'static str,
    how: How,
}

#[derive(Clone, Copy)]
enum How {
    /// From settings and memory; may write the settings.
    Settings(fn(&Call, &[u8]) -> Answer),
    /// From the spans: may hold a core for seconds, so it takes its turn.
    Query(fn(&Call, &Snapshot, &[u8]) -> Answer),
    /// Brings spans.
    Put,
}

const fn operation(name: &'static str, path: &'static str, how: How) -> Operation {
    Operation { name, path, how }
}

/// Every operation of the model, in its order.
const OPERATIONS: [Operation; 38] = {
    use How::{Put, Query, Settings};
    [
        operation("BatchGetTraces", "/Traces", Query(traces::batch_get)),
        operation("CancelTraceRetrieval", "/CancelTraceRetrieval", Settings(retrieval::cancel)),
        operation("CreateGroup", "/CreateGroup", Settings(groups::create)),
        operation("CreateSamplingRule", "/CreateSamplingRule", Settings(sampling::create_rule)),
        operation("DeleteGroup", "/DeleteGroup", Settings(groups::delete)),
        operation("DeleteResourcePolicy", "/DeleteResourcePolicy", Settings(policies::delete)),
        operation("DeleteSamplingRule", "/DeleteSamplingRule", Settings(sampling::delete_rule)),
        operation("GetEncryptionConfig", "/EncryptionConfig", Settings(encryption::get)),
        operation("GetGroup", "/GetGroup", Settings(groups::get)),
        operation("GetGroups", "/Groups", Settings(groups::list)),
        operation(
            "GetIndexingRules",
            "/GetIndexingRules",
            Settings(encryption::get_indexing_rules),
        ),
        operation("GetInsight", "/Insight", Settings(insights::get)),
        operation("GetInsightEvents", "/InsightEvents", Settings(insights::events)),
        operation("GetInsightImpactGraph", "/InsightImpactGraph", Settings(insights::impact_graph)),
        operation("GetInsightSummaries", "/InsightSummaries", Settings(insights::summaries)),
        operation("GetRetrievedTracesGraph", "/GetRetrievedTracesGraph", Query(retrieval::graph)),
        operation("GetSamplingRules", "/GetSamplingRules", Settings(sampling::get_rules)),
        operation(
            "GetSamplingStatisticSummaries",
            "/SamplingStatisticSummaries",
            Settings(sampling::get_statistic_summaries),
        ),
        operation("GetSamplingTargets", "/SamplingTargets", Settings(sampling::get_targets)),
        operation("GetServiceGraph", "/ServiceGraph", Query(graph::service_graph)),
        operation(
            "GetTimeSeriesServiceStatistics",
            "/TimeSeriesServiceStatistics",
            Query(time_series::get),
        ),
        operation("GetTraceGraph", "/TraceGraph", Query(traces::graph)),
        operation(
            "GetTraceSegmentDestination",
            "/GetTraceSegmentDestination",
            Settings(encryption::get_destination),
        ),
        operation("GetTraceSummaries", "/TraceSummaries", Query(summaries::get)),
        operation("ListResourcePolicies", "/ListResourcePolicies", Settings(policies::list)),
        operation("ListRetrievedTraces", "/ListRetrievedTraces", Query(retrieval::list)),
        operation("ListTagsForResource", "/ListTagsForResource", Settings(tags::list)),
        operation("PutEncryptionConfig", "/PutEncryptionConfig", Settings(encryption::put)),
        operation("PutResourcePolicy", "/PutResourcePolicy", Settings(policies::put)),
        operation("PutTelemetryRecords", "/TelemetryRecords", Settings(put::telemetry)),
        operation("PutTraceSegments", "/TraceSegments", Put),
        operation("StartTraceRetrieval", "/StartTraceRetrieval", Settings(retrieval::start)),
        operation("TagResource", "/TagResource", Settings(tags::tag)),
        operation("UntagResource", "/UntagResource", Settings(tags::untag)),
        operation("UpdateGroup", "/UpdateGroup", Settings(groups::update)),
        operation(
            "UpdateIndexingRule",
            "/UpdateIndexingRule",
            Settings(encryption::update_indexing_rule),
        ),
        operation("UpdateSamplingRule", "/UpdateSamplingRule", Settings(sampling::update_rule)),
        operation(
            "UpdateTraceSegmentDestination",
            "/UpdateTraceSegmentDestination",
            Settings(encryption::update_destination),
        ),
    ]
};

/// The two that SDKs call on the daemon's port, where they have nothing to sign with.
const POLLED: [&str; 2] = ["/GetSamplingRules", "/SamplingTargets"];

/// The operations, as a door answers them.
pub(crate) fn routes(door: DoorName) -> Router<Arc<App>> {
    let mut router = Router::new();
    for operation in &OPERATIONS {
        let answer = move |State(app): State<Arc<App>>, request: Request| {
            let signed = door != DoorName::Xray || !POLLED.contains(&operation.path);
            answer(app, operation.how, signed, request)
        };
        router = router.route(operation.path, post(answer));
    }
    router.fallback(unknown).method_not_allowed_fallback(unknown)
}

/// The filter of an expression, with the groups that it names.
pub(crate) fn filter(app: &App, text: &str) -> Result<XrayFilter, QueryError> {
    filters::resolved(text, &app.xray.settings.read(), &app.config.xray_api.account_id)
}

async fn answer(app: Arc<App>, how: How, signed: bool, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut response = match answer_or_refuse(&app, how, signed, &parts, body).await {
        Ok(text) => {
            let kind = HeaderValue::from_static("application/json");
            (StatusCode::OK, [(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(err) => err.into_response(),
    };
    name_request(&mut response);
    response
}

async fn answer_or_refuse(
    app: &Arc<App>,
    how: How,
    signed: bool,
    parts: &Parts,
    body: axum::body::Body,
) -> Result<Bytes, XrayError> {
    let refused = |err: door_body::BodyError| {
        if matches!(how, How::Put) {
            app.pipeline.refuse(put::PROTOCOL, err.word(), err.to_string());
        }
        XrayError::from(err)
    };
    let coding = door_body::Coding::from_header(parts.headers.get(header::CONTENT_ENCODING));
    let coding =
        coding.ok_or_else(|| XrayError::invalid("expected Content-Encoding gzip or none"))?;
    let share = app.intake.share();
    let mut body =
        door_body::read(body, coding, share, app.read_limits()).await.map_err(refused)?;
    let call = Call::of(app, parts);
    let keys = &app.config.xray_api.keys;
    if signed && !keys.is_empty() {
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0);
        let (method, headers) = (&parts.method, &parts.headers);
        let request = signature::Signed { method, uri, headers, body: &body.bytes };
        signature::check(request, keys, call.now)?;
    }
    if matches!(how, How::Put) {
        return put::segments(app, body).await;
    }
    // Only `PutTraceSegments` has large bodies.
    const SIZE_BYTES_MAX: usize = 4 << 20;
    let text = door_body::inflate(&mut body, SIZE_BYTES_MAX)?;
    match how {
        How::Settings(answer) => {
            let work = tokio::task::spawn_blocking(move || rendered(answer(&call, &text)));
            work.await.unwrap_or_else(|err| std::panic::resume_unwind(err.into_panic()))
        }
        How::Query(answer) => {
            let work = move || rendered(answer(&call, &call.app.store.snapshot(), &text));
            app.queries.on_cpu(work).await?
        }
        How::Put => unreachable!("answered above"),
    }
}

fn rendered(answer: Answer) -> Result<Bytes, XrayError> {
    let text = serde_json::to_vec(&answer?);
    text.map(Bytes::from).map_err(|err| XrayError::new(ErrorKind::InternalFailure, err.to_string()))
}

async fn unknown(request: Request) -> Response {
    let message = format!(
        "there is no operation {} {}; every operation is a POST to a path such as /TraceSummaries",
        request.method(),
        request.uri().path()
    );
    let mut response = XrayError::new(ErrorKind::UnknownOperation, message).into_response();
    name_request(&mut response);
    response
}

/// Gives an answer the id that SDKs show with their errors.
fn name_request(response: &mut Response) {
    let id = format!("{:032x}", unique_id());
    let id = format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]);
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HeaderName::from_static("x-amzn-requestid"), id);
    }
}

/// A number that was not given before and will not be again. No secret.
fn unique_id() -> u128 {
    let half = || u128::from(RandomState::new().hash_one(now_unix_nano()));
    half() << 64 | half()
}

/// One call of an operation: what it may know besides its body.
struct Call {
    app: Arc<App>,
    region: String,
    /// Nanoseconds since the epoch.
    now: i64,
}

impl Call {
    fn of(app: &Arc<App>, parts: &Parts) -> Self {
        let region = signature::region(&parts.headers).unwrap_or(&app.config.xray_api.region);
        Self { app: Arc::clone(app), region: region.to_owned(), now: now_unix_nano() }
    }

    fn settings(&self) -> &SettingsFile {
        &self.app.xray.settings
    }

    fn sampling(&self) -> &Mutex<Sampling> {
        &self.app.xray.sampling
    }

    fn retrievals(&self) -> &Mutex<Retrievals> {
        &self.app.xray.retrievals
    }

    fn account(&self) -> &str {
        &self.app.config.xray_api.account_id
    }

    fn arn(&self, resource: &str) -> String {
        format!("arn:aws:xray:{}:{}:{resource}", self.region, self.account())
    }
}

/// What stands behind the account in an ARN of X-Ray; region and account may be any, for one server
/// holds one set of everything.
fn resource_of_arn(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    let (scheme, _partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let resource = parts.nth(2)?;
    (scheme == "arn" && service == "xray").then_some(resource)
}

/// A thing that callers name by name or by ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    Name(String),
    Arn(String),
}

impl Named {
    /// Exactly one of the two has to be there.
    fn of(
        name: Option<&str>,
        arn: Option<&str>,
        name_member: &str,
        arn_member: &str,
    ) -> Result<Self, XrayError> {
        match (name, arn) {
            (Some(name), None) => {
                body::within(name, name_member, 1, 32)?;
                Ok(Self::Name(name.to_owned()))
            }
            (None, Some(arn)) => {
                body::within(arn, arn_member, 1, 400)?;
                Ok(Self::Arn(arn.to_owned()))
            }
            _ => Err(XrayError::invalid(format!(
                "exactly one of {name_member} and {arn_member} is required"
            ))),
        }
    }

    /// Whether it names the thing with this name, and this text behind the account in its ARN.
    fn is(&self, name: &str, resource: &str) -> bool {
        match self {
            Self::Name(wanted) => wanted == name,
            Self::Arn(arn) => resource_of_arn(arn) == Some(resource),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Name(text) | Self::Arn(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_operation_once() {
        let mut names: Vec<_> = OPERATIONS.iter().map(|o| o.name).collect();
        assert!(names.is_sorted());
        names.dedup();
        assert_eq!(names.len(), 38);
        let mut paths: Vec<_> = OPERATIONS.iter().map(|o| o.path).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), 38);
        assert!(POLLED.iter().all(|path| paths.contains(path)));
    }

    #[test]
    fn an_arn_of_any_region_and_account_names_the_resource() {
        let check = |arn, resource| assert_eq!(resource_of_arn(arn), resource, "{arn}");
        check("arn:aws:xray:us-east-1:000000000000:group/a/B", Some("group/a/B"));
        check("arn:aws-cn:xray:cn-north-1:1:sampling-rule/a:b", Some("sampling-rule/a:b"));
        for arn in ["", "arn", "arn:aws:s3:::bucket", "arn:aws:xray:us-east-1:1", "x:x:x:x:x:x"] {
            check(arn, None);
        }
    }

    #[test]
    fn ids_differ() {
        assert_ne!(unique_id(), unique_id());
    }
}
