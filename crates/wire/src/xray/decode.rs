//! Segment documents to spans.
//!
//! In:   one document, or an array of documents, as text.
//! Out:  spans in the builder; [`Outcome`] with what was rejected, and what AWS would have.
//! Rule: X-Ray developer guide, "X-Ray segment documents". Where AWS rejects a whole document for
//!       one bad field we keep what can be read and say so, unless asked to be strict.

use serde_json::Value;
use throughline_model::{NO_END, SpanBatchBuilder, SpanId, TraceId, xray};

use super::outcome::{Code, Doubt, Options, Outcome, RejectedDocument};
use super::parts::{Object, take_bool, take_text};
use super::{fields, ids, resource, time};

/// How many segments and subsegments one input may hold; the rest is rejected.
pub const SPANS_MAX: usize = 10_000;

/// The longest name that AWS takes, in characters.
pub(super) const NAME_CHARS_MAX: usize = 200;

/// Reads one document, or an array of them, and writes its spans; one bad part never costs its
/// neighbours unless `options` are strict.
///
/// The subsegments of a (sub)segment that is rejected hang on its parent. The builder is not
/// emptied first: many documents make one batch.
pub fn decode(document: &[u8], options: &Options, builder: &mut SpanBatchBuilder) -> Outcome {
    let mut outcome = Outcome::default();
    let room = builder.len().saturating_add(SPANS_MAX);
    match serde_json::from_str(&String::from_utf8_lossy(document)) {
        Ok(Value::Array(documents)) => {
            for document in documents {
                let room = room.saturating_sub(builder.len());
                outcome.add(one_document(document, *options, room, builder));
            }
        }
        Ok(document) => outcome.add(one_document(document, *options, SPANS_MAX, builder)),
        Err(err) => outcome.reject(RejectedDocument {
            id: None,
            code: Code::InvalidSegment,
            reason: format!("it is not JSON: {err}"),
            spans: 1,
        }),
    }
    outcome
}

fn one_document(
    document: Value,
    options: Options,
    room: usize,
    builder: &mut SpanBatchBuilder,
) -> Outcome {
    let mut reader =
        Reader { trace_id: TraceId::ZERO, room, found: Vec::new(), outcome: Outcome::default() };
    let Value::Object(mut document) = document else {
        reader.reject(None, bad(Code::InvalidSegment, "a document must be a JSON object"), 1);
        return reader.outcome;
    };
    let sent = document.get("trace_id");
    let Some(trace_id) = sent.and_then(Value::as_str).and_then(ids::trace_id) else {
        let detail = "its trace id is not of the form 1-8hex-24hex, or is missing";
        let spans = size(&document);
        reader.reject(id_text(&document), bad(Code::InvalidTraceId, detail), spans);
        return reader.outcome;
    };
    reader.trace_id = trace_id;
    let spans = size(&document);
    let is_segment = document.get("type").and_then(Value::as_str) != Some("subsegment");
    // The resource is written before the document is known to be good: without a span it is
    // only a row that nothing points at, and found again by the next document.
    if is_segment {
        resource::write_segments(&mut document, builder);
    } else {
        resource::write_unknown(builder);
    }
    reader.entity(document, Place::Alone { is_segment });
    let Reader { found, mut outcome, .. } = reader;
    if let Some(refusal) = options.strict.then(|| refusal(&outcome, spans)).flatten() {
        return Outcome { rejected: vec![refusal], ..Outcome::default() };
    }
    builder.start_scope(xray::SCOPE, "");
    builder.end_scope("", 0);
    outcome.spans = found.len() as u64;
    for entity in found {
        fields::write(entity, trace_id, builder);
    }
    outcome
}

/// What AWS would say of the whole document, if it would refuse it.
fn refusal(outcome: &Outcome, spans: u64) -> Option<RejectedDocument> {
    let rejected = outcome.rejected.first().map(|r| (&r.id, r.code, &r.reason));
    let doubt = outcome.doubts.first().map(|d| (&d.id, d.code, &d.reason));
    let (id, code, reason) = rejected.or(doubt)?;
    Some(RejectedDocument { id: id.clone(), code, reason: reason.clone(), spans })
}

/// A segment or subsegment that will be a span. `left` is what of it was not taken yet.
pub(super) struct Entity {
    pub(super) left: Object,
    pub(super) is_segment: bool,
    pub(super) id: SpanId,
    pub(super) parent_id: SpanId,
    pub(super) name: String,
    pub(super) start_unix_nano: i64,
    pub(super) duration_nano: i64,
}

/// Where a (sub)segment was found.
#[derive(Clone, Copy)]
enum Place {
    Alone { is_segment: bool },
    Inside(SpanId),
}

#[derive(Clone, Copy)]
struct Bad {
    code: Code,
    detail: &'static str,
}

fn bad(code: Code, detail: &'static str) -> Bad {
    Bad { code, detail }
}

struct Reader {
    trace_id: TraceId,
    room: usize,
    found: Vec<Entity>,
    outcome: Outcome,
}

impl Reader {
    /// Reads a (sub)segment and all inside it. JSON's own limit of depth bounds the recursion.
    fn entity(&mut self, mut object: Object, place: Place) {
        if self.found.len() >= self.room {
            let spans = size(&object);
            let detail = "there are too many subsegments in one document";
            return self.reject(id_text(&object), bad(Code::InvalidSegment, detail), spans);
        }
        let inside = take_subsegments(&mut object);
        let sent_id = id_text(&object);
        let parent_id = match self.checked(&mut object, place) {
            Ok(entity) => {
                let id = entity.id;
                self.found.push(Entity { left: object, ..entity });
                id
            }
            Err((parent_id, bad)) => {
                self.reject(sent_id, bad, 1);
                parent_id
            }
        };
        for subsegment in inside {
            match subsegment {
                Value::Object(subsegment) => self.entity(subsegment, Place::Inside(parent_id)),
                _ => {
                    let detail = "a subsegment must be a JSON object";
                    self.reject(None, bad(Code::InvalidSegment, detail), 1);
                }
            }
        }
    }

    /// Takes what makes a span. On failure gives the parent, on which what is inside shall hang.
    fn checked(&mut self, object: &mut Object, place: Place) -> Result<Entity, (SpanId, Bad)> {
        let sent_parent = take_id(object, "parent_id");
        let parent_id = match place {
            Place::Alone { .. } => sent_parent.unwrap_or(SpanId::ZERO),
            Place::Inside(parent_id) => parent_id,
        };
        let id = match object.get("id") {
            None | Some(Value::Null) => Err(bad(Code::MissingId, "it has no id")),
            Some(_) => take_id(object, "id").ok_or_else(|| {
                bad(Code::InvalidId, "its id is not 16 hex digits, or is all zeros")
            }),
        };
        let id = id.map_err(|bad| (parent_id, bad))?;
        let Some((start_unix_nano, duration_nano)) = self.times(object, id) else {
            let detail = "its start_time is missing or no number of seconds since 1970";
            return Err((parent_id, bad(Code::InvalidSegment, detail)));
        };
        let is_segment = matches!(place, Place::Alone { is_segment: true });
        self.take_place(object, place, sent_parent, id);
        let name = self.name(object, id);
        let left = Object::new();
        Ok(Entity { left, is_segment, id, parent_id, name, start_unix_nano, duration_nano })
    }

    /// Takes start and end. What cannot be written again from nanoseconds stays.
    fn times(&mut self, object: &mut Object, id: SpanId) -> Option<(i64, i64)> {
        let start = take_time(object, "start_time")?;
        if object.get("start_time").is_some_and(Value::is_string) {
            self.doubt(id, Code::InvalidSegment, "its start_time is text");
        }
        if object.get("in_progress") == Some(&Value::Bool(true)) {
            take_bool(object, "in_progress");
            return Some((start, NO_END));
        }
        let Some(end) = take_time(object, "end_time") else {
            let detail = "it has no end_time and is not in progress; kept as in progress";
            self.doubt(id, Code::MissingEndTime, detail);
            return Some((start, NO_END));
        };
        if object.get("end_time").is_some_and(Value::is_string) {
            self.doubt(id, Code::InvalidSegment, "its end_time is text");
        }
        // Both are at least zero, so the difference fits and is never `NO_END`.
        Some((start, end.saturating_sub(start)))
    }

    /// Takes what says where the (sub)segment belongs, as far as it says so in the usual words.
    fn take_place(
        &mut self,
        object: &mut Object,
        place: Place,
        sent_parent: Option<SpanId>,
        id: SpanId,
    ) {
        let text = |object: &Object, key: &str| object.get(key)?.as_str().map(str::to_owned);
        match place {
            Place::Inside(parent_id) => {
                // Python's SDK repeats what the nesting says.
                if text(object, "trace_id").and_then(|id| ids::trace_id(&id)) == Some(self.trace_id)
                {
                    object.remove("trace_id");
                }
                if text(object, "type").as_deref() == Some("subsegment") {
                    object.remove("type");
                }
                if sent_parent.is_some_and(|sent| sent != parent_id) {
                    object.insert(
                        "parent_id".to_owned(),
                        sent_parent.map_or(Value::Null, |id| id.to_string().into()),
                    );
                    let detail = "its parent_id is not the segment around it";
                    self.doubt(id, Code::InvalidSegment, detail);
                }
            }
            Place::Alone { is_segment } => {
                if let Some(sent) = text(object, "trace_id") {
                    if ids::is_usual_trace_id(&sent) {
                        object.remove("trace_id");
                    } else if sent.len() != 35 {
                        let detail = "its trace id is not of the form 1-8hex-24hex";
                        self.doubt(id, Code::InvalidTraceId, detail);
                    }
                }
                if !is_segment {
                    object.remove("type");
                }
                let missing = matches!(object.get("parent_id"), None | Some(Value::Null));
                if sent_parent.is_none() && (!is_segment || !missing) {
                    let detail = "its parent_id is missing or not 16 hex digits; kept as a root";
                    self.doubt(id, Code::InvalidSegment, detail);
                }
            }
        }
    }

    /// Takes the name. One that is no text stays, and the span has none.
    fn name(&mut self, object: &mut Object, id: SpanId) -> String {
        let name = take_text(object, "name").unwrap_or_default();
        if let Some(detail) = fault_of_name(&name) {
            self.doubt(id, Code::InvalidName, detail);
        }
        name
    }

    fn reject(&mut self, id: Option<String>, bad: Bad, spans: u64) {
        let reason = bad.detail.to_owned();
        self.outcome.reject(RejectedDocument { id, code: bad.code, reason, spans });
    }

    fn doubt(&mut self, id: SpanId, code: Code, detail: &str) {
        self.outcome.doubt(Doubt { id: Some(id.to_string()), code, reason: detail.to_owned() });
    }
}

/// What AWS would find wrong with a name.
///
/// **Rule:** X-Ray developer guide, "X-Ray segment documents", `name`.
fn fault_of_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("its name is missing or empty");
    }
    if name.len() > NAME_CHARS_MAX && name.chars().count() > NAME_CHARS_MAX {
        return Some("its name is longer than 200 characters");
    }
    (!name.chars().all(is_name_char)).then_some("its name has a character that X-Ray refuses")
}

/// Whether X-Ray allows a character in names.
pub(super) fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || c.is_whitespace() || "_.:/%&#=+\\-@".contains(c)
}

/// Takes an id that can be read; an odd spelling stays to be echoed.
fn take_id(object: &mut Object, key: &str) -> Option<SpanId> {
    let text = object.get(key)?.as_str()?;
    let id = ids::span_id(text)?;
    if ids::has_no_capitals(text) {
        object.remove(key);
    }
    Some(id)
}

fn take_time(object: &mut Object, key: &str) -> Option<i64> {
    let value = object.get(key)?;
    let nanos = time::nanos(value)?;
    if time::is_exact(value, nanos) {
        object.remove(key);
    }
    Some(nanos)
}

/// Takes the list of subsegments; `null` is none.
fn take_subsegments(object: &mut Object) -> Vec<Value> {
    match object.get_mut("subsegments") {
        Some(Value::Array(inside)) => {
            let inside = std::mem::take(inside);
            object.remove("subsegments");
            inside
        }
        Some(Value::Null) => {
            object.remove("subsegments");
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// How many segments and subsegments an object holds, itself included.
fn size(object: &Object) -> u64 {
    let inside = object.get("subsegments").and_then(Value::as_array);
    1 + inside.into_iter().flatten().map(|item| item.as_object().map_or(1, size)).sum::<u64>()
}

/// The id as sent, if it is text of a length one may show.
fn id_text(object: &Object) -> Option<String> {
    const SHOWN_BYTES_MAX: usize = 64;
    let text = object.get("id")?.as_str()?;
    Some(text).filter(|text| !text.is_empty() && text.len() <= SHOWN_BYTES_MAX).map(str::to_owned)
}
