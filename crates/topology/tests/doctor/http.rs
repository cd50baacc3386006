//! Calls that lost their context.

use throughline_model::SpanKind;
use throughline_testkit::Span;
use throughline_topology::doctor::{Kind, State};
use throughline_topology::stitch::Class;

use crate::world::{MILLISECOND, SECOND, START, answer, call, hop, kinds, one};

fn dropped(count: u64) -> Vec<Span> {
    (0..count)
        .flat_map(|n| [call(n, "web", "shop.local"), answer(n, "shop", "shop.local")])
        .collect()
}

/// A call whose context arrives.
fn kept(number: u64, from: &'static str, to: &'static str) -> [Span; 2] {
    let call = call(number, from, "shop.local");
    let answer = answer(number, to, "shop.local").child_of(&call);
    [call, answer]
}

#[test]
fn calls_that_begin_new_traces_are_paired() {
    let finding = one(&dropped(5), Kind::DroppedOverHttp);
    assert_eq!(hop(&finding), "web -> shop over http");
    assert_eq!((finding.count, finding.share_permille), (5, 1_000));
    assert_eq!(finding.class, Class::Pairing);
    let pair = &finding.seen[0];
    let (from, to) = (pair.from.as_ref().unwrap(), pair.to.as_ref().unwrap());
    assert_eq!(to.start_unix_nano - from.start_unix_nano, 5 * MILLISECOND, "its own answer");
    let text = format!("{finding:?}");
    assert!(!text.contains("secret"), "queries of addresses are not shown");
    assert!(finding.fix.iter().any(|fix| fix.language == "nodejs"));
    assert!(finding.fix.iter().any(|fix| fix.language == "python"));
}

#[test]
fn calls_and_roots_that_do_not_fit_are_not_paired() {
    let late =
        |n| answer(n, "shop", "shop.local").at(START + n as i64 * SECOND + 500 * MILLISECOND);
    let cases: [Vec<Span>; 5] = [
        (0..5).flat_map(|n| [call(n, "web", "shop.local"), late(n)]).collect(),
        (0..5)
            .flat_map(|n| [call(n, "web", "other.local"), answer(n, "shop", "shop.local")])
            .collect(),
        (0..5)
            .flat_map(|n| {
                let prod = call(n, "web", "shop.local").environment("prod");
                [prod, answer(n, "shop", "shop.local").environment("test")]
            })
            .collect(),
        dropped(2),
        (0..5).flat_map(|n| kept(n, "web", "shop")).collect(),
    ];
    for spans in cases {
        assert!(kinds(&spans).is_empty());
    }
}

#[test]
fn roots_of_others_that_lie_there_by_chance_are_no_answers() {
    // Ten calls that failed on the way, and a service that is called by others all the time.
    let mut spans: Vec<Span> = (0..10).map(|n| call(n, "web", "shop.local")).collect();
    for n in 0..400 {
        let at = START + n as i64 * 30 * MILLISECOND;
        spans.push(answer(n, "shop", "shop.local").at(at).lasting(MILLISECOND));
    }
    assert!(kinds(&spans).is_empty());
}

#[test]
fn calls_that_mostly_have_no_root_failed_on_their_way() {
    let mut spans: Vec<Span> = (10..20).map(|n| call(n, "web", "shop.local")).collect();
    spans.extend(dropped(4));
    assert!(kinds(&spans).is_empty(), "four of fourteen");
    spans.retain(|span| span.start_unix_nano < START + 13 * SECOND);
    assert_eq!(one(&spans, Kind::DroppedOverHttp).count, 4, "four of seven");
}

#[test]
fn a_root_that_outlasts_the_call_does_not_answer_it() {
    let long = |n| answer(n, "shop", "shop.local").lasting(900 * MILLISECOND);
    let spans: Vec<Span> = (0..5).flat_map(|n| [call(n, "web", "shop.local"), long(n)]).collect();
    assert!(kinds(&spans).is_empty());
}

#[test]
fn two_that_mostly_keep_context_do_not_speak_of_other_headers() {
    let mut spans = dropped(5);
    spans.extend(kept(100, "mobile", "shop"));
    spans.extend(kept(101, "web", "stock"));
    for n in 20..30 {
        spans.extend(kept(n, "web", "shop"));
    }
    assert_eq!(kinds(&spans), [Kind::DroppedOverHttp]);
}

#[test]
fn databases_queues_and_calls_within_calls_are_not_calls_of_services() {
    for key in ["db.system.name", "messaging.system"] {
        let spans: Vec<Span> = (0..5)
            .flat_map(|n| {
                let call = call(n, "web", "shop.local").attr(key, "any");
                [call, answer(n, "shop", "shop.local")]
            })
            .collect();
        assert!(kinds(&spans).is_empty(), "{key}");
    }
}

#[test]
fn two_that_keep_context_with_others_but_not_with_each_other_speak_of_other_headers() {
    let mut spans = dropped(5);
    spans.extend(kept(100, "mobile", "shop"));
    spans.extend(kept(101, "web", "stock"));
    let finding = one(&spans, Kind::MixedFormats);
    assert_eq!(hop(&finding), "web -> shop over http");
    assert!(finding.why.contains("keeps the context of other callers"));
    assert!(finding.fix.iter().any(|fix| fix.code.starts_with("OTEL_PROPAGATORS=")));
    assert!(!kinds(&spans).contains(&Kind::DroppedOverHttp));
}

#[test]
fn captured_headers_name_the_format_and_the_caller() {
    let from = call(0, "web", "shop.local");
    let header = format!("{}-{}-1", from.trace_id, from.span_id);
    let to = answer(0, "shop", "shop.local").attr("http.request.header.b3", header);
    let finding = one(&[from.clone(), to.clone()], Kind::MixedFormats);
    assert_eq!(hop(&finding), "web -> shop over http");
    assert_eq!(finding.class, Class::Explicit, "one proves it");
    assert!(finding.why.contains("`b3`"), "{}", finding.why);
    assert!(finding.fix.iter().all(|fix| fix.code == "OTEL_PROPAGATORS=b3,tracecontext,baggage"));
    assert!(finding.seen[0].to.as_ref().unwrap().shown.iter().any(|(key, _)| key.ends_with("b3")));
    // The same headers on a span that goes on with them.
    let went_on = Span { trace_id: from.trace_id, parent_id: from.span_id, ..to };
    assert!(kinds(&[from, went_on]).is_empty());
}

#[test]
fn one_request_with_two_traces_in_it_says_who_lost() {
    let (web, proxy) = (call(0, "web", "shop.local"), call(7, "proxy", "shop.local"));
    let at = web.start_unix_nano;
    let to = answer(0, "shop", "shop.local")
        .child_of(&proxy)
        .at(at + MILLISECOND)
        .attr("http.request.header.traceparent", format!("00-{}-{}-01", web.trace_id, web.span_id))
        .attr("http.request.header.b3", format!("{}-{}-1", proxy.trace_id, proxy.span_id));
    let finding = one(&[web, proxy, to], Kind::MixedFormats);
    assert_eq!(hop(&finding), "web -> shop over http");
    assert!(finding.why.contains("`tracecontext` and `b3` of two traces"), "{}", finding.why);
}

#[test]
fn a_header_that_cannot_be_read_is_named() {
    let bad = |n| {
        answer(n, "shop", "shop.local")
            .attr("http.request.header.traceparent", "00-4BF9-00F067AA0BA902B7-01")
    };
    let finding = one(&[bad(0)], Kind::MalformedId);
    assert_eq!(hop(&finding), "? -> shop over http");
    assert!(finding.why.contains("`tracecontext` of the request cannot be read"));
}

#[test]
fn a_partial_loss_heals_only_when_more_would_have_come() {
    let mut spans = dropped(10);
    for n in 20..30 {
        spans.extend(kept(n, "web", "shop"));
    }
    let finding = one(&spans, Kind::DroppedOverHttp);
    assert_eq!((finding.share_permille, finding.good, finding.state), (500, 10, State::Healed));
    // One good case between bad ones does not.
    let mut spans: Vec<Span> = (0..10)
        .flat_map(|n| match n % 2 {
            0 => vec![call(n, "web", "shop.local"), answer(n, "shop", "shop.local")],
            _ => kept(n, "web", "shop").to_vec(),
        })
        .collect();
    assert_eq!(one(&spans, Kind::DroppedOverHttp).state, State::Open);
    spans.retain(|span| span.kind != SpanKind::Client);
    assert!(!kinds(&spans).contains(&Kind::DroppedOverHttp));
}

#[test]
fn a_request_id_that_both_sides_name_is_one_call_and_counted_once() {
    let spans: Vec<Span> = (0..5)
        .flat_map(|n| {
            let id = format!("http||shop.local/x-request-id|{n}");
            [
                call(n, "web", "shop.local").attr("stitch.out", id.clone()),
                answer(n, "shop", "shop.local").attr("stitch.in", id),
            ]
        })
        .collect();
    let finding = one(&spans, Kind::DroppedOverHttp);
    assert_eq!((hop(&finding).as_str(), finding.count), ("web -> shop over http", 5));
    assert_eq!(finding.class, Class::MessageId);
}
