//! Text to words, strings, signs and JSON, each with its place.

use super::TEXT_CHARS_MAX;
use crate::QueryError;

/// One piece of the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    /// Its first character, 0-based.
    pub(super) at: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// A bare word: a keyword, a number, an annotation's key or text that nobody quoted.
    Word(String),
    /// A quoted string.
    Quoted(String),
    /// The JSON array behind a `#`.
    Json(String),
    /// An operator or bracket.
    Sign(&'static str),
    End,
}

/// Signs, longest first where one begins another.
const SIGNS: [&str; 16] =
    ["!=", "<=", ">=", "==", "(", ")", "{", "}", "[", "]", "=", "!", "<", ">", ",", ":"];

/// Splits the text. The last token is always [`TokenKind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, QueryError> {
    let chars: Vec<char> = text.chars().take(TEXT_CHARS_MAX + 1).collect();
    if chars.len() > TEXT_CHARS_MAX {
        let message = format!("the filter expression is longer than {TEXT_CHARS_MAX} characters");
        return Err(QueryError::new(message, TEXT_CHARS_MAX));
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        let (kind, end) = match c {
            '"' => quoted(&chars, at)?,
            '#' => json(&chars, at)?,
            _ => match sign(&chars, at) {
                Some(sign) => (TokenKind::Sign(sign), at + sign.len()),
                None => word(&chars, at)?,
            },
        };
        tokens.push(Token { kind, at });
        at = end;
    }
    tokens.push(Token { kind: TokenKind::End, at });
    Ok(tokens)
}

fn sign(chars: &[char], at: usize) -> Option<&'static str> {
    let here = chars.get(at..)?;
    let begins =
        |sign: &&str| sign.chars().zip(here).filter(|(a, b)| a == *b).count() == sign.len();
    SIGNS.into_iter().find(begins)
}

/// A bare word from its first character on. It may hold `::`, as in the names of types.
fn word(chars: &[char], at: usize) -> Result<(TokenKind, usize), QueryError> {
    let mut text = String::new();
    let mut end = at;
    while let Some(&c) = chars.get(end) {
        if c == ':' && chars.get(end + 1) == Some(&':') {
            text.push_str("::");
            end += 2;
        } else if c.is_whitespace() || c.is_control() || "\"(){}[]=!<>,:#'`\\&|;".contains(c) {
            break;
        } else {
            text.push(c);
            end += 1;
        }
    }
    if !text.is_empty() {
        return Ok((TokenKind::Word(text), end));
    }
    let hint = match chars.get(at) {
        Some('&') => ": write AND",
        Some('|') => ": write OR",
        Some('\'' | '`') => ": text stands in double quotes",
        _ => "",
    };
    let c = chars.get(at).copied().unwrap_or_default();
    let shown = if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    Err(QueryError::new(format!("unexpected `{shown}`{hint}"), at))
}

/// A quoted string from its opening quote on.
///
/// `\"` and `\\` lose their backslash; before anything else it stays, so that paths keep theirs.
fn quoted(chars: &[char], open: usize) -> Result<(TokenKind, usize), QueryError> {
    let mut text = String::new();
    let mut at = open + 1;
    while let Some(&c) = chars.get(at) {
        match (c, chars.get(at + 1)) {
            ('"', _) => return Ok((TokenKind::Quoted(text), at + 1)),
            ('\\', Some(next @ ('"' | '\\'))) => {
                text.push(*next);
                at += 2;
            }
            _ => {
                text.push(c);
                at += 1;
            }
        }
    }
    Err(QueryError::new("expected a closing \"", open))
}

/// The JSON array behind a `#`, up to its last bracket. Whether it is JSON is the parser's business.
fn json(chars: &[char], hash: usize) -> Result<(TokenKind, usize), QueryError> {
    let mut at = hash + 1;
    while chars.get(at).is_some_and(|c| c.is_whitespace()) {
        at += 1;
    }
    let open = at;
    if chars.get(open) != Some(&'[') {
        return Err(QueryError::new("expected a JSON array after `#`, as in #[{...}]", open));
    }
    let (mut depth, mut in_text) = (0_usize, false);
    while let Some(&c) = chars.get(at) {
        match c {
            '\\' if in_text => at += 1,
            '"' => in_text = !in_text,
            '[' | '{' if !in_text => depth += 1,
            ']' | '}' if !in_text => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            let text = chars.get(open..at).unwrap_or_default().iter().collect();
            return Ok((TokenKind::Json(text), at));
        }
    }
    Err(QueryError::new("expected a closing ] of the JSON array", open))
}
