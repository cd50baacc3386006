//! The crate `ferrokinesis` as our [`Engine`].

use std::path::PathBuf;

use axum::Router;
use axum::body::Body;
use ferrokinesis::actions::{Operation, dispatch};
use ferrokinesis::store::{DurableStateOptions, Store, StoreOptions};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::Engine;
use crate::http::{Failure, Request, Response, response};
use crate::place::Place;
use crate::seams::Answer;

/// Open shards over all streams.
const SHARDS_MAX: u32 = 200;
/// Records that are kept, over all streams.
const BYTES_MAX: u64 = 256 << 20;
/// How long creating, changing and deleting a stream is made to last.
const SETTLE_MS: u64 = 5;

/// The emulator in this process.
pub(crate) struct Ferro {
    store: Store,
    router: Router,
}

impl Ferro {
    /// Streams in memory, or in `directory`.
    pub(crate) fn open(place: &Place, directory: Option<PathBuf>) -> Self {
        let durable = directory.map(|state_dir| DurableStateOptions {
            state_dir,
            snapshot_interval_secs: 60,
            max_retained_bytes: Some(BYTES_MAX),
        });
        let options = StoreOptions {
            create_stream_ms: SETTLE_MS,
            delete_stream_ms: SETTLE_MS,
            update_stream_ms: SETTLE_MS,
            shard_limit: SHARDS_MAX,
            retention_check_interval_secs: 60,
            durable,
            max_retained_bytes: Some(BYTES_MAX),
            aws_account_id: place.account.clone(),
            aws_region: place.region.clone(),
            ..StoreOptions::default()
        };
        let (router, store) = ferrokinesis::create_app(options);
        Self { store, router }
    }

    /// What keeps the emulator from working: a state directory that cannot be read.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.store.check_ready().err().map(|err| err.to_string())
    }
}

impl Engine for Ferro {
    fn http<'a>(&'a self, request: &'a Request) -> Answer<'a, Response> {
        Box::pin(async move {
            let mut forwarded = http::Request::new(Body::from(request.body.clone()));
            *forwarded.method_mut() = request.method.clone();
            let uri = format!("/?{}", request.query);
            *forwarded.uri_mut() = uri.parse().unwrap_or_default();
            *forwarded.headers_mut() = request.headers.clone();
            let answer = match self.router.clone().oneshot(forwarded).await {
                Ok(answer) => answer,
                Err(never) => match never {},
            };
            let (parts, body) = answer.into_parts();
            match body.collect().await {
                Ok(body) => http::Response::from_parts(parts, body.to_bytes()),
                Err(_) => response(500, "", ""),
            }
        })
    }

    fn call<'a>(&'a self, operation: &'a str, body: Value) -> Answer<'a, Result<Value, Failure>> {
        Box::pin(async move {
            let known: Operation =
                operation.parse().map_err(|_| Failure::unknown_operation("kinesis", operation))?;
            match dispatch(&self.store, known, body).await {
                Ok(answer) => Ok(answer.unwrap_or(Value::Null)),
                Err(refused) => Err(Failure::new(
                    refused.status_code,
                    &refused.body.error_type,
                    refused.body.message.unwrap_or_default(),
                )),
            }
        })
    }
}
