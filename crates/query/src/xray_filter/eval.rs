//! Whether a trace is as a filter says.
//!
//! A keyword means something else in each place it stands; [`Subject`] is that place. At the top it
//! is the trace, whose flags, times and `http.*` are those of its root segment: a fault further down
//! is found by `service() { fault }` only. Where a subject has several values, one that fits is
//! enough; where it has none, every comparison is false, `!=` too.
//!
//! **Source:** X-Ray developer guide, "Using filter expressions". What it leaves open: `ok` takes a
//! segment without a response that carries no flag; inferred nodes answer to the type of their
//! service, too (`AWS::DynamoDB` for a table), as the guide's own example wants; a node may be its
//! trace's entry though another node called it as well.

use std::cell::{OnceCell, RefCell};
use std::cmp::Ordering;
use std::collections::HashMap;

use throughline_topology::xray::{
    Annotation, CauseKind, Entity, Exception, Outcome, RootCause, RootCauseEntity,
    RootCauseService, ServiceId, TraceView,
};

use super::ast::{Expr, Flag, Literal, NodeSelector, Number, Op, Part, Text, account_of};
use super::causes;

/// Gives the root causes of a trace.
pub(super) type Causes<'a> = dyn Fn(CauseKind) -> Vec<RootCause> + 'a;

/// Whether the trace is as `expr` says.
pub(super) fn holds(expr: &Expr, view: &TraceView<'_>, causes: &Causes<'_>) -> bool {
    let trace = Trace {
        view,
        read_causes: causes,
        causes: [const { OnceCell::new() }; 3],
        known: RefCell::default(),
    };
    trace.holds(expr, &Subject::Trace)
}

/// What a keyword is about.
enum Subject<'a> {
    /// The whole trace.
    Trace,
    /// A segment, with what lies in it.
    Segment(usize),
    /// A call, as its caller saw it.
    Call { observed: &'a Entity<'a>, from: &'a ServiceId, to: &'a Entity<'a> },
    /// An element of a root cause's path, and its place in it.
    Cause { element: Element<'a>, index: usize, count: usize },
}

/// An element of a root cause's path.
#[derive(Clone, Copy)]
enum Element<'a> {
    Service(&'a RootCauseService),
    Entity(&'a RootCauseService, &'a RootCauseEntity),
    Exception(&'a RootCauseService, &'a Exception),
}

impl<'a> Element<'a> {
    fn service(self) -> &'a RootCauseService {
        match self {
            Self::Service(service) | Self::Entity(service, _) | Self::Exception(service, _) => {
                service
            }
        }
    }
}

struct Trace<'a> {
    view: &'a TraceView<'a>,
    read_causes: &'a Causes<'a>,
    causes: [OnceCell<Vec<RootCause>>; 3],
    /// What is known of the scopes that stand inside a block: they hold for every subject or for
    /// none, so each is looked at once, or blocks in blocks would cost a power of the trace's size.
    /// A scope is known by its address in the tree.
    known: RefCell<HashMap<usize, bool>>,
}

impl Trace<'_> {
    fn holds(&self, expr: &Expr, subject: &Subject<'_>) -> bool {
        if !expr.chooses_its_subject() {
            return self.holds_of(expr, subject);
        }
        if matches!(subject, Subject::Trace) {
            return self.scope_holds(expr);
        }
        let address = std::ptr::from_ref(expr).addr();
        if let Some(known) = self.known.borrow().get(&address) {
            return *known;
        }
        let holds = self.scope_holds(expr);
        self.known.borrow_mut().insert(address, holds);
        holds
    }

    fn holds_of(&self, expr: &Expr, subject: &Subject<'_>) -> bool {
        match expr {
            Expr::And(items) => items.iter().all(|item| self.holds(item, subject)),
            Expr::Or(items) => items.iter().any(|item| self.holds(item, subject)),
            Expr::Not(inner) => !self.holds(inner, subject),
            Expr::Flag(flag, wanted) => self.flag(*flag, subject) == *wanted,
            Expr::Number(number, test) => self.number(*number, subject).is_some_and(|value| {
                test.is_none_or(|(op, wanted)| compares(op, value.partial_cmp(&wanted)))
            }),
            Expr::Text(text, test) => self.text(*text, test.as_ref(), subject),
            Expr::Annotation(key, test) => self.annotation(key, test.as_ref(), subject),
            _ => false,
        }
    }

    fn scope_holds(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Service(node, inner) => self.view.segments.iter().any(|segment| {
                let Some(entity) = self.view.entities.get(*segment) else { return false };
                node.as_ref().is_none_or(|node| is_node(node, &entity.service, entity.inferred))
                    && self.holds(inner, &Subject::Segment(*segment))
            }),
            Expr::Edge(None, inner) => self.calls().any(|call| self.holds(inner, &call)),
            Expr::Edge(Some(nodes), inner) => {
                let (wanted_from, wanted_to) = &**nodes;
                // X-Ray's graph draws whoever called the entry as a node with the entry's name.
                let client = self
                    .root()
                    .map(|root| ServiceId { kind: "client".to_owned(), ..root.service.clone() });
                let entry = self.root().zip(client.as_ref());
                let entry = entry.map(|(to, from)| Subject::Call { observed: to, from, to });
                self.calls().chain(entry).any(|call| match &call {
                    Subject::Call { from, to, .. } => {
                        wanted_from.matches(from)
                            && is_node(wanted_to, &to.service, to.inferred)
                            && self.holds(inner, &call)
                    }
                    _ => false,
                })
            }
            Expr::Cause(kind, part, inner) => self.causes(*kind).iter().any(|cause| {
                let elements = elements(cause, *part);
                let count = elements.len();
                elements.into_iter().enumerate().any(|(index, element)| {
                    self.holds(inner, &Subject::Cause { element, index, count })
                })
            }),
            Expr::CauseJson(kind, wanted, equal) => {
                let kinds = match kind {
                    Some(kind) => std::slice::from_ref(kind),
                    None => &[CauseKind::Fault, CauseKind::Error, CauseKind::ResponseTime],
                };
                let causes = kinds.iter().flat_map(|kind| self.causes(*kind));
                let causes: Vec<_> = causes.map(causes::json).collect();
                let fits = |wanted| causes.iter().any(|cause| causes::fits(wanted, cause));
                wanted.iter().all(fits) == *equal
            }
            // Groups are resolved before; one that is left is not known.
            _ => false,
        }
    }

    fn calls(&self) -> impl Iterator<Item = Subject<'_>> {
        self.view.edges.iter().filter_map(|edge| {
            let entity = |place: usize| self.view.entities.get(place);
            Some(Subject::Call {
                observed: entity(edge.observed)?,
                from: &entity(edge.from)?.service,
                to: entity(edge.to)?,
            })
        })
    }

    fn causes(&self, kind: CauseKind) -> &[RootCause] {
        let place = match kind {
            CauseKind::Fault => 0,
            CauseKind::Error => 1,
            CauseKind::ResponseTime => 2,
        };
        self.causes[place].get_or_init(|| (self.read_causes)(kind))
    }

    fn root(&self) -> Option<&Entity<'_>> {
        self.view.entities.get(self.view.root?)
    }

    fn segments(&self) -> impl Iterator<Item = &Entity<'_>> {
        self.view.segments.iter().filter_map(|place| self.view.entities.get(*place))
    }

    /// The entity whose flags, times and `http.*` the subject has.
    fn main<'b>(&'b self, subject: &Subject<'b>) -> Option<&'b Entity<'b>> {
        match subject {
            Subject::Trace => self.root(),
            Subject::Segment(place) => self.view.entities.get(*place),
            Subject::Call { observed, .. } => Some(observed),
            Subject::Cause { .. } => None,
        }
    }

    /// Every entity that belongs to the subject.
    fn all<'b>(&'b self, subject: &Subject<'b>) -> &'b [Entity<'b>] {
        let entities = &self.view.entities[..];
        match subject {
            Subject::Trace => entities,
            // A segment is followed by what lies in it.
            Subject::Segment(place) => {
                let rest = entities.get(*place..).unwrap_or_default();
                let count = rest.iter().take_while(|entity| entity.segment == *place).count();
                rest.get(..count).unwrap_or_default()
            }
            Subject::Call { observed, .. } => std::slice::from_ref(*observed),
            Subject::Cause { .. } => &[],
        }
    }

    fn flag(&self, flag: Flag, subject: &Subject<'_>) -> bool {
        let main = || self.main(subject);
        let is_trace = matches!(subject, Subject::Trace);
        match (flag, subject) {
            (Flag::First, Subject::Cause { index, .. }) => *index == 0,
            (Flag::Last, Subject::Cause { index, count, .. }) => index + 1 == *count,
            (Flag::Inferred, Subject::Cause { element, .. }) => element.service().inferred,
            (Flag::Remote, Subject::Cause { element: Element::Entity(_, entity), .. }) => {
                entity.remote
            }
            (Flag::First | Flag::Last, _) | (_, Subject::Cause { .. }) => false,
            (Flag::Ok, _) => main().is_some_and(is_ok),
            (Flag::Error, _) => main().is_some_and(|entity| entity.error),
            (Flag::Fault, _) => main().is_some_and(|entity| entity.fault),
            (Flag::Throttle, _) if is_trace => self.view.has_throttle(),
            (Flag::Throttle, _) => main().is_some_and(|entity| entity.throttle),
            (Flag::Partial, _) if is_trace => self.view.is_partial(),
            (Flag::Partial, _) => self.all(subject).iter().any(|entity| entity.in_progress),
            (Flag::Inferred, Subject::Call { to, .. }) => to.inferred,
            (Flag::Inferred, _) if is_trace => self.segments().any(|segment| segment.inferred),
            (Flag::Inferred, _) => main().is_some_and(|entity| entity.inferred),
            (Flag::Remote, Subject::Call { observed, .. }) => is_remote(observed),
            (Flag::Remote, _) => self.all(subject).iter().any(is_remote),
            (Flag::Root, Subject::Call { from, .. }) => {
                self.root().is_some_and(|root| root.service == **from)
            }
            (Flag::Root, _) => {
                let service = main().map(|entity| &entity.service);
                service.is_some() && service == self.root().map(|root| &root.service)
            }
        }
    }

    fn number(&self, number: Number, subject: &Subject<'_>) -> Option<f64> {
        if let Subject::Cause { element, index, .. } = subject {
            return match (number, element) {
                (Number::Index, _) => Some(*index as f64),
                (Number::Coverage, Element::Entity(_, entity)) => Some(entity.coverage),
                _ => None,
            };
        }
        let main = self.main(subject);
        match number {
            Number::HttpStatus => Some(main?.http_status? as f64),
            Number::Duration if matches!(subject, Subject::Trace) => {
                Some(seconds(self.view.duration_nano()))
            }
            Number::Duration | Number::ResponseTime => main
                .filter(|entity| !entity.in_progress)
                .map(|entity| seconds(entity.duration_nano())),
            Number::Index | Number::Coverage => None,
        }
    }

    fn text(&self, text: Text, test: Option<&(Op, String)>, subject: &Subject<'_>) -> bool {
        let passes = |value: &str| test.is_none_or(|(op, wanted)| text_passes(*op, value, wanted));
        let some = |value: &Option<String>| value.as_deref().is_some_and(passes);
        let thrown = |exception: &Exception| passes(&exception.message);
        match text {
            Text::HttpUrl => self.main(subject).is_some_and(|entity| some(&entity.http_url)),
            Text::HttpMethod => self.main(subject).is_some_and(|entity| some(&entity.http_method)),
            Text::HttpUserAgent => {
                self.main(subject).is_some_and(|entity| some(&entity.user_agent))
            }
            Text::HttpClientIp => self.main(subject).is_some_and(|entity| some(&entity.client_ip)),
            Text::User => self.all(subject).iter().any(|entity| some(&entity.user)),
            Text::AvailabilityZone => {
                self.all(subject).iter().any(|entity| some(&entity.availability_zone))
            }
            Text::InstanceId => self.all(subject).iter().any(|entity| some(&entity.instance_id)),
            Text::ResourceArn => {
                let mut arns = self.all(subject).iter().flat_map(|entity| &entity.resource_arns);
                arns.any(|arn| passes(arn))
            }
            Text::Message => match subject {
                Subject::Cause { element: Element::Exception(_, one), .. } => thrown(one),
                Subject::Cause { element: Element::Entity(_, entity), .. } => {
                    entity.exceptions.iter().any(thrown)
                }
                Subject::Cause { element: Element::Service(service), .. } => {
                    service.entities.iter().flat_map(|entity| &entity.exceptions).any(thrown)
                }
                _ => self.all(subject).iter().flat_map(|entity| &entity.exceptions).any(thrown),
            },
            Text::Name => match subject {
                Subject::Cause { element: Element::Entity(_, entity), .. } => passes(&entity.name),
                Subject::Cause { element: Element::Exception(_, one), .. } => passes(&one.name),
                _ => self.any_node(subject, |id, _| match test {
                    Some((Op::Ne, wanted)) => id.name != *wanted && !id.names.contains(wanted),
                    _ => passes(&id.name) || id.names.iter().any(|name| passes(name)),
                }),
            },
            Text::Type => self.any_node(subject, |id, inferred| match test {
                _ if id.kind.is_empty() => false,
                Some((op @ (Op::Eq | Op::Ne), wanted)) => {
                    is_kind(wanted, &id.kind, inferred) == (*op == Op::Eq)
                }
                _ => passes(&id.kind),
            }),
            Text::AccountId => self.any_node(subject, |id, _| passes(account_of(id))),
        }
    }

    /// Tries the nodes that the subject is about, and whether each is inferred.
    fn any_node(&self, subject: &Subject<'_>, holds: impl Fn(&ServiceId, bool) -> bool) -> bool {
        match subject {
            Subject::Trace => self.segments().any(|one| holds(&one.service, one.inferred)),
            Subject::Segment(place) => {
                let entity = self.view.entities.get(*place);
                entity.is_some_and(|entity| holds(&entity.service, entity.inferred))
            }
            Subject::Call { to, .. } => holds(&to.service, to.inferred),
            Subject::Cause { element, .. } => {
                holds(&element.service().service, element.service().inferred)
            }
        }
    }

    fn annotation(&self, key: &str, test: Option<&(Op, Literal)>, subject: &Subject<'_>) -> bool {
        self.all(subject)
            .iter()
            .filter_map(|entity| entity.annotations.get(key))
            .any(|value| test.is_none_or(|(op, wanted)| annotation_passes(*op, value, wanted)))
    }
}

fn elements(cause: &RootCause, part: Part) -> Vec<Element<'_>> {
    let entities = cause
        .services
        .iter()
        .flat_map(|service| service.entities.iter().map(move |entity| (service, entity)));
    match part {
        Part::Service => cause.services.iter().map(Element::Service).collect(),
        Part::Entity => {
            entities.map(|(service, entity)| Element::Entity(service, entity)).collect()
        }
        Part::Exception => entities
            .flat_map(|(service, entity)| {
                entity.exceptions.iter().map(move |one| Element::Exception(service, one))
            })
            .collect(),
    }
}

/// As [`NodeSelector::matches`]; an inferred node answers to its service's type as well.
fn is_node(wanted: &NodeSelector, id: &ServiceId, inferred: bool) -> bool {
    if wanted.matches(id) {
        return true;
    }
    let answers = wanted.kind.as_ref().is_some_and(|kind| is_kind(kind, &id.kind, inferred));
    answers && NodeSelector { kind: None, ..wanted.clone() }.matches(id)
}

/// Whether a node's type is `wanted`, or the type of a resource of that service.
fn is_kind(wanted: &str, kind: &str, inferred: bool) -> bool {
    let resource = || kind.strip_prefix(wanted).is_some_and(|rest| rest.starts_with("::"));
    kind == wanted || (inferred && wanted.starts_with("AWS::") && resource())
}

/// A redirect is neither ok nor an error: the guide defines `ok` by the codes 2xx.
fn is_ok(entity: &Entity<'_>) -> bool {
    entity.outcome() == Outcome::Ok
        && entity.http_status.is_none_or(|status| (200..300).contains(&status))
}

fn is_remote(entity: &Entity<'_>) -> bool {
    matches!(entity.namespace.as_deref(), Some("aws" | "remote"))
}

fn seconds(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

fn compares(op: Op, ordering: Option<Ordering>) -> bool {
    let Some(ordering) = ordering else { return false };
    match op {
        Op::Eq => ordering.is_eq(),
        Op::Ne => ordering.is_ne(),
        Op::Lt => ordering.is_lt(),
        Op::Le => ordering.is_le(),
        Op::Gt => ordering.is_gt(),
        Op::Ge => ordering.is_ge(),
        Op::Contains | Op::BeginsWith | Op::EndsWith => false,
    }
}

fn text_passes(op: Op, value: &str, wanted: &str) -> bool {
    match op {
        Op::Contains => value.contains(wanted),
        Op::BeginsWith => value.starts_with(wanted),
        Op::EndsWith => value.ends_with(wanted),
        _ => compares(op, Some(value.cmp(wanted))),
    }
}

/// Values of different types are not equal, and that is all there is between them.
fn annotation_passes(op: Op, value: &Annotation, wanted: &Literal) -> bool {
    match (value, wanted) {
        (Annotation::Text(value), Literal::Text(wanted)) => text_passes(op, value, wanted),
        (Annotation::Number(value), Literal::Number(wanted)) => {
            compares(op, value.partial_cmp(wanted))
        }
        (Annotation::Bool(value), Literal::Bool(wanted)) => compares(op, Some(value.cmp(wanted))),
        _ => op == Op::Ne,
    }
}
