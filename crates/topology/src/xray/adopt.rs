//! Subsegments that were sent alone learn which service sent them.

use ahash::AHashMap;
use throughline_model::{AttrValue, Owners, SpanBatch, SpanBatchBuilder, SpanRef};

use super::TraceView;
use super::facts::is_xray;

/// The trace, its independent subsegments with the resource of the segment they lie in.
///
/// Below a segment that was made here in place of a lost one, the resource is that one's name. A
/// trace without such subsegments comes back as it is.
pub fn adopt_services(trace: &SpanBatch) -> SpanBatch {
    let is_homeless = |span: SpanRef<'_>| span.resource().attributes().len() == 0 && is_xray(span);
    if !trace.spans().any(is_homeless) {
        return trace.clone();
    }
    let view = TraceView::of(trace);
    let homes: AHashMap<_, usize> = view
        .entities
        .iter()
        .filter_map(|entity| Some((entity.span?.span_id(), entity.segment)))
        .collect();
    let mut builder = SpanBatchBuilder::default();
    let mut owners = Owners::default();
    // The numbers of resources that stand for a segment.
    let mut made: AHashMap<usize, u32> = AHashMap::new();
    for span in trace.spans() {
        let segment = homes.get(&span.span_id()).filter(|_| is_homeless(span));
        let home = segment.map(|place| &view.entities[*place]);
        match (segment, home, home.and_then(|home| home.span)) {
            (Some(place), Some(home), None) => {
                let number = *made.entry(*place).or_insert_with(|| {
                    builder.start_resource();
                    builder.attribute("service.name", AttrValue::Str(&home.name));
                    builder.end_resource("", 0)
                });
                builder.use_resource(number);
            }
            (_, _, home) => owners.use_resource(home.unwrap_or(span).resource(), &mut builder),
        }
        owners.use_scope(span.scope(), &mut builder);
        builder.copy_span(span);
    }
    builder.finish()
}
