//! Journeys of one shape each: circles, crowds, long ways, batches, links, dead letters.

use throughline_model::{AttrValue, SpanBatchBuilder, SpanId, SpanKind, TraceId};
use throughline_testkit::{JourneySpan, Span, batch, span};
use throughline_topology::stitch::{
    Budget, Carrier, Class, Focus, Gap, Journey, Limit, Receipt, Share, journey,
};

use crate::memory::Memory;

const SECOND: i64 = 1_000_000_000;
const NOW: i64 = 1_700_000_000 * SECOND;

/// A span that takes and sends messages of queue `q`, some seconds after the beginning.
fn worker(trace: u128, after: i64, takes: &[&str], sends: &[&str]) -> Vec<Span> {
    let at = NOW + after * SECOND;
    let root = span("work")
        .in_trace(trace)
        .kind(SpanKind::Server)
        .service("worker")
        .at(at)
        .lasting(SECOND)
        .environment("prod");
    let child = |name: String, n: i64| {
        span(name).service("worker").environment("prod").child_of(&root).at(at + n + 1).lasting(10)
    };
    let mut spans =
        vec![takes.iter().fold(root.clone(), |root, id| {
            root.attr("stitch.in", format!("sqs|eu-west-1|q|{id}"))
        })];
    for (n, id) in sends.iter().enumerate() {
        let call = child(format!("send {n}"), n as i64).kind(SpanKind::Producer);
        spans.push(call.attr("stitch.out", format!("sqs|eu-west-1|q|{id}")));
    }
    spans
}

fn go(spans: &[Span], focus: Focus, budget: &Budget) -> Journey {
    journey(&Memory::new(&[batch(spans)]), focus, budget).unwrap()
}

fn trace(number: u128) -> TraceId {
    TraceId(number.to_be_bytes())
}

fn traces(found: &Journey) -> Vec<u8> {
    found.traces.iter().map(|member| member.trace_id.0[15]).collect()
}

#[test]
fn a_circle_ends() {
    // Each sends what the next takes, and the last what the first took.
    let spans =
        [worker(1, 0, &["c"], &["a"]), worker(2, 2, &["a"], &["b"]), worker(3, 4, &["b"], &["c"])]
            .concat();
    for focus in [1, 2, 3].map(|number| Focus::Trace(trace(number))) {
        let found = go(&spans, focus, &Budget::default());
        assert_eq!(traces(&found), [1, 2, 3]);
        assert!(found.steps.len() <= 3);
    }
}

#[test]
fn one_that_sends_to_itself_again_and_again_is_a_loop() {
    let names: Vec<String> = (0..30).map(|n| format!("m{n}")).collect();
    let spans: Vec<Span> = (0..29)
        .flat_map(|n| worker(n as u128 + 1, 2 * n as i64, &[&names[n]], &[&names[n + 1]]))
        .collect();
    let budget = Budget::default();
    let found = go(&spans, Focus::Trace(trace(1)), &budget);
    assert_eq!(found.traces.len(), 1 + budget.repeats_max);
    assert_eq!(found.truncated, [Limit::Loop]);
    assert_eq!((found.groups.len(), found.groups[0].reason), (1, Limit::Loop));
    let up = go(&spans, Focus::Trace(trace(29)), &budget);
    assert_eq!(up.truncated, [Limit::Loop]);
    let deep = Budget { repeats_max: 100, ..budget };
    let found = go(&spans, Focus::Trace(trace(1)), &deep);
    assert_eq!((found.traces.len(), &found.truncated[..]), (13, &[Limit::Depth][..]));
}

#[test]
fn a_crowd_is_counted() {
    let ids: Vec<String> = (0..120).map(|n| format!("m{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut spans = worker(1, 0, &[], &ids);
    for (n, id) in ids.iter().enumerate() {
        let taker = worker(n as u128 + 2, 5 + n as i64, &[id], &[]);
        let fails = n % 10 == 9;
        spans.extend(taker.into_iter().map(|s| if fails { s.failing("no") } else { s }));
    }
    let found = go(&spans, Focus::Trace(trace(1)), &Budget::default());
    assert_eq!(found.traces.len(), 51);
    let [group] = &found.groups[..] else { panic!("{:?}", found.groups) };
    assert_eq!((group.deliveries, group.failed, group.reason), (70, 7, Limit::Fan));
    assert_eq!((group.carrier, group.resource.as_deref()), (Carrier::Sqs, Some("q")));
    assert!(group.wait_p50_nano < group.wait_p99_nano);
    assert_eq!(group.samples.len(), 3);
    let focus = Receipt::parse(throughline_topology::stitch::Direction::In, "sqs||q|m119").unwrap();
    let found = go(&spans, Focus::Message(focus.key()), &Budget::default());
    assert_eq!(traces(&found), [1, 121], "one of the crowd, asked for, is shown alone");
}

#[test]
fn brothers_of_a_batch_are_not_family() {
    // Two producers, one consumer of both that sends two on, in order.
    let mut spans = [worker(1, 0, &[], &["a", "x"]), worker(2, 0, &[], &["b"])].concat();
    spans.extend(worker(4, 8, &["c"], &[]));
    spans.extend(worker(5, 9, &["d"], &[]));
    spans.extend(worker(6, 9, &["x"], &[]));
    spans.extend(worker(3, 3, &[], &["c", "d"]));
    let mut spans: Vec<JourneySpan> = spans.into_iter().map(JourneySpan::from).collect();
    let both = spans.iter_mut().find(|s| s.span.trace_id == trace(3)).unwrap();
    let texts = ["sqs|eu-west-1|q|a|0", "sqs|eu-west-1|q|b|1"].map(str::to_owned);
    both.lists.push(("stitch.in", texts.to_vec()));
    let memory = Memory::of(&spans);
    let go = |number| journey(&memory, Focus::Trace(trace(number)), &Budget::default()).unwrap();
    assert_eq!(traces(&go(2)), [2, 3, 5], "what stands at its place is its own");
    assert_eq!(traces(&go(5)), [2, 3, 5]);
    assert_eq!(traces(&go(4)), [1, 3, 4], "not what else the producer sent");
    assert_eq!(traces(&go(1)), [1, 3, 4, 6]);
    assert_eq!(traces(&go(3)), [1, 2, 3, 4, 5], "a batch has the origins of all");
    let shared = go(2).traces.iter().find(|m| m.trace_id == trace(3)).unwrap().shared_by;
    assert_eq!(shared, 2);
    let steps = go(5).steps;
    assert!(steps.iter().any(|step| step.share == Share::ByOrder));
}

#[test]
fn links_lead_both_ways() {
    let producer = span("publish").in_trace(1).service("web").at(NOW).lasting(5);
    let consumer = |number: u128| {
        span("process")
            .in_trace(number)
            .service("worker")
            .kind(SpanKind::Consumer)
            .at(NOW + SECOND)
            .lasting(5)
            .linked_to(&producer)
    };
    let spans = [producer.clone(), consumer(2), consumer(3)];
    let found = go(&spans, Focus::Trace(trace(2)), &Budget::default());
    assert_eq!(traces(&found), [1, 2]);
    assert_eq!(found.origins, [trace(1)]);
    assert_eq!(found.steps[0].edge.confidence_permille, 990);
    let found = go(&spans, Focus::Trace(trace(1)), &Budget::default());
    assert_eq!(traces(&found), [1, 2, 3]);
    assert!(found.is_complete(), "{:?}", found.gaps);
    // X-Ray says on the other side where it goes on.
    let mut both = [producer.clone(), consumer(2)].map(JourneySpan::from);
    both[1].span.links.clear();
    let child = vec![("aws.xray.reserved.reference_type", "child".to_owned())];
    both[0].links.push((trace(2), both[1].span.span_id, child));
    for number in [1, 2] {
        let memory = Memory::of(&both);
        let found = journey(&memory, Focus::Trace(trace(number)), &Budget::default()).unwrap();
        assert_eq!((traces(&found), found.steps.len()), (vec![1, 2], 1), "from {number}");
        assert_eq!(found.steps[0].edge.from.0, trace(1));
    }
    // The linked trace was not sampled.
    let found = go(&spans[1..], Focus::Trace(trace(2)), &Budget::default());
    assert_eq!(found.gaps, [Gap::TraceNotHeld { trace_id: trace(1) }]);
}

#[test]
fn what_is_taken_beside_the_work_belongs_to_it() {
    // A loop that polls: the receive span is a leaf, the work stands after it.
    let root = span("poll").in_trace(2).service("worker").at(NOW + SECOND).lasting(9 * SECOND);
    let beside = |name, after: i64, kind| {
        span(name).service("worker").child_of(&root).at(NOW + SECOND + after).lasting(10).kind(kind)
    };
    let mut spans = [worker(1, 0, &[], &["a"]), worker(3, 20, &["b"], &[])].concat();
    spans = spans.into_iter().map(|s| s.environment("test")).collect();
    spans.push(root.clone());
    let receive =
        beside("receive", 5, SpanKind::Client).attr("messaging.operation.type", "receive");
    spans.push(receive.attr("stitch.in", "sqs||q|a"));
    spans.push(beside("send", 90, SpanKind::Producer).attr("stitch.out", "sqs||q|b"));
    for number in [1, 3] {
        let found = go(&spans, Focus::Trace(trace(number)), &Budget::default());
        assert_eq!(traces(&found), [1, 2, 3]);
    }
}

#[test]
fn attempts_waits_and_dead_letters_are_told() {
    let mut spans = worker(1, 0, &[], &["a"]);
    for (number, after) in [(2, 5), (3, 35)] {
        spans.extend(worker(number, after, &["a"], &[]).into_iter().map(|s| s.failing("no")));
    }
    let dead = span("bury")
        .in_trace(4)
        .service("undertaker")
        .kind(SpanKind::Consumer)
        .environment("prod")
        .at(NOW + 90 * SECOND)
        .lasting(1);
    spans.push(dead.attr("stitch.in", "sqs|eu-west-1|q-dead|a"));
    let found = go(&spans, Focus::Trace(trace(1)), &Budget::default());
    assert_eq!(traces(&found), [1, 2, 3, 4]);
    let [attempts] = &found.attempts[..] else { panic!("{:?}", found.attempts) };
    let numbers: Vec<_> = attempts.deliveries.iter().map(|d| (d.0, d.1.0.0[15], d.2)).collect();
    assert_eq!((numbers, attempts.service.as_str()), (vec![(1, 2, true), (2, 3, true)], "worker"));
    assert_eq!(found.dead_letters.len(), 1);
    let places: Vec<_> =
        found.waits.iter().map(|w| (w.resource.as_deref().unwrap(), w.steps)).collect();
    assert_eq!(places, [("q", 2), ("q-dead", 1)]);
    assert_eq!(found.duration_nano(), 90 * SECOND + 1);
}

#[test]
fn what_cannot_be_told_is_said() {
    let nobody = Receipt::parse(throughline_topology::stitch::Direction::In, "sqs||q|z").unwrap();
    let spans = worker(1, 0, &["a"], &["b"]);
    let found = go(&spans, Focus::Message(nobody.key()), &Budget::default());
    assert_eq!(found.gaps, [Gap::MessageNotFound { key: nobody.key() }]);
    let found = go(&spans, Focus::Trace(trace(9)), &Budget::default());
    assert_eq!(found.gaps, [Gap::TraceNotHeld { trace_id: trace(9) }]);
    assert_eq!((found.traces.len(), found.start_unix_nano), (0, 0));
    let found = go(&spans, Focus::Trace(trace(1)), &Budget::default());
    let (carrier, resource) = (Carrier::Sqs, Some("q".to_owned()));
    assert_eq!(
        found.gaps,
        [
            Gap::ProducerNotFound { trace_id: trace(1), carrier, resource: resource.clone() },
            Gap::ConsumerNotFound { trace_id: trace(1), carrier, resource, messages: 1 },
        ]
    );
}

#[test]
fn a_message_that_is_fetched_and_worked_on_is_one() {
    let home = |name| span(name).environment("prod").lasting(10);
    let poll = home("poll").in_trace(2).service("worker").at(NOW + SECOND).lasting(SECOND);
    let child = |name, after| home(name).service("worker").child_of(&poll).at(NOW + SECOND + after);
    let named = |span: Span| {
        span.attr("messaging.system", "aws_sqs")
            .attr("messaging.destination.name", "q")
            .attr("messaging.message.id", "m")
    };
    let fetch =
        named(child("fetch", 1)).kind(SpanKind::Client).attr("rpc.method", "ReceiveMessage");
    let work = named(child("work", 20)).attr("messaging.operation.type", "process");
    // In a queue's message that nobody sent there is what somebody published.
    let unpacked = work.clone().attr("stitch.in", "sns||news|n");
    let send = home("web").in_trace(1).service("web").kind(SpanKind::Producer).at(NOW);
    let linked = work.clone().linked_to(&send);
    for (sent, work, class) in [
        ("sqs||q|m", work, Class::MessageId),
        ("sns||news|n", unpacked, Class::MessageId),
        ("sqs||q|m", linked, Class::Explicit),
    ] {
        let send = send.clone().attr("stitch.out", sent);
        let spans = [send, poll.clone(), fetch.clone(), work.clone()];
        let traces = [1, 2].map(|number| Focus::Trace(trace(number)));
        let fetch = Focus::Span(fetch.trace_id, fetch.span_id);
        for focus in [traces[0], traces[1], fetch] {
            let found = go(&spans, focus, &Budget::default());
            let steps: Vec<_> =
                found.steps.iter().map(|s| (s.edge.to.1, s.edge.class, s.shared_by)).collect();
            assert_eq!(steps, [(work.span_id, class, 1)], "{sent}");
            assert_eq!(found.steps[0].share, Share::Own);
            assert_eq!(found.gaps, [], "{sent}");
        }
    }
}

#[test]
fn messages_named_on_links_to_one_span_come_from_there() {
    let send = span("send").in_trace(1).service("web").kind(SpanKind::Producer).at(NOW).lasting(10);
    let mut builder = SpanBatchBuilder::default();
    builder.start_resource();
    builder.attribute("service.name", AttrValue::Str("worker"));
    builder.end_resource("", 0);
    builder.start_span(trace(2), SpanId([2; 8]));
    builder.kind(SpanKind::Consumer);
    builder.times(NOW + SECOND, NOW + 2 * SECOND);
    builder.attribute("messaging.system", AttrValue::Str("aws_sqs"));
    for id in ["a", "b", "c"] {
        builder.start_link(send.trace_id, send.span_id, "", 0, 0);
        builder.attribute("messaging.message.id", AttrValue::Str(id));
    }
    builder.end_span();
    let memory = Memory::new(&[batch(&[send]), builder.finish()]);
    for number in [1, 2] {
        let found = journey(&memory, Focus::Trace(trace(number)), &Budget::default()).unwrap();
        assert_eq!(traces(&found), [1, 2]);
        assert_eq!(found.steps.len(), 1);
        assert_eq!(found.gaps, []);
    }
}

#[test]
fn of_messages_fetched_together_each_has_its_own_work() {
    let ids = ["a", "b", "c"];
    let home = |name| span(name).environment("prod").lasting(10);
    let poll = home("poll").in_trace(9).service("worker").at(NOW + SECOND).lasting(SECOND);
    let child = |name, after| home(name).service("worker").child_of(&poll).at(NOW + SECOND + after);
    let fetch = child("fetch", 1).kind(SpanKind::Client).attr("rpc.method", "ReceiveMessage");
    let fetch = fetch.attr("messaging.system", "aws_sqs").attr("messaging.message.id", "a");
    let mut spans = vec![poll.clone(), fetch];
    for (n, id) in ids.iter().enumerate() {
        let send = home("web").service("web").kind(SpanKind::Producer).at(NOW);
        let text = format!("sqs||q|{id}");
        spans.push(send.in_trace(n as u128 + 1).attr("stitch.out", text.clone()));
        spans.push(child("work", 20 + n as i64).id(n as u64 + 100).attr("stitch.in", text));
    }
    let whole = go(&spans, Focus::Trace(trace(9)), &Budget::default());
    assert_eq!((whole.steps.len(), traces(&whole)), (3, vec![1, 2, 3, 9]));
    assert!(whole.is_complete(), "{:?} {:?}", whole.truncated, whole.gaps);
    for number in [1, 2, 3] {
        let found = go(&spans, Focus::Trace(trace(number)), &Budget::default());
        let steps: Vec<_> = found.steps.iter().map(|s| (s.share, s.edge.to.1.0[7])).collect();
        assert_eq!(steps, [(Share::Own, number as u8 + 99)]);
        let worker = found.traces.iter().find(|member| member.trace_id == trace(9)).unwrap();
        let work = worker.rows.iter().map(|row| worker.batch.span(*row as usize));
        let work = work.filter(|span| span.name() == "work").count();
        assert_eq!(work, 1, "the others' work is none of its own");
        let span = Focus::Span(trace(9), found.steps[0].edge.to.1);
        assert_eq!(go(&spans, span, &Budget::default()).steps.len(), 1);
    }
}
