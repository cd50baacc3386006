//! What keys and values there are, to complete what someone types.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, UInt8Array};
use arrow::datatypes::{
    DataType, Field as ArrowField, Float64Type, Int32Type, Int64Type, Schema, SchemaRef, UInt8Type,
};
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::prelude::col;
use throughline_model::{AttrType, AttrValue, Attributes, SpanKind, StatusCode};
use throughline_store::{Chunk, Column, Scope, Snapshot};

use crate::ast::{AttrScope, Field};
use crate::eval::{View, columns_of_field};
use crate::{RunError, engine, native};

/// How many spans are looked at for values, newest chunks first. At least one chunk is, whole.
pub const VALUE_ROWS_MAX: usize = 1_000_000;

/// One attribute key and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAnswer {
    /// The key.
    pub key: String,
    /// Where it stands.
    pub scope: Scope,
    /// The types of its values, most frequent first.
    pub types: Vec<AttrType>,
    /// How many values of it are held; for resources, how many resources.
    pub count: u64,
}

/// Which values to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValuesOptions {
    /// Where the key stands. [`AttrScope::Any`] also takes the fields of ours, such as `service`.
    pub scope: AttrScope,
    /// What the value's text begins with.
    pub prefix: String,
    /// Spans start at this time or later, nanoseconds since the epoch.
    pub from: i64,
    /// Spans start at this time or earlier, nanoseconds since the epoch.
    pub to: i64,
    /// How many values at most.
    pub limit: usize,
}

/// Values, most frequent first.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ValuesAnswer {
    /// The values.
    pub values: Vec<AttributeValue>,
    /// Whether all spans of the time were looked at; otherwise the newest ones only.
    pub complete: bool,
}

/// One value and how often it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeValue {
    /// Its text.
    pub value: String,
    /// Its type.
    pub kind: AttrType,
    /// How many stored span records have it; for events and links, how many of these. A span that
    /// was sent in pieces counts once a piece.
    pub count: u64,
}

/// The keys that begin with `prefix`, most frequent first.
pub fn attribute_keys(snapshot: &Snapshot, prefix: &str, limit: usize) -> Vec<KeyAnswer> {
    let mut keys: Vec<KeyAnswer> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for found in snapshot.attribute_keys() {
        if !found.key.starts_with(prefix) {
            continue;
        }
        let place = *places.entry((found.key.clone(), found.scope)).or_insert_with(|| {
            let (key, scope) = (found.key.clone(), found.scope);
            keys.push(KeyAnswer { key, scope, types: Vec::new(), count: 0 });
            keys.len() - 1
        });
        keys[place].types.push(found.kind);
        keys[place].count += found.count;
    }
    keys.sort_by(|a, b| (b.count, &a.key, a.scope).cmp(&(a.count, &b.key, b.scope)));
    keys.truncate(limit);
    keys
}

/// The values of a key, or of a field of ours that holds words, most frequent first.
///
/// Looks at up to [`VALUE_ROWS_MAX`] spans, the newest chunks first, and says if that was not all.
pub fn attribute_values(
    snapshot: &Snapshot,
    key: &str,
    options: &ValuesOptions,
) -> Result<ValuesAnswer, RunError> {
    let field = match options.scope {
        AttrScope::Any => native::field(key),
        scope => Field::Attribute(scope, key.to_owned()),
    };
    let mut chunks = snapshot.chunks(options.from, options.to);
    let held = chunks.len();
    let mut rows = 0;
    chunks.retain(|chunk| {
        let within = rows < VALUE_ROWS_MAX;
        rows += chunk.rows();
        within
    });
    let complete = chunks.len() == held;

    let scanned = options.clone();
    let fill: Arc<engine::Fill> = Arc::new(move |take| {
        for chunk in &chunks {
            let found = values_of(chunk, &field, &scanned)?;
            if found.num_rows() > 0 && !take(found) {
                break;
            }
        }
        Ok(())
    });
    let limit = options.limit;
    let batches = engine::run(&schema(), fill, move |frame| {
        let counts = vec![sum(col("count")).alias("count")];
        frame
            .aggregate(vec![col("value"), col("kind")], counts)?
            .sort(vec![
                col("count").sort(false, false),
                col("value").sort(true, false),
                col("kind").sort(true, false),
            ])?
            .limit(0, Some(limit))
    })?;
    Ok(ValuesAnswer { values: batches.iter().flat_map(answers).collect(), complete })
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        ArrowField::new("value", DataType::Utf8, false),
        ArrowField::new("kind", DataType::UInt8, false),
        ArrowField::new("count", DataType::Int64, false),
    ]))
}

fn answers(batch: &RecordBatch) -> Vec<AttributeValue> {
    let texts = batch.column(0).as_string::<i32>();
    let kinds = batch.column(1).as_primitive::<UInt8Type>();
    let counts = batch.column(2).as_primitive::<Int64Type>();
    let answer = |row| AttributeValue {
        value: texts.value(row).to_owned(),
        kind: AttrType::from_number(kinds.value(row)).unwrap_or(AttrType::Str),
        count: u64::try_from(counts.value(row)).unwrap_or_default(),
    };
    (0..batch.num_rows()).map(answer).collect()
}

/// The values of one chunk that count, in the shape of [`schema`].
fn values_of(
    chunk: &Chunk,
    field: &Field,
    options: &ValuesOptions,
) -> Result<RecordBatch, RunError> {
    let mut rows = Rows { prefix: &options.prefix, texts: vec![], kinds: vec![], counts: vec![] };
    let columns = match field {
        Field::Duration | Field::Trace | Field::Span | Field::Parent => Vec::new(),
        _ => columns_of_field(field, chunk),
    };
    if matches!(field, Field::Root | Field::Entry) {
        let view = View::read(chunk, None, &[&[Column::Start], &columns[..]].concat())?;
        let starts = view.column(&Column::Start)?.as_primitive::<Int64Type>();
        let in_time = |row: usize| (options.from..=options.to).contains(&starts.value(row));
        let truth = view.truth(field)?;
        let rows_in_time = (0..view.rows()).filter(|row| in_time(*row));
        let is = |row: &usize| truth.as_ref().is_some_and(|truth| truth.value(*row));
        let (yes, no): (Vec<usize>, Vec<usize>) = rows_in_time.partition(is);
        rows.add("true", AttrType::Bool, yes.len() as i64);
        rows.add("false", AttrType::Bool, no.len() as i64);
    } else if !columns.is_empty() {
        let start = [Column::Start];
        let read = chunk.read(&[&start, &columns[..]].concat())?;
        let starts = read.column(0).as_primitive::<Int64Type>();
        let in_time = |row: usize| (options.from..=options.to).contains(&starts.value(row));
        for (column, array) in columns.iter().zip(read.columns().iter().skip(1)) {
            match column {
                Column::HasEvents | Column::HasLinks => {
                    let flags = array.as_boolean();
                    let has = |row: &u32| flags.value(*row as usize) && in_time(*row as usize);
                    let wanted: Vec<u32> = (0..chunk.rows() as u32).filter(has).collect();
                    rows.add_nested(chunk, field, &wanted)?;
                }
                _ => rows.add_column(column, array, &in_time),
            }
        }
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(rows.texts)),
        Arc::new(UInt8Array::from(rows.kinds)),
        Arc::new(Int64Array::from(rows.counts)),
    ];
    RecordBatch::try_new(schema(), columns).map_err(|err| RunError::Engine(err.to_string()))
}

struct Rows<'a> {
    prefix: &'a str,
    texts: Vec<String>,
    kinds: Vec<u8>,
    counts: Vec<i64>,
}

impl Rows<'_> {
    fn add(&mut self, text: &str, kind: AttrType, count: i64) {
        if count > 0 && text.starts_with(self.prefix) {
            self.texts.push(text.to_owned());
            self.kinds.push(kind as u8);
            self.counts.push(count);
        }
    }

    fn add_column(&mut self, column: &Column, array: &ArrayRef, in_time: &dyn Fn(usize) -> bool) {
        let kind = match column {
            Column::SpanAttr { kind, .. } | Column::ResourceAttr { kind, .. } => *kind,
            _ => AttrType::Str,
        };
        let attribute = matches!(column, Column::SpanAttr { .. } | Column::ResourceAttr { .. });
        let held = (0..array.len()).filter(|row| array.is_valid(*row) && in_time(*row));
        match array.data_type() {
            DataType::Dictionary(_, _) => {
                let words = array.as_dictionary::<Int32Type>();
                let texts = words.values().as_string::<i32>();
                let mut counts = vec![0; texts.len()];
                held.for_each(|row| counts[words.keys().value(row) as usize] += 1);
                for (word, count) in counts.into_iter().enumerate() {
                    let text = texts.value(word);
                    if attribute || !text.is_empty() {
                        self.add(text, kind, count);
                    }
                }
            }
            DataType::Utf8 => {
                let texts = array.as_string::<i32>();
                held.for_each(|row| self.add(texts.value(row), kind, 1));
            }
            DataType::Int64 => {
                let ints = array.as_primitive::<Int64Type>();
                held.for_each(|row| self.add(&AttrValue::Int(ints.value(row)).text(), kind, 1));
            }
            DataType::Float64 => {
                let doubles = array.as_primitive::<Float64Type>();
                held.for_each(|row| {
                    self.add(&AttrValue::Double(doubles.value(row)).text(), kind, 1);
                });
            }
            DataType::Boolean => {
                let flags = array.as_boolean();
                held.for_each(|row| self.add(&AttrValue::Bool(flags.value(row)).text(), kind, 1));
            }
            DataType::UInt8 => {
                let numbers = array.as_primitive::<UInt8Type>();
                let mut counts = [0; 256];
                held.for_each(|row| counts[usize::from(numbers.value(row))] += 1);
                for number in 0..=u8::MAX {
                    let word = match column {
                        Column::Kind => SpanKind::from_number(number).word(),
                        _ => StatusCode::from_number(number).word(),
                    };
                    self.add(word, kind, counts[usize::from(number)]);
                }
            }
            _ => {}
        }
    }

    /// Values on the events and links of the spans in `wanted`.
    fn add_nested(&mut self, chunk: &Chunk, field: &Field, wanted: &[u32]) -> Result<(), RunError> {
        const ROWS_AT_ONCE: usize = 4096;
        for wanted in wanted.chunks(ROWS_AT_ONCE) {
            let spans = chunk.spans(wanted)?;
            for span in spans.spans() {
                match field {
                    Field::EventName => span
                        .events()
                        .filter(|event| !event.name().is_empty())
                        .for_each(|event| self.add(event.name(), AttrType::Str, 1)),
                    Field::Attribute(AttrScope::Event, key) => {
                        span.events().for_each(|event| self.add_of(event.attributes(), key));
                    }
                    Field::Attribute(AttrScope::Link, key) => {
                        span.links().for_each(|link| self.add_of(link.attributes(), key));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn add_of(&mut self, attributes: Attributes<'_>, key: &str) {
        if let Some(value) = attributes.value(key) {
            self.add(&value.text(), value.kind(), 1);
        }
    }
}
