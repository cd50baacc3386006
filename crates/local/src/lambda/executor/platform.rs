//! The platform's own events, as subscribers of the Telemetry API get them.
//!
//! Rule: AWS Lambda developer guide, "Lambda Telemetry API Event schema reference", 2022-12-13.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::logs::Report;
use super::Call;
use super::failure::{ReportStatus, Told};
use super::telemetry::{Kind, Telemetry};

/// `platform.initStart`
pub(super) fn init_start(telemetry: &Telemetry, call: &Call) {
    let configuration = &call.version.configuration;
    let record = json!({
        "initializationType": "on-demand",
        "phase": "init",
        "functionName": configuration.function_name,
        "functionVersion": configuration.version,
        "runtimeVersion": configuration.runtime,
    });
    telemetry.tell(Kind::Platform, "platform.initStart", record);
}

/// `platform.initRuntimeDone`, `platform.extension` of each, `platform.initReport`; then the start is over.
pub(super) fn init_done(
    telemetry: &Telemetry,
    extensions: &[(String, Vec<&'static str>)],
    init_ms: f64,
) {
    let done = json!({ "initializationType": "on-demand", "phase": "init", "status": "success" });
    telemetry.tell(Kind::Platform, "platform.initRuntimeDone", done);
    for (name, events) in extensions {
        let record = json!({ "name": name, "state": "Ready", "events": events });
        telemetry.tell(Kind::Platform, "platform.extension", record);
    }
    let report = json!({
        "initializationType": "on-demand", "phase": "init", "status": "success",
        "metrics": { "durationMs": rounded(init_ms) },
    });
    telemetry.tell(Kind::Platform, "platform.initReport", report);
    telemetry.ready();
}

/// `platform.start`
pub(super) fn start(telemetry: &Telemetry, call: &Call) {
    let record = json!({
        "requestId": call.request_id,
        "version": call.version.configuration.version,
        "tracing": tracing(call),
    });
    telemetry.tell(Kind::Platform, "platform.start", record);
}

/// `platform.runtimeDone`
pub(super) fn runtime_done(
    telemetry: &Telemetry,
    call: &Call,
    status: &str,
    took: Duration,
    produced_bytes: usize,
) {
    let record = json!({
        "requestId": call.request_id,
        "status": status,
        "metrics": {
            "durationMs": rounded(took.as_secs_f64() * 1000.0), "producedBytes": produced_bytes,
        },
        "tracing": tracing(call),
    });
    telemetry.tell(Kind::Platform, "platform.runtimeDone", record);
}

/// `platform.report`
pub(super) fn report(telemetry: &Telemetry, call: &Call, status: &str, report: &Report<'_>) {
    let mut metrics = json!({
        "durationMs": rounded(report.duration_ms),
        "billedDurationMs": report.duration_ms.ceil().max(1.0),
        "memorySizeMB": report.memory_size_mb,
        "maxMemoryUsedMB": report.memory_used_mb,
    });
    if let (Some(init_ms), Some(metrics)) = (report.init_ms, metrics.as_object_mut()) {
        metrics.insert("initDurationMs".to_owned(), rounded(init_ms).into());
    }
    let record = json!({
        "requestId": call.request_id, "status": status, "metrics": metrics, "tracing": tracing(call),
    });
    telemetry.tell(Kind::Platform, "platform.report", record);
}

/// How a call ended, in one word.
pub(super) fn status(told: Option<&Told>) -> &'static str {
    match told.map(|told| told.status.as_ref()) {
        None => "success",
        Some(Some(ReportStatus::Timeout)) => "timeout",
        Some(Some(ReportStatus::Error(_))) => "failure",
        Some(None) => "error",
    }
}

fn tracing(call: &Call) -> Value {
    json!({ "type": "X-Amzn-Trace-Id", "value": call.trace.header })
}

/// To a thousandth, as Lambda has it.
fn rounded(ms: f64) -> f64 {
    (ms * 1000.0).round() / 1000.0
}
