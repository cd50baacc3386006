//! The Kinesis lab, in the order of its text: values, credentials, deploy, info, traffic, logs, map, traces; the same
//! again with the context in the record; remove.

mod promises;
mod rust;

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::process::Command;

use super::calls;
use super::ground::Ground;
use super::programs::Run;
use super::report::{Check, Line, Report, Say};
use super::watch::{list, text};
use super::{LabError, LabOptions, Variant};
use crate::ids;

/// The first deploy of a cold machine took a minute.
const COMMAND_SECONDS_MAX: u64 = 300;
const FUNCTIONS: [&str; 2] = ["producer", "consumer"];

/// What a part of the lab is looked for by.
struct Part<'a> {
    /// `PREFIX-apm-lambda`.
    environment: String,
    /// When it began, in nanoseconds since the epoch.
    from_nano: i64,
    requests: u32,
    /// The value of every message's `superpower`: tells this part's spans from others.
    superpower: &'a str,
}

/// Follows the text.
pub(super) async fn follow(
    variant: Variant,
    ground: &mut Ground,
    options: &LabOptions,
    say: &mut impl Say,
) -> Result<Report, LabError> {
    let mut report = Report::default();
    say.say(Line::Step("Set the values of the templates"));
    if variant == Variant::Rust {
        rust::copy(ground, options)?;
    }
    for folder in folders(variant) {
        let place = ground.scratch.join(folder);
        match &options.repository {
            _ if *folder == "rust" => {}
            Some(repository) => super::files::copy(&repository.join(folder), &place)?,
            None => super::files::write(&format!("kinesis/{folder}"), &place)?,
        }
        say.say(Line::Command(&format!(
            "cat {folder}/serverless_unset.yml | envsubst > {folder}/serverless.yml"
        )));
        set_values(ground, folder, &options.prefix)?;
    }
    say.say(Line::Step("Set your AWS credentials"));
    let key = ["config", "credentials", "--provider", "aws", "--key", "LOCAL", "--secret", "LOCAL"];
    sls(ground, options, "auto", &[&key[..], &["--overwrite"]].concat(), say).await?;

    if let Variant::Auto | Variant::Both = variant {
        say.say(Line::Step("Automatic: deploy your functions"));
        ground.deployed = true;
        deploy(ground, options, "auto", say).await?;
        let part =
            traffic(ground, "auto", options, "distributed tracing", &mut report, say).await?;
        promises::automatic(ground, &part, &mut report, say).await?;
    }
    if variant == Variant::Rust {
        say.say(Line::Step("Rust: build and deploy your functions"));
        rust::build(ground, options, say).await?;
        ground.deployed = true;
        deploy(ground, options, "rust", say).await?;
        context_in_records(ground, "rust", options, &mut report, say).await?;
    }
    if let Variant::Manual | Variant::Both = variant {
        say.say(Line::Step("Manual: deploy your functions"));
        ground.deployed = true;
        if variant == Variant::Both {
            for function in FUNCTIONS {
                let said = sls(ground, options, "manual", &["deploy", "-f", function], say).await?;
                let line = said.lines().find(|line| line.contains("Function code deployed"));
                let what = format!("only the code of {function} is deployed again");
                let seen = line.map_or_else(|| last_line(&said), |line| line.trim().to_owned());
                report.check(say, &what, line.is_some(), seen);
            }
        } else {
            deploy(ground, options, "manual", say).await?;
        }
        context_in_records(ground, "manual", options, &mut report, say).await?;
    }
    Ok(report)
}

/// The folders of a variant. The automatic one is where the stack, which all share, is removed from.
fn folders(variant: Variant) -> &'static [&'static str] {
    if variant == Variant::Rust { &["auto", "rust"] } else { &["auto", "manual"] }
}

/// Traffic for functions that carry the context in the record, and what is promised of them.
async fn context_in_records(
    ground: &Ground,
    folder: &str,
    options: &LabOptions,
    report: &mut Report,
    say: &mut impl Say,
) -> Result<(), LabError> {
    let part = traffic(ground, folder, options, "propagation", report, say).await?;
    let log = sls(ground, options, folder, &["logs", "-f", "consumer"], say).await?;
    promises::manual(ground, &part, &log, report, say).await
}

/// `sls remove`, if anything was deployed.
pub(super) async fn clean(
    ground: &mut Ground,
    options: &LabOptions,
    say: &mut impl Say,
) -> Result<Vec<Check>, LabError> {
    let mut report = Report::default();
    if std::mem::take(&mut ground.deployed) {
        say.say(Line::Step("Before you go: clean up"));
        let said = sls(ground, options, "auto", &["remove"], say).await?;
        let passed = said.contains("successfully removed");
        report.check(say, "everything that was deployed is removed", passed, last_line(&said));
    }
    Ok(report.checks)
}

/// What `envsubst` does with the three names of the template, and with no other.
fn set_values(ground: &Ground, folder: &str, prefix: &str) -> Result<(), LabError> {
    let folder = ground.scratch.join(folder);
    let template = folder.join("serverless_unset.yml");
    if !template.is_file() && folder.join("serverless.yml").is_file() {
        // Another's copy, in which they are set already.
        return Ok(());
    }
    let text = fs::read_to_string(&template).map_err(LabError::io(&template))?;
    let values = [("ACCESS_TOKEN", "local"), ("REALM", "local"), ("PREFIX", prefix)];
    let place = folder.join("serverless.yml");
    fs::write(&place, substituted(&text, &values)).map_err(LabError::io(&place))
}

fn substituted(text: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value)
    })
}

/// Runs the workshop's command in one of its folders.
async fn sls(
    ground: &Ground,
    options: &LabOptions,
    folder: &str,
    words: &[&str],
    say: &mut impl Say,
) -> Result<String, LabError> {
    let shown = format!("sls {}", words.join(" "));
    say.say(Line::Command(&shown));
    let bin = ground.toolbox.as_ref().map_or_else(PathBuf::new, |tools| tools.bin.clone());
    let mut command = Command::new(bin.join("sls"));
    command.args(words).current_dir(ground.scratch.join(folder));
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.env("AWS_ENDPOINT_URL", &ground.endpoint);
    command.env("PREFIX", &options.prefix).env("ACCESS_TOKEN", "local").env("REALM", "local");
    // The layer has its own; the template of the Rust variant asks for it.
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &options.throughline.otlp_http);
    // Of this run alone, so that two runs do not meet in it.
    command.env("SLS_HOME", ground.scratch.join("home"));
    Run { shown: &shown, command, seconds_max: COMMAND_SECONDS_MAX }.wait(say).await
}

async fn deploy(
    ground: &Ground,
    options: &LabOptions,
    folder: &str,
    say: &mut impl Say,
) -> Result<(), LabError> {
    let said = sls(ground, options, folder, &["deploy"], say).await?;
    say.say(Line::Output(&said));
    Ok(())
}

/// Finds the endpoint, sends the messages, reads the logs.
async fn traffic<'a>(
    ground: &Ground,
    folder: &str,
    options: &LabOptions,
    superpower: &'a str,
    report: &mut Report,
    say: &mut impl Say,
) -> Result<Part<'a>, LabError> {
    say.say(Line::Step("Check the details of your functions"));
    let info = sls(ground, options, folder, &["info"], say).await?;
    say.say(Line::Output(&info));
    let endpoint = endpoint(&info);
    let shown = endpoint.clone().unwrap_or_else(|| "none".to_owned());
    report.check(say, "sls info names an endpoint that works here", endpoint.is_some(), shown);
    let Some(endpoint) = endpoint else {
        return Err(LabError::Options(format!("sls info names no endpoint:\n{info}")));
    };

    say.say(Line::Step("Send some traffic"));
    let part = Part {
        environment: format!("{}-apm-lambda", options.prefix),
        from_nano: ids::now_ms().saturating_mul(1_000_000),
        requests: options.requests,
        superpower,
    };
    let message = json!({ "name": "Kate", "superpower": superpower }).to_string();
    say.say(Line::Command(&format!("curl -d '{message}' {endpoint}")));
    let expected = format!("Message placed in the Event Stream: {}-eventStream", options.prefix);
    let mut placed = 0;
    let mut last = String::new();
    for _ in 0..options.requests {
        let answer = calls::post(&endpoint, &[], message.clone()).await?;
        let answered: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let message = text(&answered, "message");
        // The text itself does not spell the name alike everywhere, and neither may another's copy.
        let as_promised = match options.repository {
            Some(_) => message.starts_with("Message placed in the Event Stream"),
            None => message == expected,
        };
        if answer.status == 200 && as_promised {
            placed += 1;
        }
        last = answer.body;
    }
    say.say(Line::Output(&last));
    let seen = format!("{placed} of {}: {last}", options.requests);
    report.check(say, "every message is placed in the stream", placed == options.requests, seen);
    let empty = calls::post(&endpoint, &[], String::new()).await?;
    let seen = format!("{} {}", empty.status, empty.body);
    let refused = if options.repository.is_some() { 400..=599 } else { 400..=400 };
    let what = "a message without a body is refused";
    report.check(say, what, refused.contains(&empty.status), seen);

    say.say(Line::Step("Check the logs: is OpenTelemetry being loaded?"));
    for function in FUNCTIONS {
        logged(ground, &options.prefix, function, superpower).await?;
        let log = sls(ground, options, folder, &["logs", "-f", function], say).await?;
        say.say(Line::Output(&log));
        let (word, who) = match folder {
            "rust" => ("OpenTelemetry is loaded", "OpenTelemetry"),
            _ => ("splunk-extension-wrapper", "the layer"),
        };
        let line = log.lines().find(|line| line.contains(word));
        let what = format!("the log of {function} shows {who} being loaded");
        report.check(say, &what, line.is_some(), line.unwrap_or("no such line"));
    }
    Ok(part)
}

/// Waits until a function's log has a call with this word, to its end. A reader would ask again and again.
async fn logged(ground: &Ground, prefix: &str, function: &str, word: &str) -> Result<(), LabError> {
    let asked =
        json!({ "logGroupName": format!("/aws/lambda/{prefix}-lambda-lab-dev-{function}") });
    let headers = [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", "Logs_20140328.FilterLogEvents"),
    ];
    // Without it the log is shown as it is, and the check says what it lacks.
    let _shown_in_time = ground
        .watch
        .until(async |_| {
            let answer = calls::post(&ground.endpoint, &headers, asked.to_string()).await?;
            // The group comes into being with the function's first call.
            let Ok(answer) = answer.json() else { return Ok(None) };
            let messages = list(&answer, "events").iter().map(|event| text(event, "message"));
            let mut after = messages.skip_while(|message| !message.contains(word));
            Ok(after.any(|message| message.starts_with("REPORT ")).then_some(()))
        })
        .await?;
    Ok(())
}

/// The address behind `endpoint:`, with its path.
fn endpoint(info: &str) -> Option<String> {
    let line = info.lines().find_map(|line| line.trim().strip_prefix("endpoint:"))?;
    let url = line.split_whitespace().find(|word| word.starts_with("http"))?;
    Some(url.to_owned())
}

fn last_line(said: &str) -> String {
    said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_set_and_serverless_own_are_kept() {
        let text =
            "token: $ACCESS_TOKEN\nrealm: ${REALM}\nservice: ${self:custom.prefix}-lab\nx: $PREFIX";
        let values = [("ACCESS_TOKEN", "t"), ("REALM", "us1"), ("PREFIX", "host")];
        assert_eq!(
            substituted(text, &values),
            "token: t\nrealm: us1\nservice: ${self:custom.prefix}-lab\nx: host"
        );
    }

    #[test]
    fn the_endpoint_is_what_a_reader_would_copy() {
        let info =
            "stack: x\nendpoint: POST - http://127.0.0.1:4566/_api/a/dev/producer\nfunctions:\n";
        let expected = Some("http://127.0.0.1:4566/_api/a/dev/producer".to_owned());
        assert_eq!(endpoint(info), expected);
        assert_eq!(endpoint("service: x"), None);
    }
}
