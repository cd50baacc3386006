//! A call from its beginning to its end: a process for it, the answer, the lines around it, the process given back.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::error::LambdaError;
use super::super::logs::{self, Log, Report};
use super::super::registry::Version;
use super::super::trace::{self, Times};
use super::command::{Launch, locate};
use super::environment::{Environment, Failure, Parts};
use super::extensions::{About, Why};
use super::failure::{ReportStatus, Told, tell};
use super::platform;
use super::pool::Busy;
use super::runtime_api::{RuntimeApi, Work};
use super::sidecars::Sidecars;
use super::{Call, Inner, Outcome, opt};
use crate::ids;
use crate::sync::lock;

type Answer = oneshot::Sender<Result<Outcome, LambdaError>>;

/// That the process is ready, and when its start was, if this call waited for it.
struct Ready {
    init: Option<Init>,
    /// What is left of the function's timeout.
    left: Duration,
}

#[derive(Clone, Copy)]
struct Init {
    from_s: f64,
    to_s: f64,
}

impl Init {
    fn ms(self) -> f64 {
        (self.to_s - self.from_s) * 1000.0
    }
}

/// A start that failed.
struct NotReady {
    failure: Failure,
    log: Arc<Mutex<Log>>,
    init: Init,
}

enum StartError {
    NotReady(Box<NotReady>),
    Refused(LambdaError),
}

/// Makes the call; gives the answer as soon as there is one, then waits until the process is ready again.
pub(super) async fn drive(inner: Arc<Inner>, call: Call, answer: Answer) {
    let received_s = now_s();
    let (pool, old) = inner.pool(&call.version);
    super::end_all(old).await;
    let Some((busy, warm)) = pool.enter(call.busy_max).await else {
        let _ = answer.send(Err(LambdaError::TooManyRequests {
            message: "Rate Exceeded.".to_owned(),
            reason: "ReservedFunctionConcurrentInvocationLimitExceeded",
        }));
        return;
    };
    // Held here and not by what the end of the service cuts off: that end waits until the process is gone.
    let mut held = warm;
    let is_cut = tokio::select! {
        () = serve(&inner, &call, &mut held, busy, answer, received_s) => false,
        () = inner.stop.cancelled() => true,
    };
    if is_cut && let Some(mut environment) = held {
        environment.stop(Why::Spindown).await;
    }
}

/// Starts a process if none is held, runs the call in it and gives it back; takes it out of `held` then.
async fn serve(
    inner: &Inner,
    call: &Call,
    held: &mut Option<Environment>,
    busy: Busy,
    answer: Answer,
    received_s: f64,
) {
    let ready = match held {
        Some(environment) => {
            lock(&environment.log).take_tail();
            Ok(Ready { init: None, left: limit_of(call) })
        }
        None => start(inner, call, held).await,
    };
    match ready {
        Ok(ready) => run(inner, call, held, ready, busy, answer, received_s).await,
        Err(StartError::NotReady(not)) => not_ready(inner, call, &not, answer, received_s),
        Err(StartError::Refused(error)) => {
            let _ = answer.send(Err(error));
        }
    }
}

async fn run(
    inner: &Inner,
    call: &Call,
    held: &mut Option<Environment>,
    ready: Ready,
    mut busy: Busy,
    answer: Answer,
    received_s: f64,
) {
    let Some(environment) = held.as_mut() else { return };
    let Ready { init, left } = ready;
    let configuration = &call.version.configuration;
    environment.caller.at(&call.request_id);
    {
        let mut log = lock(&environment.log);
        log.during(&call.request_id);
        log.write(vec![logs::start(&call.request_id, &configuration.version)]);
    }
    let telemetry = Arc::clone(&environment.extensions().telemetry);
    platform::start(&telemetry, call);
    let (begun, begun_s) = (Instant::now(), now_s());
    let until = begun + left;
    let work = Work {
        request_id: call.request_id.clone(),
        deadline_ms: ids::now_ms() + i64::try_from(left.as_millis()).unwrap_or(i64::MAX / 2),
        function_arn: configuration.function_arn.clone(),
        trace_header: call.trace.header.clone(),
        client_context: call.client_context.clone(),
        payload: call.payload.clone(),
    };
    let memory_max_mb = inner.around.config.memory_enforced.then_some(configuration.memory_size);
    let result = environment.call(work, until, memory_max_mb).await;
    let answered_s = now_s();

    let produced_bytes = result.as_ref().map_or(0, |payload| payload.len());
    let survived = result.as_ref().err().is_none_or(Failure::is_survived);
    let mut told: Option<Told> =
        result.as_ref().err().map(|failure| tell(failure, &call.request_id, configuration.timeout));
    let payload = match (result, &told) {
        (Ok(payload), _) => payload,
        (Err(_), Some(told)) => told.payload.clone(),
        (Err(_), None) => Default::default(),
    };
    let status = platform::status(told.as_ref());
    platform::runtime_done(&telemetry, call, status, begun.elapsed(), produced_bytes);
    let mut outcome = Outcome { payload, is_error: told.is_some(), log_tail: None };
    let mut answer = Some(answer);
    if survived {
        busy.settle();
        if !call.log_tail
            && !call.until_ready
            && let Some(answer) = answer.take()
        {
            let _ = answer.send(Ok(outcome.clone()));
        }
    }
    let settled = match survived {
        true => environment.ready(until).await.map_err(|failure| {
            // It answered, and then hung or ended: the log says so, the answer stands.
            told.get_or_insert(tell(&failure, &call.request_id, configuration.timeout));
        }),
        false => Err(()),
    };
    let memory_used_mb = environment.memory_peak_mb();
    if settled.is_err() {
        let timed_out = told.as_ref().and_then(|told| told.status.as_ref());
        let timed_out = timed_out == Some(&ReportStatus::Timeout);
        environment.stop(if timed_out { Why::Timeout } else { Why::Failure }).await;
    }
    environment.output.flush().await;
    let settled_s = now_s();
    let report = Report {
        request_id: &call.request_id,
        duration_ms: begun.elapsed().min(left).as_secs_f64() * 1000.0,
        memory_size_mb: configuration.memory_size,
        memory_used_mb: memory_used_mb.unwrap_or(0).min(configuration.memory_size),
        init_ms: init.map(Init::ms),
        status: told
            .as_ref()
            .and_then(|told| told.status.as_ref())
            .map(|status| status.as_status()),
        traced: traced(call),
    };
    platform::report(&telemetry, call, platform::status(told.as_ref()), &report);
    let group = {
        let mut log = lock(&environment.log);
        log.fail(told.as_ref().map(|told| told.line.clone()).unwrap_or_default());
        log.write(vec![logs::end(&call.request_id), logs::report(&report)]);
        if call.log_tail {
            outcome.log_tail = Some(log.take_tail());
        }
        log.group.clone()
    };
    let times = Times {
        received_s,
        init_s: init.map(|init| (init.from_s, init.to_s)),
        begun_s,
        answered_s,
        settled_s,
    };
    send_segments(inner, call, times, &group, told.map(|told| told.fault));
    if settled.is_ok()
        && let Some(environment) = held.take()
        && let Some(mut closed) = busy.give_back(environment)
    {
        closed.stop(Why::Spindown).await;
    }
    drop(busy);
    if let Some(answer) = answer {
        let _ = answer.send(Ok(outcome));
    }
}

/// Starts a process. A start that takes longer than Lambda grants is begun once more, within the function's timeout.
async fn start(
    inner: &Inner,
    call: &Call,
    held: &mut Option<Environment>,
) -> Result<Ready, StartError> {
    let timeout = limit_of(call);
    let init_max = Duration::from_millis(inner.around.config.init_ms_max);
    match start_once(inner, call, held, init_max).await {
        Err(StartError::NotReady(not)) if matches!(not.failure, Failure::TimedOut) => {
            let line = logs::init_report(not.init.ms(), "timeout");
            lock(&not.log).write(vec![line]);
            let begun = Instant::now();
            let mut ready = start_once(inner, call, held, timeout).await?;
            ready.left = timeout.saturating_sub(begun.elapsed());
            Ok(ready)
        }
        other => other,
    }
}

async fn start_once(
    inner: &Inner,
    call: &Call,
    held: &mut Option<Environment>,
    limit: Duration,
) -> Result<Ready, StartError> {
    let slot = inner.slot().await.map_err(StartError::Refused)?;
    let service = |err: std::io::Error| StartError::Refused(LambdaError::Service(err.to_string()));
    let configuration = &call.version.configuration;
    let opt = place_opt(inner, call).await.map_err(service)?;
    let api = RuntimeApi::listen().await.map_err(service)?;
    let caller = inner.callers.enter(&configuration.function_name);
    let log_group = log_group(&call.version);
    let log_stream = logs::stream_name(&configuration.version, ids::now_ms());
    let mut log = Log::new(Arc::clone(&inner.around.logs), log_group.clone(), log_stream.clone());
    log.tell_of_calls(inner.around.receipts.clone(), &configuration.function_name);
    // What a process says while it starts belongs to the call that waits for it.
    log.during(&call.request_id);
    log.write(vec![logs::init_start(&configuration.runtime, &inner.around.region)]);
    let log = Arc::new(Mutex::new(log));
    let extensions = Arc::clone(&api.extensions);
    lock(&log).tell(Arc::clone(&extensions.telemetry));
    let key = caller.key.clone();
    let launch = Launch {
        version: &call.version,
        around: &inner.around,
        task: &call.task,
        opt: opt.as_ref().map(|(folder, mount)| (folder.as_path(), *mount)),
        hosts: opt
            .as_ref()
            .filter(|(folder, _)| folder.join("extensions").is_dir())
            .map(|_| inner.folders.hosts.as_path()),
        runtimes: &inner.folders.runtimes,
        home: &inner.folders.home,
        runtime_api: api.address.to_string(),
        access_key_id: &key,
        log_group: &log_group,
        log_stream: &log_stream,
    };
    let programs = launch.extensions();
    let about = About {
        function_name: configuration.function_name.clone(),
        function_version: configuration.version.clone(),
        handler: configuration.handler.clone(),
        account: inner.around.account.clone(),
    };
    extensions.expect(about, programs.iter().map(|(name, _)| name.clone()));
    platform::init_start(&extensions.telemetry, call);
    let (from, from_s) = (Instant::now(), now_s());
    let keeper = Arc::clone(&inner.keeper);
    let mut sidecars = Sidecars::start(programs, Arc::clone(&extensions), &log, &keeper);
    let registered = sidecars.registered(from + limit).await;
    let for_failure = Arc::clone(&log);
    let ended = |failure, init| {
        StartError::NotReady(Box::new(NotReady { failure, log: for_failure, init }))
    };
    if let Err(failure) = registered {
        sidecars.stop(Why::Failure).await;
        return Err(ended(failure, Init { from_s, to_s: now_s() }));
    }
    let parts = Parts { log: Arc::clone(&log), caller, api, sidecars, keeper, slot };
    let spawned = Environment::spawn(&launch, parts);
    let environment = match spawned {
        Ok(environment) => held.insert(environment),
        Err(failure) => return Err(ended(failure, Init { from_s, to_s: now_s() })),
    };
    let ready = environment.ready(from + limit).await;
    let init = Init { from_s, to_s: now_s() };
    match ready {
        Ok(()) => {
            environment.output.flush().await;
            let registered = extensions.close_registration();
            lock(&log).write(registered.iter().map(|it| logs::extension(&it.0, &it.1)).collect());
            platform::init_done(&extensions.telemetry, &registered, init.ms());
            Ok(Ready { init: Some(init), left: limit_of(call) })
        }
        Err(failure) => {
            environment.stop(Why::Failure).await;
            *held = None;
            Err(ended(failure, init))
        }
    }
}

fn limit_of(call: &Call) -> Duration {
    Duration::from_secs(u64::from(call.version.configuration.timeout))
}

async fn place_opt(inner: &Inner, call: &Call) -> std::io::Result<Option<(PathBuf, opt::Mount)>> {
    if call.layers.is_empty() {
        return Ok(None);
    }
    let config = &inner.around.config;
    let interpreters = [locate(&config.node), locate(&config.python)];
    let hidden = [
        interpreters[0].as_path(),
        interpreters[1].as_path(),
        inner.folders.runtimes.as_path(),
        call.task.as_path(),
    ];
    let mount = inner.mounting.way(config.namespaces, &hidden).await;
    let (layers, below) = (call.layers.clone(), inner.folders.opt.clone());
    let work = tokio::task::spawn_blocking(move || opt::lay(&layers, &below, mount));
    let folder = work.await.map_err(std::io::Error::other)??;
    Ok(Some((folder, mount)))
}

/// A call whose process did not come up: its lines, its segments, its answer.
fn not_ready(inner: &Inner, call: &Call, not: &NotReady, answer: Answer, received_s: f64) {
    let configuration = &call.version.configuration;
    let told = tell(&not.failure, &call.request_id, configuration.timeout);
    let status = told.status.clone().unwrap_or(ReportStatus::Error(told.fault.0.clone()));
    let report = Report {
        request_id: &call.request_id,
        duration_ms: not.init.ms(),
        memory_size_mb: configuration.memory_size,
        memory_used_mb: 0,
        init_ms: None,
        status: Some(status.as_status()),
        traced: traced(call),
    };
    let (tail, group) = {
        let mut log = lock(&not.log);
        log.write(vec![
            logs::init_report(not.init.ms(), &status.in_init_report()),
            logs::start(&call.request_id, &configuration.version),
        ]);
        log.fail(told.line);
        log.write(vec![logs::end(&call.request_id), logs::report(&report)]);
        (log.take_tail(), log.group.clone())
    };
    let times = Times {
        received_s,
        init_s: Some((not.init.from_s, not.init.to_s)),
        begun_s: not.init.to_s,
        answered_s: not.init.to_s,
        settled_s: now_s(),
    };
    send_segments(inner, call, times, &group, Some(told.fault));
    let log_tail = call.log_tail.then_some(tail);
    let _ = answer.send(Ok(Outcome { payload: told.payload, is_error: true, log_tail }));
}

fn log_group(version: &Version) -> String {
    let configuration = &version.configuration;
    let group = configuration.logging_config.log_group.clone();
    group.unwrap_or_else(|| format!("/aws/lambda/{}", configuration.function_name))
}

fn traced(call: &Call) -> Option<(&str, &str)> {
    let ids = call.trace.segments.as_ref()?;
    Some((&call.trace.trace_id, &ids.function))
}

fn send_segments(
    inner: &Inner,
    call: &Call,
    times: Times,
    log_group: &str,
    fault: Option<(String, String)>,
) {
    let Some(ids) = &call.trace.segments else { return };
    let configuration = &call.version.configuration;
    let told = trace::Told {
        trace_id: &call.trace.trace_id,
        ids,
        times,
        function_name: &configuration.function_name,
        function_arn: &configuration.function_arn,
        account: &inner.around.account,
        log_group,
        request_id: &call.request_id,
        status: call.status,
        fault,
    };
    trace::send(inner.around.xray_daemon, &trace::documents(&told));
}

/// Now, in seconds since the epoch, to the microsecond.
fn now_s() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0.0, |now| (now.as_secs_f64() * 1e6).round() / 1e6)
}
