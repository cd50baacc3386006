//! Random documents: every known member with values of the right type and of others.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Number, Value, json};

use super::Object;

/// What a member should hold.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Flag,
    Int,
    Scalar,
    Object,
    Time,
}

const MEMBERS: &[(&[&str], Kind)] = &[
    (&["name"], Kind::Text),
    (&["end_time"], Kind::Time),
    (&["end_time"], Kind::Time),
    (&["in_progress"], Kind::Flag),
    (&["namespace"], Kind::Text),
    (&["origin"], Kind::Text),
    (&["user"], Kind::Text),
    (&["resource_arn"], Kind::Text),
    (&["inferred"], Kind::Flag),
    (&["error"], Kind::Flag),
    (&["fault"], Kind::Flag),
    (&["throttle"], Kind::Flag),
    (&["traced"], Kind::Flag),
    (&["precursor_ids"], Kind::Object),
    (&["http"], Kind::Object),
    (&["http", "request"], Kind::Object),
    (&["http", "request", "method"], Kind::Text),
    (&["http", "request", "url"], Kind::Text),
    (&["http", "request", "user_agent"], Kind::Text),
    (&["http", "request", "client_ip"], Kind::Text),
    (&["http", "request", "x_forwarded_for"], Kind::Flag),
    (&["http", "request", "traced"], Kind::Flag),
    (&["http", "response", "status"], Kind::Int),
    (&["http", "response", "content_length"], Kind::Int),
    (&["aws"], Kind::Object),
    (&["aws", "account_id"], Kind::Text),
    (&["aws", "operation"], Kind::Text),
    (&["aws", "retries"], Kind::Int),
    (&["aws", "table_names"], Kind::Object),
    (&["aws", "ec2"], Kind::Object),
    (&["aws", "xray", "sdk"], Kind::Text),
    (&["aws", "a.b", "c.d"], Kind::Scalar),
    (&["aws", "ecs", "c.d"], Kind::Scalar),
    (&["service", "version"], Kind::Text),
    (&["service", "runtime"], Kind::Text),
    (&["service", "runtime_version"], Kind::Text),
    (&["service", "compiler"], Kind::Scalar),
    (&["sql", "url"], Kind::Text),
    (&["sql", "user"], Kind::Text),
    (&["sql", "database_type"], Kind::Text),
    (&["sql", "sanitized_query"], Kind::Text),
    (&["sql", "preparation"], Kind::Scalar),
    (&["annotations"], Kind::Object),
    (&["annotations", "a"], Kind::Scalar),
    (&["metadata"], Kind::Object),
    (&["metadata", "default", "b"], Kind::Object),
    (&["cause"], Kind::Text),
    (&["cause", "exceptions"], Kind::Object),
    (&["cause", "working_directory"], Kind::Text),
    (&["links"], Kind::Object),
    (&["subsegments"], Kind::Object),
    (&["type"], Kind::Text),
    (&["parent_id"], Kind::Text),
    (&["unknown"], Kind::Object),
];

/// A segment, or a subsegment sent alone, with subsegments inside, all with ids of their own.
pub(super) fn document() -> impl Strategy<Value = Value> {
    let trace = prop_oneof![
        8 => Just("1-5b8efff7-98038103d269b633813fc60c"),
        1 => Just("5b8efff798038103d269b633813fc60c"),
        1 => Just("1-5B8EFFF7-98038103D269B633813FC60C"),
    ];
    (entity(3), trace, any::<bool>(), any::<bool>()).prop_map(|(mut document, trace, child, up)| {
        let mut next = 0x0123_4567_89ab_0000;
        number(&mut document, &mut next, up);
        document["trace_id"] = trace.into();
        if child {
            document["type"] = "subsegment".into();
        }
        document
    })
}

fn number(entity: &mut Value, next: &mut u64, up: bool) {
    *next += 1;
    let id = if up { format!("{next:016X}") } else { format!("{next:016x}") };
    entity["id"] = id.into();
    // An id of a parent that is one of ours would make another tree.
    if let Some(Value::Array(inside)) = entity.get_mut("subsegments") {
        inside.iter_mut().for_each(|inside| number(inside, next, up));
    }
}

fn entity(depth: u32) -> BoxedStrategy<Value> {
    let members = vec((0..MEMBERS.len()).prop_flat_map(member), 0..14);
    let inside = if depth == 0 { Just(None).boxed() } else { inside(depth).boxed() };
    let own = (time(), members, vec((text(), junk()), 0..2), inside);
    own.prop_map(|(start, members, unknown, inside)| {
        let mut document = Object::new();
        for (at, value) in members {
            put(&mut document, MEMBERS[at].0, value);
        }
        for (key, value) in unknown {
            // Ids are set by hand, and so is what makes one document two.
            if !["id", "trace_id", "start_time", "subsegments"].contains(&key.as_str()) {
                document.insert(key, value);
            }
        }
        document.insert("start_time".into(), start);
        if matches!(document.get("subsegments"), Some(Value::Array(items)) if !items.is_empty()) {
            document.remove("subsegments");
        }
        if let Some(inside) = inside {
            document.insert("subsegments".into(), Value::Array(inside));
        }
        Value::Object(document)
    })
    .boxed()
}

fn inside(depth: u32) -> impl Strategy<Value = Option<Vec<Value>>> {
    proptest::option::of(vec(entity(depth - 1), 0..3))
}

fn put(object: &mut Object, path: &[&str], value: Value) {
    let [key, rest @ ..] = path else { return };
    if rest.is_empty() {
        object.insert((*key).into(), value);
    } else if let Value::Object(inner) =
        object.entry(*key).or_insert_with(|| Value::Object(Object::new()))
    {
        put(inner, rest, value);
    }
}

fn member(at: usize) -> BoxedStrategy<(usize, Value)> {
    let scalar = prop_oneof![
        text().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        double()
    ];
    let right = match MEMBERS[at].1 {
        Kind::Text => prop_oneof![
            text().prop_map(Value::from),
            Just(json!("subsegment")),
            Just(json!("aws")),
            Just(json!("remote")),
            Just(json!("53995c3f42cd8ad8")),
        ]
        .boxed(),
        Kind::Flag => any::<bool>().prop_map(Value::from).boxed(),
        Kind::Int => prop_oneof![
            any::<i64>().prop_map(Value::from),
            (100..600).prop_map(Value::from),
            Just(json!("500")),
            Just(json!(200.0))
        ]
        .boxed(),
        Kind::Scalar => scalar.boxed(),
        Kind::Object => prop_oneof![
            known(),
            vec((text(), junk()), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect()))
        ]
        .boxed(),
        Kind::Time => time().boxed(),
    };
    prop_oneof![4 => right, 1 => junk()].prop_map(move |value| (at, value)).boxed()
}

/// Lists and objects that some members hold in the wild.
fn known() -> impl Strategy<Value = Value> {
    let link = json!({"trace_id": "1-5b8efff7-98038103d269b633813fc60d", "id": "53995c3f42cd8ad8"});
    let with = |attributes: Value| {
        let mut link = link.clone();
        link["attributes"] = attributes;
        link
    };
    let full = with(json!({"aws.xray.reserved.names": ["a", "b"], "n": 1, "d": 1.5, "t": true}));
    let exception = json!({"id": "a1b2c3d4e5f60718", "type": "E", "message": "m", "cause": "x",
        "stack": [{"path": "a.js", "line": null, "label": "f"}, 5], "truncated": 2});
    proptest::sample::select(vec![
        json!([link, full]),
        json!([full, {"trace_id": "x"}]),
        json!([with(json!({}))]),
        json!([with(json!({"n": null}))]),
        json!([exception, {}]),
        json!({"exceptions": [exception]}),
        json!({"id": "a1b2c3d4e5f60718"}),
        json!(["a", "b"]),
        json!([]),
        json!({}),
        json!({"a": ["x"], "b": {"c": []}}),
    ])
}

fn time() -> BoxedStrategy<Value> {
    prop_oneof![
        4 => (1_700_000_000..1_800_000_000u64, 0..10_000_000u64).prop_map(|(seconds, part)| {
            Value::from(format!("{seconds}.{part:07}").parse::<f64>().unwrap())
        }),
        1 => (0..9_000_000_000u64).prop_map(Value::from),
        1 => (0.0..100.0).prop_map(Value::from),
        1 => (0.0..2_000_000_000.0).prop_map(|seconds: f64| seconds.to_string().into()),
    ]
    .boxed()
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z._]{0,8}",
        1 => vec(any::<char>(), 0..5).prop_map(String::from_iter),
    ]
}

fn double() -> impl Strategy<Value = Value> {
    any::<f64>().prop_map(|double| Number::from_f64(double).map_or(Value::Null, Value::Number))
}

/// Any JSON.
fn junk() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        double(),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::Array),
            vec((text(), inner), 0..3).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}
