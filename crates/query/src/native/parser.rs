//! Tokens to the tree, by recursive descent.

use super::lexer::{Sign, Token, TokenKind, tokens};
use super::suggest::{did_you_mean, nearest};
use super::values::literal;
use crate::QueryError;
use crate::ast::{
    AttrScope, CompareOp, Expr, FILTER_DEPTH_MAX, Field, LIMIT_MAX, Literal, Order, Query,
};
use crate::pattern::Pattern;

const KEYWORDS: [&str; 11] =
    ["and", "or", "not", "in", "exists", "order", "by", "limit", "asc", "desc", "where"];

/// What people write for an operator of ours, and what they mean.
const OTHER_OPERATORS: [(&str, &str); 13] = [
    ("is", "="),
    ("eq", "="),
    ("equals", "="),
    ("ne", "!="),
    ("like", "~"),
    ("ilike", "~"),
    ("matches", "~"),
    ("regex", "~"),
    ("contains", "~ \".*text.*\""),
    ("gt", ">"),
    ("gte", ">="),
    ("lt", "<"),
    ("lte", "<="),
];

/// What people write for a field of ours.
const OTHER_FIELDS: [(&str, &str); 8] = [
    ("trace_id", "trace"),
    ("traceid", "trace"),
    ("span_id", "span"),
    ("spanid", "span"),
    ("parent_id", "parent"),
    ("parentid", "parent"),
    ("parent_span_id", "parent"),
    ("span_name", "name"),
];

pub(super) fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word))
}

/// The field of ours that a bare key is most likely meant to be.
///
/// Only for keys without a dot, which OpenTelemetry's conventions hardly know.
pub(super) fn slip_of(key: &str) -> Option<&'static str> {
    let other = OTHER_FIELDS.iter().find(|(other, _)| other.eq_ignore_ascii_case(key));
    if let Some((_, ours)) = other {
        return Some(ours);
    }
    let long = Field::NAMED.iter().map(|(word, _)| *word).filter(|word| word.len() >= 5);
    if key.contains('.') { None } else { nearest(key, long) }
}

/// An attribute key as written without quotes, with its scope in front or not.
pub(super) fn attribute(word: &str) -> Field {
    for (prefix, scope) in AttrScope::PREFIXES {
        let head = word.get(..prefix.len()).filter(|head| head.eq_ignore_ascii_case(prefix));
        if head.is_some() && word.len() > prefix.len() {
            return Field::Attribute(scope, word[prefix.len()..].to_owned());
        }
    }
    Field::Attribute(AttrScope::Any, word.to_owned())
}

pub(super) fn parse(text: &str) -> Result<Query, QueryError> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
    let mut query = Query::default();
    if parser.is_word("where") {
        parser.next += 1;
    }
    if !parser.at_tail() {
        query.filter = Some(parser.or()?);
    }
    if parser.take_word("order") {
        query.order = parser.order()?;
    }
    if parser.take_word("limit") {
        query.limit = Some(parser.limit()?);
    }
    parser.end()?;
    Ok(query)
}

struct Parser {
    /// Ends with [`TokenKind::End`], which is never passed.
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn or(&mut self) -> Result<Expr, QueryError> {
        self.list(Sign::Or, "or", Self::and, Expr::Or)
    }

    fn and(&mut self) -> Result<Expr, QueryError> {
        self.list(Sign::And, "and", Self::unary, Expr::And)
    }

    fn list(
        &mut self,
        sign: Sign,
        word: &str,
        item: fn(&mut Self) -> Result<Expr, QueryError>,
        join: fn(Vec<Expr>) -> Expr,
    ) -> Result<Expr, QueryError> {
        let first = item(self)?;
        let mut rest = Vec::new();
        while self.take_sign(sign) || self.take_word(word) {
            rest.push(item(self)?);
        }
        if rest.is_empty() {
            return Ok(first);
        }
        rest.insert(0, first);
        Ok(join(rest))
    }

    fn unary(&mut self) -> Result<Expr, QueryError> {
        let at = self.peek().at;
        let (not, open) =
            (self.is_sign(Sign::Not) || self.is_word("not"), self.is_sign(Sign::Open));
        if !not && !open {
            return self.condition();
        }
        self.depth += 1;
        if self.depth > FILTER_DEPTH_MAX {
            let message = format!("the query nests deeper than {FILTER_DEPTH_MAX}");
            return Err(QueryError::new(message, at));
        }
        self.next += 1;
        let inner = if not {
            Expr::Not(Box::new(self.unary()?))
        } else {
            let inner = self.or()?;
            if !self.take_sign(Sign::Close) {
                let opened = format!("expected `)` for the `(` at {at}");
                return Err(self.unexpected(&opened));
            }
            inner
        };
        self.depth -= 1;
        Ok(inner)
    }

    fn condition(&mut self) -> Result<Expr, QueryError> {
        if self.take_word("exists") {
            return Ok(Expr::Exists(self.field("exists")?));
        }
        let before = self.previous_text();
        let first = self.next;
        let field = self.field(&before)?;
        if self.take_word("exists") {
            return Ok(Expr::Exists(field));
        }
        if self.take_word("in") {
            let literals = self.literals(&field)?;
            return Ok(Expr::In { field, literals });
        }
        let TokenKind::Sign(sign) = self.peek().kind else {
            return Err(self.no_operator(first, &field));
        };
        let op = match sign {
            Sign::Eq => CompareOp::Eq,
            Sign::Ne => CompareOp::Ne,
            Sign::Gt => CompareOp::Gt,
            Sign::Ge => CompareOp::Ge,
            Sign::Lt => CompareOp::Lt,
            Sign::Le => CompareOp::Le,
            Sign::Match | Sign::NoMatch => {
                self.next += 1;
                let pattern = self.pattern(&field, sign)?;
                return Ok(Expr::Regex { field, pattern, negated: sign == Sign::NoMatch });
            }
            _ => return Err(self.no_operator(first, &field)),
        };
        self.next += 1;
        let literal = self.literal(&field, op, sign.text())?;
        Ok(Expr::Compare { field, op, literal })
    }

    fn field(&mut self, before: &str) -> Result<Field, QueryError> {
        let Token { kind, at, end } = self.peek().clone();
        match kind {
            TokenKind::Quoted(key, _) => {
                self.next += 1;
                Ok(Field::Attribute(AttrScope::Any, key))
            }
            TokenKind::Word(word) if is_keyword(&word) => Err(QueryError::new(
                format!(
                    "expected a field after `{before}`, got `{word}`; quote it if it is a key: \"{word}\""
                ),
                at,
            )),
            TokenKind::Word(word) => {
                self.next += 1;
                if let Some((field, ours)) = self.scoped_quoted(&word, end) {
                    self.next += ours;
                    return Ok(field);
                }
                if let Some(field) = Field::named(&word) {
                    return Ok(field);
                }
                if let Some(ours) = slip_of(&word) {
                    let message = format!(
                        "unknown field `{word}`: did you mean `{ours}`? An attribute of that name is written span.{word}"
                    );
                    return Err(QueryError::new(message, at));
                }
                Ok(attribute(&word))
            }
            _ if before.is_empty() => {
                Err(self.unexpected("expected a condition, for example service = \"checkout\""))
            }
            _ => Err(self.unexpected(&format!("expected a field after `{before}`"))),
        }
    }

    /// `span."quoted key"`: a word that is a scope and its dot, and a string right behind it.
    fn scoped_quoted(&self, word: &str, end: usize) -> Option<(Field, usize)> {
        let scope = AttrScope::PREFIXES.iter().find(|(p, _)| p.eq_ignore_ascii_case(word))?.1;
        match self.peek() {
            Token { kind: TokenKind::Quoted(key, _), at, .. } if *at == end => {
                Some((Field::Attribute(scope, key.clone()), 1))
            }
            _ => None,
        }
    }

    fn literals(&mut self, field: &Field) -> Result<Vec<Literal>, QueryError> {
        if !self.take_sign(Sign::Open) {
            return Err(self.unexpected("expected `(` after `in`, for example in (\"a\", \"b\")"));
        }
        let mut literals = vec![self.literal(field, CompareOp::Eq, "(")?];
        while self.take_sign(Sign::Comma) {
            literals.push(self.literal(field, CompareOp::Eq, ",")?);
        }
        if !self.take_sign(Sign::Close) {
            return Err(self.unexpected("expected `,` or `)`"));
        }
        Ok(literals)
    }

    fn literal(
        &mut self,
        field: &Field,
        op: CompareOp,
        before: &str,
    ) -> Result<Literal, QueryError> {
        let (text, quoted, at) = self.value(field, before)?;
        literal(field, op, &text, quoted).map_err(|message| QueryError::new(message, at))
    }

    /// The text of a value, whether it was quoted, and where it begins.
    fn value(&mut self, field: &Field, before: &str) -> Result<(String, bool, usize), QueryError> {
        let Token { kind, at, .. } = self.peek().clone();
        match kind {
            TokenKind::Quoted(text, _) => {
                self.next += 1;
                Ok((text, true, at))
            }
            TokenKind::Word(word) if !is_keyword(&word) => {
                self.next += 1;
                Ok((word, false, at))
            }
            TokenKind::Word(word) => {
                let message = format!(
                    "expected a value after `{before}`; quote the word if it is one: \"{word}\""
                );
                Err(QueryError::new(message, at))
            }
            _ => {
                let example = match field {
                    Field::Kind => "server",
                    Field::Status => "error",
                    Field::Duration => "500ms",
                    Field::Root | Field::Entry => "true",
                    Field::Trace => "5b8efff798038103d269b633813fc60c",
                    Field::Span | Field::Parent => "eee19b7ec3c1b174",
                    Field::Attribute(..) if !matches!(before, "=" | "!=" | "(" | ",") => "200",
                    _ => "\"checkout\"",
                };
                let expected = format!("expected a value after `{before}`, for example {example}");
                Err(self.unexpected(&expected))
            }
        }
    }

    fn pattern(&mut self, field: &Field, sign: Sign) -> Result<Pattern, QueryError> {
        let (at, sign) = (self.peek().at, sign.text());
        if matches!(
            field,
            Field::Kind
                | Field::Status
                | Field::Duration
                | Field::Trace
                | Field::Span
                | Field::Parent
                | Field::Root
                | Field::Entry
        ) {
            let message = format!("`{field}` is no text, so `{sign}` cannot match it");
            return Err(QueryError::new(message, at));
        }
        let places = match &self.peek().kind {
            TokenKind::Quoted(_, places) => places.clone(),
            _ => Vec::new(),
        };
        let (text, quoted, at) = self.value(field, sign)?;
        Pattern::new(&text).map_err(|err| {
            let past = usize::from(quoted) + text.chars().count();
            let inside = if quoted { places.get(err.at).copied().unwrap_or(past) } else { err.at };
            QueryError::new(format!("bad pattern: {}", err.message), at + inside)
        })
    }

    fn order(&mut self) -> Result<Order, QueryError> {
        if !self.take_word("by") {
            return Err(self.unexpected("expected `by` after `order`"));
        }
        let by_start = if self.take_word("start") {
            true
        } else if self.take_word("duration") {
            false
        } else {
            let question = match &self.peek().kind {
                TokenKind::Word(word) => did_you_mean(word, ["start", "duration"]),
                _ => String::new(),
            };
            return Err(self.unexpected(&format!("expected `start` or `duration`{question}")));
        };
        let ascending = self.take_word("asc");
        if !ascending {
            self.take_word("desc");
        }
        Ok(match (by_start, ascending) {
            (true, false) => Order::Newest,
            (true, true) => Order::Oldest,
            (false, false) => Order::Longest,
            (false, true) => Order::Shortest,
        })
    }

    fn limit(&mut self) -> Result<usize, QueryError> {
        let number = match &self.peek().kind {
            TokenKind::Word(word) => word.parse().ok(),
            _ => None,
        };
        let Some(number) = number.filter(|number| (1..=LIMIT_MAX).contains(number)) else {
            return Err(self.unexpected(&format!("expected a number from 1 to {LIMIT_MAX}")));
        };
        self.next += 1;
        Ok(number)
    }

    fn end(&self) -> Result<(), QueryError> {
        let expected = match &self.peek().kind {
            TokenKind::End => return Ok(()),
            TokenKind::Sign(Sign::Close) => "expected no `)`, none is open".to_owned(),
            TokenKind::Word(word) => {
                let tail = ["and", "or", "order", "limit"];
                format!("expected `and`, `or` or the end{}", did_you_mean(word, tail))
            }
            _ => "expected `and`, `or` or the end".to_owned(),
        };
        Err(self.unexpected(&expected))
    }

    /// What to say where an operator should be behind the field that began at token `first`.
    fn no_operator(&self, first: usize, field: &Field) -> QueryError {
        let example = match field {
            Field::Kind => "kind = server".to_owned(),
            Field::Status => "status = error".to_owned(),
            Field::Duration => "duration > 500ms".to_owned(),
            Field::Root | Field::Entry => format!("{field} = true"),
            field => format!("{field} = \"...\""),
        };
        let expected = format!("expected an operator after `{field}`, for example {example}");
        if let Token { kind: TokenKind::Word(word), at, .. } = &self.tokens[first]
            && let Some((key, value)) = word.split_once(':')
            && !key.is_empty()
        {
            let message =
                format!("expected an operator in `{word}`: did you mean `{key} = {value}`?");
            return QueryError::new(message, *at);
        }
        let TokenKind::Word(word) = &self.peek().kind else { return self.unexpected(&expected) };
        if word.eq_ignore_ascii_case("not") {
            let message = format!(
                "expected an operator after `{field}`: write not before it, as in not ({field} in (...))"
            );
            return QueryError::new(message, self.peek().at);
        }
        let other = OTHER_OPERATORS.iter().find(|(other, _)| other.eq_ignore_ascii_case(word));
        if let Some((_, ours)) = other {
            let message = format!("expected an operator after `{field}`: did you mean `{ours}`?");
            return QueryError::new(message, self.peek().at);
        }
        // A lone word is more likely a slip of a keyword than a key: `nto status = error`.
        if let TokenKind::Word(first_word) = &self.tokens[first].kind
            && let Some(keyword) = nearest(first_word, ["not", "exists", "order", "limit"])
        {
            let message =
                format!("expected an operator after `{field}`, or did you mean `{keyword}`?");
            return QueryError::new(message, self.tokens[first].at);
        }
        let question = did_you_mean(word, ["in", "exists"]);
        QueryError::new(format!("{expected}{question}"), self.peek().at)
    }

    fn unexpected(&self, expected: &str) -> QueryError {
        let token = self.peek();
        let got = match &token.kind {
            TokenKind::End => String::new(),
            TokenKind::Word(word) => format!(", got `{}`", shortened(word)),
            TokenKind::Quoted(text, _) => format!(", got \"{}\"", shortened(text)),
            TokenKind::Sign(sign) => format!(", got `{}`", sign.text()),
        };
        QueryError::new(format!("{expected}{got}"), token.at)
    }

    fn previous_text(&self) -> String {
        match self.next.checked_sub(1).map(|at| &self.tokens[at].kind) {
            Some(TokenKind::Word(word)) => word.clone(),
            Some(TokenKind::Sign(sign)) => sign.text().to_owned(),
            _ => String::new(),
        }
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.next]
    }

    fn is_sign(&self, sign: Sign) -> bool {
        self.peek().kind == TokenKind::Sign(sign)
    }

    fn is_word(&self, wanted: &str) -> bool {
        matches!(&self.peek().kind, TokenKind::Word(word) if word.eq_ignore_ascii_case(wanted))
    }

    fn take_sign(&mut self, sign: Sign) -> bool {
        let found = self.is_sign(sign);
        self.next += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.next += usize::from(found);
        found
    }

    fn at_tail(&self) -> bool {
        self.is_word("order") || self.is_word("limit") || self.peek().kind == TokenKind::End
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= 40 {
        return text.to_owned();
    }
    text.chars().take(37).chain("...".chars()).collect()
}
