//! What a word or a quoted string means as the value of a field.

use throughline_model::{SpanId, SpanKind, StatusCode, TraceId};

use super::suggest::did_you_mean;
use crate::ast::{CompareOp, Field, Literal};

/// Units of durations and their size in nanoseconds, small to large.
pub(crate) const UNITS: [(&str, i64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The literal that `text` is for `field`, or why it is none.
pub(super) fn literal(
    field: &Field,
    op: CompareOp,
    text: &str,
    quoted: bool,
) -> Result<Literal, String> {
    let ordered = !matches!(op, CompareOp::Eq | CompareOp::Ne);
    if ordered && !matches!(field, Field::Duration | Field::Attribute(..)) {
        let sign = op.sign();
        return Err(format!("`{field}` has no order, so `{sign}` cannot compare it: use = or !="));
    }
    match field {
        Field::Kind => kind(text).map(Literal::Kind),
        Field::Status => status(text).map(Literal::Status),
        Field::Duration => match duration(text) {
            Some(nanos) => Ok(Literal::Duration(nanos)),
            None if number(text).is_some() => {
                Err(format!("expected a unit after {text}: ns, us, ms, s, m or h"))
            }
            None => Err(format!("expected a duration such as 500ms or 1.5s, got `{text}`")),
        },
        Field::Trace => TraceId::parse(text).map(Literal::Trace).map_err(|err| err.to_string()),
        Field::Span | Field::Parent => {
            SpanId::parse(text).map(Literal::Span).map_err(|err| err.to_string())
        }
        Field::Root | Field::Entry => {
            truth(text).ok_or_else(|| format!("`{field}` is true or false, got `{text}`"))
        }
        Field::Service
        | Field::Name
        | Field::StatusMessage
        | Field::Environment
        | Field::ScopeName
        | Field::EventName => Ok(Literal::Str(text.to_owned())),
        Field::Attribute(..) => {
            let typed = if quoted { None } else { number(text).or_else(|| truth(text)) };
            match typed {
                Some(Literal::Bool(_)) | None if ordered => {
                    let sign = op.sign();
                    let unit = if !quoted && duration(text).is_some() {
                        "; attributes have no unit, write the plain number"
                    } else {
                        ""
                    };
                    Err(format!("expected a number after `{sign}`, got `{text}`{unit}"))
                }
                Some(literal) => Ok(literal),
                None => Ok(Literal::Str(text.to_owned())),
            }
        }
    }
}

fn kind(text: &str) -> Result<SpanKind, String> {
    let all = SpanKind::ALL;
    let found = all.into_iter().find(|kind| kind.word().eq_ignore_ascii_case(text));
    found.ok_or_else(|| wrong_word("kind", text, &all.map(SpanKind::word)))
}

fn status(text: &str) -> Result<StatusCode, String> {
    let all = [StatusCode::Ok, StatusCode::Error, StatusCode::Unset];
    let found = all.into_iter().find(|status| status.word().eq_ignore_ascii_case(text));
    found.ok_or_else(|| wrong_word("status", text, &all.map(StatusCode::word)))
}

fn wrong_word(field: &str, text: &str, words: &[&str]) -> String {
    let question = did_you_mean(text, words.iter().copied());
    format!("`{field}` is one of {}, got `{text}`{question}", words.join(", "))
}

fn truth(text: &str) -> Option<Literal> {
    match () {
        () if text.eq_ignore_ascii_case("true") => Some(Literal::Bool(true)),
        () if text.eq_ignore_ascii_case("false") => Some(Literal::Bool(false)),
        () => None,
    }
}

/// A number, when the text is one as a whole. Words such as `inf` are none.
fn number(text: &str) -> Option<Literal> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.strip_prefix('.').unwrap_or(digits).starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Ok(int) = text.parse() {
        return Some(Literal::Int(int));
    }
    text.parse().ok().filter(|double: &f64| double.is_finite()).map(Literal::Double)
}

/// Nanoseconds of a text such as `500ms` or `-1.5s`; what is finer than a nanosecond is cut off.
fn duration(text: &str) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (digits, unit) = text.split_at(digits);
    let unit = if unit == "\u{b5}s" || unit == "\u{3bc}s" { "us" } else { unit };
    let (_, size) = UNITS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || (digits.contains('.') && part.is_empty()) {
        return None;
    }
    let mut nanos = whole.parse::<i128>().ok()?.checked_mul(i128::from(size))?;
    let mut step = i128::from(size);
    for digit in part.chars() {
        step /= 10;
        nanos += step * i128::from(digit.to_digit(10)?);
    }
    i64::try_from(if negative { -nanos } else { nanos }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_fractions() {
        let check =
            |text: &str, expected: Option<i64>| assert_eq!(duration(text), expected, "{text}");
        check("500ms", Some(500_000_000));
        check("1.5s", Some(1_500_000_000));
        check("0.25us", Some(250));
        check("1.0625ms", Some(1_062_500));
        check("2H", Some(7_200_000_000_000));
        check("3\u{b5}s", Some(3_000));
        check("-10m", Some(-600_000_000_000));
        for text in ["", "5", "ms", ".5s", "5.s", "1.2.3s", "5d", "5msx", "99999999999h", "--5s"] {
            check(text, None);
        }
        check(&format!("{}s", "9".repeat(100)), None);
    }

    #[test]
    fn words_that_floats_accept_are_no_numbers() {
        for text in ["inf", "NaN", "-inf", "infinity", "e5", "1e999", "", "-", ".", "0x10"] {
            assert_eq!(number(text), None, "{text}");
        }
        assert_eq!(number("-3"), Some(Literal::Int(-3)));
        assert_eq!(number("1e3"), Some(Literal::Double(1000.0)));
        assert_eq!(number(".5"), Some(Literal::Double(0.5)));
    }
}
