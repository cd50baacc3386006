//! Programs that a run starts: commands that end by themselves, and servers that end with the run.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::LabError;
use super::report::{Line, Say};

/// How often a long step says that it is still going on.
const TICK: Duration = Duration::from_secs(2);
/// What is kept of a command's output.
const OUTPUT_BYTES_MAX: u64 = 1 << 20;
/// How much of it an error shows, in characters.
const SHOWN_MAX: usize = 2_000;

/// Runs `$@` and waits for the end of its own input, which comes when whoever started it is gone; then ends its
/// whole group.
const GUARD: &str = r#""$@" </dev/null & exec >&-; read -r _; kill -KILL 0"#;

/// A command that ends by itself.
pub(super) struct Run<'a> {
    /// What the reader would type.
    pub(super) shown: &'a str,
    pub(super) command: Command,
    pub(super) seconds_max: u64,
}

impl Run<'_> {
    /// Waits for its end and gives what it said on both outputs.
    pub(super) async fn wait(self, say: &mut impl Say) -> Result<String, LabError> {
        let Self { shown, mut command, seconds_max } = self;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        let mut child = command.spawn().map_err(|err| failed(shown, "not started", &err))?;
        let (out, errors) = (child.stdout.take(), child.stderr.take());
        let ended = async { tokio::join!(child.wait(), read(out), read(errors)) };
        tokio::pin!(ended);
        let started = Instant::now();
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + TICK, TICK);
        let (status, out, errors) = loop {
            tokio::select! {
                ended = &mut ended => break ended,
                _ = tick.tick() => {
                    let elapsed = started.elapsed();
                    if elapsed.as_secs() >= seconds_max {
                        return Err(LabError::TooLong { what: shown.to_owned(), seconds: seconds_max });
                    }
                    say.say(Line::Progress { what: shown, elapsed });
                }
            }
        };
        let status = status.map_err(|err| failed(shown, "lost", &err))?;
        let said = format!("{out}{errors}");
        if status.success() {
            return Ok(said);
        }
        Err(failed(shown, &status.to_string(), &last_characters(&said)))
    }
}

fn failed(command: &str, status: &str, said: &impl ToString) -> LabError {
    LabError::Command {
        command: command.to_owned(),
        status: status.to_owned(),
        said: said.to_string(),
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut pipe) = pipe else { return String::new() };
    let mut bytes = Vec::new();
    let _ = (&mut pipe).take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes).await;
    // A full pipe would stop the command: the rest is read and forgotten.
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

fn last_characters(text: &str) -> String {
    let text = text.trim();
    let skipped = text.chars().count().saturating_sub(SHOWN_MAX);
    text.chars().skip(skipped).collect()
}

/// A server of the workshop. Dropping it ends it with its children; so does the end of this process.
#[derive(Debug)]
pub(super) struct Server {
    _guard: Child,
    /// `http://127.0.0.1:PORT`, as it said.
    pub(super) url: String,
    _output: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Starts `words` in `folder` and waits until it says where it listens, in a line that ends with its address.
    pub(super) async fn start(
        name: &str,
        words: &[&str],
        folder: &Path,
        environment: &[(&str, String)],
    ) -> Result<Self, LabError> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", GUARD, "sh"]).args(words).current_dir(folder);
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.envs(environment.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.process_group(0);
        let mut guard = command.spawn().map_err(|err| failed(name, "not started", &err))?;
        let out = guard.stdout.take().ok_or_else(|| failed(name, "not started", &"no output"))?;
        let mut lines = BufReader::new(out).lines();
        let told = tokio::time::timeout(Duration::from_secs(30), address(&mut lines)).await;
        let told = told.map_err(|_| LabError::TooLong { what: name.to_owned(), seconds: 30 })?;
        let url = told.ok_or_else(|| failed(name, "ended", &"it said no address"))?;
        // What it says later is nobody's, but a full pipe would stop it.
        let output =
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { _guard: guard, url, _output: output })
    }
}

async fn address(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some((_, rest)) = line.split_once("listening on ") {
            return Some(rest.trim().to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Silent;

    impl Say for Silent {
        fn say(&mut self, _: Line<'_>) {}
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_command_that_fails_says_why() {
        let run =
            Run { shown: "sls deploy", command: shell("echo no >&2; exit 3"), seconds_max: 20 };
        let err = run.wait(&mut Silent).await.unwrap_err().to_string();
        assert_eq!(err, "sls deploy failed (exit status: 3):\nno");
    }

    #[tokio::test]
    async fn what_a_command_says_is_bounded_and_never_stops_it() {
        let script = "head -c 3000000 /dev/zero | tr '\\0' x";
        let run = Run { shown: "x", command: shell(script), seconds_max: 20 };
        assert_eq!(run.wait(&mut Silent).await.unwrap().len(), 1 << 20);
    }

    #[tokio::test]
    async fn a_server_ends_with_whoever_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let made = std::process::Command::new("mkfifo").arg(dir.path().join("held")).status();
        assert!(made.unwrap().success());
        // Whoever reads the pipe sees its end when the last process that holds it is dead.
        let held = dir.path().join("held");
        let read = tokio::task::spawn_blocking(move || std::fs::read(held));
        let script = "exec 9>held; echo listening on http://127.0.0.1:1; sleep 600";
        let server =
            Server::start("it", &["/bin/sh", "-c", script], dir.path(), &[]).await.unwrap();
        assert_eq!(server.url, "http://127.0.0.1:1");
        assert!(!read.is_finished());
        drop(server);
        let ended = tokio::time::timeout(Duration::from_secs(10), read).await;
        ended.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_server_that_ends_at_once_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let started = Server::start("it", &["/bin/sh", "-c", "exit 1"], dir.path(), &[]);
        let err = started.await.unwrap_err().to_string();
        assert!(err.contains("it said no address"), "{err}");
    }
}
