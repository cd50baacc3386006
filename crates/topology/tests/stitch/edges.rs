//! What joins, how sure it is, and what forbids it.

use throughline_model::{SpanBatch, SpanKind};
use throughline_testkit::{Span, batch, span};
use throughline_topology::stitch::{
    Class, JoinEdge, Joined, ReceiptAt, ReceiptReader, Veto, join, joins,
};

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600 * SECOND;
const NOW: i64 = 1_700_000_000 * SECOND;

fn sent(text: &'static str) -> Span {
    span("send")
        .in_trace(1)
        .kind(SpanKind::Producer)
        .service("web")
        .environment("prod")
        .at(NOW)
        .lasting(SECOND)
        .attr("stitch.out", text)
}

fn taken(text: &'static str) -> Span {
    span("take")
        .in_trace(2)
        .kind(SpanKind::Consumer)
        .service("worker")
        .environment("prod")
        .at(NOW + 3 * SECOND)
        .lasting(SECOND)
        .attr("stitch.in", text)
}

fn receipts(spans: &[Span]) -> Vec<ReceiptAt> {
    let batch: SpanBatch = batch(spans);
    let reader = ReceiptReader::new(&batch);
    (0..batch.len()).flat_map(|row| reader.at(row)).collect()
}

fn one(span: &Span) -> ReceiptAt {
    let mut all = receipts(std::slice::from_ref(span));
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn pair(from: &Span, to: &Span) -> Result<JoinEdge, Veto> {
    join(&one(from), &one(to))
}

const SQS: &str = "sqs|eu-west-1|jobs|m-1";

#[test]
fn an_id_in_its_scope_is_surer_than_one_without() {
    for (produced, consumed, confidence) in [
        (SQS, SQS, 980),
        (SQS, "sqs|eu-west-1|arn:aws:sqs:eu-west-1:123456789012:jobs|m-1", 980),
        (SQS, "sqs||jobs|m-1", 950),
        ("sqs|eu-west-1||m-1", SQS, 950),
        ("kafka||orders|3:17", "kafka||orders|3:17", 950),
        ("pointer||aws.s3.object|abc", "pointer||aws.s3.object|abc", 900),
    ] {
        let edge = pair(&sent(produced), &taken(consumed)).unwrap();
        assert_eq!(edge.confidence_permille, confidence, "{produced} {consumed}");
        let class = if confidence == 900 { Class::Content } else { Class::MessageId };
        assert_eq!(edge.class, class);
        assert!(edge.evidence.iter().any(|e| e.produced == e.consumed && !e.what.is_empty()));
        assert_eq!(edge.wait_nano, 2 * SECOND, "from the end of sending");
    }
}

#[test]
fn what_contradicts_an_id_is_stronger() {
    let (from, to) = (sent(SQS), taken(SQS));
    let account = "sqs|eu-west-1|https://sqs.eu-west-1.amazonaws.com/123456789012/jobs|m-1";
    let other = "sqs|eu-west-1|https://sqs.eu-west-1.amazonaws.com/210987654321/jobs|m-1";
    let here = "sqs|eu-west-1|http://localhost:4566/000000000000/jobs|m-1";
    for (from, to, veto) in [
        (from.clone(), to.clone().environment("staging"), Veto::Environment),
        (sent(account), taken(other), Veto::Account),
        (from.clone(), taken("sqs|us-east-1|jobs|m-1"), Veto::Region),
        (sent("s3||photos|r"), taken("s3||films|r"), Veto::Resource),
        (from.clone(), to.clone().kind(SpanKind::Client), Veto::ClientConsumer),
        (from.clone(), to.clone().at(NOW - 6 * SECOND), Veto::TooEarly),
        (from.clone(), to.clone().at(NOW + 16 * 24 * HOUR), Veto::Expired),
        (from.clone(), taken("sqs|eu-west-1|jobs|m-2"), Veto::NoPair),
        (to.clone(), from.clone(), Veto::NoPair),
    ] {
        assert_eq!(pair(&from, &to).map(|_| ()), Err(veto), "{veto}");
    }
    let own = from.clone().attr("stitch.in", SQS);
    let all = receipts(&[own]);
    assert_eq!(join(&all[0], &all[1]).map(|_| ()), Err(Veto::SelfEdge));
    // What only one side says contradicts nothing, nor does an account that stands for none.
    assert!(pair(&sent(account), &taken(here)).is_ok());
    assert!(pair(&from, &to.clone().at(NOW - 4 * SECOND)).is_ok(), "clocks differ");
    let fetch = to.kind(SpanKind::Client).attr("messaging.operation.type", "receive");
    assert!(pair(&from, &fetch).is_ok(), "a call that receives");
}

#[test]
fn tenants_never_mix() {
    let (out, mut consumer) = (one(&sent(SQS)), one(&taken(SQS)));
    consumer.tenant = Some("a".into());
    assert_eq!(join(&out, &consumer).map(|_| ()), Err(Veto::Tenant));
}

#[test]
fn the_carriers_own_time_bounds_both_sides() {
    let (mut out, mut consumer) = (one(&sent(SQS)), one(&taken(SQS)));
    consumer.receipt.time_unix_nano = Some(NOW + SECOND / 2);
    let edge = join(&out, &consumer).unwrap();
    assert_eq!(edge.wait_nano, 3 * SECOND - SECOND / 2);
    assert_eq!(edge.server_time_unix_nano, Some(NOW + SECOND / 2));
    consumer.receipt.time_unix_nano = Some(NOW + 9 * SECOND);
    assert_eq!(join(&out, &consumer).map(|_| ()), Err(Veto::TooEarly));
    consumer.receipt.time_unix_nano = Some(NOW);
    out.start_unix_nano = NOW + 6 * SECOND;
    assert_eq!(join(&out, &consumer).map(|_| ()), Err(Veto::SentLater));
}

#[test]
fn a_replay_may_be_older_than_its_carrier_keeps_messages() {
    let event = "eventbridge|eu-west-1|bus|e-1";
    let old = taken(event).at(NOW + 100 * 24 * HOUR);
    assert_eq!(pair(&sent(event), &old).map(|_| ()), Err(Veto::Expired));
    let mut replayed = one(&old);
    replayed.receipt.replay = true;
    assert!(join(&one(&sent(event)), &replayed).unwrap().replay);
}

fn all(outs: &[Span], ins: &[Span]) -> Joined {
    joins(&receipts(outs), &receipts(ins))
}

#[test]
fn a_redrive_moves_a_message_and_keeps_its_id() {
    let dead = taken("sqs|eu-west-1|jobs-dead|m-1").in_trace(3).service("undertaker");
    let joined = all(&[sent(SQS)], &[taken(SQS), dead.at(NOW + HOUR)]);
    let moved: Vec<_> = joined
        .edges
        .iter()
        .map(|e| (e.resource.as_deref().unwrap(), e.moved, e.confidence_permille, e.attempt))
        .collect();
    assert_eq!(moved, [("jobs", false, 980, 1), ("jobs-dead", true, 950, 1)]);
}

#[test]
fn deliveries_to_one_consumer_are_counted_and_those_to_others_are_not() {
    let again = |trace, after| taken(SQS).in_trace(trace).at(NOW + after * SECOND).failing("no");
    let other = taken(SQS).in_trace(9).service("audit").at(NOW + 50 * SECOND);
    let ins = [again(4, 40), again(3, 20), other, taken(SQS)];
    let joined = all(&[sent(SQS)], &ins);
    let attempts: Vec<_> =
        joined.edges.iter().map(|e| (e.to.0.0[15], e.attempt, e.failed)).collect();
    assert_eq!(attempts, [(2, 1, false), (3, 2, true), (4, 3, true), (9, 1, false)]);
}

#[test]
fn a_consumer_inside_a_consumer_takes_its_place() {
    let outer = taken(SQS).kind(SpanKind::Server).id(1);
    let inner = taken(SQS).id(2).at(NOW + 3 * SECOND + 5).lasting(10);
    let joined = all(&[sent(SQS)], &[outer.clone(), inner.clone()]);
    assert_eq!(joined.edges.len(), 1);
    assert_eq!(joined.edges[0].to.1, inner.span_id);
    // One after the other they are two deliveries.
    let later = inner.at(NOW + 10 * SECOND);
    assert_eq!(all(&[sent(SQS)], &[outer, later]).edges.len(), 2);
}

#[test]
fn of_one_trace_one_producer_produced_it() {
    // A call below the producer's span knows the id too; a repeated call is answered with it.
    let call = sent(SQS).kind(SpanKind::Client).id(1).at(NOW + 5);
    let again = sent(SQS).id(2).at(NOW + SECOND);
    let joined = all(&[call, again, sent(SQS)], &[taken(SQS)]);
    assert_eq!(joined.edges.len(), 1);
    assert_eq!(joined.edges[0].from.1, sent(SQS).span_id);
    assert_eq!(joined.edges[0].confidence_permille, 980);
}

#[test]
fn producers_of_several_traces_share_the_confidence() {
    let other = sent(SQS).in_trace(7);
    let joined = all(&[sent(SQS), other.clone()], &[taken(SQS)]);
    let sure: Vec<_> = joined.edges.iter().map(|edge| edge.confidence_permille).collect();
    assert_eq!(sure, [490, 490]);
    // Unless the carrier's time says who was at it.
    let mut ins = receipts(&[taken(SQS)]);
    ins[0].receipt.time_unix_nano = Some(NOW + SECOND / 2);
    let early = other.at(NOW - 60 * SECOND);
    let joined = joins(&receipts(&[sent(SQS), early]), &ins);
    let sure: Vec<_> =
        joined.edges.iter().map(|e| (e.from.0.0[15], e.confidence_permille)).collect();
    assert_eq!(sure, [(1, 980)]);
}

#[test]
fn a_link_and_an_id_of_one_way_are_one_edge() {
    let producer = sent(SQS);
    let batch = batch(std::slice::from_ref(&producer));
    let mut outs = receipts(std::slice::from_ref(&producer));
    outs.push(ReceiptReader::new(&batch).linked(0, throughline_topology::stitch::Direction::Out));
    let joined = joins(&outs, &receipts(&[taken(SQS).linked_to(&producer)]));
    assert_eq!(joined.edges.len(), 1);
    let edge = &joined.edges[0];
    assert_eq!((edge.class, edge.confidence_permille), (Class::Explicit, 990));
    assert_eq!(edge.key_text, "m-1");
    assert!(edge.evidence.iter().any(|evidence| evidence.what.contains("link")));
    // The link alone joins as well.
    let alone = taken("sqs|||other").linked_to(&producer);
    let joined = joins(&outs, &receipts(&[alone]));
    assert_eq!(joined.edges[0].class, Class::Explicit);
}

#[test]
fn one_invocation_in_two_segments_is_one_delivery() {
    let call = sent("").attr("rpc.service", "Lambda").attr("rpc.method", "Invoke");
    let call = call.kind(SpanKind::Client).attr("aws.request_id", "r-1");
    let segment = |id, origin: &'static str, at: i64| {
        let span = span("signup").in_trace(2).id(id).kind(SpanKind::Server).service("signup");
        let span =
            span.environment("prod").at(at).lasting(SECOND).attr("faas.invocation_id", "r-1");
        span.resource_attr("xray.origin", origin)
    };
    // The service's segment ends with the answer, the function's goes on until it is settled.
    let service = segment(1, "AWS::Lambda", NOW + 2 * SECOND);
    let function = segment(2, "AWS::Lambda::Function", NOW + 2 * SECOND + 5);
    let joined = all(std::slice::from_ref(&call), &[function.clone(), service.clone()]);
    let found: Vec<_> = joined.edges.iter().map(|edge| (edge.to.1, edge.attempt)).collect();
    assert_eq!(found, [(function.span_id, 1)]);
    // A function that is not traced has the service's segment only.
    let alone = all(std::slice::from_ref(&call), std::slice::from_ref(&service));
    assert_eq!(alone.edges[0].to.1, service.span_id);
    // Lambda tries again with the same request id: that is a second delivery.
    let again = segment(3, "AWS::Lambda::Function", NOW + 60 * SECOND);
    let joined = all(&[call], &[service, function, again]);
    let attempts: Vec<_> = joined.edges.iter().map(|edge| (edge.to.1.0[7], edge.attempt)).collect();
    assert_eq!(attempts, [(2, 1), (3, 2)]);
}

#[test]
fn a_clock_of_whole_seconds_makes_no_wait_longer_than_its_journey() {
    let record = "kinesis|us-east-1|orders|4959";
    let out = one(&sent(record).at(NOW + SECOND / 2).lasting(10_000_000));
    let mut consumer = one(&taken(record).at(NOW + SECOND));
    for (arrived, wait) in [
        (None, SECOND / 2 - 10_000_000),
        // Half a second before it was sent: the stream counts whole seconds.
        (Some(NOW), SECOND / 2 - 10_000_000),
        (Some(NOW + SECOND / 2 + 4_000_000), SECOND / 2 - 4_000_000),
    ] {
        consumer.receipt.time_unix_nano = arrived;
        let edge = join(&out, &consumer).unwrap();
        assert_eq!(edge.wait_nano, wait, "{arrived:?}");
        assert!(edge.wait_nano <= consumer.start_unix_nano - out.start_unix_nano);
    }
}
