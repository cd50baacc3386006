//! One format at a time: what is read, what is refused and why, and what is written again.

use opentelemetry::TraceId;
use throughline_context::{
    Baggage, Context, Defect, Fields, Format, Found, Quirk, Read, Reader, Sampling, Strictness,
    Writer,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn read(strictness: Strictness, headers: &[(&str, &str)]) -> Read {
    Reader::new(&Format::ALL, strictness).read(&Fields::from_iter(headers.iter().copied()))
}

fn strict(headers: &[(&str, &str)]) -> Read {
    read(Strictness::Strict, headers)
}

fn write(formats: &[Format], context: &Context) -> String {
    let headers = Writer::new(formats).headers(context, &Baggage::default());
    let lines: Vec<String> =
        headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    lines.join("\n")
}

/// Reads headers strictly and writes the context in other formats, as `name: value` lines.
#[track_caller]
fn check(headers: &[(&str, &str)], formats: &[Format], expected: &[&str]) {
    let read = strict(headers);
    let context = read.context.unwrap_or_else(|| panic!("no context: {:?}", read.seen));
    assert_eq!(write(formats, &context), expected.join("\n"));
}

#[track_caller]
fn check_defect(headers: &[(&str, &str)], defect: Defect) {
    let read = strict(headers);
    assert_eq!(read.context, None, "{headers:?}");
    assert_eq!(read.seen.first().map(|seen| seen.found.clone()), Some(Err(defect)), "{headers:?}");
}

#[track_caller]
fn check_sampling_only(headers: &[(&str, &str)], sampling: Sampling) {
    let read = strict(headers);
    assert_eq!((read.context, read.sampling), (None, Some(sampling)), "{headers:?}");
    assert_eq!(read.seen[0].found, Ok(Found::SamplingOnly(sampling)));
}

#[test]
fn the_random_flag_is_kept_and_never_invented() {
    for flags in ["00", "01", "02", "03"] {
        let header = format!("00-{TRACE}-{SPAN}-{flags}");
        check(
            &[("traceparent", &header)],
            &[Format::TraceContext],
            &[&format!("traceparent: {header}")],
        );
    }
    // Bits that are not defined go out as zero.
    let all = format!("00-{TRACE}-{SPAN}-ff");
    check(
        &[("traceparent", &all)],
        &[Format::TraceContext],
        &[&format!("traceparent: 00-{TRACE}-{SPAN}-03")],
    );
}

#[test]
fn a_traceparent_that_is_not_exactly_right_is_refused() {
    for (header, defect) in [
        ("00-1-1-01", Defect::Length),
        ("00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Defect::Character),
        ("0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1", Defect::Length),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-", Defect::ExtraPart),
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", Defect::Character),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", Defect::ZeroId),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", Defect::ZeroId),
        ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Defect::Version),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", Defect::MissingPart),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0G", Defect::Character),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0F", Defect::Character),
        ("", Defect::MissingPart),
    ] {
        check_defect(&[("traceparent", header), ("tracestate", "a=1")], defect);
    }
    let good = format!("00-{TRACE}-{SPAN}-01");
    check_defect(&[("traceparent", &good), ("traceparent", &good)], Defect::Repeated);
}

#[test]
fn a_newer_version_is_read_as_far_as_we_know_it() {
    let out = format!("traceparent: 00-{TRACE}-{SPAN}-01");
    for rest in ["", "-what-comes"] {
        let header = format!("cc-{TRACE}-{SPAN}-01{rest}");
        check(&[("traceparent", &header)], &[Format::TraceContext], &[&out]);
    }
    check_defect(&[("traceparent", &format!("cc-{TRACE}-{SPAN}-01.what"))], Defect::Length);
}

#[test]
fn every_tracestate_header_counts_and_a_bad_one_spoils_only_itself() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let out = format!("traceparent: {parent}");
    check(
        &[
            ("tracestate", "a=1,b=2"),
            ("traceparent", &parent),
            ("tracestate", ""),
            ("tracestate", "c=3,a=4"),
        ],
        &[Format::TraceContext],
        &[&out, "tracestate: a=1,b=2,c=3"],
    );
    check(&[("traceparent", &parent), ("tracestate", "a=1,B=2")], &[Format::TraceContext], &[&out]);
    let dropped = strict(&[("traceparent", &parent), ("tracestate", "a=1,B=2")]);
    assert_eq!(dropped.seen[0].quirks, [Quirk::TraceStateDropped]);
    let lenient = read(Strictness::Lenient, &[("traceparent", &parent), ("tracestate", "a=1,B=2")]);
    assert_eq!(lenient.context.unwrap().tracestate.get("a"), Some("1"));
    assert_eq!(lenient.seen[0].quirks, [Quirk::MembersLeftOut]);
}

#[test]
fn debug_and_deferred_never_become_a_denial() {
    let w3c = format!("traceparent: 00-{TRACE}-{SPAN}-01");
    for header in [format!("{TRACE}-{SPAN}-d"), format!("{TRACE}-{SPAN}")] {
        check(&[("b3", &header)], &[Format::TraceContext], &[&w3c]);
    }
    let xray = format!("Root=1-{}-{};Parent={SPAN};Sampled=?", &TRACE[..8], &TRACE[8..]);
    check(&[("x-amzn-trace-id", &xray)], &[Format::TraceContext], &[&w3c]);
    check(&[("x-amzn-trace-id", &xray)], &[Format::XRay], &[&format!("x-amzn-trace-id: {xray}")]);
    check(&[("x-amzn-trace-id", &xray)], &[Format::B3Single], &[&format!("b3: {TRACE}-{SPAN}")]);
    check(
        &[("b3", &format!("{TRACE}-{SPAN}-d"))],
        &[Format::Jaeger],
        &[&format!("uber-trace-id: {TRACE}:{SPAN}:0:3")],
    );
    check(
        &[("b3", &format!("{TRACE}-{SPAN}-0"))],
        &[Format::TraceContext],
        &[&format!("traceparent: 00-{TRACE}-{SPAN}-00")],
    );
}

#[test]
fn b3_in_one_header_says_all_there_is_to_say() {
    for header in [
        format!("{TRACE}-{SPAN}"),
        format!("{TRACE}-{SPAN}-1"),
        format!("{TRACE}-{SPAN}-0"),
        format!("{TRACE}-{SPAN}-d"),
        format!("{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90"),
        format!("a3ce929d0e0e4736-{SPAN}-1"),
    ] {
        check(&[("b3", &header)], &[Format::B3Single], &[&format!("b3: {header}")]);
    }
    check_sampling_only(&[("b3", "0")], Sampling::Deny);
    check_sampling_only(&[("b3", "1")], Sampling::Accept);
    check_sampling_only(&[("b3", "d")], Sampling::Debug);
    for (header, defect) in [
        ("2", Defect::Decision),
        ("4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-2", Defect::Decision),
        ("4bf92f3577b34da6a3ce929d0e0e4736", Defect::Decision),
        ("4bf92f3577b34da6-0-1", Defect::Length),
        ("4bf92f3577b34da6-00f067aa0ba902b7-1-05e3ac9a4f6e3b90-x", Defect::ExtraPart),
        ("0000000000000000-00f067aa0ba902b7-1", Defect::ZeroId),
    ] {
        check_defect(&[("b3", header)], defect);
    }
}

#[test]
fn one_b3_format_does_not_write_the_other() {
    let context = strict(&[("b3", &format!("{TRACE}-{SPAN}-1"))]).context.unwrap();
    assert_eq!(write(&[Format::B3Single], &context), format!("b3: {TRACE}-{SPAN}-1"));
    assert_eq!(
        write(&[Format::B3Multi], &context),
        format!("x-b3-traceid: {TRACE}\nx-b3-spanid: {SPAN}\nx-b3-sampled: 1")
    );
}

#[test]
fn b3_in_many_headers_knows_debug_and_silence() {
    let ids = [("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN)];
    let of = |name, value| {
        let headers = [ids[0], ids[1], (name, value)];
        strict(&headers).context.map(|context| context.sampling)
    };
    assert_eq!(of("X-B3-Flags", "1"), Some(Sampling::Debug));
    assert_eq!(of("X-B3-Flags", "0"), Some(Sampling::Defer));
    assert_eq!(of("X-B3-Sampled", "true"), Some(Sampling::Accept));
    assert_eq!(of("X-B3-Sampled", "0"), Some(Sampling::Deny));
    assert_eq!(of("X-B3-Sampled", "d"), None);
    check(
        &[ids[0], ids[1], ("x-b3-sampled", "0"), ("x-b3-flags", "1")],
        &[Format::B3Multi],
        &[&format!("x-b3-traceid: {TRACE}"), &format!("x-b3-spanid: {SPAN}"), "x-b3-flags: 1"],
    );
    check_sampling_only(&[("x-b3-sampled", "0")], Sampling::Deny);
    check_defect(&[ids[0]], Defect::MissingPart);
    check_defect(&[ids[1], ("x-b3-sampled", "1")], Defect::MissingPart);
}

#[test]
fn x_ray_is_read_in_any_order_and_keeps_what_it_does_not_know() {
    let (epoch, unique) = TRACE.split_at(8);
    let header = format!("Sampled=1;Lineage=1:73f724a8:0;Parent={SPAN};Root=1-{epoch}-{unique}");
    let out = format!(
        "x-amzn-trace-id: Root=1-{epoch}-{unique};Parent={SPAN};Sampled=1;Lineage=1:73f724a8:0"
    );
    check(&[("x-amzn-trace-id", &header)], &[Format::XRay], &[&out]);
    // A load balancer's own id is of its hop alone.
    check(
        &[("x-amzn-trace-id", &format!("Self=1-{epoch}-{unique};{header}"))],
        &[Format::XRay],
        &[&out],
    );
    // Nothing of X-Ray stands in another format, nor the other way around.
    check(
        &[("x-amzn-trace-id", &header)],
        &[Format::TraceContext],
        &[&format!("traceparent: 00-{TRACE}-{SPAN}-01")],
    );
    let parent = format!("00-{TRACE}-{SPAN}-01");
    check(
        &[("traceparent", &parent), ("tracestate", "dd=s:2;o:rum;t.dm:-4")],
        &[Format::TraceContext, Format::XRay],
        &[
            &format!("traceparent: {parent}"),
            "tracestate: dd=s:2;o:rum;t.dm:-4",
            &format!("x-amzn-trace-id: Root=1-{epoch}-{unique};Parent={SPAN};Sampled=1"),
        ],
    );
    for (header, defect) in [
        (format!("Root=2-{epoch}-{unique};Parent={SPAN}"), Defect::Version),
        (format!("Root=1-{epoch}{unique};Parent={SPAN}"), Defect::MissingPart),
        (format!("Root=1-{}-{};Parent={SPAN}", &TRACE[..9], &TRACE[9..]), Defect::Length),
        (format!("Root=1-{epoch}-{unique};Parent=1"), Defect::Length),
        (format!("Parent={SPAN};Sampled=1"), Defect::MissingPart),
        (format!("Root=1-{epoch}-{unique};Root=1-{epoch}-{unique}"), Defect::Repeated),
        ("x".to_owned(), Defect::MissingPart),
        (format!("Root=1-{epoch}-{unique};Sampled=2"), Defect::Decision),
    ] {
        check_defect(&[("x-amzn-trace-id", &header)], defect);
    }
}

#[test]
fn a_load_balancers_root_without_a_parent_names_the_trace() {
    let header =
        "Self=1-67891234-12456789abcdef012345678a;Root=1-67891233-abcdef012345678912345678";
    let read = strict(&[("X-Amzn-Trace-Id", header)]);
    let trace_id = TraceId::from_hex("67891233abcdef012345678912345678").unwrap();
    assert_eq!((read.context, read.trace_id), (None, Some(trace_id)));
    assert_eq!(read.sampling, Some(Sampling::Defer));
    check_sampling_only(&[("x-amzn-trace-id", "Sampled=0")], Sampling::Deny);
}

#[test]
fn jaeger_drops_leading_zeros_and_may_be_encoded() {
    let out = "uber-trace-id: a3ce929d0e0e4736:00f067aa0ba902b7:0:1";
    check(&[("uber-trace-id", "a3ce929d0e0e4736:f067aa0ba902b7:0:1")], &[Format::Jaeger], &[out]);
    check(
        &[("uber-trace-id", "a3ce929d0e0e4736%3Af067aa0ba902b7%3a12%3A1")],
        &[Format::Jaeger],
        &[out],
    );
    let w3c = "traceparent: 00-0000000000000000a3ce929d0e0e4736-00f067aa0ba902b7-00";
    check(
        &[("uber-trace-id", "a3ce929d0e0e4736:f067aa0ba902b7:0:0")],
        &[Format::TraceContext],
        &[w3c],
    );
    assert_eq!(strict(&[("uber-trace-id", "1:1:0:2")]).context.unwrap().sampling, Sampling::Debug);
    check_sampling_only(&[("jaeger-debug-id", "please")], Sampling::Debug);
    for (header, defect) in [
        ("0:1:0:1", Defect::ZeroId),
        ("1:1:0", Defect::MissingPart),
        ("1:1:0:1:1", Defect::ExtraPart),
        ("1:1:0:100", Defect::Length),
        ("+1:1:0:1", Defect::Character),
        ("1:11111111111111111:0:1", Defect::Length),
    ] {
        check_defect(&[("uber-trace-id", header)], defect);
    }
}

#[test]
fn datadog_has_decimal_halves_and_a_tag_for_the_rest() {
    let headers = [
        ("x-datadog-trace-id", "11803532876627986230"),
        ("x-datadog-parent-id", "67667974448284343"),
        ("x-datadog-sampling-priority", "2"),
        ("x-datadog-origin", "rum"),
        ("x-datadog-tags", "_dd.p.dm=-4,_dd.p.tid=4bf92f3577b34da6"),
    ];
    check(&headers, &[Format::TraceContext], &[&format!("traceparent: 00-{TRACE}-{SPAN}-01")]);
    check(
        &headers,
        &[Format::Datadog],
        &[
            "x-datadog-trace-id: 11803532876627986230",
            "x-datadog-parent-id: 67667974448284343",
            "x-datadog-sampling-priority: 2",
            "x-datadog-origin: rum",
            "x-datadog-tags: _dd.p.tid=4bf92f3577b34da6,_dd.p.dm=-4",
        ],
    );
    let half = strict(&headers[..2]).context.unwrap();
    assert_eq!((half.has_short_id(), half.sampling), (true, Sampling::Defer));
    let synthetic = strict(&[headers[0], ("x-datadog-parent-id", "0")]);
    assert_eq!(
        synthetic.trace_id.map(|id| id.to_string()),
        Some("0000000000000000a3ce929d0e0e4736".to_owned())
    );
    check(
        &[headers[0], headers[1], ("x-datadog-sampling-priority", "-1")],
        &[Format::Datadog],
        &[
            "x-datadog-trace-id: 11803532876627986230",
            "x-datadog-parent-id: 67667974448284343",
            "x-datadog-sampling-priority: -1",
        ],
    );
    check_sampling_only(&[("x-datadog-sampling-priority", "-1")], Sampling::Deny);
    for (id, defect) in [
        ("0", Defect::ZeroId),
        ("+1", Defect::Character),
        ("18446744073709551616", Defect::Length),
        ("a3ce", Defect::Character),
        ("", Defect::Length),
    ] {
        check_defect(&[("x-datadog-trace-id", id), headers[1]], defect);
    }
    let bad = strict(&[headers[0], headers[1], ("x-datadog-tags", "_dd.p.tid=xyz")]);
    assert!(bad.context.unwrap().has_short_id());
    assert_eq!(bad.seen[0].quirks, [Quirk::MembersLeftOut]);
}

#[test]
fn opentracing_keeps_the_low_half() {
    let headers =
        [("ot-tracer-traceid", TRACE), ("ot-tracer-spanid", SPAN), ("ot-tracer-sampled", "true")];
    check(&headers, &[Format::TraceContext], &[&format!("traceparent: 00-{TRACE}-{SPAN}-01")]);
    check(
        &headers,
        &[Format::OpenTracing],
        &[
            "ot-tracer-traceid: a3ce929d0e0e4736",
            "ot-tracer-spanid: 00f067aa0ba902b7",
            "ot-tracer-sampled: true",
        ],
    );
    check_defect(&[headers[0], headers[1], ("ot-tracer-sampled", "1")], Defect::Decision);
    check_defect(&headers[..1], Defect::MissingPart);
}

#[test]
fn a_short_trace_id_stays_short_where_old_tracers_read_it() {
    let headers = [("b3", "a3ce929d0e0e4736-00f067aa0ba902b7-1")];
    check(
        &headers,
        &[Format::TraceContext, Format::B3Multi, Format::Jaeger, Format::Datadog],
        &[
            "traceparent: 00-0000000000000000a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "x-b3-traceid: a3ce929d0e0e4736",
            "x-b3-spanid: 00f067aa0ba902b7",
            "x-b3-sampled: 1",
            "x-datadog-trace-id: 11803532876627986230",
            "x-datadog-parent-id: 67667974448284343",
            "x-datadog-sampling-priority: 1",
            "uber-trace-id: a3ce929d0e0e4736:00f067aa0ba902b7:0:1",
        ],
    );
}

#[test]
fn leniently_what_tracers_really_send_is_read_and_named() {
    for (name, value, quirk) in [
        (
            "traceparent",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
            Quirk::UpperCase,
        ),
        ("traceparent", "00-a3ce929d0e0e4736-f067aa0ba902b7-01", Quirk::ShortId),
        ("b3", "A3CE929D0E0E4736-00F067AA0BA902B7-1", Quirk::UpperCase),
        ("b3", "a3ce929d0e0e4736-f067aa0ba902b7-true", Quirk::WordForDigit),
        (
            "x-amzn-trace-id",
            "Root=4bf92f3577b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7",
            Quirk::ShortId,
        ),
    ] {
        assert_eq!(strict(&[(name, value)]).context, None, "{value}");
        let read = read(Strictness::Lenient, &[(name, value)]);
        assert_eq!(read.context.map(|context| context.span_id.to_string()), Some(SPAN.to_owned()));
        assert!(read.seen[0].quirks.contains(&quirk), "{value} {:?}", read.seen[0].quirks);
    }
}
