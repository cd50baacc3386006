//! What every finding says.

use throughline_model::SpanId;
use throughline_testkit::Span;
use throughline_topology::doctor::{Kind, Options, diagnose};

use crate::world::{NOW, World, answer, call, trace_number};

/// Spans with many kinds of trouble in them.
fn trouble() -> Vec<Span> {
    let mut spans = Vec::new();
    for n in 0..6 {
        spans.extend([call(n, "web", "shop.local"), answer(n, "shop", "shop.local")]);
        let orphan = answer(100 + n, "mail", "mail.local");
        spans.push(Span { parent_id: SpanId([0xee; 8]), ..orphan });
        let from = call(200 + n, "web", "stock.local");
        let to = answer(200 + n, "stock", "stock.local");
        spans.push(Span { parent_id: from.span_id, ..to });
        spans.push(from);
    }
    spans
}

#[test]
fn every_finding_says_why_what_it_cannot_know_and_what_to_do() {
    let report = World::of(&trouble()).report();
    assert!(report.findings.len() >= 3, "{report:?}");
    for finding in &report.findings {
        let texts = [&finding.title, &finding.why, &finding.unknown];
        assert!(texts.iter().all(|text| text.ends_with('.') || text == &&finding.title));
        assert!(texts.iter().all(|text| !text.is_empty()));
        let all = format!("{finding:?}").to_lowercase();
        assert!(!all.contains("reload") && !all.contains("try again"));
        assert!(finding.kind == Kind::RewrittenTraceId || !finding.fix.is_empty());
        assert!(finding.seen.len() <= 3);
    }
}

#[test]
fn what_is_serialised_has_the_names_of_the_api() {
    let report = World::of(&trouble()).report();
    let json = serde_json::to_value(&report).unwrap();
    let finding = &json["findings"][0];
    for key in [
        "id",
        "kind",
        "severity",
        "hop",
        "title",
        "seen",
        "why",
        "unknown",
        "class",
        "count",
        "good",
        "sharePermille",
        "firstSeenUnixNano",
        "lastSeenUnixNano",
        "lastGoodUnixNano",
        "fix",
        "state",
    ] {
        assert!(finding.get(key).is_some(), "{key}");
    }
    assert_eq!(finding["id"].as_str().unwrap().len(), 32);
    assert!(finding["firstSeenUnixNano"].is_string());
    assert_eq!(finding["seen"][0]["from"]["traceId"].as_str().unwrap().len(), 32);
}

#[test]
fn limits_hold_and_are_told() {
    let spans = trouble();
    let world = World::of(&spans);
    let whole = world.report();
    assert!(!whole.truncated);
    assert_eq!(whole.looked_at.spans, spans.len());
    for options in [
        Options { traces_max: 3, ..Options::at(NOW) },
        Options { spans_max: 3, ..Options::at(NOW) },
        Options { findings_max: 1, ..Options::at(NOW) },
    ] {
        let report = diagnose(world.batches(), &world, &options).unwrap();
        assert!(report.truncated);
        assert!(report.looked_at.spans <= spans.len() && report.findings.len() <= 200);
    }
    let one = Options { findings_max: 1, samples_max: 1, ..Options::at(NOW) };
    let report = diagnose(world.batches(), &world, &one).unwrap();
    assert_eq!((report.findings.len(), report.findings[0].seen.len()), (1, 1));
    assert_eq!(World::default().report().findings, []);
    assert_ne!(trace_number(1, 1), trace_number(2, 1));
}
