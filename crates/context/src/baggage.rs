//! Baggage: what the application itself sends along, apart from any trace.
//!
//! In:   `baggage`, `uberctx-NAME`, `ot-baggage-NAME`.
//! Out:  [`Baggage`], or the headers again.
//! Rule: W3C Baggage, sections 3.3.1 and 3.3.2.

use crate::defect::Quirk;
use crate::fields::Fields;
use crate::hex::IdReader;

/// The most members that are kept (section 3.3.2 asks for at least 64).
pub(crate) const MEMBERS_MAX: usize = 64;
/// The most bytes of keys, values and properties together (section 3.3.2 asks for at least 8,192).
pub(crate) const BYTES_MAX: usize = 8_192;

/// One member of baggage.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct BaggageMember {
    /// The key, a token of HTTP.
    pub key: String,
    /// The value, decoded.
    pub value: String,
    /// Properties as they came, between semicolons; usually empty.
    pub properties: String,
}

/// Members in their order, no key twice, at most 64 and 8,192 bytes together.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Baggage {
    members: Vec<BaggageMember>,
}

impl Baggage {
    /// The members.
    #[must_use]
    pub fn members(&self) -> &[BaggageMember] {
        &self.members
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.members.iter().find(|member| member.key == key);
        found.map(|member| member.value.as_str())
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Adds a member, or replaces the one of its key. `false`, and nothing changed, when the key
    /// is no token, the properties cannot stand in a header, or there is no room.
    pub fn set(&mut self, key: &str, value: &str, properties: &str) -> bool {
        if key.is_empty() || !key.bytes().all(is_token) || !properties.bytes().all(is_property) {
            return false;
        }
        let member = BaggageMember {
            key: key.to_owned(),
            value: value.to_owned(),
            properties: properties.to_owned(),
        };
        let bytes = |member: &BaggageMember| {
            member.key.len() + member.value.len() + member.properties.len()
        };
        let others = self.members.iter().filter(|other| other.key != member.key).map(bytes);
        if others.sum::<usize>() + bytes(&member) > BYTES_MAX {
            return false;
        }
        if let Some(place) = self.members.iter_mut().find(|other| other.key == member.key) {
            *place = member;
            return true;
        }
        let has_room = self.members.len() < MEMBERS_MAX;
        if has_room {
            self.members.push(member);
        }
        has_room
    }

    /// The header `baggage`; empty when there is no member.
    #[must_use]
    pub fn header(&self) -> String {
        let text = |member: &BaggageMember| {
            let value = encode(&member.value);
            match member.properties.as_str() {
                "" => format!("{}={value}", member.key),
                properties => format!("{}={value};{properties}", member.key),
            }
        };
        self.members.iter().map(text).collect::<Vec<_>>().join(",")
    }

    /// Reads `baggage` of these fields; members that cannot be read or find no room are left out.
    pub(crate) fn read_w3c(&mut self, fields: &Fields, ids: &mut IdReader<'_>) {
        for member in fields.all("baggage").flat_map(|header| header.split(',')) {
            if member.trim().is_empty() {
                continue;
            }
            let (pair, properties) = member.split_once(';').unwrap_or((member, ""));
            let read = pair.split_once('=').is_some_and(|(key, value)| {
                self.set(key.trim(), &decode(value.trim()), properties.trim())
            });
            if !read {
                ids.note(Quirk::MembersLeftOut);
            }
        }
    }

    /// Reads the members of a prefix; a key that is already there stays, in any case of letters:
    /// names of headers lose theirs on the way (RFC 9110, section 5.1).
    pub(crate) fn read_prefixed(&mut self, fields: &Fields, prefix: &str, encoded: bool) {
        for (key, value) in fields.with_prefix(prefix) {
            if !self.members.iter().any(|member| member.key.eq_ignore_ascii_case(key)) {
                let decoded = if encoded { decode(value) } else { value.to_owned() };
                self.set(key, &decoded, "");
            }
        }
    }

    /// Writes a header a member. Without encoding, a value that is no header value is left out.
    pub(crate) fn write_prefixed(
        &self,
        prefix: &str,
        encoded: bool,
        put: &mut dyn FnMut(&str, String),
    ) {
        for member in &self.members {
            if encoded {
                put(&format!("{prefix}{}", member.key), encode(&member.value));
            } else if member.value.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
                put(&format!("{prefix}{}", member.key), member.value.clone());
            }
        }
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_property(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e | b'\t') && byte != b','
}

/// Percent-encodes all but the baggage octets, and the percent sign itself.
fn encode(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'%' | b'"' | b',' | b';' | b'\\' | 0..=0x20 | 0x7f.. => {
                text.push_str(&format!("%{byte:02X}"));
            }
            _ => text.push(char::from(byte)),
        }
    }
    text
}

/// Undoes percent-encoding. A percent sign without two digits stays; what is then no UTF-8 becomes
/// the replacement character (section 3.3.1.3).
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| {
            let digit = char::from(*after.get(at)?).to_digit(16)?;
            u8::try_from(digit).ok()
        };
        match (*first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(high << 4 | low);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[&str]) -> (Baggage, Vec<Quirk>) {
        let fields = headers.iter().map(|header| ("baggage", header)).collect();
        let (mut baggage, mut quirks) = (Baggage::default(), Vec::new());
        let mut ids = IdReader { strictness: crate::Strictness::Strict, quirks: &mut quirks };
        baggage.read_w3c(&fields, &mut ids);
        (baggage, quirks)
    }

    #[test]
    fn members_come_back_with_their_properties() {
        let (baggage, quirks) = read(&["a = 1;p1;p2=x , b=%C3%A9%2C%25", "c="]);
        assert_eq!(baggage.get("b"), Some("\u{e9},%"));
        assert_eq!(baggage.header(), "a=1;p1;p2=x,b=%C3%A9%2C%25,c=");
        assert!(quirks.is_empty());
    }

    #[test]
    fn a_bad_member_does_not_cost_its_neighbours() {
        let (baggage, quirks) = read(&["a=1,no value,b b=2,=3,c=%zz%e9"]);
        assert_eq!(baggage.header(), "a=1,c=%25zz%EF%BF%BD");
        assert_eq!(quirks, [Quirk::MembersLeftOut]);
    }

    #[test]
    fn members_and_bytes_are_bounded() {
        let many: Vec<String> = (0..100).map(|i| format!("k{i}=v")).collect();
        let (baggage, quirks) = read(&[&many.join(",")]);
        assert_eq!((baggage.members().len(), quirks.len()), (MEMBERS_MAX, 1));
        let long = format!("a={},b=1", "x".repeat(BYTES_MAX));
        assert_eq!(read(&[&long]).0.header(), "b=1");
    }

    #[test]
    fn a_key_that_stands_twice_has_its_last_value() {
        assert_eq!(read(&["a=1,b=2,a=3"]).0.header(), "a=3,b=2");
    }
}
