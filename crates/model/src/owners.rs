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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttrValue, SpanId, TraceId};

    /// One span of each service, in that order.
    fn batch(services: &[&str], scope: &str) -> SpanBatch {
        let mut builder = SpanBatchBuilder::default();
        for (number, service) in services.iter().enumerate() {
            builder.start_resource();
            builder.attribute("service.name", AttrValue::Str(service));
            builder.end_resource("", 0);
            builder.start_scope(scope, "");
            builder.end_scope("", 0);
            builder.start_span(TraceId([1; 16]), SpanId([number as u8 + 1; 8]));
            builder.end_span();
        }
        builder.finish()
    }

    #[test]
    fn the_same_number_of_two_batches_is_not_the_same_owner() {
        let (left, right) = (batch(&["a", "b"], "one"), batch(&["b", "c"], "two"));
        let mut builder = SpanBatchBuilder::default();
        let mut owners = Owners::default();
        for row in [0, 1, 0] {
            for from in [&left, &right] {
                owners.make_current(from.span(row), &mut builder);
                builder.copy_span(from.span(row));
            }
        }
        let copy = builder.finish();
        let said: Vec<_> = copy.spans().map(|s| (s.service(), s.scope().name())).collect();
        let expected = ["a one", "b two", "b one", "c two", "a one", "b two"];
        assert_eq!(said.iter().map(|(s, t)| format!("{s} {t}")).collect::<Vec<_>>(), expected);
        // What is equal stands once, whoever sent it.
        assert_eq!((copy.resource_count(), copy.scope_count()), (3, 2));
    }
}
