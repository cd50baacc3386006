//! SNS to Lambda: a message becomes an event and an `Event` call.
//!
//! Rule: AWS Lambda developer guide, "Using AWS Lambda with Amazon SNS", the sample event.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::error::LambdaError;
use super::super::functions::Functions;
use super::super::receipts::{Direction, Receipt};
use super::super::types::{InvocationType, InvokeOptions};
use crate::ids;

/// A message as it was published.
#[derive(Clone, Debug, Default)]
pub struct SnsMessage {
    /// Its id, which the publisher got back.
    pub message_id: String,
    /// The topic.
    pub topic_arn: String,
    /// The subscription that it is delivered for.
    pub subscription_arn: String,
    /// Its subject, if it has one.
    pub subject: Option<String>,
    /// Its text.
    pub message: String,
    /// Name to type (`String`, `Binary`, ...) and value.
    pub attributes: BTreeMap<String, (String, String)>,
    /// When it was published, in milliseconds since the epoch.
    pub time_ms: i64,
    /// `X-Amzn-Trace-Id` of the publisher, which SNS hands on.
    pub trace_header: Option<String>,
}

impl Functions {
    /// Calls `function` with a message and leaves a receipt. Does not wait for the function.
    pub async fn deliver_sns(
        self: &Arc<Self>,
        function: &str,
        message: &SnsMessage,
    ) -> Result<(), LambdaError> {
        let options = InvokeOptions {
            kind: InvocationType::Event,
            trace_header: message.trace_header.clone(),
            ..InvokeOptions::default()
        };
        let payload = event(message).to_string().into();
        let answer = self.invoke(function, payload, options).await?;
        let topic = message.topic_arn.rsplit(':').next().unwrap_or_default();
        self.around.receipts.put(Receipt {
            trace_id: None,
            span_id: None,
            function_request_id: Some(answer.request_id),
            function_name: Some(self.place(function, None)?.name),
            direction: Direction::In,
            carrier: "sns",
            region: self.around.region.clone(),
            resource: topic.to_owned(),
            id: message.message_id.clone(),
            index: Some(0),
            batch_size: Some(1),
            time_unix_nano: message.time_ms.saturating_mul(1_000_000),
        });
        Ok(())
    }
}

fn event(message: &SnsMessage) -> Value {
    let attributes: serde_json::Map<String, Value> = message
        .attributes
        .iter()
        .map(|(name, (kind, value))| (name.clone(), json!({ "Type": kind, "Value": value })))
        .collect();
    json!({
        "Records": [{
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": message.subscription_arn,
            "Sns": {
                "Type": "Notification",
                "MessageId": message.message_id,
                "TopicArn": message.topic_arn,
                "Subject": message.subject,
                "Message": message.message,
                "Timestamp": ids::iso(message.time_ms),
                "SignatureVersion": "1",
                "Signature": "EXAMPLE",
                "SigningCertUrl": "EXAMPLE",
                "UnsubscribeUrl": "EXAMPLE",
                "MessageAttributes": attributes,
            },
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_becomes_one_record() {
        let message = SnsMessage {
            message_id: "m-1".to_owned(),
            topic_arn: "arn:aws:sns:us-east-1:000000000000:signup-topic".to_owned(),
            message: "hello".to_owned(),
            attributes: BTreeMap::from([("a".to_owned(), ("String".to_owned(), "1".to_owned()))]),
            time_ms: 1_795_248_138_701,
            ..SnsMessage::default()
        };
        let event = event(&message);
        let record = &event["Records"][0];
        assert_eq!(record["EventSource"], "aws:sns");
        assert_eq!(record["Sns"]["Timestamp"], "2026-11-21T08:02:18.701Z");
        assert_eq!(record["Sns"]["Subject"], Value::Null);
        assert_eq!(
            record["Sns"]["MessageAttributes"]["a"],
            json!({ "Type": "String", "Value": "1" })
        );
    }
}
