//! Which messages a span produced and consumed, read from what it says.
//!
//! In:   spans of any sender: OpenTelemetry in its old and new words, X-Ray, Datadog, ourselves.
//! Out:  [`Receipt`]s, and with the span's place and time [`ReceiptAt`]s.
//! Rule: OpenTelemetry semantic conventions, messaging, FaaS and AWS SDK; Datadog, span pointers;
//!       X-Ray developer guide, segment documents.

use std::sync::Arc;

use throughline_context::{Carrier, Direction, Receipt};
use throughline_model::{SpanBatch, SpanKind, SpanRef, StatusCode, xray};

use super::edge::ReceiptAt;
use super::pointers;
use super::verdicts::{self, Ruling, VERDICT_EVENT, Verdict};
use super::words::{BatchWords, Found, ITEMS_MAX, Word};

/// Receipts read of one span; more are not.
pub const RECEIPTS_PER_SPAN_MAX: usize = 1_024;

/// Reads the receipts of a batch's spans. Made once for a batch; most spans end at one test.
pub struct ReceiptReader<'a> {
    batch: &'a SpanBatch,
    words: BatchWords,
    homes: Vec<Home>,
    /// Whether any span may have verdicts.
    has_verdicts: bool,
}

/// What is said once for all spans of a resource.
struct Home {
    service: Arc<str>,
    environment: Option<Arc<str>>,
    /// Where the process runs: the region of what it consumes if it is a function.
    region: Option<String>,
    account: Option<String>,
    /// The function, as ARN or name.
    function: Option<String>,
    /// Whether the Lambda service itself speaks, not the function.
    is_service_side: bool,
}

impl<'a> ReceiptReader<'a> {
    /// A reader of one batch.
    pub fn new(batch: &'a SpanBatch) -> Self {
        let words = BatchWords::of(batch);
        let homes = (0..batch.resource_count()).map(|number| home(batch, &words, number)).collect();
        let mut texts = (0..batch.string_count() as u32).map(|number| batch.string(number));
        let has_verdicts = texts.any(|text| text == VERDICT_EVENT);
        Self { batch, words, homes, has_verdicts }
    }

    /// Whether the span of a row may have a receipt. Panics when there is no such row.
    pub fn may_have(&self, row: usize) -> bool {
        let span = self.batch.span(row);
        span.links().len() > 0
            || self.has_verdicts && span.events().any(|event| event.name() == VERDICT_EVENT)
            || self.words.has_ids
                && (self.words.has_id(self.batch, self.batch.span_attrs(row))
                    || self.events_with_ids(span).next().is_some())
    }

    /// Gives each receipt of the span of a row, at most [`RECEIPTS_PER_SPAN_MAX`], in an order
    /// that the span alone decides. Panics when there is no such row.
    ///
    /// One message may come twice, where a span says it in two ways.
    pub fn of(&self, row: usize, mut each: impl FnMut(Receipt)) {
        if !self.may_have(row) {
            return;
        }
        let mut left = RECEIPTS_PER_SPAN_MAX;
        let mut each = |receipt: Receipt| {
            if left > 0 && !receipt.id.is_empty() {
                left -= 1;
                each(receipt);
            }
        };
        let span = self.batch.span(row);
        let Some(home) = self.homes.get(span.resource().number()) else { return };
        let own = self.words.find(self.batch, &span.attributes());
        let seat = |found, index, count| Seat { span, home, found, index, count, time: None };
        if own.has_id() {
            seat(own, None, None).read(&mut each);
        }
        let beside = own.without_ids();
        let events: Vec<_> = self.events_with_ids(span).take(ITEMS_MAX).collect();
        for (index, (time, found)) in events.iter().enumerate() {
            let (index, count) = (Some(index as u32), Some(events.len() as u32));
            let seat = seat(found.over(&beside), index, count);
            Seat { time: Some(*time).filter(|time| *time > 0), ..seat }.read(&mut each);
        }
        let links: Vec<_> = span.links().take(ITEMS_MAX).collect();
        for (index, link) in links.iter().enumerate() {
            if let Some(mut receipt) = pointers::of_link(span, *link) {
                receipt.index = Some(index as u32);
                each(receipt);
            }
            let found = self.words.find(self.batch, &link.attributes());
            if found.has_id() {
                let (index, count) = (Some(index as u32), Some(links.len() as u32));
                seat(found.over(&beside), index, count).read(&mut each);
            }
        }
        if let Some(text) = own.text(Word::DatadogLinks) {
            pointers::of_datadog(text, &mut each);
        }
        for verdict in self.verdicts(row).iter().filter(|one| one.ruling == Ruling::Confirm) {
            each(pointers::link_receipt(Carrier::User, Direction::In, verdict.from));
        }
    }

    /// What people said of the messages that the span of a row consumed: the last word on each
    /// producer. Panics when there is no such row.
    pub fn verdicts(&self, row: usize) -> Vec<Verdict> {
        if self.has_verdicts { verdicts::last_of(self.batch.span(row)) } else { Vec::new() }
    }

    /// The receipts of the span of a row, each with where and when it was. A message that the
    /// span names twice stands here once. Panics when there is no such row.
    pub fn at(&self, row: usize) -> Vec<ReceiptAt> {
        let mut found: Vec<ReceiptAt> = Vec::new();
        let verdicts: Arc<[Verdict]> = self.verdicts(row).into();
        self.of(row, |receipt| {
            let receipt = self.place(row, receipt, &verdicts);
            found.push(receipt);
        });
        super::edge::unite(&mut found);
        found
    }

    /// The other end of a link to the span of a row, which knows nothing of it: `Out` where the
    /// linking span comes from this one. Panics when there is no such row.
    pub fn linked(&self, row: usize, way: Direction) -> ReceiptAt {
        self.pointed_at(row, Carrier::Link, way)
    }

    /// As [`ReceiptReader::linked`], also for what a person joined. Panics when there is no such
    /// row.
    pub(super) fn pointed_at(&self, row: usize, carrier: Carrier, way: Direction) -> ReceiptAt {
        let span = self.batch.span(row);
        let receipt = pointers::link_receipt(carrier, way, (span.trace_id(), span.span_id()));
        self.place(row, receipt, &self.verdicts(row).into())
    }

    fn place(&self, row: usize, receipt: Receipt, verdicts: &Arc<[Verdict]>) -> ReceiptAt {
        let span = self.batch.span(row);
        let home = self.homes.get(span.resource().number());
        ReceiptAt {
            key: receipt.key(),
            receipt,
            trace_id: span.trace_id(),
            span_id: span.span_id(),
            kind: span.kind(),
            start_unix_nano: span.start_unix_nano(),
            end_unix_nano: span.end_unix_nano(),
            failed: span.status() == StatusCode::Error,
            fetches: fetches(span),
            is_service_side: home.is_some_and(|home| home.is_service_side),
            service: home.map_or_else(|| Arc::from(""), |home| Arc::clone(&home.service)),
            name: Arc::from(span.name()),
            environment: home.and_then(|home| home.environment.clone()),
            tenant: None,
            verdicts: Arc::clone(verdicts),
        }
    }

    /// The events with ids, and their times.
    fn events_with_ids(&self, span: SpanRef<'a>) -> impl Iterator<Item = (i64, Found<'a>)> {
        let (batch, words) = (self.batch, &self.words);
        span.events()
            .map(|event| (event.time_unix_nano(), event.attributes()))
            .filter(move |(_, list)| words.has_id(batch, list.range()))
            .map(move |(time, list)| (time, words.find(batch, &list)))
    }
}

fn home(batch: &SpanBatch, words: &BatchWords, number: usize) -> Home {
    let resource = batch.resource(number);
    let found = words.find(batch, &resource.attributes());
    let origin = resource.attributes().value(xray::ORIGIN).and_then(|origin| origin.as_str());
    let is_function = origin.is_some_and(|o| o == xray::LAMBDA || o == xray::LAMBDA_FUNCTION);
    let name = is_function.then(|| resource.service());
    let function = found.text(Word::FunctionName).or(found.text(Word::FunctionId)).or(name);
    Home {
        service: Arc::from(resource.service()),
        environment: resource.environment().map(Arc::from),
        region: found.text(Word::CloudRegion).map(str::to_owned),
        account: found.text(Word::AccountId).map(str::to_owned),
        function: function.map(str::to_owned),
        is_service_side: origin == Some(xray::LAMBDA),
    }
}

/// Whether a span asks for messages, so that it may begin before there are any, and may be a call.
///
/// **Rule:** semantic conventions, messaging spans: `receive` is a client's span.
fn fetches(span: SpanRef<'_>) -> bool {
    let text = |key| span.attribute(key).and_then(|value| value.as_str());
    let operation = text("messaging.operation.type").or_else(|| text("messaging.operation"));
    let operation = operation.unwrap_or_default();
    let method = text("rpc.method").unwrap_or_default();
    operation.eq_ignore_ascii_case("receive")
        || span.kind() == SpanKind::Client
            && flow(span.kind(), operation, method) == Some(Direction::In)
}

/// Which way the messages of a span went, if any.
fn flow(kind: SpanKind, operation: &str, method: &str) -> Option<Direction> {
    let is = |word: &str| operation.eq_ignore_ascii_case(word);
    if ["send", "publish", "create"].into_iter().any(is) {
        return Some(Direction::Out);
    }
    if ["receive", "process", "deliver"].into_iter().any(is) {
        return Some(Direction::In);
    }
    if is("settle") || is("ack") {
        return None;
    }
    let method = method.rsplit('/').next().unwrap_or_default();
    let takes = ["Receive", "Get", "Subscribe", "Poll"].iter().any(|verb| method.starts_with(verb));
    match kind {
        SpanKind::Producer => Some(Direction::Out),
        SpanKind::Consumer | SpanKind::Server => Some(Direction::In),
        SpanKind::Client if takes => Some(Direction::In),
        SpanKind::Client => Some(Direction::Out),
        _ => None,
    }
}

/// Where ids stand: a span itself, or one of its events or links.
struct Seat<'a, 'h> {
    span: SpanRef<'a>,
    home: &'h Home,
    found: Found<'a>,
    /// Which of the events or links with ids, and of how many.
    index: Option<u32>,
    count: Option<u32>,
    /// When the carrier took the message, if it is an event of a receipt.
    time: Option<i64>,
}

impl Seat<'_, '_> {
    fn read(&self, each: &mut impl FnMut(Receipt)) {
        self.stitched(Word::StitchOut, Direction::Out, each);
        self.stitched(Word::StitchIn, Direction::In, each);
        self.messaging(each);
        self.invocation(each);
        self.call(each);
        for (word, carrier, places) in RECORD_IDS {
            self.records(*word, *carrier, places, each);
        }
    }

    fn stitched(&self, word: Word, direction: Direction, each: &mut impl FnMut(Receipt)) {
        if !self.found.has(word) {
            return;
        }
        let texts = self.found.texts(word);
        for text in &texts {
            let Ok(mut receipt) = Receipt::parse(direction, text) else { continue };
            let listed = (texts.len() > 1).then_some(texts.len() as u32);
            receipt.batch_size = self.found.number(Word::BatchCount).or(listed);
            receipt.time_unix_nano = self.time;
            each(receipt);
        }
    }

    fn flow(&self) -> Option<Direction> {
        let operation = self.found.text(Word::Operation).unwrap_or_default();
        let method = self.found.text(Word::RpcMethod).unwrap_or_default();
        // A link leads to who sent it, also from a span that is neither call nor message.
        let linked = || self.index.map(|_| Direction::In);
        flow(self.span.kind(), operation, method).or_else(linked)
    }

    fn messaging(&self, each: &mut impl FnMut(Receipt)) {
        if !self.found.has(Word::MessageId) && !self.found.has(Word::KafkaOffset) {
            return;
        }
        let (Some(direction), carrier) = (self.flow(), self.messaging_carrier()) else { return };
        let id = match carrier {
            Carrier::Kafka => self.kafka_id(),
            _ => self.found.first(Word::MessageId),
        };
        let Some(id) = id else { return };
        let mut receipt = self.receipt(direction, carrier, id);
        receipt.index = self.index;
        receipt.batch_size = self.found.number(Word::BatchCount).or(self.count);
        let resource: &[Word] = match carrier {
            // A URL without a path still says which region.
            Carrier::Sqs => &[Word::Url, Word::QueueName, Word::Destination, Word::QueueUrl],
            Carrier::Sns => &[Word::Destination, Word::Topic],
            Carrier::Kinesis => &[Word::Destination, Word::Stream],
            _ => &[Word::Destination],
        };
        each(self.with_resource(receipt, resource));
    }

    fn messaging_carrier(&self) -> Carrier {
        let system = self.found.text(Word::System);
        match system.map(|system| Carrier::from_name(system).unwrap_or(Carrier::Other)) {
            Some(carrier) => carrier,
            None if self.found.has(Word::KafkaOffset) => Carrier::Kafka,
            None => self.aws_service().unwrap_or(Carrier::Other),
        }
    }

    /// `partition:offset`. aiokafka's instrumentation writes an id `topic.partition.offset`.
    fn kafka_id(&self) -> Option<String> {
        let id = self.found.text(Word::MessageId).unwrap_or_default();
        let mut parts = id.rsplit('.');
        let (last, before) = (parts.next(), parts.next());
        let is_number = |text: &str| text.parse::<u64>().is_ok();
        let offset = self.found.first(Word::KafkaOffset).or(last.map(str::to_owned))?;
        let partition = self.found.first(Word::Partition).or(before.map(str::to_owned))?;
        // A producer that asks for no answer is told the offset -1.
        (is_number(&offset) && is_number(&partition)).then(|| format!("{partition}:{offset}"))
    }

    /// An invocation of a function, at the function.
    fn invocation(&self, each: &mut impl FnMut(Receipt)) {
        let is_entry = matches!(self.span.kind(), SpanKind::Server | SpanKind::Consumer);
        if !is_entry || self.index.is_some() {
            return;
        }
        let by_xray = self.home.function.is_some() && self.span.scope().name() == xray::SCOPE;
        let id = self.found.first(Word::InvocationId);
        let id = id.or_else(|| self.found.first(Word::RequestId).filter(|_| by_xray));
        let Some(id) = id else { return };
        let mut receipt = Receipt::new(Direction::In, Carrier::Lambda, id);
        receipt.region.clone_from(&self.home.region);
        receipt.account = self.found.text(Word::AccountId).map(str::to_owned);
        receipt.account = receipt.account.or_else(|| self.home.account.clone());
        let own = self.found.text(Word::FunctionId);
        let function = own.or(self.home.function.as_deref()).unwrap_or_default();
        each(receipt.with_resource(function));
    }

    /// A call whose request id comes along: to a function, or writing an object.
    fn call(&self, each: &mut impl FnMut(Receipt)) {
        let is_call = matches!(self.span.kind(), SpanKind::Client | SpanKind::Producer);
        if !is_call || self.index.is_some() {
            return;
        }
        let method = self.found.text(Word::RpcMethod).unwrap_or_default();
        let method = method.rsplit('/').next().unwrap_or_default();
        let is_write = ["PutObject", "CopyObject", "CompleteMultipartUpload", "PostObject"];
        let request = self.found.first(Word::RequestId);
        let (carrier, id, resource) = match self.aws_service() {
            Some(Carrier::Lambda) if method.starts_with("Invoke") => {
                let id = request.or_else(|| self.found.first(Word::InvocationId));
                (Carrier::Lambda, id, Word::InvokedName)
            }
            Some(Carrier::S3) if is_write.contains(&method) => (Carrier::S3, request, Word::Bucket),
            _ => return,
        };
        let Some(id) = id else { return };
        let mut receipt = self.receipt(Direction::Out, carrier, id);
        if let Some(region) = self.found.text(Word::InvokedRegion) {
            receipt.region = Some(region.to_owned());
        }
        each(self.with_resource(receipt, &[resource]));
    }

    /// Ids that only a layer records: one, or a list with one for each record.
    fn records(
        &self,
        word: Word,
        carrier: Carrier,
        places: &[Word],
        each: &mut impl FnMut(Receipt),
    ) {
        let (true, Some(direction)) = (self.found.has(word), self.flow()) else { return };
        let ids = self.found.texts(word);
        for (index, id) in ids.iter().enumerate() {
            let mut receipt = self.receipt(direction, carrier, id.clone());
            if carrier == Carrier::StepFunctions {
                receipt = receipt.with_resource(id);
            }
            let is_list = ids.len() > 1;
            receipt.index = if is_list { Some(index as u32) } else { self.index };
            receipt.batch_size = if is_list { Some(ids.len() as u32) } else { self.count };
            each(self.with_resource(receipt, places));
        }
    }

    /// A receipt with the region of the call, or of the function that was called with it.
    fn receipt(&self, direction: Direction, carrier: Carrier, id: String) -> Receipt {
        let mut receipt = Receipt::new(direction, carrier, id);
        let of_call = self.found.text(Word::AwsRegion).or(self.found.text(Word::CloudRegion));
        let is_function = direction == Direction::In && self.home.function.is_some();
        let of_home = self.home.region.as_deref().filter(|_| is_function && is_aws(carrier));
        receipt.region = of_call.or(of_home).map(str::to_owned);
        receipt
    }

    /// The receipt with its resource out of some words, of which the last that is there wins.
    fn with_resource(&self, receipt: Receipt, words: &[Word]) -> Receipt {
        let texts = words.iter().filter_map(|word| self.found.first(*word));
        texts.fold(receipt, |receipt, text| receipt.with_resource(&text))
    }

    /// The AWS service that is called: by OpenTelemetry's words, or by the subsegment's name.
    fn aws_service(&self) -> Option<Carrier> {
        let is_xray = self.span.scope().name() == xray::SCOPE;
        let name = self.found.text(Word::RpcService);
        let name = name.or_else(|| is_xray.then(|| self.span.name()))?.to_ascii_lowercase();
        let name = name.trim_start_matches("amazon").trim_start_matches("aws").trim();
        Carrier::from_name(name)
    }
}

fn is_aws(carrier: Carrier) -> bool {
    matches!(
        carrier,
        Carrier::Kinesis
            | Carrier::Sqs
            | Carrier::Sns
            | Carrier::EventBridge
            | Carrier::DynamoDb
            | Carrier::Firehose
            | Carrier::StepFunctions
    )
}

/// Ids that a layer records, their carriers, and what names the resource.
const RECORD_IDS: &[(Word, Carrier, &[Word])] = &[
    (Word::KinesisSequence, Carrier::Kinesis, &[Word::Stream]),
    (Word::EventBridgeId, Carrier::EventBridge, &[Word::Bus]),
    (Word::FirehoseRecordId, Carrier::Firehose, &[Word::DeliveryStream]),
    (Word::SfnExecution, Carrier::StepFunctions, &[]),
    (Word::DynamodbItemHash, Carrier::DynamoDb, &[Word::Table]),
];
