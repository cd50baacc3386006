//! Which paths each door answers, and what is wrapped around all of them.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::api::native::{self, ApiError};
use crate::api::xray;
use crate::app::App;
use crate::doors::{otlp_grpc, otlp_http};
use crate::host_guard;
use crate::metrics::DoorName;
use crate::page;

/// Everything that the door called `name` answers.
pub(crate) fn of_door(name: DoorName, address: SocketAddr, app: &Arc<App>) -> Router {
    let router = match name {
        DoorName::Http => main_port(address, app),
        DoorName::OtlpHttp => otlp_http::routes().fallback(no_such_door),
        DoorName::OtlpGrpc => otlp_grpc::routes().fallback(no_such_door),
        DoorName::Xray => daemon_port(),
    };
    wrap(router, name, app)
}

/// Counts every answer, and turns a panic into one.
fn wrap(router: Router<Arc<App>>, name: DoorName, app: &Arc<App>) -> Router {
    let counting = middleware::from_fn_with_state((Arc::clone(app), name), count_answers);
    let metrics = Arc::clone(&app.metrics);
    let catcher = CatchPanicLayer::custom(move |panic: Box<dyn std::any::Any + Send>| {
        metrics.panicked();
        // The panic hook has written the message and the place; they are not the caller's business.
        drop(panic);
        tracing::error!("a handler panicked");
        ApiError::internal("the server made a mistake; its log says more").into_response()
    });
    router.layer(catcher).layer(counting).with_state(Arc::clone(app))
}

fn main_port(address: SocketAddr, app: &Arc<App>) -> Router<Arc<App>> {
    let guard = Guard { app: Arc::clone(app), loopback: address.ip().is_loopback() };
    let pages = native::routes()
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        // As small as the default within 2 in 100, in two thirds of the time.
        .layer(CompressionLayer::new().quality(CompressionLevel::Precise(4)))
        // The page packs its own files, once.
        .fallback(page_or_nothing)
        .method_not_allowed_fallback(wrong_method);
    otlp_http::routes()
        .merge(otlp_grpc::routes())
        .nest("/xray", xray::routes(DoorName::Http))
        .merge(pages)
        .layer(middleware::from_fn_with_state(guard, check_host))
}

/// What the X-Ray daemon passes on, which is its whole API, and the path of X-Ray's OTLP endpoint.
fn daemon_port() -> Router<Arc<App>> {
    xray::routes(DoorName::Xray)
        .merge(otlp_http::routes())
        .route("/", get(main_page))
        .layer(middleware::from_fn(refuse_browsers))
}

/// No SDK says `Origin`, and browsers always do when a page sends something: no page of any site
/// has business here. Containers reach this port under names of their own, so the name is no guide.
async fn refuse_browsers(request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::ORIGIN) {
        let message = "web pages may not use this port; the main port has the page and the API";
        return ApiError::new(StatusCode::FORBIDDEN, message).into_response();
    }
    next.run(request).await
}

/// Someone looks at the daemon's port with a browser.
async fn main_page(State(app): State<Arc<App>>) -> Response {
    match app.addresses.get().and_then(|addresses| addresses.http) {
        Some(address) => Redirect::temporary(&format!("http://{address}/")).into_response(),
        None => {
            let message = "this port takes X-Ray segments; the page is off";
            ApiError::new(StatusCode::NOT_FOUND, message).into_response()
        }
    }
}

#[derive(Clone)]
struct Guard {
    app: Arc<App>,
    loopback: bool,
}

async fn check_host(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let allowed = &guard.app.config.allowed_hosts;
    match host_guard::refusal(method, uri, headers, guard.loopback, allowed) {
        Some(reason) => ApiError::new(StatusCode::FORBIDDEN, reason).into_response(),
        None => next.run(request).await,
    }
}

async fn count_answers(
    State((app, name)): State<(Arc<App>, DoorName)>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    app.metrics.answered(name, response.status().as_u16());
    response
}

async fn ready(State(app): State<Arc<App>>) -> Response {
    match app.readiness() {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")).into_response()
        }
    }
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    // Numbers of the store walk what is in memory, which may take milliseconds.
    let text = tokio::task::spawn_blocking(move || app.render_metrics()).await;
    match text {
        Ok(text) => {
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(err) => std::panic::resume_unwind(err.into_panic()),
    }
}

async fn page_or_nothing(request: Request) -> Response {
    if otlp_grpc::is_grpc(request.headers()) {
        return otlp_grpc::unimplemented();
    }
    if request.uri().path().starts_with("/api/") {
        let message = format!("there is no {}", request.uri().path());
        return ApiError::new(StatusCode::NOT_FOUND, message).into_response();
    }
    page::answer(request.method(), request.uri().path(), request.headers())
}

async fn wrong_method(request: Request) -> Response {
    let message = format!("{} does not take {}", request.uri().path(), request.method());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message).into_response()
}

async fn no_such_door(request: Request) -> Response {
    if otlp_grpc::is_grpc(request.headers()) {
        return otlp_grpc::unimplemented();
    }
    let message = "this port only takes POST /v1/traces and /v1/logs; the page is on the main port";
    ApiError::new(StatusCode::NOT_FOUND, message).into_response()
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt;

    use super::*;
    use crate::app::Stores;

    #[tokio::test]
    async fn a_panic_is_an_answer_and_is_counted() {
        async fn broken() {
            panic!("an invariant of this test")
        }
        let directory = tempfile::tempdir().unwrap();
        let config = crate::ServerConfig::on_free_ports(directory.path().to_owned());
        let options = throughline_store::StoreOptions::new(directory.path());
        let xray = xray::XrayState::open(directory.path()).unwrap();
        let mut logs = options.clone();
        logs.directory.push("log-records");
        let open = |options| Arc::new(throughline_store::Store::open(options).unwrap());
        let app = App::new(config, Stores { spans: open(options), logs: open(logs) }, xray);
        let app = Arc::new(app);
        let router = wrap(Router::new().route("/broken", get(broken)), DoorName::Http, &app);
        let request = Request::get("/broken").body(axum::body::Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.starts_with("{\"error\":{\"message\":"), "{body}");
        assert!(!body.contains("invariant"), "{body}");
        let metrics = app.render_metrics();
        for line in [
            "throughline_panics_total 1",
            "throughline_http_requests_total{door=\"http\",status=\"500\"} 1",
        ] {
            assert!(metrics.lines().any(|l| l == line), "{metrics}");
        }
    }
}
