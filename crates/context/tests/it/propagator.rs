//! The propagator as a program uses it: with OpenTelemetry's context and SDK.

use std::collections::HashMap;

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, TraceId};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use throughline_context::{Carried, Disagreement, Propagator};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn map(headers: &[(&str, &str)]) -> HashMap<String, String> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn extract(names: &str, headers: &[(&str, &str)]) -> Context {
    Propagator::from_names(names).unwrap().extract_with_context(&Context::new(), &map(headers))
}

fn inject(names: &str, cx: &Context) -> HashMap<String, String> {
    let mut carrier = HashMap::new();
    Propagator::from_names(names).unwrap().inject_context(cx, &mut carrier);
    carrier
}

/// The headers of a child span that the SDK starts under what was extracted.
fn child(names: &str, headers: &[(&str, &str)]) -> HashMap<String, String> {
    let cx = extract(names, headers);
    let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
    let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
    let span = provider.tracer("test").start_with_context("child", &cx);
    inject(names, &cx.with_span(span))
}

#[test]
fn a_child_keeps_trace_flags_and_tracestate() {
    let headers =
        [("traceparent", format!("00-{TRACE}-{SPAN}-03")), ("tracestate", "a=1,b=2".to_owned())];
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let out = child("tracecontext", &headers);
    let parent = &out["traceparent"];
    assert!(parent.starts_with(&format!("00-{TRACE}-")) && parent.ends_with("-03"), "{parent}");
    assert!(!parent.contains(SPAN));
    assert_eq!(out["tracestate"], "a=1,b=2");
}

#[test]
fn a_key_of_level_2_survives_an_api_of_level_1() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let out = child("tracecontext", &[("traceparent", &parent), ("tracestate", "foo@@bar=1,b=2")]);
    assert_eq!(out["tracestate"], "foo@@bar=1,b=2");
}

#[test]
fn what_a_sampler_puts_into_tracestate_goes_out() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let cx = extract("tracecontext", &[("traceparent", &parent), ("tracestate", "b=2")]);
    let span = cx.span().span_context().clone();
    let state = span.trace_state().insert("ot", "th:8").unwrap();
    let span = SpanContext::new(span.trace_id(), span.span_id(), span.trace_flags(), false, state);
    let out = inject("tracecontext", &cx.with_remote_span_context(span));
    assert_eq!(out["tracestate"], "ot=th:8,b=2");
}

#[test]
fn the_random_flag_survives_a_tracer_that_drops_it() {
    let parent = format!("00-{TRACE}-{SPAN}-03");
    let cx = extract("tracecontext", &[("traceparent", &parent)]);
    let trace_id = TraceId::from_hex(TRACE).unwrap();
    let other = |trace_id| {
        let (span_id, flags) = (opentelemetry::SpanId::from(1), opentelemetry::TraceFlags::SAMPLED);
        SpanContext::new(trace_id, span_id, flags, false, Default::default())
    };
    let of = |trace_id| inject("tracecontext", &cx.with_remote_span_context(other(trace_id)));
    assert!(of(trace_id)["traceparent"].ends_with("-03"));
    // Of another trace we know nothing.
    assert!(of(TraceId::from(1))["traceparent"].ends_with("-01"));
}

#[test]
fn debug_reaches_the_next_hop_and_deferred_is_decided_here() {
    let debug = format!("{TRACE}-{SPAN}-d");
    let out = child("b3,tracecontext", &[("b3", &debug)]);
    assert!(out["b3"].ends_with("-d"), "{out:?}");
    assert!(out["traceparent"].ends_with("-01"));
    let deferred = format!("{TRACE}-{SPAN}");
    assert!(child("b3", &[("b3", &deferred)])["b3"].ends_with("-1"));
}

#[test]
fn what_only_passes_through_goes_out_as_it_came() {
    for b3 in ["d", "1", "0"] {
        let header = format!("{TRACE}-{SPAN}-{b3}");
        assert_eq!(inject("b3", &extract("b3", &[("b3", &header)]))["b3"], header);
    }
    let deferred = format!("{TRACE}-{SPAN}");
    assert_eq!(inject("b3", &extract("b3", &[("b3", &deferred)]))["b3"], deferred);
    assert_eq!(inject("b3", &extract("b3", &[("b3", "0")])), map(&[("b3", "0")]));
}

#[test]
fn baggage_travels_without_a_trace() {
    let cx = extract("tracecontext,baggage", &[("baggage", "b=2;p,a=1")]);
    assert_eq!(cx.baggage().get("a").map(|value| value.as_str()), Some("1"));
    assert!(!cx.span().span_context().is_valid());
    assert_eq!(inject("baggage", &cx), map(&[("baggage", "a=1,b=2;p")]));
    assert_eq!(inject("tracecontext", &cx), HashMap::new());
}

#[test]
fn headers_that_say_nothing_leave_the_context_alone() {
    let before = extract("tracecontext", &[("traceparent", &format!("00-{TRACE}-{SPAN}-01"))]);
    let propagator = Propagator::default();
    for headers in [&[][..], &[("traceparent", "00-0-0-00")]] {
        let after = propagator.extract_with_context(&before, &map(headers));
        assert_eq!(after.span().span_context(), before.span().span_context());
    }
}

#[test]
fn the_program_can_ask_what_lost() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let cx = extract(
        "tracecontext,b3",
        &[("traceparent", &parent), ("b3", "00000000000000aa-00000000000000bb-1")],
    );
    let carried = cx.get::<Carried>().unwrap();
    assert_eq!(carried.read.conflicts[0].disagreement, Disagreement::OtherTrace);
    assert_eq!(cx.span().span_context().trace_id(), TraceId::from_hex(TRACE).unwrap());
}

#[test]
fn fields_are_the_headers_that_may_be_written() {
    let propagator = Propagator::from_names("b3,tracecontext,baggage").unwrap();
    assert_eq!(
        propagator.fields().collect::<Vec<_>>(),
        ["b3", "baggage", "traceparent", "tracestate"]
    );
    assert!(Propagator::from_names("tracecontext,b4").is_err());
}
