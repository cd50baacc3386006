//! `GET /environments`, `/services`, `/services/{s}/operations`: the lists to choose from.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use throughline_topology::{MapFilter, MapTotal};
use utoipa::ToSchema;

use super::error::ErrorBody;
use super::extract::{Params, PathParts};
use super::map::WindowParams;
use super::{ApiError, ask};
use crate::app::App;

/// The environments that spans name.
#[derive(Debug, Serialize, ToSchema)]
struct EnvironmentsAnswer {
    environments: Vec<String>,
}

/// The services with requests in a range of time.
#[derive(Debug, Serialize, ToSchema)]
struct ServicesAnswer {
    services: Vec<ServiceStats>,
}

/// A service and how it fares.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ServiceStats {
    name: String,
    environments: Vec<String>,
    requests: u64,
    errors: u64,
    p50_nano: i64,
    p95_nano: i64,
    p99_nano: i64,
}

/// The operations of a service.
#[derive(Debug, Serialize, ToSchema)]
struct OperationsAnswer {
    operations: Vec<OperationStats>,
}

/// All spans of one name and kind in a service.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OperationStats {
    name: String,
    /// `server`, `client`, `producer`, `consumer`, `internal` or `unspecified`.
    kind: &'static str,
    requests: u64,
    errors: u64,
    p50_nano: i64,
    p95_nano: i64,
    p99_nano: i64,
}

impl From<throughline_topology::OperationStats> for OperationStats {
    fn from(o: throughline_topology::OperationStats) -> Self {
        Self {
            name: o.name,
            kind: o.kind.word(),
            requests: o.requests,
            errors: o.errors,
            p50_nano: o.p50_nano,
            p95_nano: o.p95_nano,
            p99_nano: o.p99_nano,
        }
    }
}

/// Lists environments, of all time.
#[utoipa::path(
    get, path = "/environments", operation_id = "environments",
    responses(
        (status = 200, description = "Environments by name", body = EnvironmentsAnswer),
        (status = 503, description = "Too many queries wait", body = ErrorBody),
    )
)]
pub(super) async fn environments(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    ask(&app, |snapshot| {
        let environments =
            snapshot.map(MapTotal::of_operations(&MapFilter::ALL)).environments(&MapFilter::ALL);
        Ok(EnvironmentsAnswer { environments })
    })
    .await
}

/// Lists services.
#[utoipa::path(
    get, path = "/services", operation_id = "services", params(WindowParams),
    responses(
        (status = 200, description = "Services by name", body = ServicesAnswer),
        (status = 400, description = "A parameter cannot be read", body = ErrorBody),
        (status = 503, description = "Too many queries wait", body = ErrorBody),
    )
)]
pub(super) async fn services(
    State(app): State<Arc<App>>,
    Params(params): Params<WindowParams>,
) -> Result<Response, ApiError> {
    let range = params.range()?;
    ask(&app, move |snapshot| {
        let filter = params.filter(range);
        let services = snapshot.map(MapTotal::of_calls(&filter)).services(&filter);
        let render = |s: throughline_topology::ServiceStats| ServiceStats {
            name: s.name,
            environments: s.environments,
            requests: s.requests,
            errors: s.errors,
            p50_nano: s.p50_nano,
            p95_nano: s.p95_nano,
            p99_nano: s.p99_nano,
        };
        Ok(ServicesAnswer { services: services.into_iter().map(render).collect() })
    })
    .await
}

/// Lists a service's operations. An unknown service has none.
#[utoipa::path(
    get, path = "/services/{service}/operations", operation_id = "operations",
    params(("service" = String, Path, description = "`service.name`"), WindowParams),
    responses(
        (status = 200, description = "Operations by name and kind", body = OperationsAnswer),
        (status = 400, description = "A parameter cannot be read", body = ErrorBody),
        (status = 503, description = "Too many queries wait", body = ErrorBody),
    )
)]
pub(super) async fn operations(
    State(app): State<Arc<App>>,
    PathParts(service): PathParts<String>,
    Params(params): Params<WindowParams>,
) -> Result<Response, ApiError> {
    let range = params.range()?;
    ask(&app, move |snapshot| {
        let filter = params.filter(range);
        let operations = snapshot.map(MapTotal::of_operations(&filter));
        let operations = operations.operations(&service, &filter);
        Ok(OperationsAnswer { operations: operations.into_iter().map(Into::into).collect() })
    })
    .await
}
