//! Puts a version into an environment: unpacks it, starts it, waits until it takes connections.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::process::{self, Application};
use super::{Beanstalk, Environment, packages};
use crate::lambda::unzip::{LIMITS, unzip};
use crate::seams::{Blobs, LogSink};
use crate::sync::lock;

/// An application has this long to listen on its port.
const START_MAX: Duration = Duration::from_secs(60);
/// Where options that become variables are (General options, `application:environment`).
const VARIABLES: &str = "aws:elasticbeanstalk:application:environment";
/// What the EB CLI waits for after an update.
pub(super) const UPDATED: &str = "Environment update completed successfully.";

impl Beanstalk {
    /// Starts an environment's version in place of what runs. Events tell how it goes; the last one
    /// of a good end is `done`.
    pub(super) fn deploy(self: &Arc<Self>, name: &str, request_id: &str, done: String) {
        let (this, name, request_id) = (Arc::clone(self), name.to_owned(), request_id.to_owned());
        let stop = CancellationToken::new();
        let before = lock(&self.running).insert(name.clone(), stop.clone());
        if let Some(before) = before {
            before.cancel();
        }
        self.change(&name, |environment| "Updating".clone_into(&mut environment.status));
        self.tell(&name, "INFO", &request_id, "Environment update is starting.");
        self.tasks.spawn(async move {
            this.tell(&name, "INFO", &request_id, "Deploying new version to instance(s).");
            match this.start(&name, &stop).await {
                Ok(()) => {
                    this.change(&name, |environment| {
                        "Ready".clone_into(&mut environment.status);
                        "Green".clone_into(&mut environment.health);
                    });
                    this.tell(
                        &name,
                        "INFO",
                        &request_id,
                        "New application version was deployed to running EC2 instances.",
                    );
                    this.tell(&name, "INFO", &request_id, &done);
                }
                Err(reason) => {
                    this.change(&name, |environment| {
                        "Ready".clone_into(&mut environment.status);
                        "Red".clone_into(&mut environment.health);
                    });
                    this.tell(&name, "ERROR", &request_id, &reason);
                    this.tell(&name, "ERROR", &request_id, "Failed to deploy application.");
                }
            }
        });
    }

    async fn start(self: &Arc<Self>, name: &str, stop: &CancellationToken) -> Result<(), String> {
        let port = free_port(lock(&self.state).environments.get(name).map_or(0, |e| e.port))?;
        self.change(name, |environment| {
            environment.port = port;
            environment.deployments += 1;
        });
        let (environment, bundle) = {
            let state = lock(&self.state);
            let environment =
                state.environments.get(name).cloned().ok_or("the environment is gone")?;
            let label = environment.version.clone().unwrap_or_default();
            let application = state.applications.get(&environment.application);
            let version =
                application.and_then(|application| application.versions.get(&label)).cloned();
            (
                environment,
                version.ok_or_else(|| format!("No Application Version named '{label}' found."))?,
            )
        };
        let bytes = Blobs::get(&*self.s3, &bundle.bucket, &bundle.key)
            .ok_or_else(|| format!("{}/{} is not in S3", bundle.bucket, bundle.key))?;
        let folder = self.folder.join(name).join(environment.deployments.to_string());
        let conf = json!({
            "deployment_id": environment.deployments,
            "version_label": environment.version,
            "environment_name": name,
        });
        let unpacked = folder.clone();
        let conf = conf.to_string();
        let done = tokio::task::spawn_blocking(move || unpack(&bytes, &unpacked, &conf)).await;
        let command = done.map_err(|err| err.to_string())??;
        let path = packages::install(&folder, stop).await?;
        let mut variables = self.variables(&environment);
        variables.extend(path.map(|path| ("PATH".to_owned(), path)));
        let application = Application {
            folder: folder.join("app"),
            var: folder.join("var"),
            command,
            environment: variables,
            log_group: format!("/aws/elasticbeanstalk/{name}/var/log/web.stdout.log"),
            logs: Arc::clone(&self.logs) as Arc<dyn LogSink>,
        };
        self.tasks.spawn(process::supervise(application, stop.clone()));
        let begun = Instant::now();
        while begun.elapsed() < START_MAX && !stop.is_cancelled() {
            if tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(format!("the application does not listen on port {port}, which it finds in PORT"))
    }

    fn variables(&self, environment: &Environment) -> Vec<(String, String)> {
        let fixed = [
            ("PORT", environment.port.to_string()),
            ("HOME", self.folder.display().to_string()),
            ("AWS_REGION", self.place.region.clone()),
            ("AWS_DEFAULT_REGION", self.place.region.clone()),
            ("AWS_ENDPOINT_URL", self.place.endpoint()),
            ("AWS_ACCESS_KEY_ID", "beanstalk".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
            ("AWS_XRAY_DAEMON_ADDRESS", self.xray_daemon.to_string()),
        ];
        let fixed = fixed.into_iter().map(|(name, value)| (name.to_owned(), value));
        let own = environment.options.iter().filter(|(namespace, ..)| namespace == VARIABLES);
        fixed.chain(own.map(|(_, name, value)| (name.clone(), value.clone()))).collect()
    }
}

/// The port of before if it is free, else any: an address that was opened stays right.
fn free_port(before: u16) -> Result<u16, String> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, before))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let port = bound.and_then(|listener| listener.local_addr()).map(|address| address.port());
    port.map_err(|err| format!("no port is free: {err}"))
}

/// Unpacks a bundle and writes what X-Ray's plugin reads; gives the command of its `Procfile`.
fn unpack(bundle: &[u8], folder: &Path, conf: &str) -> Result<String, String> {
    let _ = std::fs::remove_dir_all(folder);
    let xray = folder.join("var/upper/elasticbeanstalk/xray");
    let made = std::fs::create_dir_all(&xray)
        .and_then(|()| std::fs::create_dir_all(folder.join("var/work")))
        .and_then(|()| std::fs::write(xray.join("environment.conf"), conf))
        .and_then(|()| std::fs::create_dir_all(folder.join("app")));
    made.map_err(|err| format!("{}: {err}", folder.display()))?;
    let app = folder.join("app");
    unzip(bundle, &app, LIMITS).map_err(|err| format!("the bundle cannot be unpacked: {err}"))?;
    process::web_command(&app)
}
