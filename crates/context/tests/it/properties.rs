//! What holds for every context, header, receipt and event, not only for those we thought of.

use opentelemetry::{SpanId, TraceId};
use proptest::prelude::*;
use throughline_context::{
    Baggage, Context, DatadogFields, Direction, Disagreement, Fields, Format, Reader, Receipt,
    Sampling, Strictness, TraceState, Writer, receipts_of_event, resource,
};
use throughline_context::{Carrier, carriers, tracestate};

fn sampling() -> impl Strategy<Value = Sampling> {
    use Sampling::{Accept, Debug, Defer, Deny};
    prop::sample::select(vec![Defer, Deny, Accept, Debug])
}

fn span_id() -> impl Strategy<Value = SpanId> {
    (1..=u64::MAX).prop_map(SpanId::from)
}

/// Whole ids, short ids, and ids whose low half is zero.
fn trace_id() -> impl Strategy<Value = TraceId> {
    prop_oneof![
        1..=u128::MAX,
        (1..=u64::MAX).prop_map(u128::from),
        (1..=u64::MAX).prop_map(|high| u128::from(high) << 64),
    ]
    .prop_map(TraceId::from)
}

prop_compose! {
    fn tracestate(most: usize)(members in prop::collection::vec(("[a-z0-9][a-z0-9_*/@-]{0,40}", "[ -+--<>-~]{0,60}[!-+--<>-~]"), 0..most)) -> TraceState {
        let mut state = TraceState::default();
        for (key, value) in members {
            state.set(&key, &value).unwrap();
        }
        state
    }
}

prop_compose! {
    fn context()(
        trace_id in trace_id(), span_id in span_id(), parent_id in prop::option::of(span_id()),
        sampling in sampling(), random in any::<bool>(), tracestate in tracestate(6),
        lineage in prop::option::of("[0-9a-f:]{1,20}"),
        origin in prop::option::of("[a-z]{1,9}"), tags in prop::collection::vec(("_dd\\.p\\.[a-z]{1,6}x", "[a-z0-9-]{1,8}"), 0..4),
    ) -> Context {
        let mut context = Context::new(trace_id, span_id, sampling, Format::TraceContext);
        context.parent_id = parent_id;
        context.random = random;
        context.tracestate = tracestate;
        context.xray_fields = lineage.map(|value| ("Lineage".to_owned(), value)).into_iter().collect();
        context.datadog = Some(DatadogFields { priority: None, origin, tags });
        context
    }
}

/// What of a context a format can hold; `None` when it cannot say even the ids.
fn held(context: &Context, format: Format) -> Option<Context> {
    let low = u128::from_be_bytes(context.trace_id.to_bytes()) & u128::from(u64::MAX);
    let mut held = Context::new(context.trace_id, context.span_id, context.sampling, format);
    let recorded =
        if context.sampling == Sampling::Deny { Sampling::Deny } else { Sampling::Accept };
    let without_debug = context.sampling.min(Sampling::Accept);
    match format {
        Format::TraceContext => {
            held.random = context.random;
            held.tracestate = context.tracestate.clone();
            held.sampling = recorded;
        }
        Format::B3Single if context.sampling == Sampling::Defer => {}
        Format::B3Single | Format::B3Multi => held.parent_id = context.parent_id,
        Format::Jaeger if context.sampling == Sampling::Debug => {}
        Format::Jaeger => held.sampling = recorded,
        Format::XRay => {
            held.xray_fields = context.xray_fields.clone();
            held.sampling = without_debug;
        }
        Format::OpenTracing | Format::Datadog if low == 0 => return None,
        Format::OpenTracing => {
            held.trace_id = TraceId::from(low);
            held.sampling = without_debug;
        }
        Format::Datadog => {
            held.sampling = without_debug;
            held.datadog = context.datadog.clone().map(|fields| DatadogFields {
                priority: match context.sampling {
                    Sampling::Defer => None,
                    Sampling::Deny => Some(0),
                    Sampling::Accept => Some(1),
                    Sampling::Debug => Some(2),
                },
                ..fields
            });
        }
        _ => return None,
    }
    Some(held)
}

fn read(headers: &[(String, String)]) -> throughline_context::Read {
    Reader::default().read(&headers.iter().map(|(name, value)| (name, value)).collect())
}

/// A name that some format reads, or nearly one.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "(traceparent|tracestate|baggage|b3|uber-trace-id|jaeger-debug-id|x-amzn-trace-id)",
        "x-b3-(traceid|spanid|parentspanid|sampled|flags)",
        "x-datadog-(trace-id|parent-id|sampling-priority|origin|tags)",
        "ot-tracer-(traceid|spanid|sampled)",
        "(uberctx|ot-baggage)-[a-z]{0,3}",
        ".{0,12}",
    ]
}

/// Values that come close to being right, and any others.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "(00|cc|ff)-[0-9a-fA-F]{30,33}-[0-9a-f]{16}-[0-9a-f]{2}(-x)?",
        "[0-9a-f]{16}([0-9a-f]{16})?-[0-9a-f]{16}(-[01d](-[0-9a-f]{16})?)?",
        "[01d]",
        "(Root=1-[0-9a-f]{8}-[0-9a-f]{24};?)?(Parent=[0-9a-f]{16};?)?(Sampled=[01?];?)?",
        "[0-9a-f]{1,33}:[0-9a-f]{1,17}:0:[0-9]",
        "[0-9]{1,21}",
        "([a-zA-Z]{1,3}=[a-z%;]{0,4},?){0,40}",
        "(true|false|[0-9a-f]{16}|[0-9a-f]{32})",
        ".{0,60}",
    ]
}

proptest! {
    // Texts by regular expressions are slow to make: fewer cases, and ten seconds less a run.
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_format_gives_back_all_that_it_can_hold(context in context()) {
        for format in Format::ALL {
            let headers = Writer::new(&[format]).headers(&context, &Baggage::default());
            let read = read(&headers);
            prop_assert_eq!(read.context, held(&context, format), "{}", format);
            prop_assert_eq!(read.conflicts, vec![]);
        }
    }

    #[test]
    fn all_formats_at_once_are_one_trace(context in context()) {
        let read = read(&Writer::new(&Format::ALL).headers(&context, &Baggage::default()));
        let got = read.context.unwrap();
        prop_assert_eq!((got.trace_id, got.span_id), (context.trace_id, context.span_id));
        prop_assert!(got.sampling >= context.sampling);
        prop_assert_eq!(got.tracestate, context.tracestate);
        for conflict in read.conflicts {
            // OpenTracing has half an id, and some formats have no debug.
            let expected = [Disagreement::HalfTraceId, Disagreement::OtherSampling];
            prop_assert!(expected.contains(&conflict.disagreement));
        }
    }

    #[test]
    fn any_headers_are_read_and_what_is_read_can_be_written(headers in prop::collection::vec((name(), value()), 0..12)) {
        let fields: Fields = headers.iter().map(|(name, value)| (name, value)).collect();
        let strict = Reader::default().read(&fields);
        let lenient = Reader::new(&Format::ALL, Strictness::Lenient).read(&fields);
        prop_assert!(strict.context.is_none() || lenient.context.is_some());
        for read in [&strict, &lenient] {
            let Some(context) = &read.context else { continue };
            let headers = Writer::new(&Format::ALL).headers(context, &read.baggage);
            for (name, value) in &headers {
                prop_assert!(value.bytes().all(|byte| byte >= b' ' && byte != 0x7f), "{name}: {value}");
            }
            let again = self::read(&headers);
            let got = again.context.unwrap();
            prop_assert_eq!((got.trace_id, got.span_id), (context.trace_id, context.span_id));
            prop_assert!(got.sampling >= context.sampling);
            prop_assert_eq!(&again.baggage, &read.baggage);
        }
    }

    #[test]
    fn the_order_of_different_headers_does_not_matter(headers in prop::collection::btree_map(name(), value(), 0..12)) {
        let forwards: Fields = headers.iter().collect();
        let backwards: Fields = headers.iter().rev().collect();
        let baggage = |read: &throughline_context::Read| {
            let mut members = read.baggage.members().to_vec();
            members.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            members
        };
        // Names that differ by case only are one header, of which the first value may differ.
        let names: std::collections::BTreeSet<_> = headers.keys().map(|name| name.to_lowercase()).collect();
        prop_assume!(names.len() == headers.len());
        let (mut one, mut two) = (Reader::default().read(&forwards), Reader::default().read(&backwards));
        prop_assert_eq!(baggage(&one), baggage(&two));
        one.baggage = Baggage::default();
        two.baggage = Baggage::default();
        prop_assert_eq!(one, two);
    }

    #[test]
    fn baggage_of_any_value_comes_back(key in "[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,20}", value in ".{0,40}") {
        let mut baggage = Baggage::default();
        prop_assert!(baggage.set(&key, &value, "p=1;q"));
        prop_assert_eq!(read(&[("baggage".to_owned(), baggage.header())]).baggage, baggage);
    }

    #[test]
    fn a_cut_tracestate_fits_and_keeps_its_order(state in tracestate(40), max in 0..4_000_usize) {
        let cut = state.header(max);
        prop_assert!(cut.len() <= max.max(tracestate::HEADER_MIN_BYTES));
        let mut rest = state.iter();
        for (key, value) in TraceState::parse(&cut).unwrap().iter() {
            prop_assert!(rest.any(|member| member == (key, value)));
        }
    }

    #[test]
    fn any_receipt_comes_back_from_its_text(
        kind in "[a-z]{1,12}", region in "[a-z0-9-]{0,12}", resource in "[ -~]{0,40}",
        id in ".{1,60}", index in prop::option::of(any::<u32>()),
    ) {
        let mut receipt = Receipt::new(Direction::In, Carrier::from_name(&kind).unwrap_or(Carrier::Other), id);
        receipt = receipt.with_resource(&resource);
        receipt.account = None;
        receipt.region = (!region.is_empty()).then_some(region);
        receipt.index = index;
        let again = Receipt::parse(Direction::In, &receipt.to_string()).unwrap();
        prop_assert_eq!(again.to_string(), receipt.to_string());
        prop_assert_eq!(again.key(), receipt.key());
    }

    #[test]
    fn any_text_is_a_resource_a_receipt_or_refused(text in ".{0,80}", arn in "arn:aws:[a-z0-9]{1,8}:[a-z0-9-]{0,10}:[0-9]{0,12}:[a-z:/]{0,20}") {
        for carrier in [Carrier::Sqs, Carrier::S3, Carrier::Lambda, Carrier::Kafka, Carrier::ApiGateway] {
            let _ = resource::canonical(carrier, &text);
            let _ = resource::canonical(carrier, &arn);
            let _ = resource::canonical(carrier, &format!("https://{text}"));
        }
        let _ = Receipt::parse(Direction::Out, &text);
    }

    #[test]
    fn any_bytes_are_an_event_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = receipts_of_event(&bytes);
        let _ = carriers::envelope::open(&bytes);
    }

    #[test]
    fn an_event_with_any_member_broken_is_still_read(at in 0..1_500_usize, with in "[\\[\\]{}\",:0-9a-z]{1,3}") {
        let event = include_str!("../fixtures/sqs-sns-s3.json");
        let mut broken = event.to_owned();
        let at = at % event.len();
        broken.replace_range(at..at + 1, &with);
        if let Ok(event) = receipts_of_event(broken.as_bytes()) {
            prop_assert!(event.receipts.len() <= 4 && event.left_out == 0);
        }
    }
}
