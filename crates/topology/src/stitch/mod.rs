//! Follows messages from trace to trace.
//!
//! Spans say which messages they produced and consumed ([`ReceiptReader`]). A message that both
//! sides name joins two spans ([`joins`]). A journey is what one message, span or trace led to and
//! came from, never all that is connected ([`journey`]).
//!
//! Nothing is kept between two questions, so that neither the order in which spans came nor their
//! batches can matter: whoever stores spans keeps an index from message key to span, and answers
//! [`Source`].

mod assemble;
mod edge;
mod guess;
mod joins;
mod journey;
mod pointers;
mod receipts;
mod scope;
mod verdicts;
mod walk;
mod words;

pub use edge::{Class, Evidence, JoinEdge, ReceiptAt, SKEW_MAX_NANO, SpanAt, Veto, join};
pub use guess::{GUESS_WINDOW_NANO, PLACE_ATTRIBUTES, Side, guesses, sides};
pub use joins::{Joined, Refused, joins};
pub use journey::{
    Attempts, Budget, Focus, Gap, Group, Journey, Limit, Member, Source, Step, Wait, journey,
};
pub use receipts::{RECEIPTS_PER_SPAN_MAX, ReceiptReader};
pub use scope::Share;
pub use throughline_context::{Carrier, Direction, MessageKey, Receipt};
pub use verdicts::{
    Ruling, VERDICT_ACROSS, VERDICT_BY, VERDICT_EVENT, VERDICT_FROM, VERDICT_NOTE, VERDICT_RULING,
    VERDICTS_PER_SPAN_MAX, Verdict,
};
pub use words::message_attributes;
