//! What an event source mapping is, named as in the API.
//!
//! Rule: AWS Lambda API reference, `EventSourceMappingConfiguration`.

use serde::{Deserialize, Serialize};

/// What a mapping is made from or changed with; absent means default, or unchanged.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "members of the API, in its own words")]
pub struct EventSourceSpec {
    pub event_source_arn: Option<String>,
    pub function_name: Option<String>,
    pub enabled: Option<bool>,
    pub batch_size: Option<u32>,
    /// Seconds to wait for a batch to fill, 0 to 300.
    pub maximum_batching_window_in_seconds: Option<u32>,
    /// `TRIM_HORIZON`, `LATEST` or `AT_TIMESTAMP`.
    pub starting_position: Option<String>,
    /// Seconds since the epoch.
    pub starting_position_timestamp: Option<f64>,
    pub bisect_batch_on_function_error: Option<bool>,
    /// -1: until it works.
    pub maximum_retry_attempts: Option<i64>,
    /// Seconds; -1: whatever its age.
    pub maximum_record_age_in_seconds: Option<i64>,
    /// `ReportBatchItemFailures`, or nothing.
    pub function_response_types: Option<Vec<String>>,
}

/// A mapping, as the API gives it back.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "members of the API, in its own words")]
pub struct EventSourceMapping {
    #[serde(rename = "UUID")]
    pub uuid: String,
    pub event_source_arn: String,
    pub function_arn: String,
    /// `Enabled` or `Disabled`.
    pub state: String,
    pub state_transition_reason: String,
    pub batch_size: u32,
    pub maximum_batching_window_in_seconds: u32,
    pub starting_position: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starting_position_timestamp: Option<f64>,
    pub bisect_batch_on_function_error: bool,
    pub maximum_retry_attempts: i64,
    pub maximum_record_age_in_seconds: i64,
    pub function_response_types: Vec<String>,
    /// Seconds since the epoch.
    pub last_modified: f64,
    /// How the last batch went: `No records processed`, `OK`, `PROBLEM: ...`.
    pub last_processing_result: String,
}
