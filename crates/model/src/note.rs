//! Notes: what somebody else than its sender says about a span.
//!
//! A note is a row with the ids of the span that it is about, under a scope of its own name. It is
//! kept like any row, and never shown as a span: [`crate::merge_pieces`] leaves it out, and
//! [`crate::merge_with_notes`] adds its events to the span.

use crate::SpanRef;

/// The scope of notes.
pub const NOTE_SCOPE: &str = "throughline.note";

/// The attribute of a note that knows its span only as the one of a function's invocation: the
/// invocation's request id. Its own ids then mean nothing.
pub const NOTE_INVOCATION: &str = "throughline.note.invocation";

impl SpanRef<'_> {
    /// Whether the row is a note about a span, and no span.
    pub fn is_note(self) -> bool {
        self.scope().name() == NOTE_SCOPE
    }
}
