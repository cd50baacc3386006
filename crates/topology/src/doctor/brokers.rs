//! Messages that two traces name: they carried no context.
//!
//! In:   the receipts of the spans that are looked at, and who else holds the same messages.
//! Out:  a case for each message whose consumer neither lies in its producer's trace, nor links to
//!       it, nor has spans of its own there; a good case for each that does. A request that both
//!       sides name is a message too.

use ahash::{AHashMap, AHashSet};
use throughline_model::{SpanBatch, SpanRef, TraceId};

use super::case::{Case, Cases};
use super::corpus::Corpus;
use super::diagnose::Options;
use super::good::{Good, Way};
use super::report::{Hop, Kind};
use crate::stitch::{
    Carrier, Class, Direction, JoinEdge, MessageKey, ReceiptAt, ReceiptReader, Source, SpanAt,
    joins,
};

/// Joins less sure than this are no proof, in thousandths.
const CONFIDENCE_PERMILLE_MIN: u16 = 900;

/// Keys in one question to the source.
const KEYS_AT_ONCE: usize = 1_000;

/// Finds them. Gives the spans that this explains.
///
/// # Errors
///
/// Those of the source.
pub(super) fn find<S: Source>(
    corpus: &Corpus<'_>,
    source: &S,
    options: &Options,
    good: &mut Good,
    cases: &mut Cases,
) -> Result<AHashSet<SpanAt>, S::Error> {
    let mut explained = AHashSet::new();
    let mut receipts = Receipts::of(corpus, options.keys_max);
    cases.truncated |= receipts.truncated;
    receipts.complete(source)?;
    let mut edges = joins(&receipts.outs, &receipts.ins).edges;
    // Newest first, so that the newest pairs are those that are read whole.
    edges.sort_by_cached_key(|edge| {
        let start = receipts.ends(edge).map(|(_, to)| to.start_unix_nano);
        std::cmp::Reverse((start, edge.id))
    });
    let settled = options.now_unix_nano.saturating_sub(options.settle_nano);
    let mut reader =
        Reader { corpus, source, loaded: AHashMap::new(), left: options.traces_read_max };
    for edge in edges {
        let Some((from, to)) = receipts.ends(&edge) else { continue };
        let (at, service) = (to.start_unix_nano, (from.service.clone(), to.service.clone()));
        let linked =
            edge.class == Class::Explicit || receipts.links.contains(&(edge.to.0, edge.from.0));
        // Who takes the context out of a record by hand goes on in the producer's trace, while the
        // function's own span keeps a trace of its own.
        let goes_on = service.0 != service.1 && receipts.at_home(edge.from.0, &service.1);
        let linked = linked || goes_on;
        if linked && edge.from.0 != edge.to.0 {
            good.add(&service.0, &service.1, Way::Message, at);
        }
        let is_proof = edge.confidence_permille >= CONFIDENCE_PERMILLE_MIN
            && edge.carrier != Carrier::Link
            && edge.carrier != Carrier::User
            && edge.carrier != Carrier::Pointer;
        if linked || edge.from.0 == edge.to.0 || !is_proof || at > settled {
            continue;
        }
        explained.extend([edge.from, edge.to]);
        let (from, to) = (reader.load(edge.from)?, reader.load(edge.to)?);
        let is_call = matches!(edge.carrier, Carrier::Http | Carrier::ApiGateway);
        cases.add(Case {
            kind: if is_call { Kind::DroppedOverHttp } else { Kind::LostAtBroker },
            hop: Hop {
                from: Some(service.0.to_string()),
                to: Some(service.1.to_string()),
                over: if is_call { "http" } else { edge.carrier.name() }.to_owned(),
                resource: edge.resource.clone().filter(|_| !is_call),
            },
            class: edge.class,
            at_unix_nano: at,
            from: from.and_then(|_| reader.span(edge.from)),
            to: to.and_then(|_| reader.span(edge.to)),
            facts: vec![fact(&edge)],
            formats: Vec::new(),
        });
    }
    Ok(explained)
}

/// How the pair is known. The id itself stands with the pair: a fact is of all pairs.
fn fact(edge: &JoinEdge) -> String {
    let what = edge.evidence.first().map_or("both name the same message id", |first| first.what);
    format!("{what} ({})", edge.carrier)
}

struct Receipts {
    outs: Vec<ReceiptAt>,
    ins: Vec<ReceiptAt>,
    /// Which trace links to which.
    links: AHashSet<(TraceId, TraceId)>,
    /// Which services have spans in which traces that are looked at.
    services: AHashMap<TraceId, AHashSet<String>>,
    /// Holders by span and message, with the direction.
    known: AHashMap<(SpanAt, MessageKey, Direction), Holder>,
    truncated: bool,
}

#[derive(Clone)]
struct Holder {
    service: std::sync::Arc<str>,
    start_unix_nano: i64,
}

impl Receipts {
    /// Those of the newest spans, up to a number of messages.
    fn of(corpus: &Corpus<'_>, keys_max: usize) -> Self {
        let mut receipts = Self {
            outs: Vec::new(),
            ins: Vec::new(),
            links: AHashSet::new(),
            services: AHashMap::new(),
            known: AHashMap::new(),
            truncated: false,
        };
        let mut all: Vec<ReceiptAt> = Vec::new();
        for batch in &corpus.batches {
            let reader = ReceiptReader::new(batch);
            for row in 0..batch.len() {
                receipts.see(batch.span(row));
                for link in batch.span(row).links() {
                    receipts.links.insert((batch.span(row).trace_id(), link.trace_id()));
                }
                let at = reader.at(row);
                let sends = at.iter().any(|at| at.receipt.direction == Direction::Out);
                all.extend(at);
                if sends {
                    // Who reads the context links back to it.
                    receipts.outs.push(reader.linked(row, Direction::Out));
                }
            }
        }
        all.sort_by_key(|at| std::cmp::Reverse((at.start_unix_nano, at.span(), at.key)));
        receipts.truncated = all.len() > keys_max;
        all.truncate(keys_max);
        for at in all {
            receipts.push(at);
        }
        receipts
    }

    fn see(&mut self, span: SpanRef<'_>) {
        let services = self.services.entry(span.trace_id()).or_default();
        let service = span.resource().service();
        if !services.contains(service) {
            services.insert(service.to_owned());
        }
    }

    /// Whether a service has spans in a trace.
    fn at_home(&self, trace: TraceId, service: &str) -> bool {
        self.services.get(&trace).is_some_and(|services| services.contains(service))
    }

    fn push(&mut self, at: ReceiptAt) {
        match at.receipt.direction {
            Direction::Out => self.outs.push(at),
            Direction::In => self.ins.push(at),
        }
    }

    /// Asks who else holds these messages.
    fn complete<S: Source>(&mut self, source: &S) -> Result<(), S::Error> {
        let keys = |list: &[ReceiptAt]| {
            let mut keys: Vec<MessageKey> = list.iter().map(|at| at.key).collect();
            keys.sort_unstable();
            keys.dedup();
            keys
        };
        let (sent, taken) = (keys(&self.outs), keys(&self.ins));
        for (keys, way) in [(sent, Direction::In), (taken, Direction::Out)] {
            for some in keys.chunks(KEYS_AT_ONCE) {
                for at in source.holders(some, way)? {
                    if at.receipt.carrier == Carrier::Link
                        && let Ok(trace) = TraceId::parse(&at.receipt.id)
                        && way == Direction::In
                    {
                        self.links.insert((at.trace_id, trace));
                    }
                    self.push(at);
                }
            }
        }
        for at in self.outs.iter().chain(&self.ins) {
            let holder =
                Holder { service: at.service.clone(), start_unix_nano: at.start_unix_nano };
            self.known.insert((at.span(), at.key, at.receipt.direction), holder);
        }
        Ok(())
    }

    fn ends(&self, edge: &JoinEdge) -> Option<(&Holder, &Holder)> {
        let from = self.known.get(&(edge.from, edge.key, Direction::Out))?;
        Some((from, self.known.get(&(edge.to, edge.key, Direction::In))?))
    }
}

/// Spans that are looked at, and traces beside them, as many as may be read.
struct Reader<'c, S> {
    corpus: &'c Corpus<'c>,
    source: &'c S,
    loaded: AHashMap<TraceId, Option<SpanBatch>>,
    left: usize,
}

impl<S: Source> Reader<'_, S> {
    /// Makes a span known, if it can be.
    fn load(&mut self, span: SpanAt) -> Result<Option<()>, S::Error> {
        if self.corpus.find(span.0, span.1).is_none() && !self.loaded.contains_key(&span.0) {
            if self.left == 0 {
                return Ok(None);
            }
            self.left -= 1;
            let batch = self.source.trace(span.0)?;
            self.loaded.insert(span.0, batch);
        }
        Ok(Some(()))
    }

    fn span(&self, (trace, span): SpanAt) -> Option<SpanRef<'_>> {
        if let Some(known) = self.corpus.find(trace, span) {
            return Some(known.span);
        }
        let batch = self.loaded.get(&trace)?.as_ref()?;
        batch.spans().find(|other| other.span_id() == span)
    }
}
