//! Spans that came as OTLP, as segment documents: names, HTTP, SQL, annotations, links.

use serde_json::{Value, json};
use throughline_model::SpanKind::{Client, Consumer, Internal, Producer, Server};
use throughline_model::{
    AttrValue, NO_END, SpanBatch, SpanBatchBuilder, SpanId, SpanKind, StatusCode, TraceId,
    nested_array_from_json,
};
use throughline_wire::xray::{self, EncodeAs};

use super::assert_same;

pub(super) struct Given {
    pub(super) kind: SpanKind,
    pub(super) parent: bool,
    pub(super) own: Value,
    pub(super) resource: Value,
    pub(super) status: StatusCode,
    pub(super) message: &'static str,
    pub(super) events: Vec<(&'static str, Value)>,
}

pub(super) fn given(kind: SpanKind, own: Value) -> Given {
    Given {
        kind,
        parent: kind != Server,
        own,
        resource: json!({"service.name": "shop"}),
        status: StatusCode::Unset,
        message: "",
        events: Vec::new(),
    }
}

fn put(builder: &mut SpanBatchBuilder, attributes: &Value) {
    for (key, value) in attributes.as_object().unwrap() {
        match value {
            Value::String(text) => builder.attribute(key, AttrValue::Str(text)),
            Value::Bool(flag) => builder.attribute(key, AttrValue::Bool(*flag)),
            Value::Array(items) => {
                builder.attribute(key, AttrValue::Array(&nested_array_from_json(items)));
            }
            other => match other.as_i64() {
                Some(int) => builder.attribute(key, AttrValue::Int(int)),
                None => builder.attribute(key, AttrValue::Double(other.as_f64().unwrap())),
            },
        }
    }
}

impl Given {
    pub(super) fn batch(&self) -> SpanBatch {
        let mut builder = SpanBatchBuilder::default();
        builder.start_resource();
        put(&mut builder, &self.resource);
        builder.end_resource("", 0);
        builder.start_scope("library", "1");
        builder.end_scope("", 0);
        // A W3C id: its first four bytes are no time of today.
        builder.start_span(TraceId([0xfe; 16]), SpanId([2; 8]));
        if self.parent {
            builder.parent_id(SpanId([3; 8]));
        }
        builder.name("GET /cart/{id}");
        builder.kind(self.kind);
        builder.times(1_795_248_539_786_000_000, 250_000_000);
        builder.status(self.status, self.message);
        put(&mut builder, &self.own);
        for (name, attributes) in &self.events {
            builder.start_event(1_795_248_539_900_000_000, name, 0);
            put(&mut builder, attributes);
        }
        builder.end_span();
        builder.finish()
    }

    pub(super) fn document(&self) -> Value {
        xray::encode(self.batch().span(0)).into()
    }

    /// Checks one member of the document; `null` when it must not be there.
    #[track_caller]
    pub(super) fn check(&self, pointer: &str, expected: Value) {
        let document = self.document();
        assert_same(document.pointer(pointer).unwrap_or(&Value::Null), &expected);
    }
}

#[test]
fn a_server_is_a_segment_with_a_w3c_id_and_exact_times() {
    let id = "fefefefefefefefefefefefefefefefe";
    let document = given(Server, json!({})).document();
    assert_same(
        &document,
        &json!({
            "trace_id": format!("1-{}-{}", &id[..8], &id[8..]),
            "id": "0202020202020202", "name": "shop",
            "start_time": 1_795_248_539.786, "end_time": 1_795_248_540.036,
        }),
    );
    assert!(xray::encode(given(Server, json!({})).batch().span(0)).get("type").is_none());
}

#[test]
fn a_span_in_progress_has_no_end() {
    let mut builder = SpanBatchBuilder::default();
    builder.start_span(TraceId([1; 16]), SpanId([2; 8]));
    builder.times(1_000_000_000, NO_END);
    builder.end_span();
    let document = xray::encode(builder.finish().span(0));
    assert_eq!((document.get("end_time"), &document["in_progress"]), (None, &json!(true)));
    assert_eq!(document["name"], "span");
}

#[test]
fn the_kind_and_the_parent_make_a_segment_or_a_subsegment() {
    for (kind, parent, segment) in [
        (Server, true, true),
        (Client, true, false),
        (Client, false, true),
        (Internal, false, true),
        (Internal, true, false),
        (Consumer, true, false),
    ] {
        let span = Given { parent, ..given(kind, json!({})) };
        let what = EncodeAs::of(span.batch().span(0));
        assert_eq!(what == EncodeAs::Segment, segment, "{kind:?} {parent}");
        span.check("/type", if segment { json!(null) } else { json!("subsegment") });
        span.check("/parent_id", if parent { json!("0303030303030303") } else { json!(null) });
    }
    let batch = given(Consumer, json!({})).batch();
    let as_segment = xray::encode_as(batch.span(0), EncodeAs::Segment);
    assert_eq!((as_segment.get("type"), &as_segment["name"]), (None, &json!("shop")));
}

#[test]
fn names_come_in_the_exporters_order() {
    let check = |kind, own, name: &str| given(kind, own).check("/name", json!(name));
    check(Server, json!({}), "shop");
    check(Server, json!({"aws.local.service": "local"}), "local");
    check(Internal, json!({}), "GET /cart/id");
    check(Client, json!({}), "GET /cart/id");
    check(Client, json!({"net.peer.name": "host"}), "host");
    check(Client, json!({"net.peer.name": "host", "http.host": "web"}), "web");
    check(Client, json!({"http.host": "web", "rpc.service": "S3"}), "S3");
    check(Client, json!({"rpc.service": "S3", "db.name": "orders"}), "orders");
    let connection = "jdbc:mysql://me@db.example:3306/orders";
    let database = json!({"db.name": "orders", "db.connection_string": connection});
    check(Client, database, "orders@db.example");
    check(Client, json!({"db.name": "orders", "aws.service": "DynamoDB"}), "DynamoDB");
    check(Client, json!({"aws.service": "DynamoDB", "peer.service": "peer"}), "peer");
    let remote = |name: &str| json!({"peer.service": "peer", "aws.remote.service": name});
    check(Client, remote("remote"), "remote");
    check(Producer, remote("AWS.SDK.SQS"), "SQS");
    check(Consumer, remote("AWS::SQS"), "SQS");
    check(Internal, remote("remote"), "peer");
}

#[test]
fn calls_have_a_namespace() {
    let check = |kind, own, expected| given(kind, own).check("/namespace", expected);
    check(Client, json!({}), json!("remote"));
    check(Producer, json!({}), json!("remote"));
    check(Consumer, json!({}), json!(null));
    check(Internal, json!({}), json!(null));
    check(Client, json!({"rpc.system": "aws-api"}), json!("aws"));
    check(Client, json!({"rpc.system.name": "aws-api"}), json!("aws"));
    check(Internal, json!({"aws.service": "S3"}), json!("aws"));
    check(Server, json!({"rpc.system": "aws-api"}), json!(null));
}

#[test]
fn http_is_read_under_its_old_and_new_names() {
    for own in [
        json!({"http.request.method": "GET", "url.full": "http://a/b", "user_agent.original": "u",
            "http.response.status_code": 200, "http.response.body.size": 12}),
        json!({"http.method": "GET", "http.url": "http://a/b", "http.user_agent": "u",
            "http.status_code": "200", "http.response_content_length": 12}),
    ] {
        let http = json!({"request": {"method": "GET", "url": "http://a/b", "user_agent": "u"},
            "response": {"status": 200, "content_length": 12}});
        given(Server, own.clone()).check("/http", http);
        given(Server, own).check("/metadata", json!(null));
    }
    given(Client, json!({"db.system": "redis"})).check("/http", json!(null));
}

#[test]
fn a_url_is_put_together() {
    let check = |kind, own: Value, url: Value| {
        let mut own = own;
        own["http.request.method"] = "GET".into();
        given(kind, own).check("/http/request/url", url);
    };
    let server = |more: Value| {
        let mut own = json!({"url.path": "/cart", "url.scheme": "https", "server.address": "web"});
        own.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        own
    };
    check(Server, server(json!({})), json!("https://web/cart"));
    check(Server, server(json!({"url.query": "a=b"})), json!("https://web/cart?a=b"));
    check(Server, server(json!({"server.port": 443})), json!("https://web/cart"));
    check(Server, server(json!({"server.port": 80})), json!("https://web:80/cart"));
    check(Server, server(json!({"net.host.name": "old"})), json!("https://old/cart"));
    check(
        Server,
        server(json!({"http.host": "h:81", "server.port": 82})),
        json!("https://h:81/cart"),
    );
    check(
        Server,
        server(json!({"http.host": "[::1]", "server.port": 82})),
        json!("https://[::1]:82/cart"),
    );
    let old = json!({"http.scheme": "http", "http.target": "/cart?a=b", "net.host.port": 8080,
        "net.host.name": "web"});
    check(Server, old, json!("http://web:8080/cart?a=b"));
    let client = json!({"http.target": "cart", "net.peer.name": "web", "net.peer.port": "81"});
    check(Client, client, json!("http://web:81/cart"));
    check(Client, json!({"net.peer.ip": "10.0.0.1"}), json!("http://10.0.0.1"));
    // A path alone would be no URL.
    check(Server, json!({"url.path": "/cart"}), json!(null));
    let named = Given {
        resource: json!({"host.name": "node1"}),
        ..given(Server, json!({"http.target": "/"}))
    };
    named.check("/http/request/url", json!("http://node1/"));
}

#[test]
fn the_client_is_the_peer_unless_a_proxy_names_one() {
    let check = |kind, own: Value, expected: Value| {
        let mut own = own;
        own["http.method"] = "GET".into();
        given(kind, own).check("/http/request", expected);
    };
    let get = |more: Value| {
        let mut request = json!({"method": "GET"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let forwarded = get(json!({"client_ip": "1.2.3.4", "x_forwarded_for": true}));
    check(Server, json!({"client.address": "1.2.3.4"}), forwarded.clone());
    check(Server, json!({"http.client_ip": "1.2.3.4"}), forwarded);
    let both = json!({"http.client_ip": "1.2.3.4", "net.peer.ip": "10.0.0.1"});
    check(Server, both, get(json!({"client_ip": "1.2.3.4"})));
    for key in ["net.peer.ip", "network.peer.address"] {
        check(Server, json!({key: "10.0.0.1"}), get(json!({"client_ip": "10.0.0.1"})));
    }
    check(Client, json!({"network.peer.address": "10.0.0.1"}), get(json!({})));
}

#[test]
fn a_message_received_gives_the_size() {
    let mut span = given(Server, json!({"http.method": "GET"}));
    span.events = vec![
        ("message", json!({"message.type": "SENT", "message.uncompressed_size": 1})),
        ("message", json!({"message.type": "RECEIVED", "message.uncompressed_size": 2})),
    ];
    span.check("/http/response/content_length", json!(2));
    let own = json!({"http.method": "GET", "message.type": "RECEIVED", "messaging.message_payload_size_bytes": 3});
    given(Server, own).check("/http/response/content_length", json!(3));
}

#[test]
fn sql_is_only_for_databases_that_speak_it() {
    let own = json!({"db.system": "mysql", "db.name": "orders", "db.user": "me",
        "db.statement": "select ?", "db.connection_string": "mysql://db:3306"});
    given(Client, own).check(
        "/sql",
        json!({"url": "GET /cart/{id}", "connection_string": "mysql://db:3306/orders",
            "database_type": "mysql", "user": "me", "sanitized_query": "select ?"}),
    );
    let own = json!({"db.system.name": "microsoft.sql_server", "db.query.text": "q"});
    given(Client, own).check(
        "/sql",
        json!({"url": "GET /cart/{id}", "connection_string": "localhost/",
            "database_type": "microsoft.sql_server", "sanitized_query": "q"}),
    );
    for system in [
        "db2",
        "derby",
        "hive",
        "mariadb",
        "mssql",
        "oracle",
        "postgresql",
        "sqlite",
        "teradata",
        "other_sql",
    ] {
        given(Client, json!({"db.system": system})).check("/sql/database_type", json!(system));
    }
    let redis = given(Client, json!({"db.system": "redis", "db.statement": "GET a"}));
    redis.check("/sql", json!(null));
    redis.check("/metadata/default", json!({"db.system": "redis", "db.statement": "GET a"}));
}

#[test]
fn everything_else_is_an_annotation_or_metadata() {
    let own = json!({"enduser.id": "ada", "shop.cart": "c", "shop-tier": "gold", "n": 5, "list": ["a"],
        "aws.xray.annotations": ["shop.cart", "shop-tier", "list"],
        "aws.xray.metadata.debug": "{\"a\":[1]}", "aws.xray.metadata.plain": "no json",
        "aws.xray.metadata.default": "{\"b\":2}"});
    let span = Given {
        resource: json!({"service.name": "shop", "team": "x", "cores": 4}),
        ..given(Server, own)
    };
    span.check("/user", json!("ada"));
    span.check("/annotations", json!({"shop.cart": "c", "shop_tier": "gold"}));
    span.check(
        "/metadata",
        json!({"debug": {"a": [1]}, "plain": "no json", "default": {"b": 2, "n": 5, "list": ["a"],
            "otel.resource.team": "x", "otel.resource.cores": 4}}),
    );
    let client = Given { resource: json!({"team": "x"}), ..given(Client, json!({"n": f64::MAX})) };
    client.check("/metadata", json!({"default": {"n": f64::MAX}}));
}

#[test]
fn links_are_x_rays_links() {
    let mut builder = SpanBatchBuilder::default();
    builder.start_span(TraceId([1; 16]), SpanId([2; 8]));
    builder.start_link(TraceId([3; 16]), SpanId([4; 8]), "", 0, 0);
    builder.attribute("reason", AttrValue::Str("batch"));
    builder.start_link(TraceId([5; 16]), SpanId([6; 8]), "", 0, 0);
    builder.end_span();
    let document = xray::encode(builder.finish().span(0));
    assert_same(
        &document["links"],
        &json!([
            {"trace_id": format!("1-03030303-{}", "03".repeat(12)), "id": "04".repeat(8),
             "attributes": {"reason": "batch"}},
            {"trace_id": format!("1-05050505-{}", "05".repeat(12)), "id": "06".repeat(8)},
        ]),
    );
}
