//! The one shape of every refusal.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use throughline_query::{QueryError, RunError};
use utoipa::ToSchema;

use crate::query_pool::TooManyQueries;

/// The body of every answer that is no success.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    /// What went wrong.
    pub error: ErrorText,
}

/// What went wrong, for a person.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorText {
    /// One sentence.
    pub message: String,
    /// Where in the query, in characters from 0; only for a query that does not parse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<usize>,
}

/// Why a question was not answered.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    message: String,
    at: Option<usize>,
}

impl ApiError {
    /// An error of any kind.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), at: None }
    }

    /// The caller asked for something that cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The caller asked for something that we do not hold.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// A fault of ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }
}

impl From<QueryError> for ApiError {
    fn from(err: QueryError) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: err.message, at: Some(err.at) }
    }
}

impl From<RunError> for ApiError {
    fn from(err: RunError) -> Self {
        match err {
            RunError::TooLarge { .. } | RunError::TooManyRecords { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, err.to_string())
            }
            RunError::Read(_) | RunError::Engine(_) => {
                tracing::error!(error = %err, "query failed");
                Self::internal(err.to_string())
            }
        }
    }
}

impl From<TooManyQueries> for ApiError {
    fn from(TooManyQueries: TooManyQueries) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too many queries are waiting, try again")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody { error: ErrorText { message: self.message, at: self.at } };
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
