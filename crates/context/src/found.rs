//! What the headers of one format say.

use opentelemetry::TraceId;

use crate::context::{Context, Sampling};
use crate::defect::Defect;

/// What stands in the headers of one format, if it can be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Found {
    /// A trace and a span.
    Context(Box<Context>),
    /// A decision without a trace, such as `b3: 0`.
    SamplingOnly(Sampling),
    /// A trace without a span, as a load balancer of AWS sends it: `Root=...` and no `Parent`.
    TraceOnly(TraceId, Sampling),
}

/// Nothing of the format is there, or what it says, or why that cannot be read.
pub(crate) type Reading = Option<Result<Found, Defect>>;

impl From<Context> for Found {
    fn from(context: Context) -> Self {
        Self::Context(Box::new(context))
    }
}

impl From<crate::fields::TwoValues> for Defect {
    fn from(_: crate::fields::TwoValues) -> Self {
        Self::Repeated
    }
}
