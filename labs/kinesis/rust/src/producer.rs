//! POST /producer: puts the request's body on the stream, in an envelope with the trace context.

use lambda_runtime::Error;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::Context as Active;
use serde_json::{Value, json};
use throughline_context::carriers::envelope;
use throughline_context::{Baggage, Context, Format, Sampling, Writer};

use crate::kinesis::Stream;

/// The function, with its connection to the stream.
pub(crate) struct Producer {
    stream: Stream,
}

impl Producer {
    /// Fails when `STREAM_NAME` is not set.
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self { stream: Stream::from_environment()? })
    }

    /// An answer for API Gateway: 200, 400 without a body, 500 when the stream did not take it.
    pub(crate) async fn handle(&self, event: Value) -> Result<Value, Error> {
        let Some(body) = event.get("body").and_then(Value::as_str).filter(|body| !body.is_empty()) else {
            return Ok(answer(400, "No body was found"));
        };
        let data = with_context(body);
        println!("Record with trace context: {}", String::from_utf8_lossy(&data));
        let stream = self.stream.name();
        match self.stream.put(data).await {
            Ok(()) => Ok(answer(200, &format!("Message placed in the Event Stream: {stream}"))),
            Err(error) => {
                eprintln!("The message was not placed in {stream}: {error}");
                Ok(answer(500, "Internal server error"))
            }
        }
    }
}

/// The envelope with the context of the span that runs now. What is no JSON cannot be in one and goes as it is.
fn with_context(body: &str) -> Vec<u8> {
    let active = Active::current();
    let span = active.span().span_context().clone();
    let sampling = if span.is_sampled() { Sampling::Accept } else { Sampling::Deny };
    let context = Context::new(span.trace_id(), span.span_id(), sampling, Format::TraceContext);
    // Both sides must speak the same format: with B3 here and W3C there, the trace breaks again.
    let writer = Writer::new(&[Format::TraceContext]);
    envelope::seal(body.as_bytes(), &writer, &context, &Baggage::default())
        .unwrap_or_else(|_| body.as_bytes().to_vec())
}

fn answer(status: u16, message: &str) -> Value {
    json!({ "statusCode": status, "body": json!({ "message": message }).to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_json_goes_as_it_is() {
        assert_eq!(with_context("plain"), b"plain");
        assert!(String::from_utf8(with_context("{\"a\":1}")).unwrap().ends_with("\"record\":{\"a\":1}}"));
    }

    #[test]
    fn an_answer_is_what_api_gateway_takes() {
        assert_eq!(answer(400, "no"), json!({ "statusCode": 400, "body": "{\"message\":\"no\"}" }));
    }
}
