//! Tells throughline of every hop that passed here, so that traces without a common context can be joined.
//!
//! In:   [`Receipt`]s, from the front door (a function put a record) and from event sources (a function got it).
//! Out:  `POST {throughline}/api/v1/receipts`, a JSON array.
//! Rule: a receipt never delays what it is about; `courier` drops and counts what does not fit.

use serde::Serialize;

use super::courier::{Courier, Parcel};
use super::lines::Line;

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

impl Parcel for Receipt {
    /// A minute of a busy lab; each is some 300 bytes.
    const QUEUE_MAX: usize = 4096;
    const PATH: &'static str = "/api/v1/receipts";
    const LOST: &'static str = "receipts are not taken; traces over queues may stay apart";

    fn body(batch: &[Self]) -> serde_json::Value {
        serde_json::to_value(batch).unwrap_or_default()
    }
}

/// What throughline is told: receipts, and the lines of functions. Clones share the queues; the
/// senders end with the last of them.
#[derive(Clone, Debug, Default)]
pub struct Sink {
    receipts: Courier<Receipt>,
    lines: Courier<Line>,
}

impl Sink {
    /// Sends to the throughline at `base` (`http://127.0.0.1:4000`). Starts two threads.
    pub fn to(base: &str) -> std::io::Result<Self> {
        Ok(Self { receipts: Courier::to(base)?, lines: Courier::to(base)? })
    }

    /// Forgets everything: for a local cloud without a throughline.
    pub fn none() -> Self {
        Self::default()
    }

    /// Gives up a receipt. Never waits.
    pub fn put(&self, receipt: Receipt) {
        self.receipts.put(receipt);
    }

    /// Gives up a line of a function. Never waits.
    pub(crate) fn say(&self, line: Line) {
        self.lines.put(line);
    }

    /// How many receipts did not arrive: the queue was full, or nobody took them.
    pub fn dropped(&self) -> u64 {
        self.receipts.dropped()
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
