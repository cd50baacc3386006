//! An environment's application as a supervised process.
//!
//! In:   an unpacked bundle and its `Procfile`, whose line `web: COMMAND` is run by a shell.
//! Rule: Elastic Beanstalk, "Procfile". The process is the leader of a group that ends with us: a helper in it
//!       waits for the end of a pipe that only we hold open, and then kills the group.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::ids;
use crate::seams::{LogEvent, LogSink};

/// Ends the group when the pipe does, and runs the command meanwhile.
const KEEPER: &str =
    "exec 3<&0; (cat <&3 >/dev/null; kill -KILL 0) & exec 3<&-; exec sh -c \"$0\" </dev/null";
/// The same in a view of the disk where the X-Ray SDK's plugin finds its environment, where the kernel allows it.
const IN_NAMESPACE: &str = "mount -t overlay overlay -o lowerdir=/var,upperdir=\"$1/upper\",workdir=\"$1/work\" /var 2>/dev/null; ";
/// A process that ends is started again, later each time.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// The longest line of output that is kept whole.
const LINE_BYTES_MAX: usize = 64 << 10;

/// What is run, where, and with what.
pub(super) struct Application {
    pub(super) folder: PathBuf,
    /// Holds `upper/elasticbeanstalk/xray/environment.conf`.
    pub(super) var: PathBuf,
    pub(super) command: String,
    pub(super) environment: Vec<(String, String)>,
    pub(super) log_group: String,
    pub(super) logs: Arc<dyn LogSink>,
}

/// The command of `web` in a `Procfile`.
pub(super) fn web_command(folder: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(folder.join("Procfile"))
        .map_err(|err| format!("the bundle has no readable Procfile: {err}"))?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix("web:"));
    line.map(|command| command.trim().to_owned())
        .filter(|command| !command.is_empty())
        .ok_or_else(|| "the Procfile has no line \"web: COMMAND\"".to_owned())
}

/// Runs an application until told to stop.
pub(super) async fn supervise(application: Application, stop: CancellationToken) {
    let namespaces = namespaces_allowed().await;
    let mut pause = Duration::from_millis(200);
    while !stop.is_cancelled() {
        let begun = Instant::now();
        let said = match run_once(&application, namespaces, &stop).await {
            Ok(status) => format!("the application ended: {status}"),
            Err(err) => format!("the application could not be started: {err}"),
        };
        if stop.is_cancelled() {
            return;
        }
        application.log(said);
        pause = if begun.elapsed() > PAUSE_MAX {
            Duration::from_millis(200)
        } else {
            (pause * 2).min(PAUSE_MAX)
        };
        let _ = tokio::time::timeout(pause, stop.cancelled()).await;
    }
}

async fn run_once(
    application: &Application,
    namespaces: bool,
    stop: &CancellationToken,
) -> std::io::Result<std::process::ExitStatus> {
    let mut command = if namespaces {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
        command.arg(format!("{IN_NAMESPACE}{KEEPER}"));
        command
    } else {
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER]);
        command
    };
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .arg(&application.command)
        .arg(&application.var)
        .current_dir(&application.folder)
        .env_clear()
        .env("PATH", path)
        .envs(application.environment.iter().cloned())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn()?;
    // Held open for as long as the application may run.
    let keeper = child.stdin.take();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let lines = async {
        tokio::join!(application.read(out), application.read(err));
    };
    let waited = async {
        let (status, ()) = tokio::join!(child.wait(), lines);
        status
    };
    tokio::pin!(waited);
    tokio::select! {
        status = &mut waited => return status,
        () = stop.cancelled() => {}
    }
    drop(keeper);
    waited.await
}

async fn namespaces_allowed() -> bool {
    let tried = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    tried.await.is_ok_and(|status| status.success())
}

impl Application {
    async fn read(&self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(stream) = stream else { return };
        let mut reader = BufReader::with_capacity(LINE_BYTES_MAX, stream);
        let mut line = Vec::new();
        loop {
            let Ok(buffer) = reader.fill_buf().await else { return };
            if buffer.is_empty() {
                return;
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(buffer.len(), |end| end + 1);
            line.extend_from_slice(buffer.get(..taken).unwrap_or_default());
            reader.consume(taken);
            if end.is_some() || line.len() >= LINE_BYTES_MAX {
                self.log(String::from_utf8_lossy(&line).into_owned());
                line.clear();
            }
        }
    }

    fn log(&self, message: String) {
        let event = LogEvent { time_ms: ids::now_ms(), message };
        self.logs.put(&self.log_group, "i-local", vec![event]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Lines(std::sync::Mutex<Vec<String>>);

    impl LogSink for Lines {
        fn put(&self, _: &str, _: &str, events: Vec<LogEvent>) {
            crate::sync::lock(&self.0).extend(events.into_iter().map(|event| event.message));
        }
    }

    #[tokio::test]
    async fn an_application_runs_until_it_is_told_to_stop() {
        let folder = tempfile::tempdir().unwrap();
        let conf = folder.path().join("upper/elasticbeanstalk/xray/environment.conf");
        std::fs::create_dir_all(conf.parent().unwrap()).unwrap();
        std::fs::create_dir_all(folder.path().join("work")).unwrap();
        std::fs::write(&conf, "{}").unwrap();
        let lines = Arc::new(Lines(std::sync::Mutex::default()));
        let application = Application {
            folder: folder.path().to_owned(),
            var: folder.path().to_owned(),
            // `wait` for a child: both have to end.
            command: "echo up $NAME; sleep 600 & wait".to_owned(),
            environment: vec![("NAME".to_owned(), "here".to_owned())],
            log_group: "g".to_owned(),
            logs: lines.clone(),
        };
        let stop = CancellationToken::new();
        let running = tokio::spawn(supervise(application, stop.clone()));
        let begun = Instant::now();
        while !crate::sync::lock(&lines.0).iter().any(|line| line == "up here\n") {
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", crate::sync::lock(&lines.0));
            tokio::task::yield_now().await;
        }
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), running).await.unwrap().unwrap();
    }

    #[test]
    fn the_command_stands_after_web() {
        let folder = tempfile::tempdir().unwrap();
        assert!(web_command(folder.path()).unwrap_err().contains("Procfile"));
        std::fs::write(folder.path().join("Procfile"), "worker: x\nweb:  node app.js \n").unwrap();
        assert_eq!(web_command(folder.path()).unwrap(), "node app.js");
        std::fs::write(folder.path().join("Procfile"), "web:\n").unwrap();
        assert!(web_command(folder.path()).unwrap_err().contains("web: COMMAND"));
    }
}
