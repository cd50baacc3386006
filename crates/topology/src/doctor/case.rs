//! Cases of one kind at one hop, counted, with the newest kept.

use std::collections::{BTreeMap, BTreeSet};

use throughline_context::Format;
use throughline_model::{AttrValue, SpanId, SpanRef, TraceId};

use super::corpus::resource_text;
use super::headers::{header_text, is_captured};
use super::report::{Hop, Kind, Pair, Sight};
use crate::stitch::Class;

/// Facts kept of a group, those that sort first.
const FACTS_MAX: usize = 8;
/// Services and languages kept of a group.
const SIDES_MAX: usize = 16;
/// Attributes shown of a span.
const SHOWN_MAX: usize = 16;
/// The longest text of one, in bytes.
const SHOWN_MAX_BYTES: usize = 256;

/// What one rule found once.
pub(super) struct Case<'c> {
    pub(super) kind: Kind,
    pub(super) hop: Hop,
    pub(super) class: Class,
    pub(super) at_unix_nano: i64,
    pub(super) from: Option<SpanRef<'c>>,
    pub(super) to: Option<SpanRef<'c>>,
    /// What shows it beside the spans, in words that fit a sentence.
    pub(super) facts: Vec<String>,
    /// The formats of the headers that were seen.
    pub(super) formats: Vec<Format>,
}

/// All cases, by kind and hop.
pub(super) struct Cases {
    pub(super) groups: BTreeMap<(Kind, Hop), Group>,
    pub(super) truncated: bool,
    groups_max: usize,
    samples_max: usize,
}

/// The cases of one kind and hop.
#[derive(Default)]
pub(super) struct Group {
    pub(super) count: usize,
    pub(super) first_unix_nano: i64,
    pub(super) last_unix_nano: i64,
    /// By time and ids.
    samples: BTreeMap<(i64, [(TraceId, SpanId); 2]), Pair>,
    /// The least sure.
    pub(super) class: Option<Class>,
    pub(super) facts: BTreeSet<String>,
    pub(super) formats: BTreeSet<Format>,
    pub(super) sides: BTreeSet<Side>,
}

/// Who would have to change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Side {
    pub(super) is_callee: bool,
    pub(super) service: String,
    pub(super) language: String,
    pub(super) platform: String,
}

impl Group {
    /// The newest cases, newest first.
    pub(super) fn seen(&self) -> Vec<Pair> {
        self.samples.values().rev().cloned().collect()
    }

    fn add(&mut self, case: Case<'_>, samples_max: usize) {
        let at = case.at_unix_nano;
        self.first_unix_nano = if self.count == 0 { at } else { self.first_unix_nano.min(at) };
        self.last_unix_nano = if self.count == 0 { at } else { self.last_unix_nano.max(at) };
        self.count += 1;
        self.class = self.class.max(Some(case.class));
        for (side, is_callee) in [(case.from, false), (case.to, true)] {
            if let Some(span) = side {
                add_bounded(&mut self.sides, side_of(span, is_callee), SIDES_MAX);
            }
        }
        self.formats.extend(case.formats);
        for fact in case.facts {
            add_bounded(&mut self.facts, fact, FACTS_MAX);
        }
        let ids = |side: Option<SpanRef<'_>>| {
            side.map_or((TraceId::ZERO, SpanId::ZERO), |span| (span.trace_id(), span.span_id()))
        };
        let key = (at, [ids(case.from), ids(case.to)]);
        let is_older = self.samples.first_key_value().is_some_and(|(oldest, _)| key < *oldest);
        if self.samples.len() >= samples_max && is_older {
            return;
        }
        let pair = Pair { from: case.from.map(sight), to: case.to.map(sight) };
        self.samples.insert(key, pair);
        if self.samples.len() > samples_max {
            self.samples.pop_first();
        }
    }
}

impl Cases {
    pub(super) fn new(groups_max: usize, samples_max: usize) -> Self {
        Self { groups: BTreeMap::new(), truncated: false, groups_max, samples_max }
    }

    pub(super) fn add(&mut self, case: Case<'_>) {
        let key = (case.kind, case.hop.clone());
        if self.groups.len() >= self.groups_max && !self.groups.contains_key(&key) {
            self.truncated = true;
            return;
        }
        self.groups.entry(key).or_default().add(case, self.samples_max);
    }
}

/// Keeps the first ones by their order, so that the order in which they come does not matter.
fn add_bounded<T: Ord>(set: &mut BTreeSet<T>, item: T, max: usize) {
    set.insert(item);
    if set.len() > max {
        set.pop_last();
    }
}

fn side_of(span: SpanRef<'_>, is_callee: bool) -> Side {
    let text = |key| resource_text(span, key).unwrap_or_default().chars().take(40).collect();
    Side {
        is_callee,
        service: span.service().to_owned(),
        language: text("telemetry.sdk.language"),
        platform: text("cloud.platform"),
    }
}

/// Attributes that tell how a call or message went; of no user.
const SHOWN: &[&str] = &[
    "http.request.method",
    "http.method",
    "url.full",
    "http.url",
    "url.path",
    "http.target",
    "http.route",
    "server.address",
    "server.port",
    "net.peer.name",
    "net.peer.port",
    "net.host.name",
    "net.host.port",
    "peer.service",
    "rpc.service",
    "rpc.method",
    "messaging.system",
    "messaging.destination.name",
    "messaging.message.id",
    "aws.request_id",
    "aws.request.id",
    "faas.invocation_id",
    "faas.trigger",
    "stitch.in",
    "stitch.out",
];

fn sight(span: SpanRef<'_>) -> Sight {
    let mut shown = Vec::new();
    for (key, value) in span.attributes() {
        let is_aws = key.starts_with("aws.kinesis.") || key.starts_with("aws.sqs.");
        if shown.len() < SHOWN_MAX && (SHOWN.contains(&key) || is_aws || is_captured(key)) {
            shown.push((key.to_owned(), shown_text(key, value)));
        }
    }
    if !span.trace_state().is_empty() {
        shown.push(("tracestate".to_owned(), cut(span.trace_state()).to_owned()));
    }
    if span.flags() != 0 {
        shown.push(("flags".to_owned(), format!("{:02x}", span.flags())));
    }
    for key in ["telemetry.sdk.language", "cloud.platform"] {
        if let Some(text) = resource_text(span, key) {
            shown.push((key.to_owned(), cut(text).to_owned()));
        }
    }
    shown.sort();
    Sight {
        trace_id: span.trace_id(),
        span_id: span.span_id(),
        parent_id: span.parent_id(),
        service: span.service().to_owned(),
        name: span.name().to_owned(),
        kind: span.kind().word(),
        start_unix_nano: span.start_unix_nano(),
        end_unix_nano: span.end_unix_nano(),
        shown,
    }
}

/// A value as it is shown: of an address neither user nor query, which may hold secrets.
fn shown_text(key: &str, value: AttrValue<'_>) -> String {
    if is_captured(key) {
        return cut(&header_text(value).unwrap_or_default()).to_owned();
    }
    let text = value.text();
    if !matches!(key, "url.full" | "http.url" | "http.target") {
        return cut(&text).to_owned();
    }
    let bare = text.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = bare.split_once("://") else { return cut(bare).to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    cut(&format!("{scheme}://{host}{path}")).to_owned()
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(SHOWN_MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
