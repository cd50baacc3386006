//! Tokens to the tree, by recursive descent.

use throughline_topology::xray::CauseKind;

use super::ast::{CAUSES, Expr, Flag, GroupBy, Literal, NodeSelector, Number, Op, PARTS, Text};
use super::lexer::{Token, TokenKind, tokens};
use super::selector::{Chosen, Selector};
use crate::QueryError;
use crate::ast::FILTER_DEPTH_MAX;

/// What a root cause's JSON may ask about: the members of X-Ray's own `FaultRootCause` and the like.
const CAUSE_MEMBERS: [&str; 12] = [
    "Services",
    "ClientImpacting",
    "Name",
    "Names",
    "Type",
    "AccountId",
    "EntityPath",
    "Inferred",
    "Exceptions",
    "Message",
    "Coverage",
    "Remote",
];

pub(super) fn expression(text: &str) -> Result<Expr, QueryError> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
    if parser.peek().kind == TokenKind::End {
        return Ok(Expr::ALL);
    }
    let expr = parser.or()?;
    match &parser.peek().kind {
        TokenKind::End => Ok(expr),
        TokenKind::Sign(sign @ (")" | "}")) => {
            Err(parser.unexpected(&format!("expected no `{sign}`, none is open")))
        }
        _ => Err(parser.unexpected("expected AND, OR or the end")),
    }
}

/// `service(...)`, `edge(...)` or `id(...)` alone.
pub(super) fn selector(text: &str) -> Result<Selector, QueryError> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
    let selector = if parser.take_word("service") {
        Chosen::Nodes(parser.service()?)
    } else if parser.take_word("edge") {
        Chosen::Calls(parser.edge()?)
    } else if parser.is_word("id") {
        Chosen::Nodes(Some(parser.node()?))
    } else {
        return Err(parser.unexpected("expected service(...), edge(..., ...) or id(...)"));
    };
    match parser.peek().kind {
        TokenKind::End => Ok(Selector(selector)),
        _ => Err(parser.unexpected("expected the end")),
    }
}

struct Parser {
    /// Ends with [`TokenKind::End`], which is never passed.
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn or(&mut self) -> Result<Expr, QueryError> {
        let mut items = vec![self.and()?];
        while self.take_word("or") {
            items.push(self.and()?);
        }
        Ok(one_or(items, Expr::Or))
    }

    /// Words that merely follow each other are joined as by AND.
    fn and(&mut self) -> Result<Expr, QueryError> {
        let mut items = vec![self.unary()?];
        loop {
            let more = match &self.peek().kind {
                TokenKind::Word(word) => !word.eq_ignore_ascii_case("or"),
                TokenKind::Sign(sign) => matches!(*sign, "!" | "("),
                _ => false,
            };
            if !self.take_word("and") && !more {
                return Ok(one_or(items, Expr::And));
            }
            items.push(self.unary()?);
        }
    }

    fn unary(&mut self) -> Result<Expr, QueryError> {
        let at = self.peek().at;
        if self.take_sign("!") {
            return self.deeper(at, |parser| Ok(Expr::Not(Box::new(parser.unary()?))));
        }
        if !self.take_sign("(") {
            return self.term();
        }
        self.deeper(at, |parser| {
            let inner = parser.or()?;
            parser.expect_sign(")", &format!("expected `)` for the `(` at {at}"))?;
            Ok(inner)
        })
    }

    fn deeper<T>(
        &mut self,
        at: usize,
        read: impl FnOnce(&mut Self) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        self.depth += 1;
        if self.depth > FILTER_DEPTH_MAX {
            let message = format!("the filter expression nests deeper than {FILTER_DEPTH_MAX}");
            return Err(QueryError::new(message, at));
        }
        let read = read(self)?;
        self.depth -= 1;
        Ok(read)
    }

    fn term(&mut self) -> Result<Expr, QueryError> {
        let Token { kind: TokenKind::Word(written), at } = self.peek().clone() else {
            return Err(self.unexpected("expected a condition, for example service(\"api\")"));
        };
        let word = written.to_ascii_lowercase();
        self.next += 1;
        if let Some(flag) = of(&Flag::WORDS, &word) {
            return self.flag(flag);
        }
        if let Some(number) = of(&Number::WORDS, &word) {
            return self.number(number, &written);
        }
        if let Some(text) = of(&Text::WORDS, &word) {
            return self.text(text, &written);
        }
        match word.as_str() {
            "service" => {
                let selector = self.service()?;
                Ok(Expr::Service(selector, self.block()?))
            }
            "edge" => {
                let selectors = self.edge()?;
                Ok(Expr::Edge(selectors, self.block()?))
            }
            "group.name" => self.group(GroupBy::Name),
            "group.arn" => self.group(GroupBy::Arn),
            "annotation" => {
                let key = self.key_in_brackets()?;
                self.annotation(key)
            }
            _ => match (written.get(..11), written.get(11..), word.strip_prefix("rootcause.")) {
                (Some(head), Some(key), _) if head.eq_ignore_ascii_case("annotation.") => {
                    if key.is_empty() {
                        return Err(QueryError::new("expected a key after `annotation.`", at + 11));
                    }
                    self.annotation(key.to_owned())
                }
                (_, _, Some(path)) => self.cause(path, at),
                _ => Err(unknown(&written, at)),
            },
        }
    }

    fn flag(&mut self, flag: Flag) -> Result<Expr, QueryError> {
        let equal = if self.take_equals() {
            true
        } else if self.take_sign("!=") {
            false
        } else {
            return Ok(Expr::Flag(flag, true));
        };
        let value = match &self.peek().kind {
            TokenKind::Word(text) | TokenKind::Quoted(text) => truth(text),
            _ => None,
        };
        let Some(value) = value else { return Err(self.unexpected("expected true or false")) };
        self.next += 1;
        Ok(Expr::Flag(flag, value == equal))
    }

    fn number(&mut self, number: Number, written: &str) -> Result<Expr, QueryError> {
        let Some(op) = self.operator() else { return Ok(Expr::Number(number, None)) };
        if op.looks_inside() {
            let message = format!("`{written}` is a number, so {op} cannot look into it");
            return Err(QueryError::new(message, self.place_before()));
        }
        let value = match &self.peek().kind {
            TokenKind::Word(text) | TokenKind::Quoted(text) => number_of(text),
            _ => None,
        };
        let Some(value) = value else {
            return Err(self.unexpected(&format!("expected a number after `{op}`")));
        };
        self.next += 1;
        Ok(Expr::Number(number, Some((op, value))))
    }

    fn text(&mut self, text: Text, written: &str) -> Result<Expr, QueryError> {
        let Some(op) = self.operator() else { return Ok(Expr::Text(text, None)) };
        if op.orders() {
            let message = format!(
                "`{written}` is text, so `{op}` cannot compare it: use =, !=, CONTAINS, BEGINSWITH or ENDSWITH"
            );
            return Err(QueryError::new(message, self.place_before()));
        }
        let value = self.string(&op.to_string())?;
        Ok(Expr::Text(text, Some((op, value))))
    }

    fn annotation(&mut self, key: String) -> Result<Expr, QueryError> {
        let Some(op) = self.operator() else { return Ok(Expr::Annotation(key, None)) };
        let quoted = matches!(self.peek().kind, TokenKind::Quoted(_));
        let text = self.string(&op.to_string())?;
        let literal = if quoted || op.looks_inside() {
            Literal::Text(text)
        } else if let Some(flag) = truth(&text) {
            Literal::Bool(flag)
        } else if let Some(number) = number_of(&text) {
            Literal::Number(number)
        } else {
            Literal::Text(text)
        };
        if op.orders() && matches!(literal, Literal::Bool(_)) {
            let message = format!("`{op}` cannot compare true and false");
            return Err(QueryError::new(message, self.place_before()));
        }
        Ok(Expr::Annotation(key, Some((op, literal))))
    }

    fn key_in_brackets(&mut self) -> Result<String, QueryError> {
        self.expect_sign("[", "expected annotation.KEY or annotation[KEY]")?;
        let key = match &self.peek().kind {
            TokenKind::Word(key) | TokenKind::Quoted(key) => key.clone(),
            _ => return Err(self.unexpected("expected the key of an annotation")),
        };
        self.next += 1;
        self.expect_sign("]", "expected `]`")?;
        Ok(key)
    }

    fn group(&mut self, by: GroupBy) -> Result<Expr, QueryError> {
        let equal = self.equal_or_not()?;
        Ok(Expr::Group(by, self.string("=")?, equal))
    }

    fn cause(&mut self, path: &str, at: usize) -> Result<Expr, QueryError> {
        let expected = || {
            let message = "expected rootcause.fault.service, rootcause.error.entity, rootcause.responsetime.exception, rootcause.json or the like";
            QueryError::new(message, at)
        };
        if path == "json" {
            return self.cause_json(None);
        }
        let (kind, part) = path.split_once('.').ok_or_else(expected)?;
        let kind = of(&CAUSES, kind).ok_or_else(expected)?;
        if part == "json" {
            return self.cause_json(Some(kind));
        }
        let part = of(&PARTS, part).ok_or_else(expected)?;
        Ok(Expr::Cause(kind, part, self.block()?))
    }

    fn cause_json(&mut self, kind: Option<CauseKind>) -> Result<Expr, QueryError> {
        let equal = self.equal_or_not()?;
        let TokenKind::Json(text) = &self.peek().kind else {
            return Err(self.unexpected("expected #[{...}]"));
        };
        let wrong = |message: String| QueryError::new(message, self.peek().at);
        let causes: Vec<serde_json::Value> = serde_json::from_str(text)
            .map_err(|err| wrong(format!("expected a JSON array of root causes: {err}")))?;
        for cause in &causes {
            check_members(cause).map_err(&wrong)?;
        }
        self.next += 1;
        Ok(Expr::CauseJson(kind, causes, equal))
    }

    fn service(&mut self) -> Result<Option<NodeSelector>, QueryError> {
        self.expect_sign("(", "expected `(` after service, as in service(\"api\")")?;
        if self.take_sign(")") {
            return Ok(None);
        }
        let node = self.node()?;
        self.expect_sign(")", "expected `)`")?;
        Ok(Some(node))
    }

    fn edge(&mut self) -> Result<Option<Box<(NodeSelector, NodeSelector)>>, QueryError> {
        self.expect_sign("(", "expected `(` after edge, as in edge(\"api\", \"orders\")")?;
        if self.take_sign(")") {
            return Ok(None);
        }
        let from = self.node()?;
        self.expect_sign(",", "expected `,` and the node that is called")?;
        let to = self.node()?;
        self.expect_sign(")", "expected `)`")?;
        Ok(Some(Box::new((from, to))))
    }

    fn node(&mut self) -> Result<NodeSelector, QueryError> {
        let text = match &self.peek().kind {
            TokenKind::Word(text) | TokenKind::Quoted(text) => text.clone(),
            _ => return Err(self.unexpected("expected the name of a node or id(...)")),
        };
        let quoted = matches!(self.peek().kind, TokenKind::Quoted(_));
        self.next += 1;
        if quoted || !text.eq_ignore_ascii_case("id") || !self.take_sign("(") {
            return Ok(NodeSelector { name: Some(text), ..NodeSelector::default() });
        }
        let mut node = NodeSelector::default();
        loop {
            let expected = "expected name:, type: or account.id:";
            let word = match &self.peek().kind {
                TokenKind::Word(word) => word.to_ascii_lowercase(),
                _ => return Err(self.unexpected(expected)),
            };
            let place = match word.as_str() {
                "name" => &mut node.name,
                "type" => &mut node.kind,
                "account.id" => &mut node.account,
                _ => return Err(self.unexpected(expected)),
            };
            if place.is_some() {
                return Err(self.unexpected(&format!("expected `{word}` only once")));
            }
            self.next += 1;
            self.expect_sign(":", &format!("expected `:` after `{word}`"))?;
            *place = Some(self.string(":")?);
            if self.take_sign(")") {
                return Ok(node);
            }
            self.expect_sign(",", "expected `,` or `)`")?;
        }
    }

    /// The block behind a scope. The last `}` may lack at the end, as in an example of AWS's own.
    fn block(&mut self) -> Result<Box<Expr>, QueryError> {
        let at = self.peek().at;
        if !self.take_sign("{") {
            return Ok(Box::new(Expr::ALL));
        }
        self.deeper(at, |parser| {
            let empty = parser.is_sign("}") || parser.peek().kind == TokenKind::End;
            let inner = if empty { Expr::ALL } else { parser.or()? };
            if parser.peek().kind != TokenKind::End {
                parser.expect_sign("}", &format!("expected `}}` for the `{{` at {at}"))?;
            }
            Ok(Box::new(inner))
        })
    }

    /// Text, quoted or not.
    fn string(&mut self, before: &str) -> Result<String, QueryError> {
        match &self.peek().kind {
            TokenKind::Word(word) if is_joint(word) => {
                let message = format!(
                    "expected a value after `{before}`; quote the word if it is one: \"{word}\""
                );
                Err(QueryError::new(message, self.peek().at))
            }
            TokenKind::Word(text) | TokenKind::Quoted(text) => {
                let text = text.clone();
                self.next += 1;
                Ok(text)
            }
            _ => Err(self.unexpected(&format!("expected a value after `{before}`"))),
        }
    }

    fn operator(&mut self) -> Option<Op> {
        let written = match &self.peek().kind {
            TokenKind::Sign("==") => "=",
            TokenKind::Sign(sign) => sign,
            TokenKind::Word(word) => word.as_str(),
            _ => return None,
        };
        let found = Op::WORDS.iter().find(|(text, _)| text.eq_ignore_ascii_case(written));
        let op = found.map(|(_, op)| *op)?;
        self.next += 1;
        Some(op)
    }

    fn equal_or_not(&mut self) -> Result<bool, QueryError> {
        if self.take_equals() {
            Ok(true)
        } else if self.take_sign("!=") {
            Ok(false)
        } else {
            Err(self.unexpected("expected = or !="))
        }
    }

    fn take_equals(&mut self) -> bool {
        self.take_sign("=") || self.take_sign("==")
    }

    fn expect_sign(&mut self, sign: &str, expected: &str) -> Result<(), QueryError> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn unexpected(&self, expected: &str) -> QueryError {
        let token = self.peek();
        let got = match &token.kind {
            TokenKind::End => String::new(),
            TokenKind::Word(word) => format!(", got `{}`", shortened(word)),
            TokenKind::Quoted(text) => format!(", got \"{}\"", shortened(text)),
            TokenKind::Json(_) => ", got JSON".to_owned(),
            TokenKind::Sign(sign) => format!(", got `{sign}`"),
        };
        QueryError::new(format!("{expected}{got}"), token.at)
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.next]
    }

    fn place_before(&self) -> usize {
        self.next.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |token| token.at)
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek().kind, TokenKind::Sign(one) if one == sign)
    }

    fn is_word(&self, wanted: &str) -> bool {
        matches!(&self.peek().kind, TokenKind::Word(word) if word.eq_ignore_ascii_case(wanted))
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.next += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.next += usize::from(found);
        found
    }
}

fn one_or(mut items: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match items.pop() {
        Some(only) if items.is_empty() => only,
        last => {
            items.extend(last);
            join(items)
        }
    }
}

fn of<T: Copy>(words: &[(&str, T)], wanted: &str) -> Option<T> {
    words.iter().find(|(word, _)| *word == wanted).map(|(_, one)| *one)
}

fn is_joint(word: &str) -> bool {
    word.eq_ignore_ascii_case("and") || word.eq_ignore_ascii_case("or")
}

fn truth(text: &str) -> Option<bool> {
    [("true", true), ("false", false)]
        .into_iter()
        .find_map(|(word, flag)| text.eq_ignore_ascii_case(word).then_some(flag))
}

/// A number as the grammar has it; `inf`, `nan` and what overflows are none.
fn number_of(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit());
    text.parse().ok().filter(|number: &f64| is_number && number.is_finite())
}

/// Refuses members that no root cause has: they would silently match nothing.
fn check_members(value: &serde_json::Value) -> Result<(), String> {
    match value {
        serde_json::Value::Array(items) => items.iter().try_for_each(check_members),
        serde_json::Value::Object(members) => members.iter().try_for_each(|(name, value)| {
            if !CAUSE_MEMBERS.contains(&name.as_str()) {
                return Err(format!("a root cause has no member `{}`", shortened(name)));
            }
            check_members(value)
        }),
        _ => Ok(()),
    }
}

fn unknown(word: &str, at: usize) -> QueryError {
    if is_joint(word) {
        return QueryError::new(format!("expected a condition, got `{word}`"), at);
    }
    let words = Flag::WORDS.iter().map(|(word, _)| *word);
    let words = words.chain(Number::WORDS.iter().map(|(word, _)| *word));
    let words = words.chain(Text::WORDS.iter().map(|(word, _)| *word));
    let others = ["service", "edge", "annotation", "rootcause", "group.name", "group.arn"];
    let question = crate::native::did_you_mean(word, words.chain(others));
    QueryError::new(format!("unknown keyword `{}`{question}", shortened(word)), at)
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= 40 {
        return text.to_owned();
    }
    text.chars().take(37).chain("...".chars()).collect()
}
