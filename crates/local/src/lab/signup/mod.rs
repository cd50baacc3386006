//! The sign-up workshop, in the order of its text: the function, active tracing, the application, some sign-ups and
//! one twice; the map, the traces; a host "on-premises".

mod cloud;
mod promises;

use serde_json::{Value, json};

use super::calls;
use super::ground::Ground;
use super::install;
use super::programs::Server;
use super::report::{Check, Line, Report, Say};
use super::watch::text;
use super::{LabError, LabOptions, Sdk, files};
use crate::ids;
use cloud::Cloud;

/// The workshop's name of the function.
const FUNCTION: &str = "XrayReinventBuilderLambda";
/// What Elastic Beanstalk tells an instance of itself.
const BEANSTALK: &str =
    r#"{"environment_name":"signup-env","version_label":"app-v1","deployment_id":1}"#;

/// What the sign-ups of a run are looked for by.
struct SignUps {
    /// When they began, in seconds since the epoch.
    from_seconds: i64,
    /// The trace ids that the application told, in X-Ray's form: those that went well.
    done: Vec<String>,
    /// The one of the address that signed up before.
    twice: Option<String>,
}

/// Follows the text.
pub(super) async fn follow(
    sdk: Sdk,
    ground: &mut Ground,
    options: &LabOptions,
    say: &mut impl Say,
) -> Result<Report, LabError> {
    let mut report = Report::default();
    say.say(Line::Step("Set up the table, the topic and the function"));
    let function = install::installed(&options.cache, "signup/lambda", say).await?;
    let app = match sdk {
        Sdk::Node => install::installed(&options.cache, "signup/app", say).await?,
        Sdk::Python => install::installed(&options.cache, "signup/python", say).await?,
    };
    let zip = cloud::zipped(function).await?;
    let cloud = Cloud::new(&ground.endpoint);
    let settings = cloud.set_up(FUNCTION, &zip, &mut ground.made).await?;
    say.say(Line::Command(&format!(
        "aws lambda update-function-code --function-name {FUNCTION} --zip-file fileb://lambda.zip"
    )));
    let updated = cloud.update_code(FUNCTION, &zip).await?;
    let seen = format!("{}, {}", text(&updated, "LastUpdateStatus"), text(&updated, "CodeSha256"));
    report.check(
        say,
        "the function's code is deployed",
        !text(&updated, "CodeSha256").is_empty(),
        seen,
    );
    say.say(Line::Command(&format!(
        "aws lambda update-function-configuration --function-name {FUNCTION} --tracing-config Mode=Active"
    )));
    let active = cloud.trace_actively(FUNCTION).await?;
    let seen = active.get("TracingConfig").map(Value::to_string).unwrap_or_default();
    report.check(say, "active tracing is on", seen.contains("Active"), seen);

    say.say(Line::Step("Deploy the application, as Elastic Beanstalk would run it"));
    let url = start(ground, options, sdk, &app, &settings.region).await?;
    report.look(say, "the application: sign up, then once more with the same address", url.clone());

    say.say(Line::Step("Sign up a few users, and one of them twice"));
    let sign_ups = sign_up(&url, options, &mut report, say).await?;
    promises::look(ground, &settings, &sign_ups, &mut report, say).await?;
    Ok(report)
}

/// Takes away what [`follow`] made, and not what was there before.
pub(super) async fn clean(ground: &mut Ground, say: &mut impl Say) -> Result<Vec<Check>, LabError> {
    let mut report = Report::default();
    ground.servers.clear();
    let made = std::mem::take(&mut ground.made);
    if !made.is_empty() {
        say.say(Line::Step("Clean up"));
        let left = Cloud::new(&ground.endpoint).tear_down(FUNCTION, &made).await?;
        let seen = if left.is_empty() { "nothing is left".to_owned() } else { left.join("; ") };
        report.check(say, "what was set up is removed", left.is_empty(), seen);
    }
    Ok(report.checks)
}

/// Starts the host "on-premises" and the application; gives the application's address.
async fn start(
    ground: &mut Ground,
    options: &LabOptions,
    sdk: Sdk,
    app: &std::path::Path,
    region: &str,
) -> Result<String, LabError> {
    files::write("signup", &ground.scratch)?;
    let settings = ground.scratch.join("environment.conf");
    std::fs::write(&settings, BEANSTALK).map_err(LabError::io(&settings))?;
    let daemon = ("AWS_XRAY_DAEMON_ADDRESS", options.throughline.xray.to_string());
    let any_port = ("PORT", "0".to_owned());
    let elsewhere = ground.scratch.join("onpremises");
    let welcome = Server::start(
        "the host on-premises",
        &["node", "welcome.js"],
        &elsewhere,
        &[any_port.clone(), daemon.clone()],
    )
    .await?;
    let environment = [
        any_port,
        daemon,
        ("AWS_ENDPOINT_URL", ground.endpoint.clone()),
        ("AWS_REGION", region.to_owned()),
        ("AWS_ACCESS_KEY_ID", "local".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("FUNCTION_NAME", FUNCTION.to_owned()),
        ("ONPREMISES_URL", welcome.url.clone()),
        ("PYTHONPATH", app.join(install::PACKAGES).to_string_lossy().into_owned()),
        ("TRACES_URL", options.throughline.http.trim_end_matches('/').to_owned()),
    ];
    ground.servers.push(welcome);
    let (script, settings) = (ground.scratch.join("beanstalk"), settings.to_string_lossy());
    let program = match sdk {
        Sdk::Node => ["node", "app.js"],
        Sdk::Python => ["python3", "app.py"],
    };
    let words = [&*script.to_string_lossy(), &*settings, program[0], program[1]];
    let application = Server::start("the application", &words, app, &environment).await?;
    let url = application.url.clone();
    ground.servers.push(application);
    Ok(url)
}

async fn sign_up(
    url: &str,
    options: &LabOptions,
    report: &mut Report,
    say: &mut impl Say,
) -> Result<SignUps, LabError> {
    let from_seconds = ids::now_ms() / 1_000;
    // Of this run alone: an address of an earlier run would be an error the first time.
    let mark = format!("{:x}", ids::random_u64());
    let mut sign_ups = SignUps { from_seconds, done: Vec::new(), twice: None };
    let mut last = String::new();
    for number in 1..options.requests {
        let (status, trace_id, said) =
            one(url, &format!("guest{number}-{mark}@example.com")).await?;
        if status == 200 {
            sign_ups.done.push(trace_id);
        }
        last = format!("{status} {said}");
    }
    let wanted = options.requests as usize - 1;
    let passed = sign_ups.done.len() == wanted;
    let seen = format!("{} of {wanted}, the last: {last}", sign_ups.done.len());
    report.check(say, "new addresses sign up", passed, seen);
    let (status, trace_id, said) = one(url, &format!("guest1-{mark}@example.com")).await?;
    let refused = status == 409;
    let seen = format!("{status} {said}");
    report.check(say, "the same address a second time is an error", refused, seen);
    sign_ups.twice = refused.then_some(trace_id);
    Ok(sign_ups)
}

/// Signs up once; gives the status, the trace id and what the page says.
async fn one(url: &str, email: &str) -> Result<(u16, String, String), LabError> {
    let headers = [("accept", "application/json"), ("content-type", "application/json")];
    let body = json!({ "name": "Kate", "email": email }).to_string();
    let answer = calls::post(&format!("{url}/signup"), &headers, body).await?;
    let told: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    Ok((answer.status, text(&told, "traceId").to_owned(), text(&told, "message").to_owned()))
}
