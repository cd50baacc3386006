//! Where a run happens: a scratch folder, a front door, throughline; and all of it away again at the end.

use std::fs::{self, DirBuilder};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use super::install::{self, Toolbox};
use super::programs::Server;
use super::report::Say;
use super::watch::Watch;
use super::{Lab, LabError, LabOptions, Sdk};
use crate::config::LocalConfig;
use crate::front::{self, Running};
use crate::ids;

/// Something that a run made at the front door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    Table,
    Topic,
    Function,
}

/// Where a run happens.
pub(super) struct Ground {
    /// A folder of the run's own.
    pub(super) scratch: PathBuf,
    pub(super) toolbox: Option<Toolbox>,
    /// The front door's address.
    pub(super) endpoint: String,
    pub(super) watch: Watch,
    /// Servers of the workshop; they end in the reverse order.
    pub(super) servers: Vec<Server>,
    /// Whether a stack may be there that has to be removed.
    pub(super) deployed: bool,
    /// What the run made by itself, and has to take away.
    pub(super) made: Vec<Made>,
    own_front_door: Option<Running>,
}

impl Ground {
    /// Checks what is needed, installs what is missing and opens the front door.
    pub(super) async fn open(
        lab: Lab,
        options: &LabOptions,
        say: &mut impl Say,
    ) -> Result<Self, LabError> {
        check(options)?;
        install::need("node", "version 20.19 or newer is needed")?;
        install::need("npm", "it comes with Node.js")?;
        if lab == Lab::Signup(Sdk::Python) {
            install::need("python3", "version 3.9 or newer with pip is needed")?;
        }
        let watch = Watch::new(&options.throughline.http);
        watch.is_there().await?;
        let cache = &options.cache;
        fs::create_dir_all(cache).map_err(LabError::io(cache))?;
        let mut toolbox = None;
        let mut config = LocalConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            throughline: Some(options.throughline.http.clone()),
            xray_daemon: options.throughline.xray,
            ..LocalConfig::default()
        };
        if let Lab::Kinesis(_) = lab {
            let tools = install::toolbox(cache, &options.throughline.otlp_http, say).await?;
            config.lambda.node_runtime = Some(tools.node_runtime.clone());
            config.lambda.layers.clone_from(&tools.layers);
            toolbox = Some(tools);
        } else {
            config.lambda.node_runtime = Some(install::installed(cache, "runtime", say).await?);
        }
        let (endpoint, own_front_door) = match &options.front_door {
            Some(given) => (given.trim_end_matches('/').to_owned(), None),
            None => {
                let running = front::run(config).await?;
                (running.endpoint(), Some(running))
            }
        };
        let scratch = std::env::temp_dir().join(format!("throughline-lab-{:x}", ids::random_u64()));
        DirBuilder::new().mode(0o700).create(&scratch).map_err(LabError::io(&scratch))?;
        Ok(Self {
            scratch,
            toolbox,
            endpoint,
            watch,
            servers: Vec::new(),
            deployed: false,
            made: Vec::new(),
            own_front_door,
        })
    }

    /// Ends everything that was started.
    pub(super) async fn close(mut self) {
        while let Some(server) = self.servers.pop() {
            drop(server);
        }
        if let Some(running) = self.own_front_door.take() {
            running.stop().await;
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

fn check(options: &LabOptions) -> Result<(), LabError> {
    let problem = |text: &str| Err(LabError::Options(text.to_owned()));
    if !(2..=1_000).contains(&options.requests) {
        return problem("a workshop sends 2 to 1000 requests");
    }
    let prefix = &options.prefix;
    let plain = prefix.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let starts = prefix.starts_with(|c: char| c.is_ascii_alphabetic());
    if !plain || !starts || prefix.len() > 24 || prefix.ends_with('-') {
        return problem(
            "a prefix is at most 24 letters, digits and dashes, and begins with a letter",
        );
    }
    Ok(())
}
