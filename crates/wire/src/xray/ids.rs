//! Ids as X-Ray spells them.

use throughline_model::{SpanId, TraceId};

/// Reads `1-8hex-24hex`, 32 hex digits, and X-Ray's form with zeros left out. Zero is no id.
///
/// The eight digits are a time for AWS, but a W3C id has anything there: they are not looked at.
///
/// **Rule:** X-Ray developer guide, "Tracing header"; X-Ray API reference, `PutTraceSegments`
/// ("W3C trace ids").
pub(super) fn trace_id(text: &str) -> Option<TraceId> {
    let read = match text.strip_prefix("1-") {
        None => Some(text).filter(|text| text.len() == 32).map(TraceId::parse)?,
        Some(_) if text.len() == 35 => TraceId::parse(text),
        Some(rest) => {
            let (epoch, unique) = rest.split_once('-')?;
            if epoch.is_empty() || epoch.len() > 8 || unique.is_empty() || unique.len() > 24 {
                return None;
            }
            TraceId::parse(&format!("{epoch:0>8}{unique:0>24}"))
        }
    };
    read.ok().filter(|id| !id.is_zero())
}

/// Reads 16 hex digits. Zero is no id.
pub(super) fn span_id(text: &str) -> Option<SpanId> {
    SpanId::parse(text).ok().filter(|id| !id.is_zero())
}

/// Whether `text` is how we would write the trace id it was read as.
pub(super) fn is_usual_trace_id(text: &str) -> bool {
    text.len() == 35 && has_no_capitals(text)
}

/// Whether text that could be read as an id of hex digits is how we would write it.
pub(super) fn has_no_capitals(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let read = trace_id(text);
        assert_eq!(read.map(TraceId::xray).as_deref(), expected, "{text}");
        assert_eq!(is_usual_trace_id(text), expected == Some(text), "{text}");
    }

    #[test]
    fn trace_ids_are_read_in_the_spellings_seen() {
        let usual = "1-5b8efff7-98038103d269b633813fc60c";
        check(usual, Some(usual));
        check("5b8efff798038103d269b633813fc60c", Some(usual));
        check("1-5B8EFFF7-98038103D269B633813FC60C", Some(usual));
        check("1-0-8103d269b633813fc60c", Some("1-00000000-00008103d269b633813fc60c"));
    }

    #[test]
    fn what_is_no_trace_id_is_refused() {
        for text in [
            "",
            "1-",
            "1--",
            "1-5b8efff7",
            "1-5b8efff7-",
            "2-5b8efff7-98038103d269b633813fc60c",
            "1-5b8efff7-98038103d269b633813fc60g",
            "1-5b8efff79-98038103d269b633813fc60c",
            "1-00000000-000000000000000000000000",
            "463ac35c9f6413ad",
        ] {
            assert_eq!(trace_id(text), None, "{text}");
        }
        assert_eq!(trace_id(&format!("1-{}-{}", "\u{e9}".repeat(4), "\u{e9}".repeat(12))), None);
        assert_eq!(trace_id("1-\u{e9}-1"), None);
    }
}
