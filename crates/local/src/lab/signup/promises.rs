//! What the sign-up workshop promises its reader, looked for in throughline.

use serde_json::Value;

use super::super::LabError;
use super::super::ground::Ground;
use super::super::report::{Line, Report, Say};
use super::super::watch::{Watch, list, text};
use super::cloud::Settings;
use super::{FUNCTION, SignUps};

/// The application's name in its segments.
const APPLICATION: &str = "signup-app";
/// The name of the host "on-premises".
const ELSEWHERE: &str = "mail-room";
/// The spans of a whole sign-up, but for the mail room's.
/// The SDK names table and topic by their services, in small letters for `aws-sdk` v2.
const NAMES: [&str; 5] = [APPLICATION, FUNCTION, "write entry", "dynamodb", "sns"];

/// Looks at the map, at the traces, at one, at the error.
pub(super) async fn look(
    ground: &Ground,
    settings: &Settings,
    sign_ups: &SignUps,
    report: &mut Report,
    say: &mut impl Say,
) -> Result<(), LabError> {
    let watch = &ground.watch;
    say.say(Line::Step("Service map"));
    let nodes = [APPLICATION, FUNCTION, &settings.table, &settings.topic];
    let missing = missing_on_map(watch, sign_ups, &nodes).await?;
    let seen = if missing.is_empty() {
        nodes.join(", ")
    } else {
        format!("missing: {}", missing.join(", "))
    };
    let what = "the map has the application, the function, the table and the topic";
    report.check(say, what, missing.is_empty(), seen);
    let map = watch.link("map", &[]);
    report.look(say, "the service map: an average of all your requests", map);

    say.say(Line::Step("Traces"));
    let Some(first) = sign_ups.done.first() else { return Ok(()) };
    let view = whole_trace(watch, first).await?;
    let names: Vec<&str> = list(&view, "names").iter().filter_map(Value::as_str).collect();
    let absent: Vec<&str> = NAMES.into_iter().filter(|name| !names.contains(name)).collect();
    let seen = format!("{} spans: {}", list_of_spans(&view, "spanId").len(), names.join(", "));
    report.check(
        say,
        "one trace follows a sign-up to the table and the topic",
        absent.is_empty(),
        seen,
    );
    let roots =
        list_of_spans(&view, "parent").iter().filter(|row| row.as_i64() == Some(-1)).count();
    let lost = list_of_spans(&view, "missingParent").iter().filter(|id| id.as_str() != Some(""));
    let lost = lost.count();
    let seen = format!("{roots} root, {lost} parents missing");
    report.check(say, "it is one tree, from the application down", roots == 1 && lost == 0, seen);
    let link = watch.link(&format!("t/{}", plain(first)), &[]);
    report.look(say, "one sign-up, from the page to the table and the topic", link);
    let services: Vec<&str> = list(&view, "services").iter().filter_map(Value::as_str).collect();
    let what = "a host on-premises joins the trace by its header, through the daemon's port";
    report.check(say, what, services.contains(&ELSEWHERE), services.join(", "));

    say.say(Line::Step("Find the error"));
    let Some(twice) = &sign_ups.twice else { return Ok(()) };
    let expression = format!("service(\"{}\") {{ error OR fault }}", settings.table);
    let found = watch
        .until(async |watch| {
            let found = watch.filter(&expression, sign_ups.from_seconds - 1).await?;
            let ids: Vec<String> =
                found.iter().map(|summary| text(summary, "Id").to_owned()).collect();
            Ok(ids.contains(twice).then_some(ids))
        })
        .await?;
    let only = found.as_ref().is_some_and(|ids| !ids.iter().any(|id| sign_ups.done.contains(id)));
    let seen = found.map_or_else(|| "not found".to_owned(), |ids| ids.join(", "));
    let what = format!("the filter {expression} finds the second try and no other");
    report.check(say, &what, only, seen);
    let link = watch.link("traces", &[("lang", "xray"), ("q", &expression)]);
    report.look(say, "the second try, found by a filter: it is an error at DynamoDB", link);
    let link = watch.link(&format!("t/{}", plain(twice)), &[]);
    report.look(say, "the second try: ConditionalCheckFailedException", link);
    Ok(())
}

/// Asks until the map has all nodes; gives those that it never had.
async fn missing_on_map<'a>(
    watch: &Watch,
    sign_ups: &SignUps,
    nodes: &[&'a str],
) -> Result<Vec<&'a str>, LabError> {
    let path = format!("map?from={}000000000", sign_ups.from_seconds);
    let mut missing = nodes.to_vec();
    watch
        .until(async |watch| {
            let map = watch.ask(&path).await?;
            missing = nodes.to_vec();
            missing
                .retain(|name| !list(&map, "nodes").iter().any(|node| text(node, "name") == *name));
            Ok(missing.is_empty().then_some(()))
        })
        .await?;
    Ok(missing)
}

/// The trace once it has everything; what is there when it never has.
async fn whole_trace(watch: &Watch, id: &str) -> Result<Value, LabError> {
    let path = format!("traces/{id}/view");
    let whole = watch
        .until(async |watch| {
            let view = watch.ask(&path).await?;
            let has = |key, name: &str| list(&view, key).iter().any(|it| it.as_str() == Some(name));
            let is_whole =
                NAMES.iter().all(|name| has("names", name)) && has("services", ELSEWHERE);
            Ok(is_whole.then_some(view))
        })
        .await?;
    match whole {
        Some(view) => Ok(view),
        None => watch.ask(&path).await,
    }
}

fn list_of_spans<'a>(view: &'a Value, key: &str) -> &'a [Value] {
    view.get("spans").map_or(&[], |spans| list(spans, key))
}

/// X-Ray's form of a trace id as 32 hex digits.
fn plain(id: &str) -> String {
    id.trim_start_matches("1-").replace('-', "")
}
