//! SNS: topics, subscriptions, and messages that go to functions.
//!
//! Rule: Amazon SNS API reference, 2010-03-31. Only `lambda` subscriptions are delivered to; others are refused.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::{Failure, Protocol, Request, Response};
use crate::ids;
use crate::place::Place;
use crate::query::{Form, QueryService};
use crate::seams::Kept;
use crate::sync::lock;
use crate::xml::Xml;

const SERVICE: QueryService =
    QueryService { namespace: "http://sns.amazonaws.com/doc/2010-03-31/" };
const TOPICS_MAX: usize = 1_000;
const SUBSCRIPTIONS_PER_TOPIC_MAX: usize = 1_000;
/// Publish: "Messages must be UTF-8 encoded strings and at most 256 KB in size".
const MESSAGE_BYTES_MAX: usize = 262_144;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Topic {
    attributes: BTreeMap<String, String>,
    /// By subscription ARN.
    subscriptions: BTreeMap<String, Subscription>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Subscription {
    protocol: String,
    endpoint: String,
}

/// A message on its way to one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// The function's ARN.
    pub function: String,
    /// The subscription it goes by.
    pub subscription_arn: String,
    /// The topic it came from.
    pub topic_arn: String,
    /// Both sides know it.
    pub message_id: String,
    /// The text.
    pub message: String,
    /// Its subject, if it has one.
    pub subject: Option<String>,
    /// Name to (type, value).
    pub attributes: BTreeMap<String, (String, String)>,
    /// When it was published, in milliseconds since the epoch.
    pub time_ms: i64,
}

/// A message that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    /// The topic's ARN.
    pub topic_arn: String,
    /// Its id.
    pub message_id: String,
    /// Where it goes.
    pub deliveries: Vec<Delivery>,
}

/// The account's topics.
pub(crate) struct Sns {
    place: Arc<Place>,
    topics: Mutex<BTreeMap<String, Topic>>,
    changes: AtomicU64,
}

impl Sns {
    /// No topics yet.
    pub(crate) fn new(place: Arc<Place>) -> Self {
        Self { place, topics: Mutex::default(), changes: AtomicU64::new(0) }
    }

    /// Creates a topic, or finds the one of that name, and gives its ARN.
    pub(crate) fn create_topic(
        &self,
        name: &str,
        attributes: BTreeMap<String, String>,
    ) -> Result<String, Failure> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if name.is_empty() || name.len() > 256 || !name.bytes().all(allowed) {
            return Err(Failure::new(400, "InvalidParameter", "Invalid parameter: Topic Name"));
        }
        let arn = self.place.arn("sns", name);
        let mut topics = lock(&self.topics);
        if !topics.contains_key(&arn) {
            if topics.len() >= TOPICS_MAX {
                return Err(Failure::new(403, "TopicLimitExceeded", "too many topics"));
            }
            topics.insert(arn.clone(), Topic { attributes, ..Topic::default() });
            self.changed();
        }
        Ok(arn)
    }

    /// Deletes a topic; one that is not there is no error.
    pub(crate) fn delete_topic(&self, arn: &str) {
        lock(&self.topics).remove(arn);
        self.changed();
    }

    /// Whether there is such a topic.
    pub(crate) fn has_topic(&self, arn: &str) -> bool {
        lock(&self.topics).contains_key(arn)
    }

    /// Subscribes a function and gives the subscription's ARN.
    pub(crate) fn subscribe(
        &self,
        topic_arn: &str,
        protocol: &str,
        endpoint: &str,
    ) -> Result<String, Failure> {
        if protocol != "lambda" {
            let problem = format!(
                "Invalid parameter: the local cloud delivers to the protocol lambda only, not to {protocol}"
            );
            return Err(Failure::new(400, "InvalidParameter", problem));
        }
        let mut topics = lock(&self.topics);
        let topic = topics.get_mut(topic_arn).ok_or_else(no_such_topic)?;
        let same = topic.subscriptions.iter().find(|(_, s)| s.endpoint == endpoint);
        if let Some((arn, _)) = same {
            return Ok(arn.clone());
        }
        if topic.subscriptions.len() >= SUBSCRIPTIONS_PER_TOPIC_MAX {
            return Err(Failure::new(403, "SubscriptionLimitExceeded", "too many subscriptions"));
        }
        let arn = format!("{topic_arn}:{}", ids::uuid());
        let subscription =
            Subscription { protocol: protocol.to_owned(), endpoint: endpoint.to_owned() };
        topic.subscriptions.insert(arn.clone(), subscription);
        self.changed();
        Ok(arn)
    }

    /// Ends a subscription; one that is not there is no error.
    pub(crate) fn unsubscribe(&self, subscription_arn: &str) {
        for topic in lock(&self.topics).values_mut() {
            topic.subscriptions.remove(subscription_arn);
        }
        self.changed();
    }

    fn publish(&self, form: &Form) -> Result<Published, Failure> {
        let topic_arn = form.get("TopicArn").or_else(|| form.get("TargetArn"));
        let topic_arn = topic_arn.ok_or_else(|| {
            Failure::new(
                400,
                "InvalidParameter",
                "Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter",
            )
        })?;
        let message = form.get("Message").ok_or_else(|| {
            Failure::new(400, "InvalidParameter", "Invalid parameter: Empty message")
        })?;
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(Failure::new(
                400,
                "InvalidParameter",
                "Invalid parameter: Message too long",
            ));
        }
        let topics = lock(&self.topics);
        let topic = topics.get(topic_arn).ok_or_else(no_such_topic)?;
        let message_id = ids::uuid();
        let attributes: BTreeMap<String, (String, String)> = form
            .structures("MessageAttributes")
            .into_iter()
            .filter_map(|mut fields| {
                let value = fields
                    .remove("Value.StringValue")
                    .or_else(|| fields.remove("Value.BinaryValue"));
                Some((fields.remove("Name")?, (fields.remove("Value.DataType")?, value?)))
            })
            .collect();
        let deliveries = topic.subscriptions.iter().map(|(arn, subscription)| Delivery {
            function: subscription.endpoint.clone(),
            subscription_arn: arn.clone(),
            topic_arn: topic_arn.to_owned(),
            message_id: message_id.clone(),
            message: message.to_owned(),
            subject: form.get("Subject").map(str::to_owned),
            attributes: attributes.clone(),
            time_ms: ids::now_ms(),
        });
        let deliveries = deliveries.collect();
        Ok(Published { topic_arn: topic_arn.to_owned(), message_id, deliveries })
    }

    /// Answers a call, and says what was published.
    pub(crate) fn answer(&self, request: &Request) -> (Response, Option<Published>) {
        let form = match Form::of(request) {
            Ok(form) => form,
            Err(failure) => {
                let protocol = Protocol::Query(SERVICE.namespace);
                return (protocol.failure(&failure, &request.request_id), None);
            }
        };
        let action = form.get("Action").unwrap_or("");
        if action == "Publish" {
            return match self.publish(&form) {
                Ok(published) => {
                    let xml = Xml::new().text("MessageId", &published.message_id);
                    (SERVICE.answer(action, Ok(Some(xml)), &request.request_id), Some(published))
                }
                Err(failure) => (SERVICE.answer(action, Err(failure), &request.request_id), None),
            };
        }
        (SERVICE.answer(action, self.call(action, &form), &request.request_id), None)
    }

    fn call(&self, action: &str, form: &Form) -> Result<Option<Xml>, Failure> {
        match action {
            "CreateTopic" => {
                let attributes = form.structures("Attributes").into_iter();
                let attributes = attributes
                    .filter_map(|mut entry| Some((entry.remove("key")?, entry.remove("value")?)))
                    .collect();
                let arn = self.create_topic(form.get("Name").unwrap_or(""), attributes)?;
                Ok(Some(Xml::new().text("TopicArn", arn)))
            }
            "DeleteTopic" => {
                self.delete_topic(form.need("TopicArn")?);
                Ok(None)
            }
            "ListTopics" => {
                let topics = lock(&self.topics);
                let topics = topics.keys().map(|arn| Xml::new().text("TopicArn", arn));
                Ok(Some(Xml::new().members("Topics", topics)))
            }
            "GetTopicAttributes" => self.attributes(form.need("TopicArn")?).map(Some),
            "SetTopicAttributes" => {
                let mut topics = lock(&self.topics);
                let topic = topics.get_mut(form.need("TopicArn")?).ok_or_else(no_such_topic)?;
                let value = form.get("AttributeValue").unwrap_or("").to_owned();
                topic.attributes.insert(form.need("AttributeName")?.to_owned(), value);
                self.changed();
                Ok(None)
            }
            "Subscribe" => {
                let endpoint = form.get("Endpoint").unwrap_or("");
                let arn =
                    self.subscribe(form.need("TopicArn")?, form.need("Protocol")?, endpoint)?;
                Ok(Some(Xml::new().text("SubscriptionArn", arn)))
            }
            "Unsubscribe" => {
                self.unsubscribe(form.need("SubscriptionArn")?);
                Ok(None)
            }
            "ListSubscriptions" => Ok(Some(self.subscriptions(None))),
            "ListSubscriptionsByTopic" => {
                let topic = form.need("TopicArn")?;
                if !self.has_topic(topic) {
                    return Err(no_such_topic());
                }
                Ok(Some(self.subscriptions(Some(topic))))
            }
            _ => Err(Failure::unknown_operation("sns", action)),
        }
    }

    fn attributes(&self, arn: &str) -> Result<Xml, Failure> {
        let topics = lock(&self.topics);
        let topic = topics.get(arn).ok_or_else(no_such_topic)?;
        let mut attributes = topic.attributes.clone();
        attributes.insert("TopicArn".to_owned(), arn.to_owned());
        attributes.insert("Owner".to_owned(), self.place.account.clone());
        let confirmed = topic.subscriptions.len().to_string();
        attributes.insert("SubscriptionsConfirmed".to_owned(), confirmed);
        attributes.insert("SubscriptionsPending".to_owned(), "0".to_owned());
        let entries = attributes.iter().fold(Xml::new(), |list, (key, value)| {
            list.element("entry", Xml::new().text("key", key).text("value", value))
        });
        Ok(Xml::new().element("Attributes", entries))
    }

    fn subscriptions(&self, of: Option<&str>) -> Xml {
        let topics = lock(&self.topics);
        let topics = topics.iter().filter(|(arn, _)| of.is_none_or(|of| of == *arn));
        let items = topics.flat_map(|(topic_arn, topic)| {
            topic.subscriptions.iter().map(move |(arn, subscription)| {
                Xml::new()
                    .text("SubscriptionArn", arn)
                    .text("Owner", &self.place.account)
                    .text("Protocol", &subscription.protocol)
                    .text("Endpoint", &subscription.endpoint)
                    .text("TopicArn", topic_arn)
            })
        });
        Xml::new().members("Subscriptions", items)
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }
}

fn no_such_topic() -> Failure {
    Failure::new(404, "NotFound", "Topic does not exist")
}

impl Kept for Sns {
    fn name(&self) -> &'static str {
        "sns"
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    fn save(&self) -> Value {
        serde_json::to_value(&*lock(&self.topics)).unwrap_or_default()
    }

    fn load(&self, saved: Value) -> Result<(), String> {
        *lock(&self.topics) = serde_json::from_value(saved).map_err(|err| err.to_string())?;
        Ok(())
    }
}
