//! What the Kinesis lab promises its reader, looked for in throughline.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::LabError;
use super::super::ground::Ground;
use super::super::report::{Line, Report, Say};
use super::super::watch::{list, text};
use super::Part;

const PRODUCER: &str = "producer-lambda";
const CONSUMER: &str = "consumer-lambda";

/// The automatic variant: two traces for each message, and one journey.
pub(super) async fn automatic(
    ground: &Ground,
    part: &Part<'_>,
    report: &mut Report,
    say: &mut impl Say,
) -> Result<(), LabError> {
    say.say(Line::Step("Find your functions' data"));
    let producers = producers(ground, part, report, say).await?;
    environment(ground, part, report, say).await?;
    let stream = map_edge(ground, part, PRODUCER, "stream:").await?;
    let seen = stream.clone().unwrap_or_else(|| "no such edge".to_owned());
    report.check(say, "the map shows producer-lambda's calls to Kinesis", stream.is_some(), seen);

    let query = format!("service = \"{CONSUMER}\"");
    let consumers = ground
        .watch
        .until(async |watch| {
            let found = watch.search(&query, part.from_nano).await?;
            Ok((!found.is_empty()).then_some(found))
        })
        .await?
        .unwrap_or_default();
    let of_both = producers.iter().chain(&consumers).filter(|trace| has_both(trace)).count();
    let apart = !consumers.is_empty() && of_both == 0;
    let seen = format!(
        "{} traces of {PRODUCER}, {} of {CONSUMER}, {of_both} of both",
        producers.len(),
        consumers.len()
    );
    report.check(
        say,
        "the trace stops at the stream; the consumer has traces of its own",
        apart,
        seen,
    );
    let link = ground.watch.link("traces", &[("env", &part.environment)]);
    report.look(say, "the traces: those of producer and consumer are apart", link);
    let Some(first) = producers.first().map(|trace| text(trace, "traceId").to_owned()) else {
        return Ok(());
    };
    let link = ground.watch.link(&format!("t/{first}"), &[]);
    report.look(say, "one trace: the function, its call of Kinesis, the HTTP request below", link);

    say.say(Line::Note(
        "more than the workshop has: the two traces, joined by the record's number",
    ));
    let join = ground
        .watch
        .until(async |watch| {
            let journey = watch.ask(&format!("journeys/{first}")).await?;
            let joins = list(&journey, "joins").iter();
            let mut joins = joins.filter(|join| text(join, "carrier") == "kinesis");
            Ok(joins.next().cloned())
        })
        .await?;
    let joined = join.as_ref().is_some_and(|join| {
        text(join, "class") == "E2" && text(join, "fromTraceId") != text(join, "toTraceId")
    });
    let seen = join.map_or_else(
        || "no join".to_owned(),
        |join| {
            let (class, key) = (text(&join, "class"), text(&join, "key"));
            let to = text(&join, "toTraceId");
            format!(
                "{first} \u{2192} {to} by {key}, {class}, {}",
                join.get("confidence").unwrap_or(&Value::Null)
            )
        },
    );
    report.check(say, "both traces are one journey, joined by the sequence number", joined, seen);
    Ok(())
}

/// The manual variant: one trace for each message, with the message's values on its span.
pub(super) async fn manual(
    ground: &Ground,
    part: &Part<'_>,
    log: &str,
    report: &mut Report,
    say: &mut impl Say,
) -> Result<(), LabError> {
    say.say(Line::Step("Find your updated data"));
    environment(ground, part, report, say).await?;
    let query = format!("custom.tag.superpower = \"{}\"", part.superpower);
    let wanted = part.requests as usize;
    let found = ground
        .watch
        .until(async |watch| {
            let found = watch.search(&query, part.from_nano).await?;
            let whole = found.iter().filter(|trace| has_both(trace)).count();
            Ok((whole >= wanted).then_some(found))
        })
        .await?;
    let found = match found {
        Some(found) => found,
        None => ground.watch.search(&query, part.from_nano).await?,
    };
    let whole = found.iter().filter(|trace| has_both(trace)).count();
    let seen = format!("{whole} traces of {PRODUCER} and {CONSUMER} together, {wanted} requests");
    report.check(say, "every message is one trace, through the stream", whole == wanted, seen);

    let edge = map_edge(ground, part, "stream:", CONSUMER).await?;
    let seen = edge.clone().unwrap_or_else(|| "no such edge".to_owned());
    report.check(
        say,
        "on the map, consumer-lambda is connected to producer-lambda",
        edge.is_some(),
        seen,
    );
    let link = ground.watch.link("map", &[("env", &part.environment)]);
    report.look(say, "the map: consumer-lambda is connected now", link);

    say.say(Line::Step("Paste a trace id of the log into the search"));
    let pasted = trace_id_of_log(log);
    let trace = match &pasted {
        Some(id) => ground.watch.search(&format!("trace = {id}"), part.from_nano).await?.pop(),
        None => None,
    };
    let seen = pasted.clone().unwrap_or_else(|| "the log shows no trace context".to_owned());
    report.check(say, "the trace id of the log finds the trace", trace.is_some(), seen);
    let Some(id) = pasted.or_else(|| found.first().map(|found| text(found, "traceId").to_owned()))
    else {
        return Ok(());
    };
    let link = ground.watch.link(&format!("t/{id}"), &[]);
    report.look(say, "the trace of that id, whole", link);

    say.say(Line::Step("Expand the consumer's span: find the attributes of your message"));
    let view = ground.watch.ask(&format!("traces/{id}/view")).await?;
    let span = span_named(&view, "Kinesis.getRecord");
    let Some((span_id, parent)) = span else {
        report.check(say, "the trace has the consumer's span", false, "no span Kinesis.getRecord");
        return Ok(());
    };
    let seen = parent.unwrap_or_else(|| "no parent".to_owned());
    let below = seen.ends_with("-producer");
    report.check(say, "Kinesis.getRecord is a child of the producer's span", below, seen);
    let span = ground.watch.ask(&format!("traces/{id}/spans/{span_id}")).await?;
    for (key, expected) in [("custom.tag.name", "Kate"), ("custom.tag.superpower", part.superpower)]
    {
        let attribute =
            list(&span, "attributes").iter().find(|attribute| text(attribute, "key") == key);
        let value = attribute.map(|attribute| text(attribute, "value")).unwrap_or_default();
        report.check(say, &format!("the span has {key}"), value == expected, value);
    }
    let link = ground.watch.link(&format!("t/{id}"), &[("s", &span_id)]);
    report.look(say, "the span with custom.tag.name and custom.tag.superpower", link);
    Ok(())
}

/// The producer's traces with the call of Kinesis, as many as there were requests.
async fn producers(
    ground: &Ground,
    part: &Part<'_>,
    report: &mut Report,
    say: &mut impl Say,
) -> Result<Vec<Value>, LabError> {
    let query = format!("service = \"{PRODUCER}\" and name = \"Kinesis.PutRecord\"");
    let wanted = part.requests as usize;
    let mut last = Vec::new();
    ground
        .watch
        .until(async |watch| {
            last = watch.search(&query, part.from_nano).await?;
            Ok((last.len() >= wanted).then_some(()))
        })
        .await?;
    let seen = format!("{} traces, {wanted} requests", last.len());
    report.check(
        say,
        "each request is a trace with its call of Kinesis",
        last.len() == wanted,
        seen,
    );
    Ok(last)
}

async fn environment(
    ground: &Ground,
    part: &Part<'_>,
    report: &mut Report,
    say: &mut impl Say,
) -> Result<(), LabError> {
    let found = ground
        .watch
        .until(async |watch| {
            let answer = watch.ask("environments").await?;
            let all = list(&answer, "environments").iter().filter_map(Value::as_str);
            Ok(all.map(str::to_owned).find(|name| *name == part.environment))
        })
        .await?;
    let seen = found.clone().unwrap_or_else(|| "it is not there".to_owned());
    report.check(say, "the environment can be chosen", found.is_some(), seen);
    let link = ground.watch.link("map", &[("env", &part.environment)]);
    report.look(say, "the map of your environment", link);
    Ok(())
}

/// An edge of the map whose ends contain these words.
async fn map_edge(
    ground: &Ground,
    part: &Part<'_>,
    from: &str,
    to: &str,
) -> Result<Option<String>, LabError> {
    let path = format!(
        "map?from={}&environment={}",
        part.from_nano,
        super::super::calls::encoded(&part.environment)
    );
    ground
        .watch
        .until(async |watch| {
            let map = watch.ask(&path).await?;
            let edge = list(&map, "edges")
                .iter()
                .find(|edge| text(edge, "from").contains(from) && text(edge, "to").contains(to));
            Ok(edge.map(|edge| format!("{} \u{2192} {}", text(edge, "from"), text(edge, "to"))))
        })
        .await
}

fn has_both(trace: &Value) -> bool {
    let services: BTreeSet<&str> =
        list(trace, "services").iter().filter_map(Value::as_str).collect();
    services.contains(PRODUCER) && services.contains(CONSUMER)
}

/// The trace id of the last `traceparent` that a log shows.
fn trace_id_of_log(log: &str) -> Option<String> {
    let (_, after) = log.rsplit_once("\"traceparent\":")?;
    let value = after.trim_start().trim_start_matches('"');
    let id = value.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
}

/// The id of the first span with this name, and the name of its parent.
fn span_named(view: &Value, name: &str) -> Option<(String, Option<String>)> {
    let names = list(view, "names");
    let spans = view.get("spans")?;
    let number = |key: &str, row: usize| list(spans, key).get(row).and_then(Value::as_i64);
    let name_of = |row: usize| {
        let index = usize::try_from(number("name", row)?).ok()?;
        names.get(index)?.as_str()
    };
    let row = (0..list(spans, "name").len()).find(|row| name_of(*row) == Some(name))?;
    let id = list(spans, "spanId").get(row)?.as_str()?.to_owned();
    let parent = number("parent", row).and_then(|parent| usize::try_from(parent).ok());
    Some((id, parent.and_then(name_of).map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_trace_id_is_what_a_reader_would_underline() {
        let id = "5df7e51afe1ccd6a7e6a33bb0ec80b1d";
        let log = format!(
            "INFO x {{\"tracecontext\": {{\"traceparent\":\"00-{id}-c6363daf16ad4906-01\"}}}}"
        );
        assert_eq!(trace_id_of_log(&log).as_deref(), Some(id));
        assert_eq!(trace_id_of_log("\"traceparent\":\"00-short-1-01\""), None);
        assert_eq!(trace_id_of_log(""), None);
    }

    #[test]
    fn a_span_and_its_parent_are_read_from_columns() {
        let view = json!({
            "names": ["lab-producer", "Kinesis.getRecord"],
            "spans": { "spanId": ["aa", "bb"], "parent": [-1, 0], "name": [0, 1] }
        });
        let expected = Some(("bb".to_owned(), Some("lab-producer".to_owned())));
        assert_eq!(span_named(&view, "Kinesis.getRecord"), expected);
        assert_eq!(span_named(&view, "lab-producer"), Some(("aa".to_owned(), None)));
        assert_eq!(span_named(&json!({}), "x"), None);
    }
}
