//! Several formats in one request: which one wins, what is merged, and what is said of the rest.

use throughline_context::{
    Baggage, Context, Disagreement, Fields, Format, Read, Reader, Sampling, Writer, formats,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const LOW: &str = "a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const OTHER_TRACE: &str = "67891233abcdef012345678912345678";
const OTHER_SPAN: &str = "53995c3f42cd8ad8";

fn read(headers: &[(&str, &str)]) -> Read {
    Reader::default().read(&Fields::from_iter(headers.iter().copied()))
}

fn traceparent(trace: &str, span: &str, flags: &str) -> String {
    format!("00-{trace}-{span}-{flags}")
}

fn xray(trace: &str, span: &str, sampled: &str) -> String {
    let (epoch, unique) = trace.split_at(8);
    format!("Root=1-{epoch}-{unique};Parent={span};Sampled={sampled}")
}

fn disagreements(read: &Read) -> Vec<(Disagreement, Format)> {
    read.conflicts.iter().map(|conflict| (conflict.disagreement, conflict.format)).collect()
}

fn ids(context: &Context) -> (String, String) {
    (context.trace_id.to_string(), context.span_id.to_string())
}

#[test]
fn x_ray_does_not_win_over_the_callers_own_header() {
    let (w3c, aws) = (traceparent(TRACE, SPAN, "01"), xray(OTHER_TRACE, OTHER_SPAN, "0"));
    let read = read(&[("x-amzn-trace-id", &aws), ("traceparent", &w3c)]);
    let context = read.context.as_ref().unwrap();
    assert_eq!(ids(context), (TRACE.to_owned(), SPAN.to_owned()));
    assert_eq!(context.sampling, Sampling::Accept);
    assert_eq!(disagreements(&read), [(Disagreement::OtherTrace, Format::XRay)]);
    assert_eq!(ids(&read.conflicts[0].context), (OTHER_TRACE.to_owned(), OTHER_SPAN.to_owned()));
}

#[test]
fn x_ray_alone_is_the_caller() {
    let read = read(&[("x-amzn-trace-id", &xray(TRACE, SPAN, "0"))]);
    assert_eq!(read.context.as_ref().map(|context| context.format), Some(Format::XRay));
    assert_eq!(read.context.unwrap().sampling, Sampling::Deny);
}

#[test]
fn the_order_of_preference_is_fixed() {
    let (trace_dd, span_dd) = ("11803532876627986230", "67667974448284343");
    let headers = [
        ("x-amzn-trace-id", xray("11111111111111111111111111111111", SPAN, "1")),
        ("ot-tracer-traceid", "2222222222222222".to_owned()),
        ("ot-tracer-spanid", SPAN.to_owned()),
        ("uber-trace-id", format!("3333333333333333:{SPAN}:0:1")),
        ("x-datadog-trace-id", trace_dd.to_owned()),
        ("x-datadog-parent-id", span_dd.to_owned()),
        ("x-b3-traceid", "5555555555555555".to_owned()),
        ("x-b3-spanid", SPAN.to_owned()),
        ("b3", format!("6666666666666666-{SPAN}")),
        ("traceparent", traceparent(TRACE, OTHER_SPAN, "01")),
    ];
    let order = formats("tracecontext,b3,b3multi,datadog,jaeger,ottrace,xray").unwrap();
    for (skipped, format) in order.iter().enumerate() {
        let fields = Fields::from_iter(headers.iter().map(|(name, value)| (name, value)));
        let reader = Reader::new(&order[skipped..], Default::default());
        assert_eq!(reader.read(&fields).context.unwrap().format, *format);
    }
}

#[test]
fn half_a_trace_id_is_mended_by_the_whole_one() {
    let short = format!("{LOW}-{SPAN}-1");
    let whole = traceparent(TRACE, SPAN, "01");
    let read = read(&[("traceparent", &whole), ("b3", &short)]);
    assert_eq!(ids(read.context.as_ref().unwrap()).0, TRACE);
    assert_eq!(disagreements(&read), [(Disagreement::HalfTraceId, Format::B3Single)]);
    // The other way around, too: W3C came through a tracer with 64 bits.
    let padded = traceparent(&format!("{:0>32}", LOW), SPAN, "01");
    let long = format!("{TRACE}-{OTHER_SPAN}-1");
    let read = self::read(&[("traceparent", &padded), ("b3", &long)]);
    assert_eq!(ids(read.context.as_ref().unwrap()), (TRACE.to_owned(), SPAN.to_owned()));
    assert_eq!(
        disagreements(&read),
        [
            (Disagreement::HalfTraceId, Format::B3Single),
            (Disagreement::OtherParent, Format::B3Single)
        ]
    );
}

#[test]
fn decisions_of_one_trace_merge_upwards() {
    for (flags, b3, merged) in [
        ("01", "0", Sampling::Accept),
        ("00", "1", Sampling::Accept),
        ("00", "d", Sampling::Debug),
        ("01", "d", Sampling::Debug),
        ("00", "0", Sampling::Deny),
    ] {
        let (w3c, single) = (traceparent(TRACE, SPAN, flags), format!("{TRACE}-{SPAN}-{b3}"));
        let read = read(&[("traceparent", &w3c), ("b3", &single)]);
        assert_eq!(read.context.unwrap().sampling, merged, "{flags} {b3}");
    }
    let deferred = format!("{TRACE}-{SPAN}");
    let read = read(&[("traceparent", &traceparent(TRACE, SPAN, "00")), ("b3", &deferred)]);
    assert_eq!((disagreements(&read), read.context.unwrap().sampling), (vec![], Sampling::Deny));
}

#[test]
fn a_decision_alone_adds_debug_but_never_denies() {
    let w3c = traceparent(TRACE, SPAN, "01");
    for (b3, sampling) in [("0", Sampling::Accept), ("d", Sampling::Debug)] {
        let read = read(&[("traceparent", &w3c), ("b3", b3)]);
        assert_eq!(read.context.unwrap().sampling, sampling);
    }
}

#[test]
fn a_decision_about_another_trace_does_not_count() {
    let (w3c, other) = (traceparent(TRACE, SPAN, "00"), format!("{OTHER_TRACE}-{SPAN}-d"));
    let read = read(&[("traceparent", &w3c), ("b3", &other)]);
    assert_eq!(read.context.unwrap().sampling, Sampling::Deny);
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_used() {
    let bad = traceparent(TRACE, "0000000000000000", "01");
    let good = format!("{OTHER_TRACE}-{SPAN}-1");
    let read = read(&[("traceparent", &bad), ("tracestate", "a=1"), ("b3", &good)]);
    let context = read.context.unwrap();
    assert_eq!((context.format, context.tracestate.is_empty()), (Format::B3Single, true));
    assert_eq!(read.seen.len(), 2);
    assert!(read.seen[0].found.is_err() && read.conflicts.is_empty());
}

#[test]
fn an_answer_speaks_the_callers_formats_and_w3c() {
    let b3 = format!("{TRACE}-{SPAN}-1");
    let read = read(&[("b3", &b3), ("x-datadog-trace-id", "x"), ("baggage", "a=1")]);
    let writer = Writer::like(&read);
    assert_eq!(writer.formats(), [Format::TraceContext, Format::B3Single, Format::Baggage]);
    let headers = writer.headers(read.context.as_ref().unwrap(), &read.baggage);
    assert_eq!(
        headers,
        [
            ("traceparent".to_owned(), traceparent(TRACE, SPAN, "01")),
            ("b3".to_owned(), b3),
            ("baggage".to_owned(), "a=1".to_owned()),
        ]
    );
}

#[test]
fn baggage_of_several_formats_is_one() {
    let read = read(&[
        ("ot-baggage-user", "x"),
        ("uberctx-user", "y%20z"),
        ("uberctx-cart", "7"),
        ("baggage", "user=w%C3%A9;private"),
    ]);
    assert_eq!(read.context, None);
    assert_eq!(read.baggage.get("user"), Some("w\u{e9}"));
    assert_eq!(read.baggage.get("cart"), Some("7"));
    let headers = Writer::new(&[Format::Jaeger, Format::OpenTracing, Format::Baggage]);
    let context = self::read(&[("b3", &format!("{TRACE}-{SPAN}-1"))]).context.unwrap();
    let names: Vec<String> =
        headers.headers(&context, &read.baggage).into_iter().map(|header| header.0).collect();
    // OpenTracing has no encoding: what is no header value is left out there.
    assert!(names.contains(&"uberctx-user".to_owned()));
    assert!(!names.contains(&"ot-baggage-user".to_owned()));
    assert!(
        headers.headers(&context, &Baggage::default()).iter().all(|header| header.0 != "baggage")
    );
}

#[test]
fn a_key_of_baggage_that_a_header_wrote_small_is_the_same_key() {
    let headers = [("b3", &*format!("{TRACE}-{SPAN}-1")), ("baggage", "User=x,tenant=t,Tenant=T")];
    let first = read(&headers);
    let all = Writer::new(&Format::ALL).headers(&first.context.unwrap(), &first.baggage);
    // As HTTP/2 carries them.
    let small = all.iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
    let again = Reader::default().read(&small.collect());
    assert_eq!(again.baggage, first.baggage);
}

#[test]
fn nothing_of_one_format_is_copied_into_another() {
    let headers = [
        ("x-datadog-trace-id", "11803532876627986230"),
        ("x-datadog-parent-id", "67667974448284343"),
        ("x-datadog-origin", "rum"),
        ("x-datadog-tags", "_dd.p.tid=4bf92f3577b34da6,_dd.p.dm=-4"),
        (
            "x-amzn-trace-id",
            "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1;Lineage=1:73f724a8:0",
        ),
        ("ot-baggage-user", "1"),
    ];
    let read = read(&headers);
    assert!(read.conflicts.is_empty(), "{:?}", read.conflicts);
    let context = read.context.unwrap();
    let text = |formats: &[Format]| {
        format!("{:?}", Writer::new(formats).headers(&context, &Baggage::default()))
    };
    let elsewhere =
        text(&[Format::TraceContext, Format::B3Multi, Format::Jaeger, Format::OpenTracing]);
    for own in ["rum", "_dd", "dd=", "Lineage", "user"] {
        assert!(!elsewhere.contains(own), "{own} in {elsewhere}");
    }
    assert!(
        text(&[Format::Datadog]).contains("rum") && !text(&[Format::Datadog]).contains("Lineage")
    );
    assert!(text(&[Format::XRay]).contains("Lineage=1:73f724a8:0"));
}
