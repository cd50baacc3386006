//! What goes into the Lambda service and comes out of it, named as in its API.
//!
//! Rule: AWS Lambda API reference, "Data types". Members we have no use for are accepted and forgotten.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Where the code of a function or layer comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeSource {
    /// The bytes of a zip.
    Zip(Bytes),
    /// An object that holds a zip.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// The object's key.
        key: String,
    },
    /// One source file, as CloudFormation's `ZipFile` has it; it becomes `index.js` or `index.py`.
    Inline(String),
}

/// What a function is made from.
#[derive(Clone, Debug)]
pub struct CreateFunction {
    /// Its name: 1 to 64 letters, digits, `-` and `_`.
    pub name: String,
    /// Its code.
    pub code: CodeSource,
    /// Everything else.
    pub settings: Settings,
    /// Key and value of each tag.
    pub tags: BTreeMap<String, String>,
    /// Whether version 1 is published at once.
    pub publish: bool,
}

/// The settings that a function is created or changed with; absent means default, or unchanged.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "members of the API, in its own words")]
pub struct Settings {
    pub runtime: Option<String>,
    pub handler: Option<String>,
    pub role: Option<String>,
    pub description: Option<String>,
    /// Seconds, 1 to 900.
    pub timeout: Option<u32>,
    /// Megabytes, 128 to 10240.
    pub memory_size: Option<u32>,
    pub environment: Option<Environment>,
    /// ARNs of layer versions, in the order in which they are laid over each other.
    pub layers: Option<Vec<String>>,
    pub tracing_config: Option<TracingConfig>,
    pub package_type: Option<String>,
    pub architectures: Option<Vec<String>>,
    pub ephemeral_storage: Option<EphemeralStorage>,
    pub logging_config: Option<LoggingConfig>,
    pub revision_id: Option<String>,
}

/// The variables of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Environment {
    /// Name and value.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

/// Whether Lambda sends segments of its own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TracingConfig {
    /// `Active` or `PassThrough`.
    pub mode: String,
}

/// The size of `/tmp`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EphemeralStorage {
    /// Megabytes.
    pub size: u32,
}

/// Where and how a function logs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LoggingConfig {
    /// `Text`; `JSON` is stored but has no effect.
    #[serde(default = "text")]
    pub log_format: String,
    /// The log group, `/aws/lambda/NAME` unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_group: Option<String>,
}

fn text() -> String {
    "Text".to_owned()
}

/// What a function is, as the API gives it back.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "members of the API, in its own words")]
pub struct FunctionConfiguration {
    pub function_name: String,
    pub function_arn: String,
    pub runtime: String,
    pub role: String,
    pub handler: String,
    /// Bytes of the zip.
    pub code_size: u64,
    pub description: String,
    /// Seconds.
    pub timeout: u32,
    /// Megabytes.
    pub memory_size: u32,
    /// `2026-11-21T07:56:17.231+0000`.
    pub last_modified: String,
    /// SHA-256 of the zip, base64.
    pub code_sha256: String,
    /// `$LATEST` or a number.
    pub version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    pub tracing_config: TracingConfig,
    pub revision_id: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerOfFunction>,
    pub state: String,
    pub last_update_status: String,
    pub package_type: String,
    pub architectures: Vec<String>,
    pub ephemeral_storage: EphemeralStorage,
    pub snap_start: SnapStart,
    pub logging_config: LoggingConfig,
}

/// A layer version as a function names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LayerOfFunction {
    /// The ARN with its version.
    pub arn: String,
    /// Bytes of its zip; 0 for a folder.
    pub code_size: u64,
}

/// SnapStart, which is always off here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "members of the API, in its own words")]
pub struct SnapStart {
    pub apply_on: String,
    pub optimization_status: String,
}

/// Who may call a function; kept, answered, not enforced.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "members of the API, in its own words")]
pub struct Permission {
    pub statement_id: String,
    pub action: String,
    pub principal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_account: Option<String>,
}

/// How a call is to be made.
#[derive(Clone, Debug, Default)]
pub struct InvokeOptions {
    /// Wait for the answer, or not.
    pub kind: InvocationType,
    /// A version or `$LATEST`.
    pub qualifier: Option<String>,
    /// `X-Amzn-Trace-Id` of the caller.
    pub trace_header: Option<String>,
    /// The client context: JSON, already out of its base64, at most 3 583 bytes.
    pub client_context: Option<String>,
    /// Whether the end of the log comes with the answer.
    pub log_tail: bool,
}

/// What the caller waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InvocationType {
    /// The function's answer.
    #[default]
    RequestResponse,
    /// Only that the event is taken.
    Event,
    /// Only whether it could be called.
    DryRun,
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvokeAnswer {
    /// 200, 202 for `Event`, 204 for `DryRun`.
    pub status: u16,
    /// What the handler gave, or the error's JSON; empty for 202 and 204.
    pub payload: Bytes,
    /// `Unhandled` or `Handled` when the function failed: `X-Amz-Function-Error`.
    pub function_error: Option<&'static str>,
    /// The last 4 KB of the log, if asked for; not in base64.
    pub log_tail: Option<Vec<u8>>,
    /// What ran: `$LATEST` or a number.
    pub version: String,
    /// The id of the call, as in the log and in `faas.execution`.
    pub request_id: String,
    /// The trace header that the function was given, for the answer's `X-Amzn-Trace-Id`.
    pub trace_header: String,
}

/// A function process' call in the making, found by the access key that the process signs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The function.
    pub function_name: String,
    /// The call that it is at; `None` between calls and while it starts.
    pub request_id: Option<String>,
}
