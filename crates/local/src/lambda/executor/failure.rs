//! A [`Failure`] as its caller, its log and its report tell it.
//!
//! Rule: what Lambda answers and logs in the same case; `Runtime.ExitError`, `Sandbox.Timedout` and their kin.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::logs::Status;
use super::environment::Failure;
use super::runtime_api::RESPONSE_BYTES_MAX;
use crate::ids;

/// What is told of one failure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    /// The answer's body.
    pub(crate) payload: Bytes,
    /// The line of the log before `END`; empty: none.
    pub(crate) line: String,
    /// For the report; `None` when the function reported its error itself and lives.
    pub(crate) status: Option<ReportStatus>,
    /// Type and text, for a segment.
    pub(crate) fault: (String, String),
}

/// The last part of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReportStatus {
    Timeout,
    Error(String),
}

impl ReportStatus {
    pub(crate) fn as_status(&self) -> Status<'_> {
        match self {
            Self::Timeout => Status::Timeout,
            Self::Error(kind) => Status::Error(kind),
        }
    }

    /// As `INIT_REPORT` has it.
    pub(crate) fn in_init_report(&self) -> String {
        match self {
            Self::Timeout => "timeout".to_owned(),
            Self::Error(kind) => format!("error\tError Type: {kind}"),
        }
    }
}

/// Tells a failure of the call `request_id` of a function with this timeout.
pub(crate) fn tell(failure: &Failure, request_id: &str, timeout_s: u32) -> Told {
    let ended = |kind: &str, text: &str| {
        let message = format!("RequestId: {request_id} Error: {text}");
        Told {
            payload: payload(kind, &message),
            line: format!("{message}\n{kind}\n"),
            status: Some(ReportStatus::Error(kind.to_owned())),
            fault: (kind.to_owned(), text.to_owned()),
        }
    };
    match failure {
        Failure::TimedOut => {
            let text = format!("Task timed out after {timeout_s}.00 seconds");
            Told {
                payload: payload(
                    "Sandbox.Timedout",
                    &format!("RequestId: {request_id} Error: {text}"),
                ),
                line: format!("{} {request_id} {text}\n\n", ids::iso(ids::now_ms())),
                status: Some(ReportStatus::Timeout),
                fault: ("Sandbox.Timedout".to_owned(), text),
            }
        }
        Failure::Exited(how) => ended("Runtime.ExitError", how),
        Failure::OutOfMemory => {
            let told = ended("Runtime.ExitError", "Runtime exited with error: signal: killed");
            Told { status: Some(ReportStatus::Error("Runtime.OutOfMemory".to_owned())), ..told }
        }
        Failure::Extension(failed) => ended(&failed.error_type, &failed.message),
        Failure::NoEntry(none) => {
            let told = ended(none.error_type, &none.message);
            Told { line: format!("{}{}", none.line, told.line), ..told }
        }
        Failure::Spawn(text) => ended("Runtime.InvalidEntrypoint", text),
        Failure::TooLarge => {
            let kind = "Function.ResponseSizeTooLarge";
            let text = format!(
                "Response payload size exceeded maximum allowed payload size ({RESPONSE_BYTES_MAX} bytes)."
            );
            Told {
                payload: payload(kind, &text),
                line: format!("{text}\n"),
                status: None,
                fault: (kind.to_owned(), text),
            }
        }
        Failure::Reported(error) => {
            let parsed: Value = serde_json::from_slice(error).unwrap_or_default();
            let field = |name: &str| {
                parsed.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            Told {
                payload: error.clone(),
                line: String::new(),
                status: None,
                fault: (field("errorType"), field("errorMessage")),
            }
        }
    }
}

fn payload(kind: &str, message: &str) -> Bytes {
    json!({ "errorType": kind, "errorMessage": message }).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(failure: &Failure, payload: &str, line_end: &str) {
        let told = tell(failure, "r-1", 6);
        let expected: Value = serde_json::from_str(payload).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&told.payload).unwrap(), expected);
        assert!(told.line.ends_with(line_end), "{:?}", told.line);
    }

    #[test]
    fn failures_are_told_in_lambdas_words() {
        check(
            &Failure::TimedOut,
            r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: r-1 Error: Task timed out after 6.00 seconds"}"#,
            " r-1 Task timed out after 6.00 seconds\n\n",
        );
        check(
            &Failure::Exited("Runtime exited with error: exit status 1".to_owned()),
            r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: r-1 Error: Runtime exited with error: exit status 1"}"#,
            "RequestId: r-1 Error: Runtime exited with error: exit status 1\nRuntime.ExitError\n",
        );
        let thrown = r#"{"errorType":"TypeError","errorMessage":"no","trace":[]}"#;
        check(&Failure::Reported(Bytes::from_static(thrown.as_bytes())), thrown, "");
    }
}
