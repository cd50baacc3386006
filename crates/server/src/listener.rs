//! Accepts connections of one door and serves them, at a bounded cost.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Limits;
use crate::metrics::{DoorName, Metrics};
use crate::patient::Patient;

/// Serves `router` until `stop`, then lets open requests end for `limits.stop_timeout`.
pub(crate) async fn run(
    name: DoorName,
    listener: TcpListener,
    router: Router,
    limits: Limits,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let server = connection_builder(&limits);
    let mut connections = JoinSet::new();
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        // Connections that ended are taken off the list while we are here.
        while connections.try_join_next().is_some() {}
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(err) => {
                tracing::warn!(door = name.word(), error = %err, "connection not accepted");
                // Out of file descriptors, most likely: let some close.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let io = TokioIo::new(Patient::new(stream, limits.idle_timeout));
        let service = TowerToHyperService::new(router.clone());
        let connection = server.serve_connection(io, service).into_owned();
        let connection = graceful.watch(connection);
        let metrics = Arc::clone(&metrics);
        connections.spawn(async move {
            metrics.connections(name, 1);
            if let Err(err) = connection.await {
                tracing::debug!(door = name.word(), error = %err, "connection ended early");
            }
            metrics.connections(name, -1);
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.stop_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            door = name.word(),
            open = connections.len(),
            "connections cut while stopping"
        );
    }
    connections.shutdown().await;
}

fn connection_builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    const STREAMS_MAX: u32 = 256;
    const HEADER_LIST_SIZE_BYTES_MAX: u32 = 64 << 10;
    const STREAM_WINDOW_SIZE_BYTES: u32 = 1 << 20;
    const CONNECTION_WINDOW_SIZE_BYTES: u32 = 4 << 20;
    const PING_INTERVAL: Duration = Duration::from_secs(30);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_LIST_SIZE_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_SIZE_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_SIZE_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    builder
}
