//! Text to words, signs and quoted strings, each with its place.

use crate::QueryError;

/// How long a query may be, in characters.
pub(super) const TEXT_CHARS_MAX: usize = 10_000;

/// One piece of the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    /// Its first character, 0-based.
    pub(super) at: usize,
    /// One past its last character.
    pub(super) end: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// A bare word: a key, a keyword, a number, a duration or text.
    Word(String),
    /// A quoted string, and for each of its characters how far that is from the opening quote.
    Quoted(String, Vec<usize>),
    /// An operator or bracket.
    Sign(Sign),
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Open,
    Close,
    Comma,
    And,
    Or,
    Not,
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
    Match,
    NoMatch,
}

/// Signs, longest first where one begins another.
const SIGNS: [(&str, Sign); 19] = [
    ("==", Sign::Eq),
    ("=~", Sign::Match),
    ("!=", Sign::Ne),
    ("<>", Sign::Ne),
    ("!~", Sign::NoMatch),
    (">=", Sign::Ge),
    ("<=", Sign::Le),
    ("&&", Sign::And),
    ("||", Sign::Or),
    ("(", Sign::Open),
    (")", Sign::Close),
    (",", Sign::Comma),
    ("=", Sign::Eq),
    ("!", Sign::Not),
    (">", Sign::Gt),
    ("<", Sign::Lt),
    ("~", Sign::Match),
    // Refused below, with a better word than "unexpected".
    ("&", Sign::And),
    ("|", Sign::Or),
];

impl Sign {
    pub(super) fn text(self) -> &'static str {
        let canonical = |(text, sign): &(&'static str, Self)| {
            (*sign == self && !matches!(*text, "==" | "=~" | "<>")).then_some(*text)
        };
        SIGNS.iter().find_map(canonical).unwrap_or_default()
    }
}

/// Whether a bare word may hold this character after its first.
fn in_word(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !"()\"'=!<>~&|,\\`".contains(c)
}

/// Whether a bare word may begin with this character.
fn begins_word(c: char) -> bool {
    in_word(c) && !"{}[];".contains(c)
}

/// Whether a text can stand as one bare word.
pub(crate) fn is_bare_word(text: &str) -> bool {
    text.chars().next().is_some_and(begins_word) && text.chars().all(in_word)
}

/// Splits the text. The last token is always [`TokenKind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, QueryError> {
    let chars: Vec<char> = text.chars().take(TEXT_CHARS_MAX + 1).collect();
    if chars.len() > TEXT_CHARS_MAX {
        let message = format!("the query is longer than {TEXT_CHARS_MAX} characters");
        return Err(QueryError::new(message, TEXT_CHARS_MAX));
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        let (kind, end) = if c == '"' || c == '\'' {
            quoted(&chars, at)?
        } else if let Some((text, sign)) = sign(&chars, at) {
            if matches!(text, "&" | "|") {
                let message = format!("unexpected `{text}`: did you mean `{text}{text}`?");
                return Err(QueryError::new(message, at));
            }
            (TokenKind::Sign(sign), at + text.len())
        } else if begins_word(c) {
            let length = chars[at..].iter().take_while(|c| in_word(**c)).count();
            let word = chars[at..at + length].iter().collect();
            (TokenKind::Word(word), at + length)
        } else {
            let message = format!("unexpected `{}`: put text in quotes", c.escape_debug());
            return Err(QueryError::new(message, at));
        };
        tokens.push(Token { kind, at, end });
        at = end;
    }
    tokens.push(Token { kind: TokenKind::End, at, end: at });
    Ok(tokens)
}

fn sign(chars: &[char], at: usize) -> Option<(&'static str, Sign)> {
    let found = SIGNS.iter().find(|(text, _)| {
        let mut here = chars[at..].iter();
        text.chars().all(|c| here.next() == Some(&c))
    });
    found.copied()
}

/// A quoted string from its opening quote on.
///
/// `\n`, `\t`, `\r`, `\\` and escaped quotes are what they are everywhere; before any other
/// character the backslash stays, so that patterns can be written as people know them: `"\d+"`.
fn quoted(chars: &[char], open: usize) -> Result<(TokenKind, usize), QueryError> {
    let quote = chars[open];
    let (mut text, mut places) = (String::new(), Vec::new());
    let mut at = open + 1;
    loop {
        let place = at - open;
        let c = match (chars.get(at), chars.get(at + 1)) {
            (None, _) | (Some('\\'), None) => {
                return Err(QueryError::new(format!("expected a closing {quote}"), open));
            }
            (Some(c), _) if *c == quote => return Ok((TokenKind::Quoted(text, places), at + 1)),
            (Some('\\'), Some(next)) => {
                let escaped = match next {
                    'n' => Some('\n'),
                    't' => Some('\t'),
                    'r' => Some('\r'),
                    '\\' | '"' | '\'' => Some(*next),
                    _ => None,
                };
                at += usize::from(escaped.is_some());
                escaped.unwrap_or('\\')
            }
            (Some(c), _) => *c,
        };
        text.push(c);
        places.push(place);
        at += 1;
    }
}
