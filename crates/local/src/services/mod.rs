//! The services, one file or folder each. Each holds its own state and knows others by the seams only.

pub(crate) mod apigateway;
pub(crate) mod beanstalk;
pub(crate) mod cloudformation;
pub(crate) mod dynamodb;
pub(crate) mod ecr;
pub(crate) mod iam;
pub(crate) mod kinesis;
pub(crate) mod logs;
pub(crate) mod s3;
pub(crate) mod sns;
pub(crate) mod sts;
