//! What a Lambda function was invoked with: which messages, and the contexts in them.
//!
//! In:   the event as Lambda hands it over, or the headers of the runtime's `next`.
//! Out:  [`Event`]: its kind, a [`Receipt`] a message, and a [`Read`] a place with a context.
//! Rule: AWS Lambda Developer Guide, the event of each source. What is not there is not there:
//!       no event fails, and one record never costs its neighbours.

mod brokers;
mod gather;
mod http;
mod kind;
mod records;
mod services;

use serde_json::Value;

use crate::carrier::Carrier;
use crate::carriers;
use crate::fields::Fields;
use crate::read::{Read, Reader};
use crate::receipt::{Direction, Receipt};

pub use kind::EventKind;

use gather::Gather;

/// The largest event that is parsed, in bytes. Lambda takes 6 MB, and 1 MB asynchronously.
pub const EVENT_MAX_BYTES: usize = 8 * 1024 * 1024;
/// How many receipts one event may give. The largest batch that Lambda makes has 10,000 records.
pub const EVENT_RECEIPTS_MAX: usize = 20_000;
/// How many places with a context one event may give.
pub const EVENT_CONTEXTS_MAX: usize = 20_000;
/// How deep an event may stand in another: an S3 event in SNS in SQS is three.
pub const DEPTH_MAX: u32 = 4;

/// What an invocation consumed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Event {
    /// What sent it. Of nested events, the outermost.
    pub kind: EventKind,
    /// One receipt a message and a carrier that it came through, in the order of the records.
    /// A notification of SNS that came through SQS gives two.
    pub receipts: Vec<Receipt>,
    /// The contexts that were found, in the order of the records.
    pub contexts: Vec<RecordContext>,
    /// How many receipts and contexts did not fit the limits.
    pub left_out: u64,
}

/// A context in a record of an event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecordContext {
    /// Where the record stands in its batch, from 0. `None` if the event is no batch.
    pub index: Option<u32>,
    /// Where in the record it was.
    pub place: Place,
    /// What it says.
    pub read: Read,
}

/// Where in a record a context was found.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Place {
    /// HTTP headers, also of a Kafka or RabbitMQ message.
    Headers,
    /// Message attributes of SQS or SNS.
    Attributes,
    /// SQS's system attribute `AWSTraceHeader`.
    AwsTraceHeader,
    /// The payload itself: the Kinesis envelope, a member of a JSON body or of a detail.
    Payload,
    /// The client context of an invocation.
    ClientContext,
    /// The header that the Lambda runtime is given for the invocation itself.
    Runtime,
}

/// Why bytes are no event.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EventError {
    /// Not parsed, to bound the work.
    #[error("the event is larger than {EVENT_MAX_BYTES} bytes")]
    TooLong,
    /// A function may be invoked with anything; nothing is known of this.
    #[error("the event is no JSON")]
    NotJson,
}

/// Reads an event from its bytes. See [`receipts_of_value`].
///
/// # Errors
///
/// When it is larger than [`EVENT_MAX_BYTES`] or no JSON.
pub fn receipts_of_event(event: &[u8]) -> Result<Event, EventError> {
    if event.len() > EVENT_MAX_BYTES {
        return Err(EventError::TooLong);
    }
    let event = serde_json::from_slice(event).map_err(|_| EventError::NotJson)?;
    Ok(receipts_of_value(&event, &Reader::default()))
}

/// Reads an event: every record of a batch with its place in it, and events within events.
///
/// The work is bounded by the size of the event, [`DEPTH_MAX`] and [`EVENT_RECEIPTS_MAX`].
#[must_use]
pub fn receipts_of_value(event: &Value, reader: &Reader) -> Event {
    let mut gather = Gather::new(reader);
    let kind = gather.event(event);
    gather.finish(kind)
}

/// What the headers say that the Lambda runtime gets with an event: the receipt of the
/// invocation, and the contexts of `Lambda-Runtime-Trace-Id` and `-Client-Context`.
#[must_use]
pub fn receipts_of_invocation<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    reader: &Reader,
) -> Event {
    let mut gather = Gather::new(reader);
    let (mut id, mut arn) = (None, None);
    for (name, value) in headers {
        match name.to_ascii_lowercase().as_str() {
            "lambda-runtime-aws-request-id" => id = Some(value),
            "lambda-runtime-invoked-function-arn" => arn = Some(value),
            "lambda-runtime-trace-id" => {
                let fields = Fields::from_iter([("x-amzn-trace-id", value)]);
                gather.context(Place::Runtime, &fields);
            }
            "lambda-runtime-client-context" => {
                gather.context(Place::ClientContext, &carriers::lambda::read(value));
            }
            _ => {}
        }
    }
    if let Some(id) = id.filter(|id| !id.is_empty()) {
        let receipt = Receipt::new(Direction::In, Carrier::Lambda, id);
        gather.receipt(receipt.with_resource(arn.unwrap_or_default()));
    }
    gather.finish(EventKind::Direct)
}
