//! Times as AWS events write them, in nanoseconds since the epoch.

use serde_json::Value;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const NANOS_PER_MILLI: i64 = 1_000_000;

/// Milliseconds, as a number or as the text of one.
pub(crate) fn of_millis(value: Option<&Value>) -> Option<i64> {
    let millis = match value? {
        Value::String(text) => text.parse().ok()?,
        value => value.as_i64()?,
    };
    i64::checked_mul(millis, NANOS_PER_MILLI)
}

/// Seconds with a fraction, as a number; or a time of RFC 3339, which some sources send instead.
pub(crate) fn of_seconds(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::String(text) => of_text(text),
        value => {
            let seconds = value.as_f64()?;
            // A double holds the microseconds of our time exactly, and no more.
            let micros = (seconds * 1e6).round();
            #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
            let micros = (micros.abs() < 9e15).then_some(micros as i64)?;
            micros.checked_mul(1_000)
        }
    }
}

/// A time of RFC 3339 in UTC: `2026-11-21T16:30:09Z` or with a fraction.
pub(crate) fn of_text(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut time = time.splitn(3, ':').map(digits);
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let in_range = (1970..=2262).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !in_range || fraction.len() > 9 {
        return None;
    }
    let nanos = if fraction.is_empty() { 0 } else { digits(&format!("{fraction:0<9}"))? };
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(nanos)
}

fn digits(text: &str) -> Option<i64> {
    let all = !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, with years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_times_of_utc() {
        assert_eq!(of_text("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(of_text("2000-02-29T12:00:00Z"), Some(951_825_600_000_000_000));
        assert_eq!(of_text("2026-11-21T16:30:09.5Z"), Some(1_795_278_609_500_000_000));
        for bad in [
            "",
            "Z",
            "2026-11-21",
            "2026-13-21T00:00:00Z",
            "2026-11-21T16:30:09+01:00",
            "9999-01-01T00:00:00Z",
            "2026-11-21T+6:30:09Z",
            "2026-11-21T16:30:09.0123456789Z",
        ] {
            assert_eq!(of_text(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_are_seconds_or_milliseconds() {
        let seconds = |value| of_seconds(Some(&value));
        assert_eq!(seconds(json!(1795248044.136)), Some(1_795_248_044_136_000_000));
        assert_eq!(seconds(json!(1e300)), None);
        let millis = |value| of_millis(Some(&value));
        assert_eq!(millis(json!("1545082649183")), Some(1_545_082_649_183_000_000));
        assert_eq!(millis(json!(i64::MAX)), None);
    }
}
