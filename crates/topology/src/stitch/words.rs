//! The attributes that say which messages a span produced or consumed, under all their names.

use std::sync::LazyLock;

use ahash::AHashMap;
use throughline_model::{AttrValue, Attributes, SpanBatch, nested_to_json};

/// Items read of one list.
pub(super) const ITEMS_MAX: usize = 256;

macro_rules! words {
    (ids { $($id:ident = [$($id_text:literal),+],)* } beside { $($word:ident = [$($text:literal),+],)* }) => {
        /// What an attribute says. One word may be written in several ways; the first that a span
        /// has counts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Word { $($id,)* $($word,)* }

        const NAMES: &[(Word, &[&str])] =
            &[$((Word::$id, &[$($id_text),+]),)* $((Word::$word, &[$($text),+]),)*];
        const IDS: usize = [$(Word::$id),*].len();
    };
}

// Rule: OpenTelemetry semantic conventions 1.37, the names before them that senders still use, what
// the X-Ray SDKs record, and our own `stitch.*`. Newer names first.
words! {
    ids {
        StitchOut = ["stitch.out"],
        StitchIn = ["stitch.in"],
        MessageId = ["messaging.message.id", "messaging.message_id", "aws.message_id"],
        KafkaOffset = ["messaging.kafka.offset", "messaging.kafka.message.offset"],
        RequestId = ["aws.request_id", "aws.request.id"],
        InvocationId = ["faas.invocation_id", "faas.execution"],
        KinesisSequence = ["aws.kinesis.sequence_number"],
        EventBridgeId = ["aws.eventbridge.event_id"],
        FirehoseRecordId = ["aws.firehose.record_id"],
        SfnExecution = ["aws.step_functions.execution.arn"],
        DynamodbItemHash = ["aws.dynamodb.item_hash"],
        DatadogLinks = ["_dd.span_links"],
    }
    beside {
        RpcService = ["rpc.service"],
        RpcMethod = ["rpc.method"],
        InvokedName = ["faas.invoked_name", "aws.function_name"],
        InvokedRegion = ["faas.invoked_region"],
        AwsRegion = ["aws.region"],
        CloudRegion = ["cloud.region"],
        FunctionId = ["cloud.resource_id", "faas.id"],
        FunctionName = ["faas.name"],
        AccountId = ["cloud.account.id"],
        System = ["messaging.system"],
        Operation = ["messaging.operation.type", "messaging.operation"],
        BatchCount = ["messaging.batch.message_count"],
        Destination = ["messaging.destination.name", "messaging.destination"],
        QueueUrl = ["aws.sqs.queue.url", "aws.sqs.queue_url", "aws.queue_url", "aws.queue.url",
            "messaging.url"],
        QueueName = ["aws.queue_name"],
        Url = ["url.full", "http.url"],
        Topic = ["aws.sns.topic.arn", "aws.sns.topic_arn", "aws.topic_arn"],
        Bucket = ["aws.s3.bucket", "aws.bucket.name", "aws.bucket_name"],
        Stream = ["aws.kinesis.stream_name", "aws.kinesis.stream.name", "aws.stream_name"],
        DeliveryStream = ["aws.firehose.stream_name", "aws.delivery_stream_name"],
        Bus = ["aws.eventbridge.event_bus.name"],
        Table = ["aws.dynamodb.table_names", "aws.table_name", "aws.table_names"],
        Partition = ["messaging.destination.partition.id", "messaging.kafka.partition",
            "messaging.kafka.destination.partition"],
    }
}

const COUNT: usize = NAMES.len();

// One bit each says which of them a span has.
const _: () = assert!(COUNT <= 64);

/// The attributes that name a message, on a span, an event or a link, under all their names.
pub fn message_attributes() -> impl Iterator<Item = &'static str> {
    NAMES.iter().take(IDS).flat_map(|(_, names)| names.iter().copied())
}

/// Marks a word that is an id, so that a receipt may begin there.
const IS_ID: u8 = 0x80;

/// Word number plus one with its mark, and the place of the name among the word's own.
static NUMBERS: LazyLock<AHashMap<&str, (u8, u8)>> = LazyLock::new(|| {
    let mut numbers = AHashMap::new();
    for (word, names) in NAMES {
        let mark = if (*word as usize) < IDS { IS_ID } else { 0 };
        for (rank, name) in names.iter().enumerate() {
            numbers.insert(*name, ((*word as u8 + 1) | mark, rank as u8));
        }
    }
    numbers
});

/// Which strings of a batch are words.
pub(super) struct BatchWords {
    /// By string number: zero, or as in [`NUMBERS`].
    numbers: Vec<u8>,
    ranks: Vec<u8>,
    /// Whether any is an id.
    pub(super) has_ids: bool,
}

impl BatchWords {
    pub(super) fn of(batch: &SpanBatch) -> Self {
        let (numbers, ranks): (Vec<u8>, Vec<u8>) = (0..batch.string_count() as u32)
            .map(|number| NUMBERS.get(batch.string(number)).copied().unwrap_or_default())
            .unzip();
        let has_ids = numbers.iter().any(|number| number & IS_ID != 0);
        Self { numbers, ranks, has_ids }
    }

    fn number(&self, key: u32) -> u8 {
        self.numbers.get(key as usize).copied().unwrap_or(0)
    }

    /// Whether a range of the attribute table has an id: the test that most spans end at.
    pub(super) fn has_id(&self, batch: &SpanBatch, range: std::ops::Range<u32>) -> bool {
        range.fold(0, |all, index| all | self.number(batch.attr_key(index))) & IS_ID != 0
    }

    /// The words of some attributes. The first of a key sent twice counts.
    pub(super) fn find<'a>(&self, batch: &'a SpanBatch, list: &Attributes<'a>) -> Found<'a> {
        let mut found = Found { batch, present: 0, places: [(0, 0); COUNT] };
        for index in list.range() {
            let key = batch.attr_key(index);
            let Some(at) = (self.number(key) & !IS_ID).checked_sub(1) else { continue };
            let rank = self.ranks.get(key as usize).copied().unwrap_or(0);
            let Some(place) = found.places.get_mut(usize::from(at)) else { continue };
            if found.present >> at & 1 == 0 || rank < place.1 {
                found.present |= 1 << at;
                *place = (index, rank);
            }
        }
        found
    }
}

/// The words that one span, link, event or resource has.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    batch: &'a SpanBatch,
    present: u64,
    /// Where the value is, and which of the word's names it has.
    places: [(u32, u8); COUNT],
}

impl<'a> Found<'a> {
    pub(super) fn has(&self, word: Word) -> bool {
        self.present >> word as u8 & 1 == 1
    }

    /// Whether any is an id.
    pub(super) fn has_id(&self) -> bool {
        self.present & ((1 << IDS) - 1) != 0
    }

    pub(super) fn value(&self, word: Word) -> Option<AttrValue<'a>> {
        let (index, _) = self.places.get(word as usize)?;
        self.has(word).then(|| self.batch.attr_value(*index))
    }

    /// A text that is not blank.
    pub(super) fn text(&self, word: Word) -> Option<&'a str> {
        self.value(word)?.as_str().map(str::trim).filter(|text| !text.is_empty())
    }

    /// A text, a number as text, or each of a list of them; at most [`ITEMS_MAX`], blanks kept so
    /// that places stay.
    pub(super) fn texts(&self, word: Word) -> Vec<String> {
        match self.value(word) {
            Some(AttrValue::Str(text)) => vec![text.trim().to_owned()],
            Some(AttrValue::Int(number)) => vec![number.to_string()],
            Some(list @ AttrValue::Array(_)) => {
                let list = nested_to_json(list).unwrap_or_default();
                let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
                let text = |item: &serde_json::Value| match item {
                    serde_json::Value::String(text) => text.trim().to_owned(),
                    serde_json::Value::Number(number) => number.to_string(),
                    _ => String::new(),
                };
                items.iter().take(ITEMS_MAX).map(text).collect()
            }
            _ => Vec::new(),
        }
    }

    /// A text, a number as text, or the first of a list.
    pub(super) fn first(&self, word: Word) -> Option<String> {
        self.texts(word).into_iter().next().filter(|text| !text.is_empty())
    }

    /// A whole number, also when sent as text.
    pub(super) fn number(&self, word: Word) -> Option<u32> {
        self.first(word)?.parse().ok()
    }

    /// The words beside the ids.
    pub(super) fn without_ids(mut self) -> Self {
        self.present &= !((1 << IDS) - 1);
        self
    }

    /// These words, and of `base` those that are missing here.
    pub(super) fn over(mut self, base: &Self) -> Self {
        for (at, (place, below)) in self.places.iter_mut().zip(&base.places).enumerate() {
            if self.present >> at & 1 == 0 {
                *place = *below;
            }
        }
        self.present |= base.present;
        self
    }
}
