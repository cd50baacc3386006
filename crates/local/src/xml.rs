//! Writes the XML of answers. Names come from our code, text from anywhere.

use std::fmt::Write as _;

/// Elements in the order they are added.
#[derive(Debug, Default)]
pub(crate) struct Xml(String);

impl Xml {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// `<name>text</name>`.
    pub(crate) fn text(mut self, name: &str, text: impl AsRef<str>) -> Self {
        let _ = write!(self.0, "<{name}>{}</{name}>", escape(text.as_ref()));
        self
    }

    /// `<name>text</name>`, or nothing for `None`.
    pub(crate) fn maybe(self, name: &str, text: Option<impl AsRef<str>>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// `<name>..</name>` around `inner`.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "it is made for this element and of no use after it"
    )]
    pub(crate) fn element(mut self, name: &str, inner: Self) -> Self {
        let _ = write!(self.0, "<{name}>{}</{name}>", inner.0);
        self
    }

    /// `<name><member>..</member>..</name>`, the query protocol's list.
    pub(crate) fn members(self, name: &str, items: impl IntoIterator<Item = Self>) -> Self {
        let inner = items.into_iter().fold(Self::new(), |list, item| list.element("member", item));
        self.element(name, inner)
    }

    /// `<name><member>text</member>..</name>`.
    pub(crate) fn texts<T: AsRef<str>>(
        self,
        name: &str,
        items: impl IntoIterator<Item = T>,
    ) -> Self {
        let inner = items.into_iter().fold(Self::new(), |list, item| list.text("member", item));
        self.element(name, inner)
    }

    /// What `more` makes of it, if `condition` holds.
    pub(crate) fn and_if(self, condition: bool, more: impl FnOnce(Self) -> Self) -> Self {
        if condition { more(self) } else { self }
    }

    /// The text so far, without declaration.
    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// Text as it may stand in an element. Characters that XML 1.0 forbids (section 2.2) are dropped.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\r' => escaped.push_str("&#xd;"),
            '\t' | '\n' => escaped.push(character),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_element() {
        let xml =
            Xml::new().text("Key", "a</Key>&\u{0}b").members("L", [Xml::new().text("A", "1")]);
        let text = xml.into_string();
        assert_eq!(text, "<Key>a&lt;/Key&gt;&amp;b</Key><L><member><A>1</A></member></L>");
        assert!(roxmltree::Document::parse(&format!("<x>{text}</x>")).is_ok());
    }
}
