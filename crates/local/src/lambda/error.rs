//! Why the Lambda service refuses, in the words and statuses of AWS.

/// A refusal. Its name is [`LambdaError::code`], its text what AWS says in the same case.
///
/// Rule: AWS Lambda API reference, "Common errors" and the errors of each operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the name of a variant is the name of AWS's error")]
pub enum LambdaError {
    #[error("{0}")]
    ResourceNotFound(String),
    #[error("{0}")]
    ResourceConflict(String),
    #[error("{0}")]
    ResourceInUse(String),
    #[error("{0}")]
    InvalidParameterValue(String),
    #[error("{0}")]
    InvalidRequestContent(String),
    #[error("{0}")]
    Validation(String),
    #[error("{0}")]
    PreconditionFailed(String),
    #[error("{0}")]
    RequestTooLarge(String),
    #[error("{message}")]
    TooManyRequests { message: String, reason: &'static str },
    #[error("{0}")]
    UnknownOperation(String),
    /// Ours: the disk is full, a process could not be started.
    #[error("{0}")]
    Service(String),
}

impl LambdaError {
    /// The name in `x-amzn-errortype`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ResourceNotFound(_) => "ResourceNotFoundException",
            Self::ResourceConflict(_) => "ResourceConflictException",
            Self::ResourceInUse(_) => "ResourceInUseException",
            Self::InvalidParameterValue(_) => "InvalidParameterValueException",
            Self::InvalidRequestContent(_) => "InvalidRequestContentException",
            Self::Validation(_) => "ValidationException",
            Self::PreconditionFailed(_) => "PreconditionFailedException",
            Self::RequestTooLarge(_) => "RequestTooLargeException",
            Self::TooManyRequests { .. } => "TooManyRequestsException",
            Self::UnknownOperation(_) => "UnknownOperationException",
            Self::Service(_) => "ServiceException",
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::ResourceNotFound(_) | Self::UnknownOperation(_) => 404,
            Self::ResourceConflict(_) => 409,
            Self::InvalidParameterValue(_)
            | Self::InvalidRequestContent(_)
            | Self::Validation(_)
            | Self::ResourceInUse(_) => 400,
            Self::PreconditionFailed(_) => 412,
            Self::RequestTooLarge(_) => 413,
            Self::TooManyRequests { .. } => 429,
            Self::Service(_) => 500,
        }
    }
}
