//! Receipts: which message a span produced or consumed, as its carrier names it.
//!
//! Rule: a producer and a consumer that hold receipts of equal [`MessageKey`] handled the same
//!       message, whatever headers came through.

use std::fmt;
use std::hash::Hasher as _;
use std::str::FromStr;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use crate::carrier::Carrier;

/// The attribute with the receipts of messages a span produced: an array of texts of [`Receipt`].
pub const OUT_ATTRIBUTE: &str = "stitch.out";
/// The attribute with the receipts of messages a span consumed: an array of texts of [`Receipt`].
pub const IN_ATTRIBUTE: &str = "stitch.in";
/// How many receipts one span may hold; more are not read.
pub const RECEIPTS_MAX: usize = 256;
/// The longest text of a receipt in bytes. An S3 key alone may have 1,024.
pub const RECEIPT_TEXT_MAX_BYTES: usize = 4_096;

/// Which way a message went, seen from the span that holds the receipt.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Direction {
    /// The span produced the message.
    Out,
    /// The span consumed the message.
    In,
}

/// One message that a span produced or consumed.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Receipt {
    /// Whether the span produced or consumed the message.
    pub direction: Direction,
    /// What carried it.
    pub carrier: Carrier,
    /// The account that owns the resource, twelve digits in AWS.
    pub account: Option<String>,
    /// The region of the resource, such as `eu-west-1`.
    pub region: Option<String>,
    /// The bare name of the queue, topic, stream, bucket, table or function; never an ARN or URL.
    /// See [`crate::resource::canonical`].
    pub resource: Option<String>,
    /// The id that the carrier gave the message; what it is stands at [`Carrier`].
    pub id: String,
    /// Where the message stood in its batch, from 0. Producer and consumer count apart.
    pub index: Option<u32>,
    /// How many messages the batch had.
    pub batch_size: Option<u32>,
    /// Which delivery of the message this is, from 1.
    pub attempt: Option<u32>,
    /// When the carrier took the message, by its own clock, in nanoseconds since the epoch.
    pub time_unix_nano: Option<i64>,
    /// Whether the message came again from an archive or a dead-letter queue.
    pub replay: bool,
}

/// What a message is known by, at its producer and at its consumer.
///
/// It is written to disk: how it is made from a receipt never changes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MessageKey(pub u128);

/// Why a text is no receipt.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReceiptError {
    /// More than [`RECEIPT_TEXT_MAX_BYTES`].
    #[error("the receipt is longer than {RECEIPT_TEXT_MAX_BYTES} bytes")]
    TooLong,
    /// There must be four or five parts.
    #[error("a receipt has four or five parts, kind|region|resource|id or with |index")]
    Parts,
    /// The first or the fourth part is empty.
    #[error("the kind or the id is empty")]
    Empty,
    /// The fifth part is no number of 32 bits.
    #[error("the index is no number")]
    Index,
}

impl Receipt {
    /// A receipt with a direction, a carrier and an id, and nothing else known.
    #[must_use]
    pub fn new(direction: Direction, carrier: Carrier, id: impl Into<String>) -> Self {
        Self {
            direction,
            carrier,
            account: None,
            region: None,
            resource: None,
            id: id.into(),
            index: None,
            batch_size: None,
            attempt: None,
            time_unix_nano: None,
            replay: false,
        }
    }

    /// The same receipt with account, region and name from an ARN, URL or name of its resource.
    /// What the text does not say stays as it was.
    #[must_use]
    pub fn with_resource(mut self, text: &str) -> Self {
        let resource = crate::resource::canonical(self.carrier, text);
        self.account = resource.account.or(self.account);
        self.region = resource.region.or(self.region);
        if !resource.name.is_empty() {
            self.resource = Some(resource.name);
        }
        self
    }

    /// The key that producer and consumer share: SipHash-1-3 of 128 bits, with a fixed key, of
    /// the carrier, the id and, where ids are unique only within one, the resource.
    ///
    /// Account and region are left out: one side often does not know them. They veto a join
    /// and move its confidence, but never make it.
    #[must_use]
    pub fn key(&self) -> MessageKey {
        let mut hasher = SipHasher13::new_with_keys(0x7468_726f_7567_686c, 0x696e_6520_6d73_6731);
        let resource = self.resource.as_deref().filter(|_| self.carrier.id_needs_resource());
        for part in [self.carrier.name(), resource.unwrap_or_default(), &self.id] {
            // The length first: or else ("a", "bc") and ("ab", "c") would be one message.
            hasher.write(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.write(part.as_bytes());
        }
        let hash = hasher.finish128();
        MessageKey(u128::from(hash.h1) << 64 | u128::from(hash.h2))
    }

    /// Reads `kind|region|resource|id[|index]`, a value of [`OUT_ATTRIBUTE`] or [`IN_ATTRIBUTE`].
    ///
    /// Region and resource may be empty. The resource may be an ARN or a URL and becomes a bare
    /// name; an account in it is kept. An unknown kind becomes [`Carrier::Other`].
    ///
    /// # Errors
    ///
    /// When parts lack or are too many, kind or id are empty, or the index is no number.
    pub fn parse(direction: Direction, text: &str) -> Result<Self, ReceiptError> {
        let parsed: ReceiptText = text.parse()?;
        Ok(parsed.into_receipt(direction))
    }
}

impl fmt::Display for Receipt {
    /// Writes `kind|region|resource|id[|index]`, with `%7C` for a bar and `%25` for a percent
    /// sign within a part. Other fields are not in the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |text: &str| text.replace('%', "%25").replace('|', "%7C");
        let optional = |text: &Option<String>| part(text.as_deref().unwrap_or_default());
        let (region, resource) = (optional(&self.region), optional(&self.resource));
        write!(f, "{}|{region}|{resource}|{}", self.carrier, part(&self.id))?;
        match self.index {
            Some(index) => write!(f, "|{index}"),
            None => Ok(()),
        }
    }
}

/// The text form of a receipt, which says nothing of the direction: the attribute's name does.
struct ReceiptText {
    carrier: Carrier,
    region: String,
    resource: String,
    id: String,
    index: Option<u32>,
}

impl ReceiptText {
    fn into_receipt(self, direction: Direction) -> Receipt {
        let mut receipt =
            Receipt::new(direction, self.carrier, self.id).with_resource(&self.resource);
        if !self.region.is_empty() {
            receipt.region = Some(self.region);
        }
        receipt.index = self.index;
        receipt
    }
}

impl FromStr for ReceiptText {
    type Err = ReceiptError;

    fn from_str(text: &str) -> Result<Self, ReceiptError> {
        if text.len() > RECEIPT_TEXT_MAX_BYTES {
            return Err(ReceiptError::TooLong);
        }
        let mut parts = text.split('|');
        let mut next = || parts.next().map(unescape).ok_or(ReceiptError::Parts);
        let (kind, region, resource, id) = (next()?, next()?, next()?, next()?);
        let index = match parts.next() {
            None | Some("") => None,
            Some(text) => Some(text.parse().map_err(|_| ReceiptError::Index)?),
        };
        if parts.next().is_some() {
            return Err(ReceiptError::Parts);
        }
        if kind.is_empty() || id.is_empty() {
            return Err(ReceiptError::Empty);
        }
        let carrier = Carrier::from_name(&kind).unwrap_or(Carrier::Other);
        Ok(Self { carrier, region, resource, id, index })
    }
}

/// Undoes what `Display` escapes and nothing else: a sender may not know of escapes.
fn unescape(part: &str) -> String {
    part.replace("%7C", "|").replace("%7c", "|").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(text: &str) -> Receipt {
        Receipt::parse(Direction::In, text).unwrap()
    }

    #[test]
    fn the_text_of_a_receipt_comes_back() {
        for text in [
            "kinesis|us-east-1|orders|49590338271490256608559692538361571095921575989136588898",
            "sqs|eu-west-1|jobs|059f36b4-87a3-44ab-83d2-661975830a7d|3",
            "sqs|||059f36b4-87a3-44ab-83d2-661975830a7d",
            "s3||bucket|C3D13FE58DE4C810",
            "kafka||orders|0:15",
            "other|||a%7Cb%25",
            "other|||%257C",
        ] {
            assert_eq!(receipt(text).to_string(), text);
        }
        assert_eq!(receipt("other|||%257C").id, "%7C");
    }

    #[test]
    fn what_is_no_receipt_is_refused() {
        for (text, error) in [
            ("", ReceiptError::Parts),
            ("sqs|a|b", ReceiptError::Parts),
            ("sqs|a|b|c|1|2", ReceiptError::Parts),
            ("sqs|a|b|", ReceiptError::Empty),
            ("|a|b|c", ReceiptError::Empty),
            ("sqs|a|b|c|-1", ReceiptError::Index),
            (&format!("sqs|||{}", "x".repeat(RECEIPT_TEXT_MAX_BYTES)), ReceiptError::TooLong),
        ] {
            assert_eq!(Receipt::parse(Direction::Out, text), Err(error), "{text}");
        }
    }

    #[test]
    fn keys_never_change() {
        // Blocks on disk hold these numbers: a failing line means a new format version.
        for (text, key) in [
            ("kinesis|us-east-1|orders|4959", 0x9e28_af2b_f517_6dda_ee0a_8e7b_ed2d_af20),
            (
                "sqs|us-east-1|jobs|059f36b4-87a3-44ab-83d2-661975830a7d",
                0x20bb_3626_2c17_2156_9cff_99f7_2012_c1a2,
            ),
        ] {
            assert_eq!(receipt(text).key(), MessageKey(key), "{text} {:#x}", receipt(text).key().0);
        }
    }

    #[test]
    fn region_account_index_and_way_are_not_in_the_key() {
        let (a, mut b) = (receipt("sqs|eu-west-1|jobs|m"), receipt("sqs|us-east-1|dead|m|4"));
        b.direction = Direction::Out;
        b.account = Some("1".to_owned());
        assert_eq!(a.key(), b.key());
    }

    #[test]
    fn the_resource_is_in_the_key_where_ids_need_it() {
        let key = |text| receipt(text).key();
        assert_ne!(key("kinesis||a|1"), key("kinesis||b|1"));
        assert_ne!(key("kinesis||a|1"), key("firehose||a|1"));
        assert_ne!(key("kinesis||ab|1"), key("kinesis||a|b1"));
        let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/a";
        assert_eq!(key("kinesis||a|1"), key(&format!("kinesis||{arn}|1")));
        assert_eq!(receipt(&format!("kinesis||{arn}|1")).region.as_deref(), Some("us-east-1"));
    }
}
