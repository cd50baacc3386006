//! Root causes as the JSON that `rootcause.json` compares with.

use serde_json::{Value, json};
use throughline_topology::xray::{RootCause, RootCauseEntity, RootCauseService};

use super::ast::account_of;

/// A root cause with the members of X-Ray's `FaultRootCause` and its like.
pub(super) fn json(cause: &RootCause) -> Value {
    json!({
        "ClientImpacting": cause.client_impacting,
        "Services": cause.services.iter().map(service).collect::<Vec<_>>(),
    })
}

fn service(service: &RootCauseService) -> Value {
    json!({
        "Name": service.service.name,
        "Names": service.service.names,
        "Type": service.service.kind,
        "AccountId": account_of(&service.service),
        "Inferred": service.inferred,
        "EntityPath": service.entities.iter().map(entity).collect::<Vec<_>>(),
    })
}

fn entity(entity: &RootCauseEntity) -> Value {
    let exceptions = entity.exceptions.iter();
    let exceptions = exceptions.map(|one| json!({"Name": one.name, "Message": one.message}));
    json!({
        "Name": entity.name,
        "Coverage": entity.coverage,
        "Remote": entity.remote,
        "Exceptions": exceptions.collect::<Vec<_>>(),
    })
}

/// Whether every member that `wanted` gives is the same in `found`; lists in whole and in order.
///
/// What is left out, or null, may be anything.
///
/// **Rule:** X-Ray developer guide, "Getting data from AWS X-Ray", root cause analytics.
pub(super) fn fits(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Null, _) => true,
        (Value::Object(wanted), Value::Object(found)) => wanted.iter().all(|(name, wanted)| {
            wanted.is_null() || found.get(name).is_some_and(|found| fits(wanted, found))
        }),
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(a, b)| fits(a, b))
        }
        (Value::Number(wanted), Value::Number(found)) => wanted.as_f64() == found.as_f64(),
        _ => wanted == found,
    }
}
