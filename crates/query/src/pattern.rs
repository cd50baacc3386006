//! A checked regular expression that matches whole values.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// How long a pattern may be, in bytes.
pub const PATTERN_BYTES_MAX: usize = 1000;
const COMPILED_BYTES_MAX: usize = 1 << 20;
const NEST_MAX: u32 = 50;

/// A regular expression that matches a whole value, as if written `^(?:...)$`.
///
/// Linear in the length of the value, whatever the pattern; its compiled size is bounded.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// What is wrong, one line.
    pub message: String,
    /// Where in the pattern, in characters.
    pub at: usize,
}

impl Pattern {
    /// Checks and compiles a pattern.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let fail = |message: &str, at: usize| {
            let at = text.get(..at).map_or(0, |before| before.chars().count());
            Err(PatternError { message: message.to_owned(), at })
        };
        if text.len() > PATTERN_BYTES_MAX {
            return fail("the pattern is longer than 1000 bytes", 0);
        }
        let parsed = regex_syntax::ParserBuilder::new().nest_limit(NEST_MAX).build().parse(text);
        let hir = match parsed {
            Ok(hir) => hir,
            Err(regex_syntax::Error::Parse(err)) => {
                return fail(&err.kind().to_string(), err.span().start.offset);
            }
            Err(regex_syntax::Error::Translate(err)) => {
                return fail(&err.kind().to_string(), err.span().start.offset);
            }
            Err(err) => return fail(&err.to_string(), 0),
        };
        // Printed from its tree, so that a pattern's own flags (such as `x`, whose comments run to
        // the end of the line) cannot reach the anchors around it.
        let anchored = format!(r"\A(?:{hir})\z");
        let built = RegexBuilder::new(&anchored)
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(COMPILED_BYTES_MAX)
            .nest_limit(NEST_MAX + 4)
            .build();
        match built {
            Ok(regex) => Ok(Self { text: text.to_owned(), regex }),
            Err(regex::Error::CompiledTooBig(_)) => {
                fail("the pattern is too large when compiled", 0)
            }
            Err(err) => fail(&err.to_string(), 0),
        }
    }

    /// The pattern as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the whole of `value` matches.
    pub fn matches(&self, value: &str) -> bool {
        self.regex.is_match(value)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, value: &str, expected: bool) {
        assert_eq!(Pattern::new(pattern).unwrap().matches(value), expected, "{pattern} {value}");
    }

    #[test]
    fn a_pattern_matches_whole_values_only() {
        check("/v1/.*", "/v1/orders", true);
        check("/v1", "/v1/orders", false);
        check("a|b", "ab", false);
        check("a|b", "b", true);
        check("", "", true);
        check("", "a", false);
        check("(?m)^a$", "a\nb", false);
        check("(?x) a b # all of it", "ab", true);
        check("(?x) a # )", "ab", false);
        check("(?i)get", "GET", true);
    }

    #[test]
    fn a_bad_or_giant_pattern_is_refused_with_its_place() {
        assert_eq!(Pattern::new("ab(").unwrap_err().at, 2);
        assert_eq!(Pattern::new("\u{e9}[z-a]").unwrap_err().at, 2);
        for giant in ["\\w{1000}{1000}", &"(".repeat(300), &"a".repeat(1001)] {
            assert!(Pattern::new(giant).is_err(), "{giant}");
        }
    }
}
