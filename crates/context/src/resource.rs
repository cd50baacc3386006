//! The bare name of a queue, topic, stream, bucket, table or function.
//!
//! In:   an ARN, a URL or a name, as tracers record it.
//! Out:  [`Resource`]: account and region where the text has them, and always a name.
//! Rule: AWS General Reference, "Amazon Resource Names"; S3 User Guide, "Virtual hosting".

use crate::carrier::Carrier;

/// Where messages go, in parts that can be compared.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Resource {
    /// The owner's account, twelve digits.
    pub account: Option<String>,
    /// The region, such as `us-gov-west-1`.
    pub region: Option<String>,
    /// The bare name; empty when the text has none.
    pub name: String,
}

/// Reads an ARN, a URL or a name of a resource of this carrier.
///
/// A Lambda alias or version is stripped, so is a Kinesis consumer, a DynamoDB stream's date, a
/// subscription and a Step Functions execution: they name a use of the resource, not another one.
/// A text of no known form is its own name.
#[must_use]
pub fn canonical(carrier: Carrier, text: &str) -> Resource {
    let text = text.trim();
    if carrier == Carrier::Http || carrier == Carrier::Pointer {
        return named(text);
    }
    if let Some(arn) = Arn::parse(text) {
        return arn.into_resource(carrier);
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        return if scheme.eq_ignore_ascii_case("s3") || scheme.eq_ignore_ascii_case("s3a") {
            named(rest.split('/').next().unwrap_or_default())
        } else {
            of_url(carrier, rest)
        };
    }
    match carrier {
        Carrier::Lambda => of_function(text),
        // Tracers record queue URLs without their scheme too.
        Carrier::Sqs if text.contains('/') => of_url(carrier, text),
        _ => named(text),
    }
}

fn named(name: &str) -> Resource {
    Resource { account: None, region: None, name: name.to_owned() }
}

/// `arn:partition:service:region:account:rest`.
struct Arn<'a> {
    service: &'a str,
    region: &'a str,
    account: &'a str,
    rest: &'a str,
}

impl<'a> Arn<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("arn:")?.splitn(5, ':');
        let _partition = parts.next()?;
        let (service, region) = (parts.next()?, parts.next()?);
        Some(Arn { service, region, account: parts.next()?, rest: parts.next()? })
    }

    fn into_resource(self, carrier: Carrier) -> Resource {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let after = |prefix: &str, until: &[char]| {
            let rest = self.rest.strip_prefix(prefix).unwrap_or(self.rest);
            rest.split(until).next().unwrap_or_default()
        };
        let name = match self.service {
            "kinesis" => after("stream/", &['/']),
            "dynamodb" => after("table/", &['/']),
            "firehose" => after("deliverystream/", &['/']),
            "lambda" => after("function:", &[':']),
            "sns" => after("", &[':']),
            "s3" => after("", &['/']),
            "logs" => after("log-group:", &[':']),
            "mq" => after("broker:", &[':']),
            "events" => of_events(self.rest),
            "states" => of_states(self.rest),
            // A Kafka topic's ARN ends in its name; a cluster's does not name a topic.
            "kafka" => match self.rest.strip_prefix("topic/") {
                Some(topic) => topic.rsplit('/').next().unwrap_or_default(),
                None => after("cluster/", &['/']),
            },
            "execute-api" => after("", &['/']),
            "apigateway" => after("/restapis/", &['/']),
            _ if carrier == Carrier::Lambda => after("function:", &[':']),
            _ => self.rest,
        };
        Resource { account: some(self.account), region: some(self.region), name: name.to_owned() }
    }
}

/// `event-bus/NAME`, `rule/NAME`, `rule/BUS/NAME`: the bus, or the rule where no bus is named.
fn of_events(rest: &str) -> &str {
    match rest.split_once('/') {
        Some(("rule", rule)) => rule.split('/').next().unwrap_or_default(),
        Some((_, name)) => name.split('/').next().unwrap_or_default(),
        None => rest,
    }
}

/// `stateMachine:NAME[:alias]`, `execution:NAME:ID`, `express:NAME:ID:ID`: the state machine.
fn of_states(rest: &str) -> &str {
    rest.split(':').nth(1).unwrap_or(rest)
}

/// `NAME`, `NAME:alias`, `account:function:NAME[:alias]`.
fn of_function(text: &str) -> Resource {
    if let Some((account, rest)) = text.split_once(":function:") {
        let mut resource = named(rest.split(':').next().unwrap_or_default());
        resource.account = is_account(account).then(|| account.to_owned());
        return resource;
    }
    named(text.split(':').next().unwrap_or_default())
}

/// `host[:port]/path[?query]`, the part of a URL behind its scheme.
fn of_url(carrier: Carrier, rest: &str) -> Resource {
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let host = authority.split(':').next().unwrap_or_default();
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let region = host.split('.').find(|label| is_region(label)).map(str::to_owned);
    match carrier {
        Carrier::Sqs => of_queue_url(region, segments.collect()),
        Carrier::S3 => {
            // A bucket may itself be named like a region or hold dots: only what stands before
            // `.s3.` or `.s3-` is the bucket.
            let bucket = [".s3.", ".s3-"]
                .iter()
                .find_map(|mark| host.find(mark))
                .and_then(|at| host.get(..at))
                .or_else(|| segments.next());
            let region = host.split('.').rev().find_map(s3_region);
            Resource { account: None, region, name: bucket.unwrap_or(host).to_owned() }
        }
        Carrier::ApiGateway | Carrier::Lambda => {
            let name = host.split('.').next().unwrap_or_default().to_owned();
            Resource { account: None, region, name }
        }
        _ => {
            let name = segments.next_back().unwrap_or(host).to_owned();
            Resource { account: None, region, name }
        }
    }
}

/// `/account/name` on any host, or `/queue/region/account/name` as emulators write it.
fn of_queue_url(region: Option<String>, segments: Vec<&str>) -> Resource {
    let mut back = segments.into_iter().rev();
    let name = back.next().unwrap_or_default().to_owned();
    let account = back.next().filter(|text| is_account(text)).map(str::to_owned);
    let in_path = back.next().filter(|text| is_region(text)).map(str::to_owned);
    Resource { account, region: region.or(in_path), name }
}

/// The region in a label of an S3 host: `eu-west-1`, or `s3-eu-west-1` as it once was.
fn s3_region(label: &str) -> Option<String> {
    let label = label.strip_prefix("s3-").unwrap_or(label);
    is_region(label).then(|| label.to_owned())
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `us-east-1`, `us-gov-west-1`, `eusc-de-east-1`: words and, last, a number.
fn is_region(text: &str) -> bool {
    let lower = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let mut words = text.rsplit('-');
    let number = words.next().unwrap_or_default();
    let digits = !number.is_empty() && number.len() <= 2;
    let count = words.clone().count();
    digits
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && (2..=4).contains(&count)
        && words.clone().all(lower)
        && words.next_back().is_some_and(|first| (2..=4).contains(&first.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(carrier: Carrier, text: &str, account: &str, region: &str, name: &str) {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let expected =
            Resource { account: some(account), region: some(region), name: name.to_owned() };
        assert_eq!(canonical(carrier, text), expected, "{text}");
    }

    #[test]
    fn an_arn_names_its_resource() {
        let account = "123456789012";
        for (carrier, text, name) in [
            (Carrier::Kinesis, "arn:aws:kinesis:eu-west-1:123456789012:stream/orders", "orders"),
            (
                Carrier::Kinesis,
                "arn:aws:kinesis:eu-west-1:123456789012:stream/orders/consumer/app:1525898737",
                "orders",
            ),
            (Carrier::Sqs, "arn:aws:sqs:eu-west-1:123456789012:jobs.fifo", "jobs.fifo"),
            (Carrier::Sns, "arn:aws:sns:eu-west-1:123456789012:news", "news"),
            (Carrier::Sns, "arn:aws:sns:eu-west-1:123456789012:news:2bcfbf39-05c3", "news"),
            (Carrier::Lambda, "arn:aws:lambda:eu-west-1:123456789012:function:f", "f"),
            (Carrier::Lambda, "arn:aws:lambda:eu-west-1:123456789012:function:f:live", "f"),
            (
                Carrier::DynamoDb,
                "arn:aws:dynamodb:eu-west-1:123456789012:table/users/stream/2015-06-27T00:48:05.899",
                "users",
            ),
            (
                Carrier::StepFunctions,
                "arn:aws:states:eu-west-1:123456789012:stateMachine:pay:live",
                "pay",
            ),
            (
                Carrier::StepFunctions,
                "arn:aws:states:eu-west-1:123456789012:execution:pay:8f2c",
                "pay",
            ),
            (Carrier::Firehose, "arn:aws:firehose:eu-west-1:123456789012:deliverystream/d", "d"),
            (Carrier::EventBridge, "arn:aws:events:eu-west-1:123456789012:event-bus/b", "b"),
            (Carrier::EventBridge, "arn:aws:events:eu-west-1:123456789012:rule/b/r", "b"),
            (Carrier::Kafka, "arn:aws:kafka:eu-west-1:123456789012:topic/c/6cc0/orders", "orders"),
            (Carrier::ActiveMq, "arn:aws:mq:eu-west-1:123456789012:broker:mb:b-9b", "mb"),
        ] {
            check(carrier, text, account, "eu-west-1", name);
            check(carrier, name, "", "", name);
        }
        check(Carrier::S3, "arn:aws:s3:::photos/2026/a.png", "", "", "photos");
    }

    #[test]
    fn a_queue_url_of_any_host_names_its_queue() {
        let (sqs, zeros) = (Carrier::Sqs, "000000000000");
        check(
            sqs,
            "https://sqs.us-east-2.amazonaws.com/123456789012/q",
            "123456789012",
            "us-east-2",
            "q",
        );
        check(
            sqs,
            "https://us-west-2.queue.amazonaws.com/123456789012/q",
            "123456789012",
            "us-west-2",
            "q",
        );
        check(sqs, "http://localhost:4566/000000000000/q", zeros, "", "q");
        check(sqs, "http://localhost:4566/queue/us-east-1/000000000000/q", zeros, "us-east-1", "q");
        check(
            sqs,
            "http://sqs.us-east-1.localhost.localstack.cloud:4566/000000000000/q",
            zeros,
            "us-east-1",
            "q",
        );
        check(
            sqs,
            "sqs.us-gov-west-1.amazonaws.com/123456789012/q",
            "123456789012",
            "us-gov-west-1",
            "q",
        );
        check(sqs, "q", "", "", "q");
    }

    #[test]
    fn a_bucket_is_found_in_both_styles() {
        check(
            Carrier::S3,
            "https://photos.s3.eu-west-1.amazonaws.com/a/b",
            "",
            "eu-west-1",
            "photos",
        );
        check(Carrier::S3, "https://my.photos.s3.amazonaws.com/a", "", "", "my.photos");
        check(
            Carrier::S3,
            "https://s3.eu-west-1.amazonaws.com/photos/a",
            "",
            "eu-west-1",
            "photos",
        );
        check(
            Carrier::S3,
            "https://s3-us-west-2.amazonaws.com/photos/a",
            "",
            "us-west-2",
            "photos",
        );
        check(Carrier::S3, "http://127.0.0.1:9000/photos/a", "", "", "photos");
        check(Carrier::S3, "s3://photos/a", "", "", "photos");
        check(Carrier::S3, "photos", "", "", "photos");
    }

    #[test]
    fn a_function_loses_its_alias() {
        check(Carrier::Lambda, "f", "", "", "f");
        check(Carrier::Lambda, "f:$LATEST", "", "", "f");
        check(Carrier::Lambda, "123456789012:function:f:7", "123456789012", "", "f");
    }

    #[test]
    fn a_text_of_no_form_is_its_own_name() {
        for carrier in [Carrier::Kafka, Carrier::Other, Carrier::Pointer] {
            check(carrier, "arn:", "", "", "arn:");
            check(carrier, "", "", "", "");
            check(carrier, "orders", "", "", "orders");
        }
        check(
            Carrier::Http,
            "api.example.com/x-request-id",
            "",
            "",
            "api.example.com/x-request-id",
        );
    }
}
