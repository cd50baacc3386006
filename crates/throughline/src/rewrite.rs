//! Recorded spans made to look as if they happened now: new times, new ids.
//!
//! Pure: the caller says by how much, and brings the randomness.

use throughline_model::{NO_END, Owners, SpanBatch, SpanBatchBuilder, SpanId, SpanRef, TraceId};

/// What to change.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rewrite {
    /// Nanoseconds to add to every time. Times do not go below the epoch.
    pub(crate) shift_nano: i64,
    /// New ids, when wanted.
    pub(crate) fresh: Option<FreshIds>,
}

impl Rewrite {
    /// Whether a span comes out as it went in.
    pub(crate) fn changes_nothing(&self) -> bool {
        self.shift_nano == 0 && self.fresh.is_none()
    }
}

/// New ids for old ones: the same for the same, different for different, whatever file it is in.
///
/// A keyed permutation of each kind of id, so two ids can never fall together and nothing has to
/// be remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FreshIds {
    seed: u64,
}

impl FreshIds {
    /// Ids that depend on `seed`; take a random one.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    fn trace_id(self, id: TraceId) -> TraceId {
        if id.is_zero() {
            return id;
        }
        let number = u128::from_be_bytes(id.0);
        let (mut high, mut low) = ((number >> 64) as u64, number as u64);
        // A Feistel network: each round is its own inverse, so no two ids meet.
        for round in 0..4 {
            (high, low) = (low, high ^ mix(low ^ self.seed.rotate_left(round * 16)));
        }
        let number = u128::from(high) << 64 | u128::from(low);
        // Zero means "none". The one id that would become it takes the place of the zero id.
        TraceId(if number == 0 { self.trace_zero() } else { number }.to_be_bytes())
    }

    fn trace_zero(self) -> u128 {
        let (mut high, mut low) = (0, 0);
        for round in 0..4 {
            (high, low) = (low, high ^ mix(low ^ self.seed.rotate_left(round * 16)));
        }
        u128::from(high) << 64 | u128::from(low)
    }

    fn span_id(self, id: SpanId) -> SpanId {
        if id.is_zero() {
            return id;
        }
        let fresh = match mix(u64::from_be_bytes(id.0) ^ self.seed) {
            0 => mix(self.seed),
            fresh => fresh,
        };
        SpanId(fresh.to_be_bytes())
    }
}

/// The finalizer of SplitMix64, a permutation of all 64-bit numbers.
fn mix(mut value: u64) -> u64 {
    value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The latest end of a span.
pub(crate) fn latest_end(batch: &SpanBatch) -> Option<i64> {
    batch.spans().map(SpanRef::end_unix_nano).max()
}

/// Copies the spans of `rows`, changed.
pub(crate) fn rewrite(
    batch: &SpanBatch,
    rows: std::ops::Range<usize>,
    change: &Rewrite,
    builder: &mut SpanBatchBuilder,
) -> SpanBatch {
    builder.clear();
    let mut owners = Owners::default();
    for row in rows {
        let span = batch.span(row);
        owners.make_current(span, builder);
        rewrite_span(span, change, builder);
    }
    builder.finish()
}

fn rewrite_span(span: SpanRef<'_>, change: &Rewrite, builder: &mut SpanBatchBuilder) {
    let trace_id = |id| change.fresh.map_or(id, |fresh| fresh.trace_id(id));
    let span_id = |id| change.fresh.map_or(id, |fresh| fresh.span_id(id));
    let shifted = |time: i64| match change.shift_nano {
        0 => time,
        shift => time.saturating_add(shift).max(0),
    };
    builder.start_span(trace_id(span.trace_id()), span_id(span.span_id()));
    builder.parent_id(span_id(span.parent_id()));
    builder.name(span.name());
    builder.times(shifted(span.start_unix_nano()), span.duration_nano().unwrap_or(NO_END));
    builder.kind(span.kind());
    builder.status(span.status(), span.status_message());
    builder.trace_state(span.trace_state());
    builder.flags(span.flags());
    let [attributes, events, links] = span.dropped();
    builder.dropped(attributes, events, links);
    builder.attributes(span.attributes());
    for event in span.events() {
        builder.start_event(shifted(event.time_unix_nano()), event.name(), event.dropped());
        builder.attributes(event.attributes());
    }
    for link in span.links() {
        let (trace, linked) = (trace_id(link.trace_id()), span_id(link.span_id()));
        builder.start_link(trace, linked, link.trace_state(), link.flags(), link.dropped());
        builder.attributes(link.attributes());
    }
    builder.end_span();
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use throughline_model::AttrValue;

    use super::*;

    fn batch() -> SpanBatch {
        let mut b = SpanBatchBuilder::default();
        for service in ["web", "api"] {
            b.start_resource();
            b.attribute("service.name", AttrValue::Str(service));
            b.end_resource("", 0);
            b.start_scope("lib", "1");
            b.end_scope("", 0);
            let (own, parent) = if service == "web" { (1, 0) } else { (2, 1) };
            b.start_span(TraceId([7; 16]), SpanId([own; 8]));
            b.parent_id(SpanId([parent; 8]));
            b.name("work");
            b.times(1_000, if own == 1 { 500 } else { NO_END });
            b.attribute("key", AttrValue::Int(5));
            b.start_event(1_100, "tick", 1);
            b.attribute("in", AttrValue::Bool(true));
            b.start_link(TraceId([8; 16]), SpanId([1; 8]), "a=b", 257, 2);
            b.attribute("link", AttrValue::Str("x"));
            b.dropped(1, 2, 3);
            b.end_span();
        }
        b.finish()
    }

    fn changed(change: &Rewrite) -> SpanBatch {
        let batch = batch();
        rewrite(&batch, 0..batch.len(), change, &mut SpanBatchBuilder::default())
    }

    #[test]
    fn nothing_else_changes() {
        let before = throughline_wire::otlp::encode_json(&batch());
        let after = throughline_wire::otlp::encode_json(&changed(&Rewrite::default()));
        assert_eq!(before, after);
    }

    #[test]
    fn every_time_moves_and_durations_stay() {
        let moved = changed(&Rewrite { shift_nano: 10_000, fresh: None });
        let span = moved.span(0);
        assert_eq!((span.start_unix_nano(), span.duration_nano()), (11_000, Some(500)));
        assert_eq!(span.events().next().unwrap().time_unix_nano(), 11_100);
        assert_eq!(moved.span(1).duration_nano(), None);
        assert_eq!(latest_end(&moved), Some(11_500));
        let early = changed(&Rewrite { shift_nano: i64::MIN, fresh: None });
        assert_eq!(early.span(0).start_unix_nano(), 0);
    }

    #[test]
    fn fresh_ids_keep_who_belongs_to_whom() {
        let fresh = changed(&Rewrite { shift_nano: 0, fresh: Some(FreshIds::new(42)) });
        let (web, api) = (fresh.span(0), fresh.span(1));
        assert_ne!(web.trace_id(), TraceId([7; 16]));
        assert_eq!(web.trace_id(), api.trace_id());
        assert!(web.parent_id().is_zero());
        assert_eq!(api.parent_id(), web.span_id());
        let link = web.links().next().unwrap();
        assert_eq!(link.span_id(), web.span_id());
        assert_ne!(link.trace_id(), web.trace_id());
        let other = changed(&Rewrite { shift_nano: 0, fresh: Some(FreshIds::new(43)) });
        assert_ne!(other.span(0).trace_id(), web.trace_id());
    }

    #[test]
    fn fresh_ids_never_meet() {
        let fresh = FreshIds::new(7);
        let ids = |n: u128| TraceId((n << 60 | n).to_be_bytes());
        let traces: HashSet<TraceId> = (1..10_000).map(|n| fresh.trace_id(ids(n))).collect();
        assert_eq!(traces.len(), 9_999);
        let spans: HashSet<SpanId> =
            (1..10_000u64).map(|n| fresh.span_id(SpanId(n.to_be_bytes()))).collect();
        assert_eq!(spans.len(), 9_999);
        assert!(traces.iter().all(|id| !id.is_zero()));
    }
}
