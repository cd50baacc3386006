//! Resources and scopes on their way from batches into another: each copied once, then known by number.

use std::collections::HashMap;
use std::marker::PhantomData;

use ahash::RandomState;

use crate::{ResourceRef, ScopeRef, SpanBatch, SpanBatchBuilder, SpanRef};

/// What of other batches one builder has already. To copy the owner of every span anew and find that
/// it is there costs more than to copy the span.
///
/// One builder's, until its batch is finished: the numbers are that batch's.
///
/// ```
/// use throughline_model::{AttrValue, Owners, SpanBatch, SpanBatchBuilder, SpanId, TraceId};
/// let mut builder = SpanBatchBuilder::default();
/// builder.start_resource();
/// builder.attribute("service.name", AttrValue::Str("checkout"));
/// builder.end_resource("", 0);
/// for id in 1..=3 {
///     builder.start_span(TraceId([1; 16]), SpanId([id; 8]));
///     builder.end_span();
/// }
/// let from = builder.finish();
///
/// let mut owners = Owners::default();
/// for span in from.spans().skip(1) {
///     owners.make_current(span, &mut builder);
///     builder.copy_span(span);
/// }
/// let copy = builder.finish();
/// assert_eq!((copy.resource_count(), copy.span(1).service()), (1, "checkout"));
/// ```
#[derive(Default)]
pub struct Owners<'a> {
    resources: Numbers,
    scopes: Numbers,
    /// The batches live as long as this, so that no other comes to lie where one of them was.
    batches: PhantomData<&'a SpanBatch>,
}

/// Numbers in the new batch by address and number of the old.
type Numbers = HashMap<(usize, usize), u32, RandomState>;

impl<'a> Owners<'a> {
    /// Makes the resource and scope of `span` those of the spans that follow.
    pub fn make_current(&mut self, span: SpanRef<'a>, builder: &mut SpanBatchBuilder) {
        self.use_resource(span.resource(), builder);
        self.use_scope(span.scope(), builder);
    }

    /// Makes a resource that of the spans that follow.
    pub fn use_resource(&mut self, resource: ResourceRef<'a>, builder: &mut SpanBatchBuilder) {
        let number = self.resources.entry(place(resource.batch, resource.number));
        let number = *number.or_insert_with(|| builder.copy_resource(resource));
        builder.use_resource(number);
    }

    /// Makes a scope that of the spans that follow.
    pub fn use_scope(&mut self, scope: ScopeRef<'a>, builder: &mut SpanBatchBuilder) {
        let number = self.scopes.entry(place(scope.batch, scope.number));
        let number = *number.or_insert_with(|| builder.copy_scope(scope));
        builder.use_scope(number);
    }
}

fn place(batch: &SpanBatch, number: usize) -> (usize, usize) {
    (std::ptr::from_ref(batch).addr(), number)
}
