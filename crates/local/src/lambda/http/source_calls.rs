//! Calls about event source mappings.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::error::LambdaError;
use super::super::functions::Functions;
use super::super::sources::EventSourceSpec;
use super::{Answer, Asked, page, unknown};

pub(super) async fn route(
    functions: &Arc<Functions>,
    asked: &Asked,
    path: &[&str],
) -> Result<Answer, LambdaError> {
    match (asked.method.as_str(), path) {
        ("POST", ["event-source-mappings"]) => {
            let spec: EventSourceSpec = asked.json()?;
            Ok(Answer::of(202, &functions.create_event_source(&spec)?))
        }
        ("GET", ["event-source-mappings"]) => {
            let found = functions
                .event_sources(asked.query("FunctionName"), asked.query("EventSourceArn"))?;
            let found: Vec<Value> =
                found.iter().filter_map(|one| serde_json::to_value(one).ok()).collect();
            let (page, next) = page(asked, found);
            Ok(Answer::json(200, &json!({ "EventSourceMappings": page, "NextMarker": next })))
        }
        ("GET", ["event-source-mappings", uuid]) => {
            Ok(Answer::of(200, &functions.event_source(uuid)?))
        }
        ("PUT", ["event-source-mappings", uuid]) => {
            let spec: EventSourceSpec = asked.json()?;
            Ok(Answer::of(202, &functions.update_event_source(uuid, &spec).await?))
        }
        ("DELETE", ["event-source-mappings", uuid]) => {
            Ok(Answer::of(202, &functions.delete_event_source(uuid).await?))
        }
        _ => Err(unknown(asked)),
    }
}
