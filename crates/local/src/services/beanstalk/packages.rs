//! What a platform installs on an instance before the application starts: packages that the bundle names and has not.
//!
//! In:   an unpacked bundle.
//! Out:  `node_modules` in it, or a virtual environment beside it. Package registries are asked only then.
//! Rule: Elastic Beanstalk, "Installing dependencies with a package.json file", "Specifying dependencies using a
//!       requirements file on Elastic Beanstalk".

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio_util::sync::CancellationToken;

/// The EB CLI waits ten minutes for a deployment.
const INSTALL_MAX: Duration = Duration::from_secs(480);
/// How much of what an installer said an event shows, in bytes.
const SHOWN_MAX: usize = 600;

/// Installs what is missing; gives another `PATH` if the application needs one.
pub(super) async fn install(
    folder: &Path,
    stop: &CancellationToken,
) -> Result<Option<String>, String> {
    let app = folder.join("app");
    if app.join("package.json").is_file() && !app.join("node_modules").is_dir() {
        let has_lock = app.join("package-lock.json").is_file();
        let script = match has_lock {
            true => "npm ci --omit=dev --no-audit --no-fund",
            false => "npm install --omit=dev --no-audit --no-fund",
        };
        run(script, &app, stop).await?;
    } else if app.join("requirements.txt").is_file() {
        run("python3 -m venv ../venv && ../venv/bin/pip install -r requirements.txt", &app, stop)
            .await?;
        let path = std::env::var("PATH").unwrap_or_default();
        return Ok(Some(format!("{}:{path}", folder.join("venv/bin").display())));
    }
    Ok(None)
}

async fn run(script: &str, folder: &Path, stop: &CancellationToken) -> Result<(), String> {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(folder).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = tokio::select! {
        ended = tokio::time::timeout(INSTALL_MAX, command.output()) => ended,
        () = stop.cancelled() => return Err("another deployment came".to_owned()),
    };
    let seconds = INSTALL_MAX.as_secs();
    let ended = ended.map_err(|_| format!("{script} took longer than {seconds} s"))?;
    let output = ended.map_err(|err| format!("{script} cannot be started: {err}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let last = said.get(said.len().saturating_sub(SHOWN_MAX)..).unwrap_or_default();
    Err(format!("{script} failed ({}): {}", output.status, String::from_utf8_lossy(last).trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_there_is_not_installed_and_what_fails_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let app = dir.path().join("app");
        std::fs::create_dir_all(app.join("node_modules")).unwrap();
        std::fs::write(app.join("package.json"), "no JSON").unwrap();
        let stop = CancellationToken::new();
        assert_eq!(install(dir.path(), &stop).await, Ok(None));
        std::fs::remove_dir(app.join("node_modules")).unwrap();
        let failed = install(dir.path(), &stop).await.unwrap_err();
        assert!(failed.starts_with("npm install --omit=dev"), "{failed}");
    }
}
