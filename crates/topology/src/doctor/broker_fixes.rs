//! The lines that carry context with a message, by carrier, language and side.
//!
//! Rule: attributes where the carrier has them (SQS, SNS, Kafka, AMQP); else the envelope
//!       `{"tracecontext": {...}, "record": ...}` in the data, which throughline reads too.

use throughline_context::Carrier;

/// Where a carrier has room for a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// In the record's data, in an envelope.
    Data,
    /// In up to ten attributes of the message.
    Attributes,
    /// In the event's detail.
    Detail,
    /// In the payload of the invocation.
    Payload,
    /// In the headers of the message.
    Headers,
    /// In the metadata of the object.
    Metadata,
    /// In an attribute of the item.
    Item,
}

fn room(carrier: Carrier) -> Room {
    match carrier {
        Carrier::Sqs | Carrier::Sns | Carrier::PubSub | Carrier::ServiceBus => Room::Attributes,
        Carrier::EventBridge => Room::Detail,
        Carrier::Lambda | Carrier::StepFunctions => Room::Payload,
        Carrier::Kafka
        | Carrier::RabbitMq
        | Carrier::ActiveMq
        | Carrier::Pulsar
        | Carrier::Http
        | Carrier::ApiGateway
        | Carrier::EventHubs => Room::Headers,
        Carrier::S3 => Room::Metadata,
        Carrier::DynamoDb => Room::Item,
        _ => Room::Data,
    }
}

/// What to do on one side: language, text, code.
pub(super) fn of(
    carrier: Carrier,
    language: &str,
    is_consumer: bool,
) -> (&'static str, &'static str, &'static str) {
    let room = room(carrier);
    let text = if is_consumer { consumer_text(room) } else { producer_text(room) };
    let (language, code) =
        if is_consumer { consumer(room, language) } else { producer(room, language) };
    (language, text, code)
}

fn producer_text(room: Room) -> &'static str {
    match room {
        Room::Data => {
            "Put the record into an envelope with the context. The consumer must take it out."
        }
        Room::Attributes => {
            "Send the context as attributes of the message. It may have ten in all."
        }
        Room::Detail => "Put the context into the event's detail, beside what is there.",
        Room::Payload => {
            "Put the context into the payload. A client context is lost in asynchronous calls."
        }
        Room::Headers => "Send the context as headers of the message.",
        Room::Metadata => "Write the context as metadata of the object.",
        Room::Item => "Write the context as an attribute of the item.",
    }
}

fn consumer_text(room: Room) -> &'static str {
    match room {
        Room::Data => "Take the context out of each record, and link the record's span to it.",
        Room::Attributes => {
            "Read the context from the attributes of each message. Without raw delivery SNS puts them into the body."
        }
        Room::Detail => "Read the context from the event's detail.",
        Room::Payload => "Read the context from the payload.",
        Room::Headers => "Read the context from the headers of each message.",
        Room::Metadata => "Read the context from the metadata of the object that the event names.",
        Room::Item => "Read the context from the new image of the item.",
    }
}

fn producer(room: Room, language: &str) -> (&'static str, &'static str) {
    match (language, room) {
        ("nodejs", Room::Data) => (
            "nodejs",
            "const tracecontext = {}; propagation.inject(context.active(), tracecontext)\nData: Buffer.from(JSON.stringify({ tracecontext, record }))",
        ),
        ("nodejs", Room::Attributes) => (
            "nodejs",
            "const carrier = {}; propagation.inject(context.active(), carrier)\nfor (const [k, v] of Object.entries(carrier)) MessageAttributes[k] = { DataType: \"String\", StringValue: v }",
        ),
        ("nodejs", Room::Detail) => (
            "nodejs",
            "detail.tracecontext = {}; propagation.inject(context.active(), detail.tracecontext)",
        ),
        ("nodejs", Room::Payload) => (
            "nodejs",
            "payload.tracecontext = {}; propagation.inject(context.active(), payload.tracecontext)",
        ),
        ("nodejs", Room::Headers) => {
            ("nodejs", "propagation.inject(context.active(), message.headers)")
        }
        ("nodejs", Room::Metadata) => ("nodejs", "propagation.inject(context.active(), Metadata)"),
        ("nodejs", Room::Item) => (
            "nodejs",
            "item.tracecontext = {}; propagation.inject(context.active(), item.tracecontext)",
        ),
        ("python", Room::Data) => (
            "python",
            "tracecontext = {}; propagate.inject(tracecontext)\nData=json.dumps({\"tracecontext\": tracecontext, \"record\": record})",
        ),
        ("python", Room::Attributes) => (
            "python",
            "carrier = {}; propagate.inject(carrier)\nMessageAttributes={k: {\"DataType\": \"String\", \"StringValue\": v} for k, v in carrier.items()}",
        ),
        ("python", Room::Detail) => {
            ("python", "detail[\"tracecontext\"] = {}; propagate.inject(detail[\"tracecontext\"])")
        }
        ("python", Room::Payload) => (
            "python",
            "payload[\"tracecontext\"] = {}; propagate.inject(payload[\"tracecontext\"])",
        ),
        ("python", Room::Headers) => (
            "python",
            "carrier = {}; propagate.inject(carrier)\nheaders=[(k, v.encode()) for k, v in carrier.items()]",
        ),
        ("python", Room::Metadata) => ("python", "Metadata = {}; propagate.inject(Metadata)"),
        ("python", Room::Item) => {
            ("python", "item[\"tracecontext\"] = {}; propagate.inject(item[\"tracecontext\"])")
        }
        ("java", Room::Headers) => (
            "java",
            "propagator.inject(Context.current(), record.headers(), (h, k, v) -> h.add(k, v.getBytes(UTF_8)))",
        ),
        ("java", Room::Attributes) => (
            "java",
            "propagator.inject(Context.current(), attributes, (a, k, v) -> a.put(k, MessageAttributeValue.builder().dataType(\"String\").stringValue(v).build()))",
        ),
        ("java", _) => (
            "java",
            "Map<String, String> tracecontext = new HashMap<>();\npropagator.inject(Context.current(), tracecontext, Map::put);\nbody = json.writeValueAsBytes(Map.of(\"tracecontext\", tracecontext, \"record\", record));",
        ),
        ("dotnet", Room::Headers) => (
            "dotnet",
            "Propagators.DefaultTextMapPropagator.Inject(new PropagationContext(activity.Context, Baggage.Current), message.Headers, (h, k, v) => h.Add(k, Encoding.UTF8.GetBytes(v)));",
        ),
        ("dotnet", Room::Attributes) => (
            "dotnet",
            "Propagators.DefaultTextMapPropagator.Inject(new PropagationContext(activity.Context, Baggage.Current), request.MessageAttributes, (a, k, v) => a[k] = new() { DataType = \"String\", StringValue = v });",
        ),
        ("dotnet", _) => (
            "dotnet",
            "var tracecontext = new Dictionary<string, string>();\nPropagators.DefaultTextMapPropagator.Inject(new PropagationContext(activity.Context, Baggage.Current), tracecontext, (d, k, v) => d[k] = v);\nvar data = JsonSerializer.Serialize(new { tracecontext, record });",
        ),
        ("go", Room::Headers) => (
            "go",
            "carrier := propagation.MapCarrier{}; otel.GetTextMapPropagator().Inject(ctx, carrier)\nfor k, v := range carrier { msg.Headers = append(msg.Headers, kafka.Header{Key: k, Value: []byte(v)}) }",
        ),
        ("go", Room::Attributes) => (
            "go",
            "carrier := propagation.MapCarrier{}; otel.GetTextMapPropagator().Inject(ctx, carrier)\nfor k, v := range carrier { attributes[k] = types.MessageAttributeValue{DataType: aws.String(\"String\"), StringValue: aws.String(v)} }",
        ),
        ("go", _) => (
            "go",
            "tracecontext := propagation.MapCarrier{}; otel.GetTextMapPropagator().Inject(ctx, tracecontext)\ndata, err := json.Marshal(map[string]any{\"tracecontext\": tracecontext, \"record\": record})",
        ),
        (_, Room::Attributes | Room::Headers | Room::Metadata) => {
            ("any", "traceparent = 00-TRACE_ID-SPAN_ID-01")
        }
        _ => (
            "any",
            "{\"tracecontext\": {\"traceparent\": \"00-TRACE_ID-SPAN_ID-01\"}, \"record\": RECORD}",
        ),
    }
}

fn consumer(room: Room, language: &str) -> (&'static str, &'static str) {
    match (language, room) {
        ("nodejs", Room::Data) => (
            "nodejs",
            "const { tracecontext, record } = JSON.parse(Buffer.from(data, \"base64\"))\nconst sent = trace.getSpanContext(propagation.extract(ROOT_CONTEXT, tracecontext))\ntracer.startActiveSpan(name, { kind: SpanKind.CONSUMER, links: [{ context: sent }] }, work)",
        ),
        ("nodejs", Room::Attributes) => (
            "nodejs",
            "const carrier = Object.fromEntries(Object.entries(message.messageAttributes).map(([k, v]) => [k, v.stringValue]))\nconst sent = trace.getSpanContext(propagation.extract(ROOT_CONTEXT, carrier))",
        ),
        ("nodejs", Room::Detail) => (
            "nodejs",
            "const parent = propagation.extract(ROOT_CONTEXT, event.detail.tracecontext ?? {})",
        ),
        ("nodejs", Room::Payload) => {
            ("nodejs", "const parent = propagation.extract(ROOT_CONTEXT, event.tracecontext ?? {})")
        }
        ("nodejs", _) => {
            ("nodejs", "const parent = propagation.extract(ROOT_CONTEXT, message.headers ?? {})")
        }
        ("python", Room::Data) => (
            "python",
            "envelope = json.loads(base64.b64decode(data))\nsent = trace.get_current_span(propagate.extract(envelope[\"tracecontext\"])).get_span_context()\nwith tracer.start_as_current_span(name, kind=SpanKind.CONSUMER, links=[Link(sent)]): work(envelope[\"record\"])",
        ),
        ("python", Room::Attributes) => (
            "python",
            "carrier = {k: v[\"stringValue\"] for k, v in message[\"messageAttributes\"].items()}\nsent = trace.get_current_span(propagate.extract(carrier)).get_span_context()",
        ),
        ("python", Room::Detail) => {
            ("python", "parent = propagate.extract(event[\"detail\"].get(\"tracecontext\", {}))")
        }
        ("python", Room::Payload) => {
            ("python", "parent = propagate.extract(event.get(\"tracecontext\", {}))")
        }
        ("python", _) => {
            ("python", "parent = propagate.extract({k: v.decode() for k, v in message.headers})")
        }
        ("java", Room::Attributes | Room::Headers) => {
            ("java", "Context parent = propagator.extract(Context.root(), message, getter);")
        }
        ("java", _) => (
            "java",
            "JsonNode envelope = json.readTree(record.getData().array());\nContext sent = propagator.extract(Context.root(), envelope.get(\"tracecontext\"), getter);\nspanBuilder.setNoParent().addLink(Span.fromContext(sent).getSpanContext())",
        ),
        ("dotnet", _) => (
            "dotnet",
            "var sent = Propagators.DefaultTextMapPropagator.Extract(default, carrier, (c, k) => c.TryGetValue(k, out var v) ? [v] : []);\nsource.StartActivity(name, ActivityKind.Consumer, default(ActivityContext), links: [new(sent.ActivityContext)]);",
        ),
        ("go", _) => (
            "go",
            "sent := otel.GetTextMapPropagator().Extract(context.Background(), propagation.MapCarrier(carrier))\ntracer.Start(ctx, name, trace.WithLinks(trace.LinkFromContext(sent)))",
        ),
        _ => ("any", "a span link to the trace and span that `traceparent` names"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_its_lines_for_both_sides_of_a_record() {
        for carrier in [Carrier::Kinesis, Carrier::Sqs, Carrier::Sns, Carrier::EventBridge] {
            for language in ["nodejs", "python", "java", "dotnet", "go"] {
                for is_consumer in [false, true] {
                    let (named, text, code) = of(carrier, language, is_consumer);
                    assert_eq!(named, language);
                    assert!(!text.is_empty() && !code.is_empty());
                }
            }
        }
        assert_eq!(of(Carrier::Kinesis, "cobol", false).0, "any");
    }
}
