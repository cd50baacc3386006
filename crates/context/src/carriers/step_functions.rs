//! The input of a Step Functions execution.
//!
//! In:   the parameters of `StartExecution`, or the input of a state.
//! Out:  the parameters with a context; or [`Fields`].
//! Rule: AWS Step Functions API Reference, `StartExecution`: input has at most 256 KiB.

use serde_json::{Map, Value};

use crate::baggage::Baggage;
use crate::context::Context;
use crate::fields::Fields;
use crate::write::Writer;
use crate::xray;

use super::{of_payload, with_context};

/// The most bytes of input.
pub const INPUT_MAX_BYTES: usize = 256 * 1024;

/// The fields in a state's input, or in its member `Payload`.
#[must_use]
pub fn read(input: &Value) -> Fields {
    let fields = of_payload(input);
    if fields.is_empty() {
        input.get("Payload").map(of_payload).unwrap_or_default()
    } else {
        fields
    }
}

/// Sets X-Ray's header beside the input. It changes nothing that a state sees.
pub fn write_header(parameters: &mut Map<String, Value>, context: &Context) {
    parameters.insert("traceHeader".to_owned(), Value::String(xray::text(context)));
}

/// Adds a context to the input. `false`, and nothing changed, when the input is no object, has a
/// context already, or there is no room.
pub fn write_input(
    parameters: &mut Map<String, Value>,
    writer: &Writer,
    context: &Context,
    baggage: &Baggage,
) -> bool {
    let input = parameters.get("input").map_or(Some("{}"), Value::as_str);
    let written =
        input.and_then(|input| with_context(input, writer, context, baggage, INPUT_MAX_BYTES));
    let Some(written) = written else { return false };
    parameters.insert("input".to_owned(), Value::String(written));
    true
}
