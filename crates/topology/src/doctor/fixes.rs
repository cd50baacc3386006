//! What to change, for whom.

use std::collections::BTreeSet;

use throughline_context::{Carrier, Format};

use super::broker_fixes;
use super::case::{Group, Side};
use super::report::{Fix, Hop, Kind};

/// Fixes for the languages and tools that were seen; for any where none is known.
pub(super) fn of(kind: Kind, hop: &Hop, group: &Group) -> Vec<Fix> {
    let mut fixes = BTreeSet::new();
    let named = |is_callee: bool, service: &Option<String>| Side {
        is_callee,
        service: service.clone().unwrap_or_default(),
        language: String::new(),
        platform: String::new(),
    };
    let of_hop = [named(false, &hop.from), named(true, &hop.to)];
    let is_unseen = |side: &&Side| group.sides.iter().all(|seen| seen.is_callee != side.is_callee);
    for side in group.sides.iter().chain(of_hop.iter().filter(is_unseen)) {
        if kind == Kind::LostAtBroker {
            let carrier = Carrier::from_name(&hop.over).unwrap_or(Carrier::Other);
            let (language, text, code) = broker_fixes::of(carrier, &side.language, side.is_callee);
            fixes.insert(fix(side, language, text, code));
        } else if kind == Kind::MixedFormats {
            let text = if side.is_callee { READ_BOTH } else { SEND_BOTH };
            fixes.insert(fix(side, language(&side.language), text, &propagators(&group.formats)));
        } else if let Some((language, text, code)) = one(kind, side) {
            fixes.insert(fix(side, language, text, code));
        }
    }
    fixes.into_iter().collect()
}

fn fix(side: &Side, language: &str, text: &str, code: &str) -> Fix {
    Fix {
        service: Some(side.service.clone()).filter(|service| !service.is_empty()),
        language: language.to_owned(),
        text: text.to_owned(),
        code: code.to_owned(),
    }
}

/// The name that a fix stands under and the words: language or platform, text, code.
type Words = (&'static str, &'static str, &'static str);

const READ_BOTH: &str = "Read every format that callers send, W3C's last, so that it wins. Python \
     has the packages opentelemetry-propagator-b3, -jaeger and -aws-xray, Node has \
     @opentelemetry/propagator-b3, -jaeger and -aws-xray.";
const SEND_BOTH: &str = "Send W3C's headers beside the ones that are sent now, so that a callee \
     who reads only those goes on too.";

/// The variable that reads what was seen, or W3C's and B3's headers where nothing was. The last
/// that finds its header wins, so W3C's stands behind the others.
fn propagators(seen: &BTreeSet<Format>) -> String {
    let is_other = |format: &&Format| {
        matches!(format, Format::B3Single | Format::B3Multi | Format::Jaeger | Format::XRay)
    };
    let mut names: Vec<&str> = seen.iter().filter(is_other).map(|format| format.name()).collect();
    if names.is_empty() {
        names = vec!["b3multi", "b3"];
    }
    format!("OTEL_PROPAGATORS={},tracecontext,baggage", names.join(","))
}

const W3C_FORMATS: &str = "OTEL_PROPAGATORS=tracecontext,baggage";

fn one(kind: Kind, side: &Side) -> Option<Words> {
    match kind {
        Kind::DroppedOverHttp if side.is_callee => Some(instrument_server(&side.language)),
        Kind::DroppedOverHttp => Some(instrument_client(&side.language)),
        Kind::TruncatedTraceId => Some(whole_ids(&side.language)),
        Kind::RewrittenTraceId if side.is_callee => None,
        Kind::RewrittenTraceId => Some((
            "any",
            "Let the proxy between the two pass `traceparent` and `tracestate` on, or make it a \
             tracer that continues them. In Envoy, set the same provider on all listeners; in \
             nginx, turn its own tracing off or to `propagate`.",
            "otel_trace_context propagate;",
        )),
        Kind::XrayParentWon if side.is_callee => Some(("aws_lambda", XRAY_LOSES, W3C_FORMATS)),
        Kind::LostInProcess if side.is_callee => Some(keep_context(&side.language)),
        Kind::UnsampledParent if side.is_callee => Some((
            language(&side.language),
            "Follow the caller's decision. Roots keep the rate that follows the colon.",
            "OTEL_TRACES_SAMPLER=parentbased_traceidratio\nOTEL_TRACES_SAMPLER_ARG=1.0",
        )),
        Kind::MissingParent if !side.is_callee => Some((
            "any",
            "Send the callers' spans here too, and let them flush before they end.",
            "OTEL_TRACES_EXPORTER=otlp\nOTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318",
        )),
        Kind::SharedSpanId if !side.is_callee => Some((
            "any",
            "Nothing has to change. Brave gives each side an id of its own with:",
            "Tracing.newBuilder().supportsJoin(false)",
        )),
        Kind::MalformedId if side.is_callee => Some((
            "any",
            "Write trace ids as 32 and span ids as 16 lower-case hexadecimal digits, with zeros in \
             front where they are shorter.",
            "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        )),
        _ => None,
    }
}

const XRAY_LOSES: &str = "Leave X-Ray out of the propagators, or put it first, so that the \
     caller's W3C header wins. Or send the X-Ray segments here too, so that the parent exists.";

/// The language as `telemetry.sdk.language` has it, for text that is the same for all.
fn language(seen: &str) -> &'static str {
    const KNOWN: &[&str] = &[
        "nodejs", "webjs", "python", "java", "dotnet", "go", "ruby", "php", "rust", "cpp",
        "erlang", "swift",
    ];
    KNOWN.iter().find(|known| **known == seen).copied().unwrap_or("any")
}

fn instrument_client(language: &str) -> Words {
    const TEXT: &str = "Let the HTTP client write the context into its requests.";
    match language {
        "nodejs" => ("nodejs", TEXT, "propagation.inject(context.active(), request.headers)"),
        "python" => ("python", TEXT, "propagate.inject(headers)"),
        "java" => (
            "java",
            TEXT,
            "propagators.getTextMapPropagator().inject(Context.current(), request, Request::header)",
        ),
        "dotnet" => ("dotnet", TEXT, "builder.AddHttpClientInstrumentation()"),
        "go" => ("go", TEXT, "client.Transport = otelhttp.NewTransport(http.DefaultTransport)"),
        _ => ("any", TEXT, W3C_FORMATS),
    }
}

fn instrument_server(language: &str) -> Words {
    const TEXT: &str = "Let the server read the context of its requests.";
    match language {
        "nodejs" => (
            "nodejs",
            TEXT,
            "const parent = propagation.extract(context.active(), request.headers)",
        ),
        "python" => ("python", TEXT, "parent = propagate.extract(request.headers)"),
        "java" => (
            "java",
            TEXT,
            "propagators.getTextMapPropagator().extract(Context.current(), request, getter)",
        ),
        "dotnet" => ("dotnet", TEXT, "builder.AddAspNetCoreInstrumentation()"),
        "go" => ("go", TEXT, "handler = otelhttp.NewHandler(handler, \"server\")"),
        _ => ("any", TEXT, W3C_FORMATS),
    }
}

fn whole_ids(seen: &str) -> Words {
    const TEXT: &str = "Let every tracer on the way keep 128 bits. Until then both halves are one \
         request here.";
    match seen {
        "java" => ("java", TEXT, "Tracing.newBuilder().traceId128Bit(true)"),
        "go" => ("go", TEXT, "jaegercfg.Gen128Bit(true)"),
        "nodejs" => ("nodejs", TEXT, "new Tracer({ traceId128Bit: true, ... })"),
        "python" => ("python", TEXT, "DD_TRACE_128_BIT_TRACEID_GENERATION_ENABLED=true"),
        other => (language(other), TEXT, "JAEGER_TRACEID_128BIT=true"),
    }
}

fn keep_context(seen: &str) -> Words {
    const TEXT: &str = "Take the context along when the work is handed over.";
    match seen {
        "nodejs" => ("nodejs", TEXT, "queue.push(context.bind(context.active(), work))"),
        "python" => ("python", TEXT, "pool.submit(contextvars.copy_context().run, work)"),
        "java" => ("java", TEXT, "ExecutorService pool = Context.taskWrapping(executor)"),
        "dotnet" => {
            ("dotnet", TEXT, "source.StartActivity(name, kind, parentContext: request.Context)")
        }
        "go" => ("go", TEXT, "go work(context.WithoutCancel(ctx))"),
        "ruby" => (
            "ruby",
            TEXT,
            "parent = OpenTelemetry::Context.current\nThread.new { OpenTelemetry::Context.with_current(parent) { work } }",
        ),
        "rust" => ("rust", TEXT, "tokio::spawn(work.with_context(Context::current()))"),
        other => {
            (language(other), TEXT, "let parent = Context.current(); // before it is handed over")
        }
    }
}
