//! W3C's `tracestate`: what each tracing system adds for itself, the newest first.
//!
//! Rule: W3C Trace Context Level 2, sections 3.3 and 3.5.

use crate::defect::{Defect, Quirk};
use crate::hex::IdReader;

/// The most members a list may have (section 3.3.1.1).
pub const MEMBERS_MAX: usize = 32;
/// The longest header that we write unless told otherwise, in bytes.
pub const HEADER_MAX_BYTES: usize = 8 * 1024;
/// No limit may be less: a header of this length must be propagated (section 3.3.1.5).
pub const HEADER_MIN_BYTES: usize = 512;
/// Members longer than this go first when a header is too long (section 3.3.1.5).
const LONG_MEMBER_BYTES: usize = 128;
const KEY_MAX_BYTES: usize = 256;
const VALUE_MAX_BYTES: usize = 256;

/// An ordered list of keys and values, no key twice, at most [`MEMBERS_MAX`] of them.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct TraceState {
    members: Vec<(String, String)>,
}

impl TraceState {
    /// Reads a list; a key that stands twice counts once, as it stands first.
    ///
    /// # Errors
    ///
    /// When a member does not follow the grammar or there are more than [`MEMBERS_MAX`].
    pub fn parse(text: &str) -> Result<Self, Defect> {
        let mut quirks = Vec::new();
        let mut ids = IdReader { strictness: crate::Strictness::Strict, quirks: &mut quirks };
        Self::read(std::iter::once(text), &mut ids)
    }

    /// Reads the headers of that name as one list (RFC 9110, section 5.3). Leniently, what
    /// cannot be read is left out.
    pub(crate) fn read<'a>(
        headers: impl Iterator<Item = &'a str>,
        ids: &mut IdReader<'_>,
    ) -> Result<Self, Defect> {
        let mut state = Self::default();
        for member in headers.flat_map(|header| header.split(',')) {
            let member = member.trim_matches([' ', '\t']);
            if member.is_empty() {
                continue;
            }
            match (read_member(member), ids.is_lenient()) {
                (Ok((key, _)), _) if state.get(key).is_some() => ids.note(Quirk::RepeatedKey),
                (Ok(_), false) if state.members.len() == MEMBERS_MAX => {
                    return Err(Defect::TooManyMembers);
                }
                (Ok((key, value)), _) if state.members.len() < MEMBERS_MAX => {
                    state.members.push((key.to_owned(), value.to_owned()));
                }
                (Ok(_) | Err(_), true) => ids.note(Quirk::MembersLeftOut),
                (Err(defect), false) => return Err(defect),
                (Ok(_), false) => {}
            }
        }
        Ok(state)
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|member| member.0 == key).map(|member| member.1)
    }

    /// Keys and values, the newest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.members.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Sets a member and moves it to the front; the last member goes if there is no room
    /// (section 3.5).
    ///
    /// # Errors
    ///
    /// When key or value do not follow the grammar; nothing changes then.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Defect> {
        check(key, value)?;
        self.remove(key);
        self.members.truncate(MEMBERS_MAX - 1);
        self.members.insert(0, (key.to_owned(), value.to_owned()));
        Ok(())
    }

    /// Removes a member, if it is there.
    pub fn remove(&mut self, key: &str) {
        self.members.retain(|member| member.0 != key);
    }

    /// The list as one header of at most `max` bytes, but never fewer than [`HEADER_MIN_BYTES`].
    ///
    /// Only whole members are left out: those over 128 bytes first, from the right, then any from
    /// the right (section 3.3.1.5).
    #[must_use]
    pub fn header(&self, max: usize) -> String {
        let max = max.max(HEADER_MIN_BYTES);
        let mut members: Vec<String> =
            self.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let length = |members: &[String]| {
            members.iter().map(String::len).sum::<usize>() + members.len().saturating_sub(1)
        };
        while length(&members) > max {
            let long = members.iter().rposition(|member| member.len() > LONG_MEMBER_BYTES);
            members.remove(long.unwrap_or(members.len().saturating_sub(1)));
        }
        members.join(",")
    }
}

fn read_member(member: &str) -> Result<(&str, &str), Defect> {
    let (key, value) = member.split_once('=').ok_or(Defect::MissingPart)?;
    check(key, value)?;
    Ok((key, value))
}

/// The grammar of key and value (sections 3.3.1.3.1 and 3.3.1.3.2).
fn check(key: &str, value: &str) -> Result<(), Defect> {
    let begins = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let continues = |byte: u8| begins(&byte) || b"_-*/@".contains(&byte);
    let key = key.as_bytes();
    if !key.first().is_some_and(begins)
        || key.len() > KEY_MAX_BYTES
        || !key.iter().all(|byte| continues(*byte))
    {
        return Err(Defect::Key);
    }
    let printable = |byte: u8| matches!(byte, 0x20..=0x7e) && byte != b',' && byte != b'=';
    if value.is_empty()
        || value.len() > VALUE_MAX_BYTES
        || value.ends_with(' ')
        || !value.bytes().all(printable)
    {
        return Err(Defect::Value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Result<String, Defect> {
        TraceState::parse(text).map(|state| state.header(HEADER_MAX_BYTES))
    }

    #[test]
    fn a_list_keeps_its_order_and_loses_empty_members() {
        assert_eq!(header("foo=1,bar=2").unwrap(), "foo=1,bar=2");
        assert_eq!(header("foo=1 \t , \t bar=2, \t baz=3,").unwrap(), "foo=1,bar=2,baz=3");
        assert_eq!(header(",,").unwrap(), "");
        assert_eq!(header("a=b c").unwrap(), "a=b c");
    }

    #[test]
    fn keys_and_values_follow_the_grammar_of_level_2() {
        for good in ["foo@=1", "foo@@bar=1", "0=1", "a_-*/@z=!~", &format!("{}=1", "z".repeat(256))]
        {
            assert_eq!(header(good).unwrap(), good);
        }
        for (bad, defect) in [
            ("foo =1", Defect::Key),
            ("FOO=1", Defect::Key),
            ("foo.bar=1", Defect::Key),
            ("@foo=1", Defect::Key),
            ("=1", Defect::Key),
            (&format!("{}=1", "z".repeat(257)), Defect::Key),
            ("foo=bar=baz", Defect::Value),
            ("foo=", Defect::Value),
            ("foo=\u{e9}", Defect::Value),
            (&format!("foo={}", "z".repeat(257)), Defect::Value),
            ("foo", Defect::MissingPart),
        ] {
            assert_eq!(header(&format!("a=1,{bad}")), Err(defect), "{bad}");
        }
    }

    #[test]
    fn a_key_counts_once_and_32_keys_are_the_most() {
        assert_eq!(header("foo=1,bar=2,foo=3").unwrap(), "foo=1,bar=2");
        let many = |count| (0..count).map(|i| format!("k{i}=1")).collect::<Vec<_>>().join(",");
        assert_eq!(header(&many(32)).unwrap(), many(32));
        assert_eq!(header(&many(33)), Err(Defect::TooManyMembers));
    }

    #[test]
    fn leniently_good_members_survive_bad_ones() {
        let mut quirks = Vec::new();
        let mut ids = IdReader { strictness: crate::Strictness::Lenient, quirks: &mut quirks };
        let state = TraceState::read(["foo=1,BAR=2", "baz=3"].into_iter(), &mut ids).unwrap();
        assert_eq!(state.header(HEADER_MAX_BYTES), "foo=1,baz=3");
        assert_eq!(quirks, [Quirk::MembersLeftOut]);
    }

    #[test]
    fn a_changed_member_moves_to_the_front() {
        let mut state = TraceState::parse("a=1,b=2,c=3").unwrap();
        state.set("c", "4").unwrap();
        assert_eq!(state.header(HEADER_MAX_BYTES), "c=4,a=1,b=2");
        assert_eq!(state.set("C", "4"), Err(Defect::Key));
        for i in 0..40 {
            state.set(&format!("k{i}"), "1").unwrap();
        }
        assert_eq!((state.iter().len(), state.iter().next()), (32, Some(("k39", "1"))));
    }

    #[test]
    fn long_members_go_first_when_there_is_no_room_then_the_last() {
        let long = format!("long={}", "x".repeat(200));
        let short: Vec<String> = (0..20).map(|i| format!("key{i:02}={}", "y".repeat(20))).collect();
        let text = format!("{},{long},{}", short[0], short[1..].join(","));
        let kept = TraceState::parse(&text).unwrap().header(1);
        assert!(kept.len() <= HEADER_MIN_BYTES && !kept.contains("long"), "{kept}");
        assert!(short.join(",").starts_with(&kept), "{kept}");
        assert_eq!(TraceState::parse(&text).unwrap().header(text.len()), text);
    }
}
