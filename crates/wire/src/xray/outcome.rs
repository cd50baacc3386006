//! What decoding one document came to.

/// Of how many rejections, and of how many doubts, of one document the details are kept.
pub const DETAILS_MAX: usize = 100;

/// How a document is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Reject the whole document for anything that AWS would, instead of keeping what can be read.
    pub strict: bool,
}

/// Why X-Ray refuses a document, in its own words.
///
/// **Source:** the codes are those seen in answers of `PutTraceSegments`; there is no list.
/// `InvalidId` is ours, after their pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// There is no id.
    MissingId,
    /// The trace id is missing or cannot be read.
    InvalidTraceId,
    /// The id cannot be read.
    InvalidId,
    /// The name is missing, too long, or has a character that X-Ray does not allow.
    InvalidName,
    /// There is neither an end nor `in_progress`.
    MissingEndTime,
    /// Anything else: not JSON, no start, no parent.
    InvalidSegment,
}

impl Code {
    /// All codes.
    pub const ALL: [Self; 6] = [
        Self::MissingId,
        Self::InvalidTraceId,
        Self::InvalidId,
        Self::InvalidName,
        Self::MissingEndTime,
        Self::InvalidSegment,
    ];

    /// `ErrorCode` of an unprocessed segment.
    pub fn word(self) -> &'static str {
        match self {
            Self::MissingId => "MissingId",
            Self::InvalidTraceId => "InvalidTraceId",
            Self::InvalidId => "InvalidId",
            Self::InvalidName => "InvalidName",
            Self::MissingEndTime => "MissingEndTime",
            Self::InvalidSegment => "InvalidSegment",
        }
    }

    /// `Message` of an unprocessed segment.
    ///
    /// **Rule:** X-Ray developer guide, "Sending trace data to X-Ray", the answer of
    /// `put-trace-segments`.
    pub fn message(self) -> String {
        format!("Invalid segment. ErrorCode: {}", self.word())
    }
}

/// A document, or a part of one, that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedDocument {
    /// Its `id`, when one can be read.
    pub id: Option<String>,
    /// Why, for the sender's program.
    pub code: Code,
    /// Why, for the person who looks for the fault. Holds no values of the document.
    pub reason: String,
    /// How many segments and subsegments were lost, at least one.
    pub spans: u64,
}

/// Something that was kept although AWS would refuse it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The `id` of the segment or subsegment.
    pub id: Option<String>,
    /// What AWS would answer.
    pub code: Code,
    /// The same for a person.
    pub reason: String,
}

/// What became of one document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many spans were written.
    pub spans: u64,
    /// What was not kept. The last of [`DETAILS_MAX`] counts all that follow it.
    pub rejected: Vec<RejectedDocument>,
    /// What was kept all the same, the first [`DETAILS_MAX`].
    pub doubts: Vec<Doubt>,
}

impl Outcome {
    /// How many segments and subsegments were not kept.
    pub fn rejected_spans(&self) -> u64 {
        self.rejected.iter().map(|rejected| rejected.spans).sum()
    }

    pub(super) fn reject(&mut self, rejected: RejectedDocument) {
        let full = self.rejected.len() >= DETAILS_MAX;
        match self.rejected.last_mut() {
            Some(last) if full => last.spans += rejected.spans,
            _ => self.rejected.push(rejected),
        }
    }

    pub(super) fn doubt(&mut self, doubt: Doubt) {
        if self.doubts.len() < DETAILS_MAX {
            self.doubts.push(doubt);
        }
    }

    /// Adds what another part of the same input came to.
    pub(super) fn add(&mut self, other: Self) {
        self.spans += other.spans;
        other.rejected.into_iter().for_each(|rejected| self.reject(rejected));
        other.doubts.into_iter().for_each(|doubt| self.doubt(doubt));
    }
}
