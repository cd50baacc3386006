//! The bodies to send, made before the clock starts, and what is known of what they hold.

use std::collections::HashMap;
use std::sync::Mutex;

use anyhow::{bail, ensure};
use throughline_model::TraceId;
use throughline_testkit::{Load, Rng, Server, Span, Value, otlp_request};

/// How many traces we remember, to ask for them later.
const KNOWN: usize = 200;

/// Services export apart from each other, so a trace comes in this many requests.
const EXPORTERS: usize = 4;

/// One body.
pub(super) struct Request {
    pub(super) body: Vec<u8>,
    pub(super) spans: usize,
}

pub(super) type Requests = Vec<Request>;

/// What we know of the load.
pub(super) struct Sample {
    pub(super) spans: usize,
    pub(super) traces: usize,
    pub(super) body_bytes: usize,
    /// When the first trace starts and the last ends, nanoseconds since the epoch.
    pub(super) range: (i64, i64),
    pub(super) known: Vec<Known>,
    /// How many traces each user has.
    pub(super) users: HashMap<String, usize>,
    pub(super) rng: Rng,
}

/// One trace that we can ask for.
pub(super) struct Known {
    pub(super) id: TraceId,
    pub(super) spans: usize,
    pub(super) user: String,
    pub(super) request: String,
}

/// Makes requests of `batch` spans until there are `spans` of them, whole traces only. `change` is
/// given each span, in their order, before it is sealed.
pub(super) fn make(
    seed: u64,
    start: i64,
    spans: usize,
    batch: usize,
    change: &mut impl FnMut(&mut Span),
) -> (Requests, Sample) {
    let mut load = Load::new(seed, start);
    let mut rng = Rng::new(seed ^ 0x5eed);
    let mut buffers = vec![Vec::<Span>::new(); EXPORTERS];
    let mut requests = Vec::new();
    let mut sample = Sample {
        spans: 0,
        traces: 0,
        body_bytes: 0,
        range: (start, start),
        known: Vec::new(),
        users: HashMap::new(),
        rng: Rng::new(seed ^ 0xfeed),
    };
    let mut trace = Vec::new();
    while sample.spans < spans {
        let id = load.trace(&mut trace);
        sample.spans += trace.len();
        sample.traces += 1;
        let user = text(&trace[0], "user.id");
        *sample.users.entry(user.clone()).or_default() += 1;
        sample.range.1 = trace[0].start_unix_nano + 3_600_000_000_000;
        let known = Known { id, spans: trace.len(), user, request: text(&trace[0], "request.id") };
        keep(&mut sample, known, &mut rng);
        for mut span in trace.drain(..) {
            change(&mut span);
            // The resource's address tells services apart without comparing names.
            let exporter = std::sync::Arc::as_ptr(&span.resource).addr() / 64 % EXPORTERS;
            buffers[exporter].push(span);
            if buffers[exporter].len() == batch {
                seal(&mut buffers[exporter], &mut requests);
            }
        }
    }
    for buffer in buffers.iter_mut().filter(|buffer| !buffer.is_empty()) {
        seal(buffer, &mut requests);
    }
    sample.body_bytes = requests.iter().map(|request| request.body.len()).sum();
    (requests, sample)
}

fn seal(buffer: &mut Vec<Span>, requests: &mut Requests) {
    requests.push(Request { body: otlp_request(buffer), spans: buffer.len() });
    buffer.clear();
}

/// Reservoir sampling: every trace is known with the same chance.
fn keep(sample: &mut Sample, known: Known, rng: &mut Rng) {
    if sample.known.len() < KNOWN {
        sample.known.push(known);
    } else {
        let at = rng.below(sample.traces as u64) as usize;
        if at < KNOWN {
            sample.known[at] = known;
        }
    }
}

fn text(span: &Span, key: &str) -> String {
    span.attributes.iter().find(|(k, _)| k == key).map_or(String::new(), |(_, value)| match value {
        Value::Str(text) => text.to_string(),
        _ => String::new(),
    })
}

/// One connection: takes bodies from the queue until it is empty. Gives how often it was told to
/// try again.
pub(super) fn send_all(
    server: &Server,
    queue: &Mutex<impl Iterator<Item = Request>>,
) -> anyhow::Result<u64> {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build();
    let agent: ureq::Agent = agent.into();
    let url = format!("http://{}/v1/traces", server.address("otlp_http"));
    let mut retries = 0;
    loop {
        let next = queue.lock().ok().and_then(|mut queue| queue.next());
        let Some(request) = next else { return Ok(retries) };
        loop {
            let post = agent.post(&url).header("content-type", "application/x-protobuf");
            let mut response = post.send(&request.body[..])?;
            // Reading the body to its end is what keeps the connection.
            let answer = response.body_mut().read_to_vec()?;
            match response.status().as_u16() {
                200 => {
                    ensure!(answer.is_empty(), "spans were rejected: {answer:?}");
                    break;
                }
                429 | 503 => retries += 1,
                other => bail!("HTTP {other}: {}", String::from_utf8_lossy(&answer)),
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requests_hold_every_span_and_the_sample_knows_them() {
        let (requests, sample) = make(1, 0, 5_000, 512, &mut |_| {});
        assert_eq!(requests.iter().map(|r| r.spans).sum::<usize>(), sample.spans);
        assert!(sample.spans >= 5_000 && requests.iter().all(|r| r.spans <= 512));
        assert_eq!(sample.users.values().sum::<usize>(), sample.traces);
        assert!(sample.known.iter().all(|known| sample.users.contains_key(&known.user)));
        assert_eq!(sample.known.len(), KNOWN.min(sample.traces));
    }
}
