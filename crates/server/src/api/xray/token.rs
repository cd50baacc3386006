//! `NextToken`: where the next page begins, in a form that callers cannot mistake for anything.
//!
//! A token holds the cursor itself, so the server remembers nothing. It also holds a sum over the
//! operation, the rest of the request and the cursor: a token of another operation, of other
//! members or with a changed letter is refused, not misread.

use std::hash::Hash;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::body::Answer;
use super::error::XrayError;

/// The model allows 100 characters; ours have at most this many bytes before encoding.
const CURSOR_SIZE_BYTES_MAX: usize = 48;
const SUM_SIZE_BYTES: usize = 8;

/// What a token has to belong to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope(u64);

impl Scope {
    /// An operation, and those members of the request that decide what is listed.
    pub(super) fn of(operation: &str, members: impl Hash) -> Self {
        Self(sum((operation, members)))
    }

    /// The token that stands for `cursor`.
    pub(super) fn token(self, cursor: &[u8]) -> String {
        debug_assert!(cursor.len() <= CURSOR_SIZE_BYTES_MAX, "a token has 100 characters");
        let mut bytes = sum((self.0, cursor)).to_be_bytes().to_vec();
        bytes.extend_from_slice(cursor);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The cursor of a token; none, and none for an empty text, is the first page.
    pub(super) fn cursor(self, token: Option<&str>) -> Result<Option<Vec<u8>>, XrayError> {
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
        let foreign = || XrayError::invalid("NextToken is not one that this request was given");
        if token.len() > 2 * (CURSOR_SIZE_BYTES_MAX + SUM_SIZE_BYTES) {
            return Err(foreign());
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| foreign())?;
        if bytes.len() < SUM_SIZE_BYTES {
            return Err(foreign());
        }
        let cursor = bytes.split_off(SUM_SIZE_BYTES);
        if bytes != sum((self.0, &cursor[..])).to_be_bytes() {
            return Err(foreign());
        }
        Ok(Some(cursor))
    }

    /// As above, where cursors are offsets into a list.
    pub(super) fn offset(self, token: Option<&str>) -> Result<usize, XrayError> {
        let Some(cursor) = self.cursor(token)? else { return Ok(0) };
        let number = cursor.try_into().map(u64::from_be_bytes).ok();
        let number = number.and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| XrayError::invalid("NextToken is not an offset"))
    }

    /// The token of an offset.
    pub(super) fn offset_token(self, offset: usize) -> String {
        self.token(&(offset as u64).to_be_bytes())
    }

    /// Puts one page of `items` into `answer[name]`, and `NextToken` beside it when there is more.
    pub(super) fn page(
        self,
        mut answer: serde_json::Value,
        name: &str,
        items: Vec<serde_json::Value>,
        token: Option<&str>,
        size: usize,
    ) -> Answer {
        let offset = self.offset(token)?;
        let left = items.len().saturating_sub(offset);
        answer[name] = items.into_iter().skip(offset).take(size).collect();
        if left > size {
            answer["NextToken"] = self.offset_token(offset + size).into();
        }
        Ok(answer)
    }
}

/// A sum that is the same in every process: tokens outlive a restart.
fn sum(value: impl Hash) -> u64 {
    let seeds = ahash::RandomState::with_seeds(0x7468_726f, 0x7567_686c, 0x696e_6500, 0x7872_6179);
    seeds.hash_one(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_follow_each_other_without_loss_or_repetition() {
        let scope = Scope::of("GetGroups", ());
        let items: Vec<_> = (0..7).map(|n| json!(n)).collect();
        let (mut token, mut seen) = (None, Vec::new());
        loop {
            let page = scope.page(json!({}), "Groups", items.clone(), token.as_deref(), 3).unwrap();
            seen.extend(page["Groups"].as_array().unwrap().clone());
            let Some(next) = page["NextToken"].as_str() else { break };
            assert!(next.len() <= 100);
            token = Some(next.to_owned());
        }
        assert_eq!(seen, items);
    }

    #[test]
    fn a_token_from_elsewhere_is_refused() {
        let token = Scope::of("GetGroups", ()).offset_token(3);
        assert_eq!(Scope::of("GetGroups", ()).offset(Some(&token)), Ok(3));
        assert_eq!(Scope::of("GetGroups", ()).offset(Some("")), Ok(0));
        assert!(Scope::of("GetSamplingRules", ()).offset(Some(&token)).is_err());
        assert!(Scope::of("GetGroups", 1).offset(Some(&token)).is_err());
        for token in ["x", "AAAA", "AAAAAAAAAAAAAAAAAAAAAA", "\u{e9}", &"A".repeat(5_000)] {
            assert!(Scope::of("GetGroups", ()).offset(Some(token)).is_err(), "{token}");
        }
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(Scope::of("GetGroups", ()).offset(Some(&changed)).is_err(), "{changed}");
        }
        let longest = Scope::of("GetTraceSummaries", ()).token(&[7; CURSOR_SIZE_BYTES_MAX]);
        assert!(longest.len() <= 100, "{}", longest.len());
    }
}
