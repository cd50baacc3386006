//! OpenTelemetry for a function: a span for each call, sent before the call is answered, for Lambda freezes the
//! process after that.
//!
//! In:   `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_EXPORTER_OTLP_ENDPOINT` (http://localhost:4318 by
//!       default, where a collector's layer listens).

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

use lambda_runtime::{Error, LambdaEvent};
use opentelemetry::trace::{FutureExt as _, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::Value;

/// Sends the spans of this process.
pub(crate) struct Telemetry {
    provider: SdkTracerProvider,
    is_cold: AtomicBool,
}

impl Telemetry {
    /// Fails when the endpoint is no address.
    pub(crate) fn start() -> Result<Self, Error> {
        let exporter = SpanExporter::builder().with_http().with_protocol(opentelemetry_otlp::Protocol::HttpBinary).build()?;
        let resource = Resource::builder().with_attributes(of_function()).build();
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        global::set_tracer_provider(provider.clone());
        let service = std::env::var("OTEL_SERVICE_NAME").unwrap_or_default();
        println!("OpenTelemetry is loaded: opentelemetry for Rust, service {service}");
        Ok(Self { provider, is_cold: AtomicBool::new(true) })
    }

    /// Runs a call of the function in a span of its own, and sends all spans before the call is over.
    pub(crate) async fn traced<F>(
        &self,
        event: LambdaEvent<Value>,
        handle: impl FnOnce(Value) -> F,
    ) -> Result<Value, Error>
    where
        F: Future<Output = Result<Value, Error>>,
    {
        let call = &event.context;
        let tracer = global::tracer("throughline-labs-kinesis");
        let span = tracer
            .span_builder(call.env_config.function_name.clone())
            .with_kind(SpanKind::Server)
            .with_attributes([
                KeyValue::new("faas.invocation_id", call.request_id.clone()),
                KeyValue::new("faas.execution", call.request_id.clone()),
                KeyValue::new("cloud.resource_id", call.invoked_function_arn.clone()),
                KeyValue::new("faas.coldstart", self.is_cold.swap(false, Ordering::Relaxed)),
            ])
            .start(&tracer);
        let context = Context::new().with_span(span);
        let result = handle(event.payload).with_context(context.clone()).await;
        if let Err(error) = &result {
            context.span().set_status(Status::error(error.to_string()));
        }
        context.span().end();
        if let Err(error) = self.provider.force_flush() {
            eprintln!("The spans were not sent: {error}");
        }
        result
    }
}

/// What Lambda tells a function of itself, in OpenTelemetry's words.
fn of_function() -> Vec<KeyValue> {
    const NAMES: [(&str, &str); 4] = [
        ("cloud.region", "AWS_REGION"),
        ("faas.name", "AWS_LAMBDA_FUNCTION_NAME"),
        ("faas.version", "AWS_LAMBDA_FUNCTION_VERSION"),
        ("faas.instance", "AWS_LAMBDA_LOG_STREAM_NAME"),
    ];
    let told = NAMES.iter().filter_map(|(key, name)| Some(KeyValue::new(*key, std::env::var(name).ok()?)));
    [KeyValue::new("cloud.provider", "aws"), KeyValue::new("cloud.platform", "aws_lambda")].into_iter().chain(told).collect()
}
