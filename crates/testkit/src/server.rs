//! Runs the real binary on ports of its own choice, and ends it with the test.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a server may take to open its doors. A debug binary on a busy machine is slow.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A running server; dropping it kills it.
pub struct Server {
    child: Child,
    doors: Vec<(String, String)>,
    agent: ureq::Agent,
    log: PathBuf,
}

/// Why no server runs, with the end of what it said.
#[derive(Debug)]
pub struct StartError(String);

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

impl Server {
    /// Starts `binary serve` on a data directory, every door on a free port of the loopback.
    ///
    /// What the server logs goes to a file beside the directory.
    pub fn start(binary: &Path, data: &Path, more: &[&str]) -> Result<Self, StartError> {
        let log = data.with_extension("log");
        let log_file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|err| StartError(format!("cannot write {}: {err}", log.display())))?;
        let mut child = Command::new(binary)
            .args(["serve", "--announce", "json", "--data"])
            .arg(data)
            .args(["--listen", "127.0.0.1:0"])
            .args(["--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"])
            .args(["--xray", "127.0.0.1:0"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .map_err(|err| StartError(format!("cannot start {}: {err}", binary.display())))?;
        let Some(stdout) = child.stdout.take() else { unreachable!("stdout is piped above") };
        // The thread goes on reading until the server ends, so that a full pipe never stops it.
        let (announced, first_line) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                announced.send(line).ok();
            }
        });
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        let mut server = Self { child, doors: Vec::new(), agent, log };
        let deadline = Instant::now() + START_LIMIT;
        while server.door("http").is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            match first_line.recv_timeout(left) {
                Ok(line) => server.doors.extend(parse_doors(&line)),
                Err(_) => return Err(StartError(server.last_words("announced no door"))),
            }
        }
        while server.get("/ready").0 != 200 {
            if Instant::now() > deadline {
                return Err(StartError(server.last_words("did not become ready")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    fn last_words(&mut self, what: &str) -> String {
        let status = self.child.try_wait().ok().flatten();
        let ended = status.map_or(String::new(), |status| format!(" and ended with {status}"));
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let start = log.len().saturating_sub(2_000);
        let tail = log.get(start..).unwrap_or(&log);
        format!("the server {what}{ended}; it said:\n{tail}")
    }

    fn door(&self, name: &str) -> Option<&str> {
        self.doors.iter().find(|(door, _)| door == name).map(|(_, address)| &address[..])
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `host:port` of a door: `http`, `otlp_http`, `otlp_grpc` or `xray`. Panics when it is not open.
    pub fn address(&self, door: &str) -> &str {
        self.door(door).unwrap_or_else(|| panic!("no door {door} in {:?}", self.doors))
    }

    /// The address of a path on the main port.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address("http"))
    }

    /// Status and body of a GET on the main port; status 0 when no answer came.
    pub fn get(&self, path: &str) -> (u16, String) {
        answer(self.agent.get(self.url(path)).call())
    }

    /// The JSON of a GET that must succeed.
    pub fn get_json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "GET {path}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|err| panic!("GET {path}: {err} in {body}"))
    }

    /// Sends an OTLP protobuf body to the main port; status 0 when no answer came.
    pub fn export(&self, body: &[u8]) -> (u16, String) {
        let request = self.agent.post(self.url("/v1/traces"));
        answer(request.header("content-type", "application/x-protobuf").send(body))
    }

    /// Sends a JSON body to the main port; status 0 when no answer came.
    pub fn post_json(&self, path: &str, body: &Value) -> (u16, String) {
        let request = self.agent.post(self.url(path));
        answer(request.header("content-type", "application/json").send(body.to_string()))
    }

    /// Sends SIGKILL while others still talk to the server; drop the server to wait for its end.
    pub fn strike(&self) {
        self.signal("-KILL");
    }

    /// Sends SIGTERM and does not wait.
    pub fn ask_to_stop(&self) {
        self.signal("-TERM");
    }

    fn signal(&self, signal: &str) {
        // Not reaped before the drop, so the process id cannot belong to another by now. It fails
        // only when the process has ended, which is what was asked for.
        Command::new("kill")
            .args([signal, &self.pid().to_string()])
            .stderr(Stdio::null())
            .status()
            .ok();
    }

    /// Ends the process as a power cut would: SIGKILL, no last word.
    pub fn kill(mut self) {
        self.end();
    }

    /// Asks the process to stop (SIGTERM) and waits until it has.
    pub fn stop(mut self) -> std::io::Result<ExitStatus> {
        self.ask_to_stop();
        self.child.wait()
    }

    fn end(&mut self) {
        // Both fail only when the process has ended, which is what we want.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn answer(got: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, String) {
    match got {
        Ok(mut response) => {
            let body = response.body_mut().with_config().limit(1 << 30).read_to_vec();
            let text = body.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            (response.status().as_u16(), text.unwrap_or_default())
        }
        Err(err) => (0, err.to_string()),
    }
}

/// Reads `{"event":"ready","http":"127.0.0.1:1"}`: what has an address is a door. Other lines
/// announce nothing.
fn parse_doors(line: &str) -> Vec<(String, String)> {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    let fields = line.as_object().into_iter().flatten();
    fields
        .filter_map(|(name, value)| Some((name, value.as_str()?)))
        .filter(|(_, address)| address.parse::<SocketAddr>().is_ok())
        .map(|(name, address)| (name.clone(), address.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doors_are_read_from_the_announcement_and_other_lines_ignored() {
        let line = r#"{"event":"ready","http":"127.0.0.1:5","otlp_grpc":"off"}"#;
        assert_eq!(parse_doors(line), [("http".to_owned(), "127.0.0.1:5".to_owned())]);
        assert_eq!(parse_doors("starting"), []);
    }
}
