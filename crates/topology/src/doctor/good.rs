//! The cases that kept their context, by hop.

use ahash::{AHashMap, AHashSet};
use throughline_model::SpanKind;

use super::corpus::{Corpus, is_entry};
use super::report::Hop;

/// How a hop goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Way {
    Call,
    Message,
    Process,
}

impl Way {
    pub(super) fn of(hop: &Hop) -> Self {
        match hop.over.as_str() {
            "http" => Self::Call,
            "process" => Self::Process,
            _ => Self::Message,
        }
    }
}

/// Times of good cases: by caller, callee and way. An unknown caller is every caller.
#[derive(Default)]
pub(super) struct Good {
    times: AHashMap<(Option<String>, String, Way), Vec<i64>>,
    /// Whom each service calls.
    calls: AHashMap<String, AHashSet<String>>,
}

impl Good {
    /// Every parent whose child is of another service or the other side of a call.
    pub(super) fn of(corpus: &Corpus<'_>) -> Self {
        let mut good = Self::default();
        for known in &corpus.spans {
            let Some(parent) = corpus.parent(known) else { continue };
            let (from, to) = (parent.span.service(), known.span.service());
            if from == to && !is_entry(known.span.kind()) {
                continue;
            }
            let is_message =
                known.span.kind() == SpanKind::Consumer || parent.span.kind() == SpanKind::Producer;
            let way = if is_message { Way::Message } else { Way::Call };
            good.add(from, to, way, known.span.start_unix_nano());
        }
        good
    }

    pub(super) fn add(&mut self, from: &str, to: &str, way: Way, at: i64) {
        if way == Way::Call {
            self.calls.entry(from.to_owned()).or_default().insert(to.to_owned());
        }
        for from in [Some(from.to_owned()), None] {
            self.times.entry((from, to.to_owned(), way)).or_default().push(at);
        }
    }

    /// Times of the good cases of a hop, in any order.
    pub(super) fn times(&self, from: Option<&str>, to: Option<&str>, way: Way) -> &[i64] {
        let Some(to) = to else { return &[] };
        let key = (from.map(str::to_owned), to.to_owned(), way);
        self.times.get(&key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether anyone but `from` reaches `to` with its context, by a call.
    pub(super) fn others_reach(&self, from: &str, to: &str) -> bool {
        let all = self.times(None, Some(to), Way::Call).len();
        all > self.times(Some(from), Some(to), Way::Call).len()
    }

    /// Whether `from` reaches anyone but `to` with its context, by a call.
    pub(super) fn reaches_others(&self, from: &str, to: &str) -> bool {
        self.calls.get(from).is_some_and(|callees| callees.iter().any(|callee| callee != to))
    }
}
