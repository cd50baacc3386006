//! The stream, by AWS's SDK, each call a span.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{Config, Credentials, Region};
use aws_sdk_kinesis::error::DisplayErrorContext;
use aws_sdk_kinesis::primitives::Blob;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use lambda_runtime::Error;
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer as _};
use opentelemetry::{KeyValue, global};

/// A stream and the client that writes to it.
pub(crate) struct Stream {
    client: Client,
    name: String,
}

impl Stream {
    /// Lambda tells a function its region and gives it credentials of its role; here they are the local cloud's.
    pub(crate) fn from_environment() -> Result<Self, Error> {
        let variable = |name: &str| std::env::var(name).map_err(|_| Error::from(format!("{name} is not set")));
        let credentials = Credentials::new(
            variable("AWS_ACCESS_KEY_ID")?,
            variable("AWS_SECRET_ACCESS_KEY")?,
            std::env::var("AWS_SESSION_TOKEN").ok(),
            None,
            "environment",
        );
        let http = aws_smithy_http_client::Builder::new();
        let mut config = Config::builder()
            .region(Region::new(variable("AWS_REGION")?))
            .credentials_provider(credentials)
            .http_client(http.tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https());
        if let Ok(endpoint) = std::env::var("AWS_ENDPOINT_URL") {
            config = config.endpoint_url(endpoint);
        }
        Ok(Self { client: Client::from_conf(config.build()), name: variable("STREAM_NAME")? })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Puts one record. The error is the SDK's, with its causes.
    pub(crate) async fn put(&self, data: Vec<u8>) -> Result<(), String> {
        let mut span = global::tracer("producer")
            .span_builder("Kinesis.PutRecord")
            .with_kind(SpanKind::Client)
            .with_attributes([
                KeyValue::new("rpc.system", "aws-api"),
                KeyValue::new("rpc.service", "Kinesis"),
                KeyValue::new("rpc.method", "PutRecord"),
                KeyValue::new("aws.kinesis.stream.name", self.name.clone()),
            ])
            .start(&global::tracer("producer"));
        // A stream has many shards when it is large: the key spreads records over them.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let put = self.client.put_record().stream_name(&self.name);
        let put = put.partition_key(since.as_nanos().to_string()).data(Blob::new(data)).send().await;
        let result = match put {
            Ok(put) => {
                span.set_attribute(KeyValue::new("aws.kinesis.sequence_number", put.sequence_number));
                Ok(())
            }
            Err(error) => {
                let told = DisplayErrorContext(error).to_string();
                span.set_status(Status::error(told.clone()));
                Err(told)
            }
        };
        span.end();
        result
    }
}
