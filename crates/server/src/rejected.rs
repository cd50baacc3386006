//! The last rejections, so that a person can see why a span did not arrive.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::metrics::Protocol;

/// How many rejections are remembered.
pub const REJECTED_MAX: usize = 256;

/// Details longer than this are cut, in bytes: a detail may quote what was sent.
const DETAIL_SIZE_BYTES_MAX: usize = 300;

/// Of a rejected document this much is kept, in bytes: enough to recognise its sender.
const HEAD_SIZE_BYTES_MAX: usize = 1_000;

/// Some spans, or a whole request, that we did not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// When, nanoseconds since the epoch.
    pub time_unix_nano: i64,
    /// Through which door it came.
    pub protocol: Protocol,
    /// The word that the counter has too.
    pub reason: &'static str,
    /// How many spans; 0 when the body could not be told apart into spans.
    pub count: u64,
    /// What exactly was wrong with the first of them.
    pub detail: String,
    /// The document that was rejected, where one document is one rejection.
    pub document: Option<RejectedDocument>,
}

/// An X-Ray document, or a part of one, that we did not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedDocument {
    /// X-Ray's word for the mistake, such as `InvalidTraceId`.
    pub code: &'static str,
    /// The id of the segment or subsegment, when it could be read.
    pub id: Option<String>,
    /// How the document begins. For the person at this machine; never logged.
    pub head: String,
}

/// The beginning of a document as text.
pub fn head_of(document: &[u8]) -> String {
    let head = document.get(..HEAD_SIZE_BYTES_MAX).unwrap_or(document);
    String::from_utf8_lossy(head).into_owned()
}

/// A ring of the last [`REJECTED_MAX`] rejections.
#[derive(Debug, Default)]
pub struct RejectedRing {
    ring: Mutex<VecDeque<Rejection>>,
}

impl RejectedRing {
    /// Remembers a rejection and forgets the oldest when the ring is full.
    pub fn push(&self, mut rejection: Rejection) {
        let mut end = rejection.detail.len().min(DETAIL_SIZE_BYTES_MAX);
        while !rejection.detail.is_char_boundary(end) {
            end -= 1;
        }
        rejection.detail.truncate(end);
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() == REJECTED_MAX {
            ring.pop_front();
        }
        ring.push_back(rejection);
    }

    /// All that is remembered, newest first.
    pub fn newest_first(&self) -> Vec<Rejection> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection(count: u64, detail: &str) -> Rejection {
        Rejection {
            time_unix_nano: 1,
            protocol: Protocol::OtlpHttp,
            reason: "zero_trace_id",
            count,
            detail: detail.to_owned(),
            document: None,
        }
    }

    #[test]
    fn the_ring_keeps_the_newest() {
        let ring = RejectedRing::default();
        for count in 0..REJECTED_MAX as u64 + 10 {
            ring.push(rejection(count, ""));
        }
        let seen = ring.newest_first();
        assert_eq!(seen.len(), REJECTED_MAX);
        assert_eq!(seen[0].count, REJECTED_MAX as u64 + 9);
        assert_eq!(seen[REJECTED_MAX - 1].count, 10);
    }

    #[test]
    fn a_long_detail_is_cut_between_letters() {
        let ring = RejectedRing::default();
        ring.push(rejection(1, &"\u{e9}".repeat(1000)));
        let detail = &ring.newest_first()[0].detail;
        assert!(detail.len() <= DETAIL_SIZE_BYTES_MAX);
        assert!(detail.chars().all(|c| c == '\u{e9}'));
    }
}
