//! Sizes, durations and times as people write and read them.

use std::time::Duration;

/// Reads `72h`, `30d`, `1h30m` or `500ms`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let number: u64 = number.parse().ok()?;
        total = total.checked_add(match unit.trim() {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "h" => Duration::from_secs(number.checked_mul(3_600)?),
            "d" => Duration::from_secs(number.checked_mul(86_400)?),
            _ => return None,
        })?;
        rest = after;
    }
    Some(total)
}

/// Reads `10GB`, `512 MiB`, `1000`.
pub(crate) fn parse_size_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// A duration in the largest unit that leaves at least one digit before the point.
pub(crate) fn show_duration(nanos: i64) -> String {
    let size = nanos.unsigned_abs() as f64;
    let (value, unit) = match nanos.unsigned_abs() {
        0 => return "0".to_owned(),
        1..1_000 => (size, "ns"),
        1_000..1_000_000 => (size / 1e3, "us"),
        1_000_000..1_000_000_000 => (size / 1e6, "ms"),
        1_000_000_000..60_000_000_000 => (size / 1e9, "s"),
        60_000_000_000..3_600_000_000_000 => (size / 60e9, "m"),
        _ => (size / 3_600e9, "h"),
    };
    let sign = if nanos < 0 { "-" } else { "" };
    match value {
        ..10.0 if unit != "ns" => format!("{sign}{value:.2}{unit}"),
        ..100.0 if unit != "ns" => format!("{sign}{value:.1}{unit}"),
        _ => format!("{sign}{value:.0}{unit}"),
    }
}

/// A time of day in UTC with its date, to the millisecond.
pub(crate) fn show_time(unix_nano: i64) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(unix_nano)) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string(),
        Err(_) => unix_nano.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_read_as_written() {
        let hours = |n: u64| Some(Duration::from_secs(n * 3_600));
        assert_eq!(parse_duration("72h"), hours(72));
        assert_eq!(parse_duration("3d"), hours(72));
        assert_eq!(parse_duration("1h30m"), Some(Duration::from_secs(5_400)));
        for text in ["", "h", "12", "12x", "-1h", "99999999999999999999h"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        assert_eq!(parse_size_bytes("10GB"), Some(10_000_000_000));
        assert_eq!(parse_size_bytes("10 GiB"), Some(10 << 30));
        assert_eq!(parse_size_bytes("7"), Some(7));
        for text in ["", "GB", "1.5GB", "10XB", "99999999999TB"] {
            assert_eq!(parse_size_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn durations_show_three_digits() {
        for (nanos, text) in [
            (0, "0"),
            (999, "999ns"),
            (1_500, "1.50us"),
            (12_340_000, "12.3ms"),
            (123_400_000, "123ms"),
            (-2_000_000_000, "-2.00s"),
            (90_000_000_000, "1.50m"),
            (i64::MIN, "-2562048h"),
        ] {
            assert_eq!(show_duration(nanos), text);
        }
        assert_eq!(show_time(1_700_000_000_123_456_789), "2023-11-14 22:13:20.123Z");
    }
}
