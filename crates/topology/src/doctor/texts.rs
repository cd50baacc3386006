//! The sentences of a finding.
//!
//! Rule: say what was seen, then what it means; never send a reader away to try once more, for
//!       only what still arrives gets better by waiting.

use std::collections::BTreeSet;

use super::report::{Hop, Kind};

/// One sentence: who loses what, how often.
pub(super) fn title(kind: Kind, hop: &Hop, count: usize, all: usize) -> String {
    let from = hop.from.as_deref().unwrap_or("an unknown caller");
    let to = hop.to.as_deref().unwrap_or("an unknown service");
    let over = &hop.over;
    let place = hop.resource.as_deref().map_or_else(String::new, |name| format!(" ({name})"));
    let cases = if all == 1 { "1 case".to_owned() } else { format!("{count} of {all}") };
    match kind {
        Kind::LostAtBroker => {
            format!("{cases}: messages from {from} to {to} over {over}{place} carry no context")
        }
        Kind::DroppedOverHttp => format!("{cases}: calls from {from} begin a new trace in {to}"),
        Kind::MixedFormats => {
            format!("{cases}: {to} does not continue the headers that {from} sends")
        }
        Kind::TruncatedTraceId => {
            format!("{cases}: the trace id loses its upper half between {from} and {to}")
        }
        Kind::RewrittenTraceId => {
            format!("{cases}: the trace id changes between {from} and {to}, the parent id does not")
        }
        Kind::XrayParentWon => format!("{cases}: {to} follows X-Ray's header, not its caller's"),
        Kind::LostInProcess => {
            let name = hop.resource.as_deref().unwrap_or("work");
            format!("{cases}: {name} leaves the request that began it, inside {to}")
        }
        Kind::UnsampledParent => format!("{cases}: the callers of {to} are sampled away"),
        Kind::MissingParent => format!("{cases}: the callers of {to} have sent no span"),
        Kind::StillArriving => format!("{cases}: traces of {to} are still arriving"),
        Kind::SharedSpanId => format!("{cases}: {from} and {to} use one span id for both sides"),
        Kind::MalformedId => format!("{cases}: ids that reach {to} are malformed"),
    }
}

/// What happens there, with the facts that show it.
pub(super) fn why(kind: Kind, hop: &Hop, facts: &BTreeSet<String>) -> String {
    let from = hop.from.as_deref().unwrap_or("The caller");
    let to = hop.to.as_deref().unwrap_or("the callee");
    let text = match kind {
        Kind::LostAtBroker => format!(
            "{from} produced the message and {to} consumed it: both name the same id. {} So {to} \
             began a trace of its own. The two are joined by the id, and the join stays a guess \
             about ids until the context travels with the message.",
            carried(&hop.over)
        ),
        Kind::DroppedOverHttp => format!(
            "{from} made calls that no span answers, and in the time of each {to} answered such a \
             call as the root of a new trace. Either {from} sends no context, or something between \
             drops it, or {to} does not read the format that it is sent in."
        ),
        Kind::MixedFormats => format!(
            "{from} and {to} propagate context, but in different headers, or the last header that \
             {to} reads belongs to another trace. A propagator that finds none of its headers \
             begins a new trace; of several the last that finds one wins."
        ),
        Kind::TruncatedTraceId => format!(
            "One side keeps trace ids of 64 bits. Its half equals the lower half of the other \
             trace, so {from} and {to} handled one request, told as two traces."
        ),
        Kind::RewrittenTraceId => format!(
            "The parent that {to} names exists, in another trace. A proxy, a gateway or a library \
             between {from} and {to} replaced the trace id and left the parent id."
        ),
        Kind::XrayParentWon => format!(
            "{to} runs in Lambda, its trace id is one that X-Ray made, and the parent is a segment \
             that nobody sent here. With several propagators the last that finds a header wins, \
             and Lambda always has X-Ray's. So the caller's own context lost."
        ),
        Kind::LostInProcess => format!(
            "These spans begin while {to} works on a request or right after it, and are the only \
             span of their trace. The work was handed to a thread, a task, a timer or a callback \
             without the context of the request."
        ),
        Kind::UnsampledParent => format!(
            "The spans of {to} name parents that were never kept. Its callers decide to sample \
             fewer traces than {to} does, and {to} does not follow their decision."
        ),
        Kind::MissingParent => format!(
            "The spans of {to} name parents that no trace here holds. The callers have no \
             exporter, send elsewhere, lose spans on the way, or ended before they had sent them."
        ),
        Kind::StillArriving => {
            "Spans come in batches, from each process at its own time. Nothing is wrong: the \
             parents are expected, and the trace changes here by itself when they come."
                .to_owned()
        }
        Kind::SharedSpanId => format!(
            "Zipkin's tracers give the client's and the server's span of a call one id. Both are \
             kept, and {to}'s is shown below {from}'s. Nothing is lost."
        ),
        Kind::MalformedId => format!(
            "A tracer that calls {to}, or {to} itself, writes ids in a way that no specification \
             allows. Other tracers ignore such headers and begin a new trace."
        ),
    };
    if facts.is_empty() {
        return text;
    }
    let facts: Vec<&str> = facts.iter().map(String::as_str).collect();
    format!("{text} Seen: {}.", facts.join("; "))
}

/// What a carrier does with context.
fn carried(over: &str) -> &'static str {
    match over {
        "kinesis" => "A Kinesis record has no headers, and no tracer puts context into its data.",
        "sqs" => "The message had no trace context in its attributes, or nobody read it there.",
        "sns" => {
            "The notification had no trace context in its attributes; without raw delivery they \
             stand inside the body, where a queue's consumer must look for them."
        }
        "eventbridge" => "An event has no headers, and only X-Ray's goes on to its targets.",
        "lambda" => "Lambda hands a client context over in synchronous invocations only.",
        "s3" => "A notification says nothing of who wrote the object.",
        "dynamodb" => "A stream record says nothing of who wrote the item.",
        "firehose" => "A record has no headers.",
        "sfn" => "An execution gets its input and nothing else.",
        _ => "Nothing in the message said which trace it belongs to, or nobody read it.",
    }
}

/// What the stored spans cannot tell.
pub(super) fn unknown(kind: Kind) -> &'static str {
    match kind {
        Kind::LostAtBroker => {
            "Whether the producer put a context into the message that the consumer did not read: \
             payloads and attributes of messages are not stored."
        }
        Kind::DroppedOverHttp => {
            "Which headers were sent: they were not captured. The pairs follow from time, address, \
             method and path, so single ones may be wrong; clocks that differ by more than 20 ms \
             hide pairs. Capturing the headers `traceparent`, `b3`, `x-b3-traceid` and \
             `x-amzn-trace-id` on both sides makes it certain."
        }
        Kind::MixedFormats => {
            "Whether a proxy between the two changed the headers. Where the pair was found by time \
             and not by captured headers, which format each side has."
        }
        Kind::TruncatedTraceId => {
            "Which process cut the id, if one between the two sends no spans. Two traces share 64 \
             bits by chance once in many billions."
        }
        Kind::RewrittenTraceId => {
            "Who rewrote it: what stands between the two sends no spans. A tracer that gives span \
             ids out twice would look the same."
        }
        Kind::XrayParentWon => {
            "Which header the caller sent. A service that makes X-Ray ids on purpose, and whose \
             caller sends no spans here, looks the same."
        }
        Kind::LostInProcess => {
            "Which request a span belongs to where several ran at once. Where requests take nearly \
             all of the time, chance explains everything and nothing is said."
        }
        Kind::UnsampledParent => {
            "Which callers they are: their spans are not here. An exporter that always loses the \
             same share looks the same."
        }
        Kind::MissingParent => {
            "Why they are missing: a caller without an exporter, a full queue, a crash and a \
             filter all leave the same gap."
        }
        Kind::StillArriving => "How many spans are still to come.",
        Kind::SharedSpanId => "Nothing.",
        Kind::MalformedId => {
            "Which program made them, if it sends no spans of its own. An id of decimal digits is \
             right once in three million."
        }
    }
}
