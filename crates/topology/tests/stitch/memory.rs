//! A source in memory: batches as they came, and an index from message to rows, as a store has it.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;

use throughline_model::{Owners, SpanBatch, SpanBatchBuilder, TraceId, merge_pieces};
use throughline_testkit::{JourneySpan, Rng, journey_batch};
use throughline_topology::stitch::{
    Carrier, Direction, JoinEdge, Joined, MessageKey, ReceiptAt, ReceiptReader, Source, SpanAt,
    joins,
};

pub(crate) struct Memory {
    traces: HashMap<TraceId, SpanBatch>,
    index: HashMap<(MessageKey, Direction), Vec<ReceiptAt>>,
}

impl Memory {
    pub(crate) fn new(batches: &[SpanBatch]) -> Self {
        let mut index: HashMap<_, Vec<ReceiptAt>> = HashMap::new();
        for batch in batches {
            let reader = ReceiptReader::new(batch);
            for at in (0..batch.len()).flat_map(|row| reader.at(row)) {
                index.entry((at.key, at.receipt.direction)).or_default().push(at);
            }
        }
        let merged = merge_pieces(&batches.iter().collect::<Vec<_>>());
        let mut rows: HashMap<TraceId, Vec<usize>> = HashMap::new();
        merged.spans().for_each(|span| rows.entry(span.trace_id()).or_default().push(span.row()));
        let trace = |rows: Vec<usize>| {
            let mut builder = SpanBatchBuilder::default();
            let mut owners = Owners::default();
            for row in rows {
                owners.make_current(merged.span(row), &mut builder);
                builder.copy_span(merged.span(row));
            }
            builder.finish()
        };
        let traces = rows.into_iter().map(|(id, rows)| (id, trace(rows))).collect();
        Self { traces, index }
    }

    pub(crate) fn of(spans: &[JourneySpan]) -> Self {
        Self::new(&spans.chunks(500).map(journey_batch).collect::<Vec<_>>())
    }

    /// Every join there is.
    pub(crate) fn joined(&self) -> Joined {
        let of = |way| {
            let lists = self.index.iter().filter(move |((_, w), _)| *w == way);
            lists.flat_map(|(_, list)| list.clone())
        };
        let ins: Vec<ReceiptAt> = of(Direction::In).collect();
        let mut outs: Vec<ReceiptAt> = of(Direction::Out).collect();
        for (trace, span) in ins.iter().filter_map(linked) {
            let Some(batch) = self.traces.get(&trace) else { continue };
            let row = batch.spans().find(|s| s.span_id() == span).map(|s| s.row());
            outs.extend(row.map(|row| ReceiptReader::new(batch).linked(row, Direction::Out)));
        }
        joins(&outs, &ins)
    }

    pub(crate) fn edge_ids(&self) -> BTreeSet<u128> {
        self.joined().edges.iter().map(|edge| edge.id).collect()
    }

    pub(crate) fn traces(&self) -> impl Iterator<Item = (&TraceId, &SpanBatch)> {
        self.traces.iter()
    }
}

fn linked(at: &ReceiptAt) -> Option<SpanAt> {
    let is_link = at.receipt.carrier == Carrier::Link;
    let span = at.receipt.resource.as_deref().filter(|_| is_link)?;
    Some((TraceId::parse(&at.receipt.id).ok()?, throughline_model::SpanId::parse(span).ok()?))
}

impl Source for Memory {
    type Error = Infallible;

    fn trace(&self, id: TraceId) -> Result<Option<SpanBatch>, Infallible> {
        Ok(self.traces.get(&id).cloned())
    }

    fn holders(
        &self,
        keys: &[MessageKey],
        direction: Direction,
    ) -> Result<Vec<ReceiptAt>, Infallible> {
        let list = |key: &MessageKey| self.index.get(&(*key, direction)).cloned();
        Ok(keys.iter().filter_map(list).flatten().collect())
    }
}

/// The spans as they may come: each in a hundred of `late`, `again` or elsewhere.
pub(crate) fn disturbed(spans: &[JourneySpan], percent: u64, rng: &mut Rng) -> Vec<JourneySpan> {
    let (mut now, mut late) = (Vec::new(), Vec::new());
    for span in spans {
        if rng.below(100) >= percent {
            now.push(span.clone());
            continue;
        }
        match rng.below(3) {
            0 => late.push(span.clone()),
            1 => now.extend([span.clone(), span.clone()]),
            _ => now.insert(rng.below(now.len() as u64 + 1) as usize, span.clone()),
        }
    }
    now.extend(late);
    now
}

pub(crate) fn shuffled(spans: &[JourneySpan], rng: &mut Rng) -> Vec<JourneySpan> {
    let mut spans = spans.to_vec();
    for at in (1..spans.len()).rev() {
        spans.swap(at, rng.below(at as u64 + 1) as usize);
    }
    spans
}

/// What a person reads of an edge.
pub(crate) fn line(edge: &JoinEdge) -> String {
    let resource = edge.resource.as_deref().unwrap_or("-");
    let (class, confidence) = (edge.class.code(), edge.confidence_permille);
    format!("{} {resource} {class} {confidence} attempt {}", edge.carrier, edge.attempt)
}
