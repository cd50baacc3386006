//! Seconds as X-Ray writes them, and nanoseconds as we keep them.

use serde_json::{Number, Value};

const NANOS: i64 = 1_000_000_000;

/// Nanoseconds since the epoch of a number of seconds, or of text with one.
///
/// The shortest text of the number counts, not its bits: 1795248539.786 is 786 ms and not a few
/// dozen nanoseconds more. `None` when it is no time between 1970 and 2262.
pub(super) fn nanos(value: &Value) -> Option<i64> {
    let seconds = match value {
        Value::Number(number) => match number.as_i64() {
            Some(whole) => return whole.checked_mul(NANOS).filter(|nanos| *nanos >= 0),
            None => number.as_f64()?,
        },
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    // Minus zero is zero.
    decimal(&(seconds + 0.0).to_string())
}

/// Whether a number comes back as it was from the nanoseconds it was read as.
pub(super) fn is_exact(value: &Value, nanos: i64) -> bool {
    value.as_f64() == seconds(nanos).as_f64()
}

/// The seconds of a time as the number whose shortest text is exact, if nine decimals can be.
pub(super) fn seconds(nanos: i64) -> Value {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let unit = NANOS.unsigned_abs();
    let text = format!("{sign}{}.{:09}", nanos / unit, nanos % unit);
    let number = text.parse().ok().and_then(Number::from_f64);
    number.map_or(Value::Null, Value::Number)
}

/// Reads `123` or `123.456`; what is beyond nine decimals is cut off.
fn decimal(text: &str) -> Option<i64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let mut nanos = 0;
    let mut unit = NANOS;
    for digit in decimals.chars().take(9) {
        unit /= 10;
        nanos += i64::from(digit.to_digit(10)?) * unit;
    }
    // Read without a sign: "-0.5" is no time, though its whole part is zero.
    let whole = i64::try_from(whole.parse::<u64>().ok()?).ok()?;
    whole.checked_mul(NANOS)?.checked_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<i64>) {
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(nanos(&value), expected, "{text}");
        if let Some(nanos) = expected {
            assert!(is_exact(&value, nanos) || value.is_string(), "{text}");
        }
    }

    #[test]
    fn seconds_are_read_by_their_shortest_text() {
        check("1795248539.786", Some(1_795_248_539_786_000_000));
        check("1795248545.8125002", Some(1_795_248_545_812_500_200));
        check("1795248540.4134002", Some(1_795_248_540_413_400_200));
        check("1.478293361271E9", Some(1_478_293_361_271_000_000));
        check("1795248539", Some(1_795_248_539_000_000_000));
        check("1795248539.0", Some(1_795_248_539_000_000_000));
        check("0", Some(0));
        check("-0.0", Some(0));
        check("0.000000001", Some(1));
        check("\" 1795248539.5 \"", Some(1_795_248_539_500_000_000));
    }

    #[test]
    fn what_is_no_time_of_ours_is_refused() {
        for text in
            ["-1", "-0.5", "1795248539786", "1e300", "null", "true", "\"\"", "\"inf\"", "[]"]
        {
            check(text, None);
        }
    }

    #[test]
    fn more_than_nine_decimals_are_cut_and_said_to_be() {
        let value: Value = serde_json::from_str("0.1234567891234").unwrap();
        assert_eq!(nanos(&value), Some(123_456_789));
        assert!(!is_exact(&value, 123_456_789));
    }
}
