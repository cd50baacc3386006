//! A filter on traces to a filter on spans that no wanted trace slips through.
//!
//! A condition may be pushed down when whatever makes it true of a trace stands in one span of it.
//! Two conditions may be made true by two spans, so of those that must all hold the best is taken.
//! What we are not sure of is not pushed: the search reads the trace and asks the filter itself.
//! The attributes are those that `TraceView::of` reads; a test holds the two together.

use throughline_model::{StatusCode, xray};
use throughline_topology::xray::CauseKind;

use super::ast::{self, Flag, Literal, NodeSelector, Number, Op, Text};
use crate::ast::{AttrScope, CompareOp, Expr, Field};
use crate::pattern::Pattern;

/// How many conditions may be pushed down at most.
const CONDITIONS_MAX: usize = 1000;

/// The longest name that `TraceView` leaves whole.
const NAME_CHARS_MAX: usize = 249;

/// From here on a double cannot hold every integer.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Attributes of a caller, or of a function's own subsegments, that may hold a node's name: those
/// from which `throughline_topology::xray` takes one. Whoever adds one there adds it here.
pub(super) const NODE_KEYS: [&str; 50] = [
    "aws.table_name",
    "aws.table_names",
    "aws.dynamodb.table_names",
    "table.name",
    "aws.bucket_name",
    "aws.s3.bucket",
    "aws.bucket.name",
    "aws.queue_url",
    "aws.sqs.queue.url",
    "aws.sqs.queue_url",
    "aws.queue.url",
    "queue.url",
    "messaging.url",
    "aws.queue_name",
    "messaging.destination.name",
    "messaging.destination.template",
    "messaging.destination",
    "aws.function_name",
    "aws.function_arn",
    "faas.name",
    "faas.invoked_name",
    "aws.lambda.function.name",
    "aws.stream_name",
    "aws.kinesis.stream_name",
    "aws.kinesis.stream.name",
    "aws.delivery_stream_name",
    "aws.event_bus_name",
    "aws.eventbridge.event_bus.name",
    "aws.state_machine_arn",
    "aws.step_functions.state_machine.arn",
    "aws.stepfunctions.state_machine.arn",
    "aws.endpoint_name",
    "aws.remote.service",
    "aws.service",
    "rpc.service",
    "rpc.method",
    "service.peer.name",
    "peer.service",
    "db.system.name",
    "db.system",
    "db.namespace",
    "db.name",
    "url.full",
    "http.url",
    "server.address",
    "net.peer.name",
    "http.host",
    "network.peer.address",
    "net.sock.peer.addr",
    "net.peer.ip",
];

/// Names that `TraceView` gives to nodes though no span has them.
const MADE_NAMES: [&str; 11] = [
    "DynamoDB",
    "S3",
    "SNS",
    "SQS",
    "Lambda",
    "Kinesis",
    "KinesisFirehose",
    "Events",
    "StepFunctions",
    "SageMaker",
    "facade",
];

/// What to look for in spans, and how many spans it leaves, as a guess: less is better.
struct Push {
    expr: Expr,
    rank: u8,
}

const FEW: u8 = 1;
const SOME: u8 = 2;
const MANY: u8 = 3;

/// What one span at least of every wanted trace is like; `None` for anything.
pub(super) fn of(expr: &ast::Expr) -> Option<Expr> {
    push(expr).map(|push| push.expr).filter(|expr| conditions(expr) <= CONDITIONS_MAX)
}

fn push(expr: &ast::Expr) -> Option<Push> {
    match expr {
        ast::Expr::And(items) => items.iter().filter_map(push).min_by_key(|push| push.rank),
        ast::Expr::Or(items) => {
            let pushes: Vec<Push> = items.iter().map(push).collect::<Option<_>>()?;
            let rank = pushes.iter().map(|push| push.rank).max()?;
            any_of(pushes.into_iter().map(|push| push.expr).collect(), rank)
        }
        ast::Expr::Flag(flag, true) => flagged(*flag),
        ast::Expr::Number(Number::HttpStatus, test) => {
            let keys = ["http.response.status_code", "http.status_code"];
            match test {
                // Text is read as a number, too.
                Some((Op::Eq, code)) if code.fract() == 0.0 && (0.0..1e9).contains(code) => {
                    either(keys, FEW, |key| pattern(span(key), &format!(r"\+?0*{code}")))
                }
                _ => either(keys, MANY, |key| Some(Expr::Exists(span(key)))),
            }
        }
        ast::Expr::Text(text, test) => texts(*text, test.as_ref()),
        ast::Expr::Annotation(key, test) => {
            let keys = [format!("{}{key}", xray::ANNOTATION_PREFIX), key.clone()];
            let rank = match test {
                Some((Op::Eq, _)) => FEW,
                Some(_) => SOME,
                None => MANY,
            };
            either(keys, rank, |key| Some(annotation(span(key), test.as_ref())))
        }
        ast::Expr::Service(node, inner) => {
            let named = node.as_ref().and_then(node_named);
            named.into_iter().chain(push(inner)).min_by_key(|push| push.rank)
        }
        ast::Expr::Edge(nodes, inner) => {
            let named = nodes.iter().flat_map(|nodes| [&nodes.0, &nodes.1]).filter_map(node_named);
            named.chain(push(inner)).min_by_key(|push| push.rank)
        }
        ast::Expr::Cause(kind, ..) => trouble(*kind),
        ast::Expr::CauseJson(Some(kind), causes, true) if !causes.is_empty() => trouble(*kind),
        _ => None,
    }
}

fn flagged(flag: Flag) -> Option<Push> {
    let (own, codes) = match flag {
        Flag::Error => (xray::ERROR, "4[0-9][0-9]"),
        Flag::Throttle => (xray::THROTTLE, "429"),
        Flag::Fault => (xray::FAULT, "5[0-9][0-9]"),
        _ => return None,
    };
    let is = |field, literal| Expr::Compare { field, op: CompareOp::Eq, literal };
    let mut any = vec![is(span(own), crate::ast::Literal::Bool(true))];
    if flag == Flag::Fault {
        any.push(is(Field::Status, crate::ast::Literal::Status(StatusCode::Error)));
    }
    for key in ["http.response.status_code", "http.status_code"] {
        any.push(pattern(span(key), &format!(r"\+?0*{codes}"))?);
    }
    any_of(any, SOME)
}

fn trouble(kind: CauseKind) -> Option<Push> {
    match kind {
        CauseKind::Fault => flagged(Flag::Fault),
        CauseKind::Error => {
            any_of(vec![flagged(Flag::Error)?.expr, flagged(Flag::Throttle)?.expr], SOME)
        }
        CauseKind::ResponseTime => None,
    }
}

fn texts(text: Text, test: Option<&(Op, String)>) -> Option<Push> {
    let resource = |key| Field::Attribute(AttrScope::Resource, key);
    // Whole, on the span; inside, on the span; inside, on the resource, where it may be cut.
    let (whole, there, cut): (&[&str], &[&str], &[&str]) = match text {
        Text::HttpUrl => (&["url.full", "http.url"], &["url.path", "http.target"], &[]),
        Text::HttpMethod => (&["http.request.method", "http.method"], &[], &[]),
        Text::HttpUserAgent => (&["user_agent.original", "http.user_agent"], &[], &[]),
        Text::HttpClientIp => (
            &[
                "client.address",
                "http.client_ip",
                "network.peer.address",
                "net.sock.peer.addr",
                "net.peer.ip",
            ],
            &[],
            &[],
        ),
        Text::User => (&["enduser.id"], &[], &[]),
        Text::ResourceArn => (
            &[xray::RESOURCE_ARN, "aws.function_arn", "aws.lambda.invoked_arn"],
            &[],
            &["cloud.resource_id", "faas.id"],
        ),
        Text::InstanceId => (&[], &[], &["aws.ec2.instance_id", "host.id"]),
        Text::AvailabilityZone => (
            &[],
            &[],
            &["aws.ec2.availability_zone", "aws.ecs.availability_zone", "cloud.availability_zone"],
        ),
        Text::Name | Text::Type | Text::Message | Text::AccountId => return None,
    };
    let mut any: Vec<Expr> =
        whole.iter().map(|key| text_test(span(key.to_owned()), test)).collect();
    any.extend(there.iter().map(|key| Expr::Exists(span(key.to_owned()))));
    for key in cut {
        let field = resource((*key).to_owned());
        any.push(match test {
            Some((Op::Ne, _)) | None => Expr::Exists(field),
            Some((_, wanted)) => contains(field.clone(), wanted).unwrap_or(Expr::Exists(field)),
        });
    }
    let rank = match test {
        Some((Op::Eq, _)) if text != Text::HttpMethod => FEW,
        Some((Op::Ne, _)) | None => MANY,
        _ => SOME,
    };
    any_of(any, rank)
}

/// A test of an attribute that is text; other types may pass as well.
fn text_test(field: Field, test: Option<&(Op, String)>) -> Expr {
    let Some((op, wanted)) = test else { return Expr::Exists(field) };
    let quoted = regex_syntax::escape(wanted);
    let found = match op {
        Op::Eq => {
            let literal = crate::ast::Literal::Str(wanted.clone());
            return Expr::Compare { field, op: CompareOp::Eq, literal };
        }
        Op::Contains => pattern(field.clone(), &format!("(?s).*{quoted}.*")),
        Op::BeginsWith => pattern(field.clone(), &format!("(?s){quoted}.*")),
        Op::EndsWith => pattern(field.clone(), &format!("(?s).*{quoted}")),
        _ => None,
    };
    found.unwrap_or(Expr::Exists(field))
}

fn annotation(field: Field, test: Option<&(Op, Literal)>) -> Expr {
    match test {
        Some((op, Literal::Text(text))) => text_test(field, Some(&(*op, text.clone()))),
        Some((Op::Eq, Literal::Bool(flag))) => {
            Expr::Compare { field, op: CompareOp::Eq, literal: crate::ast::Literal::Bool(*flag) }
        }
        Some((op, Literal::Number(number))) if number.abs() < EXACT_MAX => {
            let op = match op {
                Op::Eq => CompareOp::Eq,
                Op::Lt => CompareOp::Lt,
                Op::Le => CompareOp::Le,
                Op::Gt => CompareOp::Gt,
                Op::Ge => CompareOp::Ge,
                _ => return Expr::Exists(field),
            };
            Expr::Compare { field, op, literal: crate::ast::Literal::Double(*number) }
        }
        _ => Expr::Exists(field),
    }
}

/// A span that gives a node its name: its own, or that of a callee that sent nothing.
///
/// Resources are named by URL, ARN or in lists, hosts in any case, so these attributes need only
/// hold the name somewhere.
fn node_named(node: &NodeSelector) -> Option<Push> {
    let name = node.name.as_ref()?;
    // Printed in a list, other characters may look different; `@` joins two attributes.
    let is_plain = name.chars().all(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '@'));
    if name.is_empty()
        || name.len() > NAME_CHARS_MAX
        || !is_plain
        || MADE_NAMES.contains(&name.as_str())
    {
        return None;
    }
    let literal = || crate::ast::Literal::Str(name.clone());
    let mut any = vec![
        Expr::Compare { field: Field::Service, op: CompareOp::Eq, literal: literal() },
        Expr::Compare { field: Field::Name, op: CompareOp::Eq, literal: literal() },
    ];
    let inside = Pattern::new(&format!("(?is).*{}.*", regex_syntax::escape(name))).ok()?;
    any.extend(NODE_KEYS.iter().map(|key| Expr::Regex {
        field: Field::Attribute(AttrScope::Any, (*key).to_owned()),
        pattern: inside.clone(),
        negated: false,
    }));
    any_of(any, FEW)
}

fn contains(field: Field, wanted: &str) -> Option<Expr> {
    pattern(field, &format!("(?s).*{}.*", regex_syntax::escape(wanted)))
}

fn pattern(field: Field, text: &str) -> Option<Expr> {
    Some(Expr::Regex { field, pattern: Pattern::new(text).ok()?, negated: false })
}

fn either<K: Into<String>>(
    keys: [K; 2],
    rank: u8,
    test: impl Fn(String) -> Option<Expr>,
) -> Option<Push> {
    let both: Option<Vec<Expr>> = keys.into_iter().map(|key| test(key.into())).collect();
    any_of(both?, rank)
}

fn any_of(mut items: Vec<Expr>, rank: u8) -> Option<Push> {
    let expr = if items.len() == 1 { items.pop()? } else { Expr::Or(items) };
    Some(Push { expr, rank })
}

fn span(key: impl Into<String>) -> Field {
    Field::Attribute(AttrScope::Span, key.into())
}

fn conditions(expr: &Expr) -> usize {
    match expr {
        Expr::And(items) | Expr::Or(items) => items.iter().map(conditions).sum(),
        Expr::Not(inner) => conditions(inner),
        _ => 1,
    }
}
