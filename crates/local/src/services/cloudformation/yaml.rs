//! Templates in YAML, with the short forms of functions: `!Ref`, `!GetAtt`, `!Sub` and the others.
//!
//! Rule: "Template format", AWS CloudFormation user guide: YAML 1.1 without aliases.

use serde_json::{Map, Value, json};
use yaml_rust2::parser::{Event, MarkedEventReceiver, Parser, Tag};
use yaml_rust2::scanner::{Marker, TScalarStyle};

use super::template::DEPTH_MAX;

/// Reads one document.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader::default();
    Parser::new_from_str(text).load(&mut reader, false).map_err(|err| err.to_string())?;
    match reader.trouble {
        Some(trouble) => Err(trouble),
        None => Ok(reader.document.unwrap_or_default()),
    }
}

#[derive(Default)]
struct Reader {
    document: Option<Value>,
    open: Vec<Open>,
    trouble: Option<String>,
}

struct Open {
    content: Content,
    tag: Option<String>,
}

enum Content {
    List(Vec<Value>),
    /// With the key whose value comes next.
    Members(Map<String, Value>, Option<String>),
}

impl MarkedEventReceiver for Reader {
    fn on_event(&mut self, event: Event, mark: Marker) {
        if self.trouble.is_some() {
            return;
        }
        match event {
            Event::Scalar(text, style, _, tag) => {
                let tag = function(tag.as_ref());
                let value = if tag.is_some() { text.into() } else { scalar(text, style) };
                self.add(tagged(tag, value), &mark);
            }
            Event::SequenceStart(_, tag) => {
                self.enter(Content::List(Vec::new()), tag.as_ref(), &mark);
            }
            Event::MappingStart(_, tag) => {
                self.enter(Content::Members(Map::new(), None), tag.as_ref(), &mark);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { content, tag }) = self.open.pop() {
                    let value = match content {
                        Content::List(items) => Value::Array(items),
                        Content::Members(members, _) => Value::Object(members),
                    };
                    self.add(tagged(tag, value), &mark);
                }
            }
            Event::Alias(_) => self.fail("aliases are not supported", &mark),
            _ => {}
        }
    }
}

impl Reader {
    fn enter(&mut self, content: Content, tag: Option<&Tag>, mark: &Marker) {
        if self.open.len() >= DEPTH_MAX {
            self.fail("nested too deeply", mark);
        }
        self.open.push(Open { content, tag: function(tag) });
    }

    fn add(&mut self, value: Value, mark: &Marker) {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.document = Some(value),
            Some(Content::List(items)) => items.push(value),
            Some(Content::Members(members, key @ Some(_))) => {
                if let Some(key) = key.take() {
                    members.insert(key, value);
                }
            }
            Some(Content::Members(_, key)) => match super::intrinsics::as_text(&value) {
                Some(text) => *key = Some(text),
                None => self.fail("a key must be text", mark),
            },
        }
    }

    fn fail(&mut self, what: &str, mark: &Marker) {
        self.trouble = Some(format!("line {}: {what}", mark.line()));
    }
}

/// `!GetAtt` is `Fn::GetAtt`; tags of YAML itself are no functions.
fn function(tag: Option<&Tag>) -> Option<String> {
    let tag = tag.filter(|tag| tag.handle == "!")?;
    Some(match tag.suffix.as_str() {
        name @ ("Ref" | "Condition") => name.to_owned(),
        name => format!("Fn::{name}"),
    })
}

fn tagged(function: Option<String>, value: Value) -> Value {
    match function {
        Some(name) => json!({ name: value }),
        None => value,
    }
}

/// What an untagged scalar means.
fn scalar(text: String, style: TScalarStyle) -> Value {
    if style != TScalarStyle::Plain {
        return text.into();
    }
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        number => match number.parse::<i64>() {
            // Account numbers keep their leading zeros.
            Ok(parsed) if parsed.to_string() == text => parsed.into(),
            _ => match number.parse::<f64>() {
                Ok(parsed) if number.contains('.') && parsed.is_finite() => parsed.into(),
                _ => text.into(),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_become_functions() {
        let value = parse(
            "A: !Ref B\nC: !GetAtt D.Arn\nE: !Join ['-', [a, !Sub '${AWS::Region}']]\nF: !If\n  - X\n  - 1\n  - {G: 'true'}\n",
        );
        assert_eq!(
            value.unwrap(),
            json!({
                "A": { "Ref": "B" },
                "C": { "Fn::GetAtt": "D.Arn" },
                "E": { "Fn::Join": ["-", ["a", { "Fn::Sub": "${AWS::Region}" }]] },
                "F": { "Fn::If": ["X", 1, { "G": "true" }] },
            })
        );
    }

    #[test]
    fn scalars_mean_what_they_say() {
        let value =
            parse("a: 012345678901\nb: 2012-10-17\nc: true\nd: 1.5\ne: ~\nf: 42\ng: |\n  x\n  y\n");
        let expected = json!({
            "a": "012345678901", "b": "2012-10-17", "c": true, "d": 1.5, "e": null, "f": 42, "g": "x\ny\n",
        });
        assert_eq!(value.unwrap(), expected);
    }

    #[test]
    fn nonsense_is_refused_without_panic() {
        assert!(parse("a: [").is_err());
        assert!(parse("a: &x 1\nb: *x\n").unwrap_err().contains("aliases"));
        assert!(parse(&"[".repeat(500)).is_err());
        assert!(parse("{a: 1}: 2").unwrap_err().contains("key must be text"));
    }
}
