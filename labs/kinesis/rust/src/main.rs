//! The Kinesis lab in Rust: the producer puts a message on the stream, the consumer takes it, and the trace context
//! travels inside the record.
//!
//! In:   `_HANDLER`, which is `producer` or `consumer`: one program is both functions.
//! Out:  answers for API Gateway; spans, sent before each answer.
//! Rule: behaves as `../manual/handler.js` does.

mod consumer;
mod kinesis;
mod producer;
mod telemetry;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use telemetry::Telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let telemetry = &Telemetry::start()?;
    match std::env::var("_HANDLER").as_deref() {
        Ok("producer") => {
            let producer = &producer::Producer::new()?;
            let handle = |event: LambdaEvent<Value>| async move {
                telemetry.traced(event, |event| producer.handle(event)).await
            };
            lambda_runtime::run(service_fn(handle)).await
        }
        Ok("consumer") => {
            let handle = |event: LambdaEvent<Value>| async move {
                telemetry.traced(event, |event| std::future::ready(consumer::handle(&event))).await
            };
            lambda_runtime::run(service_fn(handle)).await
        }
        other => Err(format!("the handler is producer or consumer, not {other:?}").into()),
    }
}
