//! What can be typed. The text of `--help` is in the comments here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The tracing system that keeps a trace whole.
///
/// `throughline serve` takes spans over OTLP and shows them at http://127.0.0.1:8900. The other
/// commands ask a running server.
///
/// Exit codes: 0 done, 1 nothing found (or the server could not start), 2 wrong usage or a query
/// that cannot be read, 3 no server reached, 4 the server made a mistake.
#[derive(Debug, Parser)]
#[command(name = "throughline", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take spans, keep them, and answer.
    Serve(Box<ServeFlags>),
    /// Show one trace as a waterfall.
    Trace(TraceCommand),
    /// Show what programs wrote down while they worked for a trace.
    Logs(TraceCommand),
    /// Say why traces are cut in two, and which line to change.
    Doctor(MapCommand),
    /// Show what a trace came from and led to, over all traces that its messages join.
    Journey(JourneyCommand),
    /// Say by hand that one trace goes on in another, or that it does not.
    Join(JoinCommand),
    /// Find journeys: traces that messages join, by what their spans are like.
    Journeys(JourneysCommand),
    /// Find traces.
    Search(SearchCommand),
    /// Show what calls what.
    Map(MapCommand),
    /// Fill a running server with an invented system, to look around in.
    Sample(SampleCommand),
    /// Send files of OTLP spans or X-Ray documents to a running server.
    Import(ImportCommand),
    /// Write traces as lines of OTLP JSON.
    Export(ExportCommand),
    /// Be the part of AWS that the workshops need: Lambda, API Gateway, Kinesis, DynamoDB, SNS, S3,
    /// CloudFormation, CloudWatch Logs, Elastic Beanstalk, on one port of this machine.
    Local(LocalCommand),
    /// Do a workshop, live, from its start to its end.
    Lab(LabCommand),
    /// Show or check the configuration of `serve`.
    Config(ConfigCommand),
}

/// Flags of `serve`. Each wins over the environment, which wins over the file.
#[derive(Debug, Default, Args)]
pub(crate) struct ServeFlags {
    /// Where spans are kept [default: $XDG_DATA_HOME/throughline or ~/.local/share/throughline].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Address of the page, all APIs and OTLP, or `off`; port 0 takes a free one
    /// [default: 127.0.0.1:8900].
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Address for OTLP over gRPC, or `off` [default: 127.0.0.1:4317].
    #[arg(long, value_name = "ADDR")]
    pub(crate) otlp_grpc: Option<String>,
    /// Address for OTLP over HTTP, or `off` [default: 127.0.0.1:4318].
    #[arg(long, value_name = "ADDR")]
    pub(crate) otlp_http: Option<String>,
    /// Address of the X-Ray daemon, UDP and TCP, or `off` [default: 127.0.0.1:2000].
    #[arg(long, value_name = "ADDR")]
    pub(crate) xray: Option<String>,
    /// The account in answers of the X-Ray API [default: 000000000000].
    #[arg(long, value_name = "ID")]
    pub(crate) xray_account: Option<String>,
    /// Take only calls of the X-Ray API that are signed with a key of this file: on each line a
    /// key id and its secret. Sampling polls on the daemon's port and UDP stay unsigned.
    #[arg(long, value_name = "FILE")]
    pub(crate) xray_keys: Option<PathBuf>,
    /// Refuse X-Ray documents that AWS would refuse, instead of keeping what can be read.
    #[arg(long)]
    pub(crate) xray_strict: bool,
    /// A TOML file; `throughline config show` lists its keys.
    #[arg(long, value_name = "FILE", env = "THROUGHLINE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Print one line on stdout once every door is open.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) announce: Option<Announce>,
    /// Let `POST /api/v1/reset` forget every span.
    #[arg(long)]
    pub(crate) allow_reset: bool,
    /// Another host name under which browsers may reach a loopback address; repeat for more.
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_host: Vec<String>,
    /// Remove spans older than this, such as `72h` or `30d`, or `off` [default: 72h].
    #[arg(long, value_name = "TIME")]
    pub(crate) retention: Option<String>,
    /// Remove the oldest spans beyond this much disk, such as `10GB`, or `off` [default: off].
    #[arg(long, value_name = "SIZE")]
    pub(crate) retention_bytes: Option<String>,
    /// How log lines on stderr look: `text` or `json` [default: text].
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
    #[command(flatten)]
    pub(crate) later: LaterDoors,
}

/// Doors of later versions: scripts may already turn them off.
#[derive(Debug, Default, Args)]
pub(crate) struct LaterDoors {
    /// Not in this version yet: only `off`.
    #[arg(long, value_name = "ADDR", value_parser = only_off, hide = true)]
    pub(crate) zipkin: Option<String>,
    /// Not in this version yet: only `off`.
    #[arg(long, value_name = "ADDR", value_parser = only_off, hide = true)]
    pub(crate) jaeger: Option<String>,
    /// Not in this version yet: only `off`.
    #[arg(long, value_name = "ADDR", value_parser = only_off, hide = true)]
    pub(crate) jaeger_grpc: Option<String>,
    /// Not in this version yet: only `off`.
    #[arg(long, value_name = "ADDR", value_parser = only_off, hide = true)]
    pub(crate) tempo: Option<String>,
}

fn only_off(value: &str) -> Result<String, String> {
    match value {
        "off" => Ok(value.to_owned()),
        _ => {
            Err("this door is not in this version yet; leave the flag out or say `off`".to_owned())
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Announce {
    /// `{"event":"ready","http":"127.0.0.1:8900",...}`
    Json,
}

/// How to reach the server, and how to print.
#[derive(Debug, Args)]
pub(crate) struct Asking {
    /// The server's main address.
    #[arg(long, env = "THROUGHLINE_URL", default_value = "http://127.0.0.1:8900")]
    pub(crate) url: String,
    /// Print JSON for programs instead of text for people.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TraceCommand {
    /// 32 hex digits, 16 hex digits, or X-Ray's 1-8hex-24hex.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Debug, Args)]
pub(crate) struct JourneyCommand {
    /// 32 hex digits, 16 hex digits, or X-Ray's 1-8hex-24hex.
    pub(crate) id: String,
    /// Only the message that this span is about: 16 hex digits.
    #[arg(long, value_name = "SPAN")]
    pub(crate) span: Option<String>,
    /// Show what may belong to it too, though nothing proves it.
    #[arg(long)]
    pub(crate) guesses: bool,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Debug, Args)]
pub(crate) struct JoinCommand {
    /// Who sent: a trace id, or TRACE/SPAN. Of a trace alone its first span stands for it.
    pub(crate) from: String,
    /// Who took it, in the same forms.
    pub(crate) to: String,
    /// Say that the two do not belong together.
    #[arg(long, conflicts_with = "forget")]
    pub(crate) reject: bool,
    /// Take back what was said of the two.
    #[arg(long)]
    pub(crate) forget: bool,
    /// Who says so: others see it.
    #[arg(long, env = "USER", value_name = "NAME")]
    pub(crate) by: String,
    /// Why, for others.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    pub(crate) note: String,
    /// The two are of different environments, and that is meant.
    #[arg(long)]
    pub(crate) across_environments: bool,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Debug, Args)]
pub(crate) struct SampleCommand {
    /// `shop`: some sixty services, with trouble; `ride`: four services, as many demonstrations have
    /// them; `large`: one trace of many spans.
    #[arg(default_value = "shop", value_parser = ["shop", "ride", "large"])]
    pub(crate) system: String,
    /// How many requests; of `large`, how many spans [default: 900, 40, 20000].
    #[arg(long)]
    pub(crate) count: Option<usize>,
    /// The environment of the spans, to tell them from real ones.
    #[arg(long, default_value = "sample", value_name = "NAME")]
    pub(crate) environment: String,
    /// When the newest request was, such as `-24h` [default: now].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
    /// Over how many minutes before that the requests are spread [default: 58].
    #[arg(long)]
    pub(crate) minutes: Option<u32>,
    /// The same seed makes the same spans [default: another each time].
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Debug, Args)]
pub(crate) struct JourneysCommand {
    /// What a span of one of its traces is like, such as 'service = "checkout" and status = error';
    /// without one, every journey.
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) query: String,
    #[command(flatten)]
    pub(crate) window: Window,
    /// Only journeys that take so long from end to end, such as `2s` or `5m`.
    #[arg(long, value_name = "TIME", value_parser = duration_nano)]
    pub(crate) min_duration: Option<i64>,
    /// Only journeys of which one message waited so long, such as `500ms`.
    #[arg(long, value_name = "TIME", value_parser = duration_nano)]
    pub(crate) min_wait: Option<i64>,
    /// How many journeys at most.
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: usize,
    /// Only this environment.
    #[arg(long)]
    pub(crate) environment: Option<String>,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

fn duration_nano(text: &str) -> Result<i64, String> {
    let read = crate::bytes_and_times::parse_duration(text);
    let nanos = read.and_then(|duration| i64::try_from(duration.as_nanos()).ok());
    nanos.ok_or_else(|| "expected a time such as 500ms, 2s or 1h30m".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct SearchCommand {
    /// Such as 'service = "checkout" and duration > 500ms'; without one, every trace.
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) query: String,
    /// Search by a filter expression of X-Ray, such as 'service("checkout") { fault }'.
    #[arg(long, value_name = "FILTER", conflicts_with = "query")]
    pub(crate) xray: Option<String>,
    #[command(flatten)]
    pub(crate) window: Window,
    /// How many traces at most.
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: usize,
    /// Only this environment.
    #[arg(long)]
    pub(crate) environment: Option<String>,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

/// A range of time.
#[derive(Debug, Args)]
pub(crate) struct Window {
    /// Start: nanoseconds, RFC 3339, `now`, or `-30m`, `-1h`, `-7d`.
    #[arg(long, default_value = "-1h", allow_hyphen_values = true)]
    pub(crate) from: String,
    /// End, in the same forms.
    #[arg(long, default_value = "now", allow_hyphen_values = true)]
    pub(crate) to: String,
}

#[derive(Debug, Args)]
pub(crate) struct MapCommand {
    #[command(flatten)]
    pub(crate) window: Window,
    /// Only this environment.
    #[arg(long)]
    pub(crate) environment: Option<String>,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Debug, Args)]
pub(crate) struct LocalCommand {
    /// Address of the one port; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4566")]
    pub(crate) listen: String,
    /// Where state is kept [default: in memory, gone at the end].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Another emulator for services that are not here: http://HOST:PORT. AWS itself would refuse the calls, for they
    /// are signed for this machine.
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Option<String>,
    /// The region of everything [default: us-east-1].
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// The account of everything [default: 000000000000].
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<String>,
    /// The main address of the server that gets receipts of messages.
    #[arg(long, env = "THROUGHLINE_URL", default_value = "http://127.0.0.1:8900")]
    pub(crate) url: String,
    /// Where X-Ray segments of functions go [default: that server's own door].
    #[arg(long, value_name = "ADDR")]
    pub(crate) xray: Option<String>,
    /// A layer of another account that lies in a folder; `*` stands for anything. Repeat for more.
    #[arg(long, value_name = "ARN=FOLDER")]
    pub(crate) layer: Vec<String>,
    /// A folder with the `node_modules` that Node functions find, such as `aws-sdk` 2.
    #[arg(long, value_name = "DIR")]
    pub(crate) node_runtime: Option<PathBuf>,
    /// A folder with packages that Python functions find, such as `boto3`.
    #[arg(long, value_name = "DIR")]
    pub(crate) python_runtime: Option<PathBuf>,
    /// Install what the Kinesis lab needs (npm, once): the Splunk layer's stand-in, `aws-sdk` 2 and
    /// `serverless` 3; and `boto3` for functions in Python (pip). When it is installed it is used
    /// without this flag.
    #[arg(long)]
    pub(crate) install: bool,
    /// Only install that, and print the folder of the workshop's `sls`, for PATH.
    #[arg(long)]
    pub(crate) print_tools: bool,
    /// Where that is installed [default: ~/.cache/throughline/labs].
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Print one line on stdout once the port is open.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) announce: Option<Announce>,
}

#[derive(Debug, Args)]
pub(crate) struct LabCommand {
    #[command(subcommand)]
    pub(crate) kind: LabKind,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LabKind {
    /// Two functions with a Kinesis stream between them, deployed by `serverless`.
    Kinesis {
        /// With the layer alone, with the context in the record, first one, then the other, or in Rust.
        #[arg(long, default_value = "both")]
        variant: LabVariant,
        #[command(flatten)]
        flags: LabFlags,
    },
    /// A web application, a function, a table and a topic, traced by the X-Ray SDKs.
    Signup {
        /// Which SDK the web application uses; the function is in Node.
        #[arg(long, default_value = "node")]
        sdk: LabSdk,
        #[command(flatten)]
        flags: LabFlags,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LabVariant {
    /// The layer alone: the trace stops at the stream.
    Auto,
    /// The context travels in the record: the trace is whole.
    Manual,
    /// One after the other.
    Both,
    /// As manual, with functions in Rust: built by cargo from a checkout of throughline.
    Rust,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LabSdk {
    /// X-Ray's SDK for Node.
    Node,
    /// X-Ray's SDK for Python, from PyPI.
    Python,
}

#[derive(Debug, Args)]
pub(crate) struct LabFlags {
    /// The main address of the running server.
    #[arg(long, env = "THROUGHLINE_URL", default_value = "http://127.0.0.1:8900")]
    pub(crate) url: String,
    /// A running `throughline local` to use, instead of one of the run's own.
    #[arg(long, value_name = "URL")]
    pub(crate) front_door: Option<String>,
    /// Begins every name; the environment is PREFIX-apm-lambda.
    #[arg(long, default_value = "lab")]
    pub(crate) prefix: String,
    /// Follow the Kinesis lab with a copy of the workshop's own repository (folders auto and manual)
    /// instead of the code that is carried along; the copy itself is not touched.
    #[arg(long, value_name = "DIR")]
    pub(crate) repository: Option<PathBuf>,
    /// The Rust variant's folder in a checkout of throughline.
    #[arg(long, value_name = "DIR", default_value = "labs/kinesis/rust")]
    pub(crate) rust_folder: PathBuf,
    /// How many requests are sent.
    #[arg(long, default_value_t = 5)]
    pub(crate) requests: u32,
    /// Leave everything up after the checks, until Ctrl-C.
    #[arg(long)]
    pub(crate) stay: bool,
    /// Where tools are installed, once [default: ~/.cache/throughline/labs].
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Print what was checked as JSON on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportCommand {
    /// OTLP JSON, lines of it, or OTLP protobuf, or X-Ray segment documents; each may be gzipped.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Move all times so that the newest span ends now.
    #[arg(long)]
    pub(crate) shift_to_now: bool,
    /// Give every trace and span a new random id, the same in all files of this run.
    #[arg(long)]
    pub(crate) fresh_ids: bool,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Debug, Args)]
pub(crate) struct ExportCommand {
    /// Which traces; without one, every trace of the range.
    #[arg(long, value_name = "QUERY", conflicts_with = "trace")]
    pub(crate) query: Option<String>,
    /// One trace by its id, of any time.
    #[arg(long, value_name = "ID")]
    pub(crate) trace: Option<String>,
    /// Write to this file instead of stdout.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) window: Window,
    /// How many traces at most, newest first.
    #[arg(long, default_value_t = 1000)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    pub(crate) action: ConfigAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Print every setting, its value and where it comes from.
    Show(ConfigFlags),
    /// Say whether `serve` would accept its configuration.
    Check(ConfigFlags),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigFlags {
    /// Print JSON for programs instead of text for people.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) flags: Box<ServeFlags>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn doors_of_later_versions_can_be_off_and_nothing_else() {
        let parse = |value| Cli::try_parse_from(["throughline", "serve", "--zipkin", value]);
        assert!(parse("off").is_ok());
        let text = parse("127.0.0.1:9411").unwrap_err().to_string();
        assert!(text.contains("not in this version yet"), "{text}");
    }
}
