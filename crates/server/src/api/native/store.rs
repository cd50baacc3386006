//! What this API itself writes, notes and invented spans: through the queue that all spans go through.

use axum::http::StatusCode;
use throughline_model::SpanBatch;
use throughline_store::AppendError;
use tokio::sync::oneshot;

use super::ApiError;
use crate::app::App;
use crate::metrics::Protocol;

/// Stores a batch; gives back when it is on disk.
pub(super) async fn append(
    app: &App,
    protocol: Protocol,
    batch: SpanBatch,
) -> Result<(), ApiError> {
    if batch.is_empty() {
        return Ok(());
    }
    let rows = batch.len() as u64;
    let (tell, stored) = oneshot::channel();
    app.segments.append(protocol, batch, move |result| {
        // The caller may have gone; what it sent is stored all the same.
        let _ = tell.send(result);
    });
    let message = match stored.await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(AppendError::Busy)) => {
            app.segments.lost(protocol, rows);
            "the store is busy, try again"
        }
        Ok(Err(_)) | Err(_) => "it could not be stored, try again",
    };
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message))
}
