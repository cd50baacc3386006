//! Reads what callers send, and checks it: every member by its limits in the API's model.
//!
//! Rule: restJson1. No body is an empty object; unknown members and explicit nulls are no mistake;
//! times are numbers of seconds since the epoch, and we take ISO 8601 too.

use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::error::XrayError;

/// The answer of an operation.
pub(crate) type Answer = Result<Value, XrayError>;

/// Reads the members of a request.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, XrayError> {
    let body = body.trim_ascii();
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|err| XrayError::invalid(format!("the request cannot be read: {err}")))
}

/// A member that has to be there.
pub(super) fn required<T>(member: Option<T>, name: &str) -> Result<T, XrayError> {
    member.ok_or_else(|| XrayError::invalid(format!("{name} is required")))
}

/// Checks the length of a text, in characters.
pub(super) fn within(text: &str, name: &str, min: usize, max: usize) -> Result<(), XrayError> {
    let length = text.chars().take(max + 1).count();
    if (min..=max).contains(&length) {
        return Ok(());
    }
    Err(XrayError::invalid(format!("{name} must have {min} to {max} characters")))
}

/// A text that has to be there, with a length in characters.
pub(super) fn required_text(
    member: Option<String>,
    name: &str,
    max: usize,
) -> Result<String, XrayError> {
    let text = required(member, name)?;
    within(&text, name, 1, max)?;
    Ok(text)
}

/// Checks how many items a list has.
pub(super) fn at_most<T>(items: &[T], name: &str, max: usize) -> Result<(), XrayError> {
    if items.len() <= max {
        return Ok(());
    }
    Err(XrayError::invalid(format!("{name} may have at most {max} entries, got {}", items.len())))
}

/// `StartTime` and `EndTime`, nanoseconds since the epoch; the end is exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Window {
    /// Both are required and run forward.
    pub(super) fn of(start: Option<Time>, end: Option<Time>) -> Result<Self, XrayError> {
        let window =
            Self { from: required(start, "StartTime")?.0, to: required(end, "EndTime")?.0 };
        if window.from > window.to {
            return Err(XrayError::invalid("StartTime lies after EndTime"));
        }
        Ok(window)
    }
}

/// A time of a request, nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time(pub(super) i64);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Time;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a time in seconds since the epoch")
            }

            fn visit_i64<E: Error>(self, seconds: i64) -> Result<Time, E> {
                let nanos = seconds.checked_mul(1_000_000_000).map(Time);
                nanos.ok_or_else(|| E::custom(format!("{seconds} is no time in seconds")))
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<Time, E> {
                self.visit_i64(i64::try_from(seconds).unwrap_or(i64::MAX))
            }

            fn visit_f64<E: Error>(self, seconds: f64) -> Result<Time, E> {
                // Whole seconds apart, or a double would blur what lies below a microsecond.
                let whole = seconds.floor();
                if whole.abs() > 9e9 {
                    return Err(E::custom(format!("{seconds} is no time in seconds")));
                }
                let nanos = ((seconds - whole) * 1e6).round() as i64 * 1_000;
                Ok(Time(whole as i64 * 1_000_000_000 + nanos))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                if let Ok(seconds) = text.parse::<f64>() {
                    return self.visit_f64(seconds);
                }
                let time: Option<jiff::Timestamp> = text.parse().ok();
                let nanos = time.and_then(|time| i64::try_from(time.as_nanosecond()).ok());
                nanos.map(Time).ok_or_else(|| E::custom(format!("{text:?} is no time")))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A time or a duration as answers have it: seconds.
pub(super) fn seconds(nanos: i64) -> Value {
    json!(nanos as f64 / 1e9)
}

/// Leaves out the members of an object that are null: answers omit what is not there.
pub(super) fn without_nulls(mut object: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        start_time: Option<Time>,
    }

    fn check(body: &str, expected: Option<i64>) {
        let members: Members = read(body.as_bytes()).unwrap();
        assert_eq!(members.start_time.map(|time| time.0), expected, "{body}");
    }

    #[test]
    fn times_come_as_whole_seconds_fractions_and_text() {
        const SECOND: i64 = 1_000_000_000;
        check("", None);
        check(" {} ", None);
        check(r#"{"StartTime":null,"Unknown":[1]}"#, None);
        check(r#"{"StartTime":1767323045}"#, Some(1_767_323_045 * SECOND));
        check(r#"{"StartTime":1767323045.678901}"#, Some(1_767_323_045_678_901_000));
        check(r#"{"StartTime":1.5E9}"#, Some(1_500_000_000 * SECOND));
        check(r#"{"StartTime":-0.5}"#, Some(-SECOND / 2));
        check(r#"{"StartTime":"2026-01-02T03:04:05.5Z"}"#, Some(1_767_323_045_500_000_000));
        check(r#"{"StartTime":"1767323045"}"#, Some(1_767_323_045 * SECOND));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for body in [
            "nonsense",
            "7",
            "\"a\"",
            r#"{"StartTime":"soon"}"#,
            r#"{"StartTime":1e300}"#,
            r#"{"StartTime":99999999999999999999}"#,
            r#"{"StartTime":1767323045678}"#,
            r#"{"StartTime":[1]}"#,
            "{\"StartTime\":1",
            "\u{0}",
        ] {
            assert!(read::<Members>(body.as_bytes()).is_err(), "{body}");
        }
    }
}
