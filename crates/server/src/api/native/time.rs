//! `from` and `to`: nanoseconds, RFC 3339, `now`, or a duration before or after now.

use super::ApiError;

const SECOND: i64 = 1_000_000_000;
const DEFAULT_FROM: &str = "-1h";
const DEFAULT_TO: &str = "now";

/// A range of time in nanoseconds since the epoch; `from` is not after `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeRange {
    pub(super) from: i64,
    pub(super) to: i64,
}

/// The range of two parameters; what is missing is the last hour.
pub(super) fn range(from: Option<&str>, to: Option<&str>, now: i64) -> Result<TimeRange, ApiError> {
    let read_or = |name: &str, text: Option<&str>, default: &str| {
        read(name, text.filter(|text| !text.is_empty()).unwrap_or(default), now)
    };
    let range = TimeRange {
        from: read_or("from", from, DEFAULT_FROM)?,
        to: read_or("to", to, DEFAULT_TO)?,
    };
    if range.from > range.to {
        return Err(ApiError::bad_request("from lies after to"));
    }
    Ok(range)
}

/// The moment of the parameter `name`; `default` when it is missing.
pub(super) fn or(name: &str, text: Option<&str>, now: i64, default: i64) -> Result<i64, ApiError> {
    text.filter(|text| !text.is_empty()).map_or(Ok(default), |text| read(name, text, now))
}

fn read(name: &str, text: &str, now: i64) -> Result<i64, ApiError> {
    moment(text, now).ok_or_else(|| {
        let expected = "nanoseconds since the epoch, RFC 3339, \"now\" or a duration like \"-1h\"";
        ApiError::bad_request(format!("{name}: expected {expected}, got {text:?}"))
    })
}

/// A moment in nanoseconds since the epoch.
fn moment(text: &str, now: i64) -> Option<i64> {
    let text = text.trim();
    if text == "now" {
        return Some(now);
    }
    if let Ok(nanos) = text.parse::<i64>() {
        return Some(nanos);
    }
    // A plus sign in an address is a space when it was not escaped.
    if let Some(rest) = text.strip_prefix(['-', '+', ' '])
        && let Some(offset) = duration(rest)
    {
        return Some(if text.starts_with('-') {
            now.saturating_sub(offset)
        } else {
            now.saturating_add(offset)
        });
    }
    let time: jiff::Timestamp = text.replace(' ', "+").parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

/// A duration such as `90s`, `1h30m` or `1.5h`, in nanoseconds.
fn duration(text: &str) -> Option<i64> {
    let mut total = 0f64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let unit = match unit {
            "ns" => 1,
            "us" => 1_000,
            "ms" => 1_000_000,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3_600 * SECOND,
            "d" => 86_400 * SECOND,
            "w" => 7 * 86_400 * SECOND,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * unit as f64;
        rest = after;
    }
    // A float that does not fit becomes the nearest that does.
    Some(total as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000 * SECOND;

    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(moment(text, NOW), expected, "{text}");
    }

    #[test]
    fn every_form_of_a_moment_is_read() {
        check("now", Some(NOW));
        check("1700000000000000001", Some(NOW + 1));
        check("-5", Some(-5));
        check("-1h", Some(NOW - 3_600 * SECOND));
        check("-1h30m", Some(NOW - 5_400 * SECOND));
        check("-1.5h", Some(NOW - 5_400 * SECOND));
        check("+30s", Some(NOW + 30 * SECOND));
        check("-99999999w", Some(NOW - i64::MAX));
        check("2023-11-14T22:13:20Z", Some(NOW));
        check("2023-11-14T22:13:20.000000001Z", Some(NOW + 1));
        check("2023-11-14T23:13:20 01:00", Some(NOW));
        check("1970-01-01T00:00:00Z", Some(0));
        check("2106-02-07T06:28:16Z", Some((1 << 32) * SECOND));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in ["", "-", "h", "-h", "-1x", "-1 h", "yesterday", "99999999999999999999"] {
            check(text, None);
        }
    }

    #[test]
    fn the_last_hour_is_the_default_and_a_range_runs_forward() {
        let hour = TimeRange { from: NOW - 3_600 * SECOND, to: NOW };
        assert_eq!(range(None, Some(""), NOW).unwrap(), hour);
        assert!(range(Some("now"), Some("-1h"), NOW).is_err());
    }
}
