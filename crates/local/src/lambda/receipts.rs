//! Tells throughline of every hop that passed here, so that traces without a common context can be joined.
//!
//! In:   [`Receipt`]s, from the front door (a function put a record) and from event sources (a function got it).
//! Out:  `POST {throughline}/api/v1/receipts`, a JSON array, at most `BATCH_MAX` at a time.
//! Rule: a receipt never delays what it is about. The queue is bounded; what does not fit is dropped and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use serde::Serialize;

/// A minute of a busy lab; each is some 300 bytes.
const QUEUE_MAX: usize = 4096;
/// Receipts in one request.
const BATCH_MAX: usize = 256;

/// Which way a message went, seen from the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The function sent it.
    Out,
    /// The function was called with it.
    In,
}

/// That a message passed here, and who sent or got it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The trace, 32 hex digits, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The span, 16 hex digits, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// The call of the function, which its span has as `faas.execution` or `faas.invocation_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_request_id: Option<String>,
    /// The function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_name: Option<String>,
    /// Out or in.
    pub direction: Direction,
    /// `kinesis`, `sns`, `dynamodb`.
    pub carrier: &'static str,
    /// The region of the stream, topic or table.
    pub region: String,
    /// The name of the stream, topic or table.
    pub resource: String,
    /// The id that both sides know: sequence number, message id.
    pub id: String,
    /// Its place in the batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// How many were in the batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u32>,
    /// When the carrier took the message, by its own clock, in nanoseconds since the epoch; text on the wire.
    #[serde(serialize_with = "as_text")]
    pub time_unix_nano: i64,
}

fn as_text<S: serde::Serializer>(nanos: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(nanos)
}

/// Where receipts are given up. Clones share one queue; the sender ends with the last of them.
#[derive(Clone, Debug, Default)]
pub struct Sink {
    queue: Option<SyncSender<Receipt>>,
    dropped: Arc<AtomicU64>,
}

impl Sink {
    /// Sends to the throughline at `base` (`http://127.0.0.1:4000`). Starts one thread.
    pub fn to(base: &str) -> std::io::Result<Self> {
        let url = format!("{}/api/v1/receipts", base.trim_end_matches('/'));
        let (queue, waiting) = sync_channel(QUEUE_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        std::thread::Builder::new()
            .name("receipts".to_owned())
            .spawn(move || send_all(&waiting, &url, &lost))?;
        Ok(Self { queue: Some(queue), dropped })
    }

    /// Forgets every receipt: for a local cloud without a throughline.
    pub fn none() -> Self {
        Self::default()
    }

    /// Gives up a receipt. Never waits.
    pub fn put(&self, receipt: Receipt) {
        if let Some(queue) = &self.queue
            && queue.try_send(receipt).is_err()
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many receipts did not arrive: the queue was full, or nobody took them.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn send_all(waiting: &Receiver<Receipt>, url: &str, dropped: &AtomicU64) {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(2))).build().into();
    let mut reachable = true;
    while let Ok(first) = waiting.recv() {
        let mut batch = vec![first];
        batch.extend(waiting.try_iter().take(BATCH_MAX - 1));
        match agent.post(url).send_json(&batch) {
            Ok(_) => reachable = true,
            Err(err) => {
                dropped.fetch_add(batch.len() as u64, Ordering::Relaxed);
                if std::mem::replace(&mut reachable, false) {
                    tracing::warn!(error = %err, "receipts are not taken; traces over queues may stay apart");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

    use super::*;

    fn receipt(id: &str) -> Receipt {
        Receipt {
            trace_id: None,
            span_id: None,
            function_request_id: Some("r-1".to_owned()),
            function_name: Some("consumer".to_owned()),
            direction: Direction::In,
            carrier: "kinesis",
            region: "us-east-1".to_owned(),
            resource: "stream".to_owned(),
            id: id.to_owned(),
            index: Some(0),
            batch_size: Some(1),
            time_unix_nano: 1_795_248_014_392_000_000,
        }
    }

    #[test]
    fn a_receipt_arrives_as_json() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if line == "\r\n" {
                    break;
                }
                head.push(line.to_lowercase());
            }
            let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.unwrap().trim().parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            reader
                .get_mut()
                .write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
            (head, serde_json::from_slice::<serde_json::Value>(&body).unwrap())
        });
        Sink::to(&base).unwrap().put(receipt("49"));
        let (head, body) = server.join().unwrap();
        assert!(head[0].starts_with("post /api/v1/receipts "), "{head:?}");
        assert_eq!(
            body,
            serde_json::json!([{
                "functionRequestId": "r-1", "functionName": "consumer", "direction": "in",
                "carrier": "kinesis", "region": "us-east-1", "resource": "stream", "id": "49",
                "index": 0, "batchSize": 1, "timeUnixNano": "1795248014392000000"
            }])
        );
    }

    #[test]
    fn nobody_waits_when_nobody_takes_them() {
        let sink = Sink::none();
        sink.put(receipt("1"));
        assert_eq!(sink.dropped(), 0);
    }
}
