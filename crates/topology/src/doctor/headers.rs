//! Headers that a span captured, and what they say against the span itself.
//!
//! In:   `http.request.header.NAME` of a span, as instrumentation records it when asked to.
//! Out:  what a [`Reader`] of every format makes of them, and the cases that this proves.
//! Rule: OpenTelemetry semantic conventions, HTTP spans, `http.request.header.<key>`; older
//!       instrumentation writes `_` for `-`.

use ahash::AHashSet;
use throughline_context::{Context, Disagreement, Fields, Format, Read, Reader, Strictness};
use throughline_model::{AttrValue, SpanId, SpanKind, SpanRef, TraceId, nested_to_json};

use super::case::{Case, Cases};
use super::corpus::{Corpus, Known, is_cut};
use super::report::{Hop, Kind};
use crate::stitch::{Class, SpanAt};

const PREFIX: &str = "http.request.header.";

/// Values read of one header.
const VALUES_MAX: usize = 8;

/// The names with a context in them. Baggage is not among them: it is the application's.
const NAMES: &[&str] = &[
    "traceparent",
    "tracestate",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "x-amzn-trace-id",
    "uber-trace-id",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "x-datadog-tags",
    "ot-tracer-traceid",
    "ot-tracer-spanid",
    "ot-tracer-sampled",
];

/// Whether an attribute is a captured header that carries context.
pub(super) fn is_captured(key: &str) -> bool {
    let same = |a: u8, b: u8| a.eq_ignore_ascii_case(&b) || (a == b'_' && b == b'-');
    key.strip_prefix(PREFIX).is_some_and(|name| {
        NAMES.iter().any(|known| {
            known.len() == name.len() && name.bytes().zip(known.bytes()).all(|(a, b)| same(a, b))
        })
    })
}

/// The values of a captured header, one after the other.
pub(super) fn header_text(value: AttrValue<'_>) -> Option<String> {
    Some(header_values(value).join(", ")).filter(|text| !text.is_empty())
}

fn header_values(value: AttrValue<'_>) -> Vec<String> {
    match value {
        AttrValue::Str(text) => vec![text.to_owned()],
        AttrValue::Array(_) => {
            let list = nested_to_json(value).unwrap_or_default();
            let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
            let texts = items.iter().take(VALUES_MAX).filter_map(|item| item.as_str());
            texts.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// What the captured headers of a span say, read as its specification asks; `None` where none
/// with a context was captured.
pub(super) fn captured(span: SpanRef<'_>) -> Option<Read> {
    read_as(span, Strictness::Strict)
}

fn read_as(span: SpanRef<'_>, strictness: Strictness) -> Option<Read> {
    let mut fields = Fields::default();
    let mut any = false;
    for (key, value) in span.attributes() {
        if is_captured(key) {
            any = true;
            let name = key.trim_start_matches(PREFIX).replace('_', "-");
            header_values(value).iter().for_each(|value| fields.push(&name, value));
        }
    }
    any.then(|| Reader::new(&Format::ALL, strictness).read(&fields))
}

/// The formats with a valid context in them.
pub(super) fn valid_formats(read: &Read) -> Vec<Format> {
    let valid = read.seen.iter().filter(|seen| seen.found.is_ok());
    valid.map(|seen| seen.format).filter(|format| *format != Format::Baggage).collect()
}

pub(super) fn place(context: &Context) -> SpanAt {
    (TraceId(context.trace_id.to_bytes()), SpanId(context.span_id.to_bytes()))
}

/// Cases that captured headers prove, and the spans that are explained by them.
///
/// A root that was given a context did not read it. One request with two traces in it comes from
/// two tracers that do not know of each other; the span says which of them won.
pub(super) fn find<'b>(corpus: &'b Corpus<'b>, cases: &mut Cases) -> AHashSet<SpanAt> {
    let mut explained = AHashSet::new();
    let servers = corpus.spans.iter().filter(|known| known.span.kind() == SpanKind::Server);
    for known in servers.filter(|known| corpus.is_settled(known)) {
        let Some(read) = captured(known.span) else { continue };
        let span = known.span;
        let is_root = span.parent_id().is_zero();
        if is_root {
            malformed(corpus, known, &read, cases);
        }
        let Some(context) = &read.context else { continue };
        let mut losers: Vec<&Context> = Vec::new();
        if is_root {
            losers.push(context);
        }
        let others = read.conflicts.iter().filter(|c| c.disagreement == Disagreement::OtherTrace);
        let all = others.map(|conflict| &conflict.context).chain([context]);
        if read.conflicts.iter().any(|c| c.disagreement == Disagreement::OtherTrace) {
            losers.extend(all.filter(|context| place(context).0 != span.trace_id()));
        }
        let Some(loser) = losers.first() else { continue };
        let (trace, caller) = place(loser);
        if is_cut(trace, span.trace_id()) {
            continue;
        }
        let from = corpus.find(trace, caller).map(|known| known.span);
        explained.insert((span.trace_id(), span.span_id()));
        explained.insert((trace, caller));
        let formats = valid_formats(&read);
        let names: Vec<String> = formats.iter().map(|format| format!("`{format}`")).collect();
        let names = names.join(" and ");
        let fact = if is_root {
            format!("the request brought {names}, and the callee began a new trace")
        } else {
            format!("the request brought {names} of two traces, and one of them lost")
        };
        cases.add(Case {
            kind: Kind::MixedFormats,
            hop: Hop {
                from: from.map(|span| span.service().to_owned()),
                to: Some(span.service().to_owned()),
                over: "http".to_owned(),
                resource: None,
            },
            class: Class::Explicit,
            at_unix_nano: span.start_unix_nano(),
            from,
            to: Some(span),
            facts: vec![fact],
            formats,
        });
    }
    explained
}

/// A root whose request brought a header that no specification allows. Read leniently it may
/// still say who sent it.
fn malformed(corpus: &Corpus<'_>, known: &Known<'_>, read: &Read, cases: &mut Cases) {
    for seen in &read.seen {
        let Err(defect) = &seen.found else { continue };
        let meant = read_as(known.span, Strictness::Lenient).and_then(|read| read.context);
        let from = meant.map(|context| place(&context)).and_then(|at| corpus.find(at.0, at.1));
        let from = from.map(|known| known.span);
        cases.add(Case {
            kind: Kind::MalformedId,
            hop: Hop {
                from: from.map(|span| span.service().to_owned()),
                to: Some(known.span.service().to_owned()),
                over: "http".to_owned(),
                resource: None,
            },
            class: Class::Explicit,
            at_unix_nano: known.span.start_unix_nano(),
            from,
            to: Some(known.span),
            facts: vec![format!("the `{}` of the request cannot be read: {defect}", seen.format)],
            formats: vec![seen.format],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_headers_of_contexts_are_captured_headers() {
        for (key, expected) in [
            ("http.request.header.traceparent", true),
            ("http.request.header.x-b3-traceid", true),
            ("http.request.header.x_b3_traceid", true),
            ("http.request.header.X-Amzn-Trace-Id", true),
            ("http.request.header.authorization", false),
            ("http.request.header.cookie", false),
            ("http.request.header.baggage", false),
            ("traceparent", false),
        ] {
            assert_eq!(is_captured(key), expected, "{key}");
        }
    }
}
