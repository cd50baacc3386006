//! Refusals in X-Ray's words.
//!
//! Rule: X-Ray API model 2016-04-12, "errors"; restJson1: the code stands in `x-amzn-ErrorType` and
//! in `__type`, for some SDKs read one and some the other. A caller's mistake is never a 5xx,
//! because SDKs would repeat it.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use throughline_query::{QueryError, RunError};

use crate::doors::body::BodyError;
use crate::query_pool::TooManyQueries;

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    InvalidRequest,
    RuleLimitExceeded,
    InvalidPolicyRevisionId,
    LockoutPrevention,
    MalformedPolicyDocument,
    PolicyCountLimitExceeded,
    PolicySizeLimitExceeded,
    TooManyTags,
    ResourceNotFound,
    Throttled,
    /// No operation has this path.
    UnknownOperation,
    MissingAuthenticationToken,
    UnrecognizedClient,
    InvalidSignature,
    RequestEntityTooLarge,
    /// The world's fault: the disk, the store. SDKs try again.
    ServiceUnavailable,
    /// Our fault.
    InternalFailure,
}

impl ErrorKind {
    /// The name on the wire.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::InvalidRequest => "InvalidRequestException",
            Self::RuleLimitExceeded => "RuleLimitExceededException",
            Self::InvalidPolicyRevisionId => "InvalidPolicyRevisionIdException",
            Self::LockoutPrevention => "LockoutPreventionException",
            Self::MalformedPolicyDocument => "MalformedPolicyDocumentException",
            Self::PolicyCountLimitExceeded => "PolicyCountLimitExceededException",
            Self::PolicySizeLimitExceeded => "PolicySizeLimitExceededException",
            Self::TooManyTags => "TooManyTagsException",
            Self::ResourceNotFound => "ResourceNotFoundException",
            Self::Throttled => "ThrottledException",
            Self::UnknownOperation => "UnknownOperationException",
            Self::MissingAuthenticationToken => "MissingAuthenticationTokenException",
            Self::UnrecognizedClient => "UnrecognizedClientException",
            Self::InvalidSignature => "InvalidSignatureException",
            Self::RequestEntityTooLarge => "RequestEntityTooLargeException",
            Self::ServiceUnavailable => "ServiceUnavailableException",
            Self::InternalFailure => "InternalFailure",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest
            | Self::RuleLimitExceeded
            | Self::InvalidPolicyRevisionId
            | Self::LockoutPrevention
            | Self::MalformedPolicyDocument
            | Self::PolicyCountLimitExceeded
            | Self::PolicySizeLimitExceeded
            | Self::TooManyTags => StatusCode::BAD_REQUEST,
            Self::ResourceNotFound | Self::UnknownOperation => StatusCode::NOT_FOUND,
            Self::Throttled => StatusCode::TOO_MANY_REQUESTS,
            Self::MissingAuthenticationToken
            | Self::UnrecognizedClient
            | Self::InvalidSignature => StatusCode::FORBIDDEN,
            Self::RequestEntityTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::InternalFailure => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Why an operation was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct XrayError {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    /// `ResourceName` of the two errors that have one.
    resource: Option<String>,
}

impl XrayError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), resource: None }
    }

    /// The caller's mistake.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidRequest, message)
    }

    /// An error about a resource.
    pub(crate) fn of_resource(
        kind: ErrorKind,
        message: impl Into<String>,
        resource: impl Into<String>,
    ) -> Self {
        Self { kind, message: message.into(), resource: Some(resource.into()) }
    }

    /// A resource that is not there.
    pub(crate) fn not_found(message: impl Into<String>, resource: impl Into<String>) -> Self {
        Self::of_resource(ErrorKind::ResourceNotFound, message, resource)
    }
}

impl From<QueryError> for XrayError {
    fn from(err: QueryError) -> Self {
        Self::invalid(format!("FilterExpression: {err}"))
    }
}

impl From<RunError> for XrayError {
    fn from(err: RunError) -> Self {
        match err {
            RunError::TooLarge { .. } | RunError::TooManyRecords { .. } => {
                Self::invalid(err.to_string())
            }
            RunError::Read(_) | RunError::Engine(_) => {
                tracing::error!(error = %err, "query failed");
                Self::new(ErrorKind::InternalFailure, err.to_string())
            }
        }
    }
}

impl From<TooManyQueries> for XrayError {
    fn from(TooManyQueries: TooManyQueries) -> Self {
        Self::new(ErrorKind::Throttled, "too many queries are waiting, try again")
    }
}

impl From<BodyError> for XrayError {
    fn from(err: BodyError) -> Self {
        let kind = match err {
            BodyError::Busy => ErrorKind::Throttled,
            BodyError::TooLarge { .. } | BodyError::InflatedTooLarge { .. } => {
                ErrorKind::RequestEntityTooLarge
            }
            BodyError::TimedOut | BodyError::Broken(_) | BodyError::Corrupt(_) => {
                ErrorKind::InvalidRequest
            }
        };
        Self::new(kind, err.to_string())
    }
}

impl IntoResponse for XrayError {
    fn into_response(self) -> Response {
        let word = self.kind.word();
        let mut body = json!({ "__type": word, "Message": self.message });
        if let Some(resource) = self.resource {
            body["ResourceName"] = resource.into();
        }
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::HeaderName::from_static("x-amzn-errortype"), HeaderValue::from_static(word)),
        ];
        (self.kind.status(), headers, body.to_string()).into_response()
    }
}
