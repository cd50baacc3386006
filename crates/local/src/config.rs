//! What the local cloud is told when it starts.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;

/// Settings of the local cloud. [`LocalConfig::default`] is what `throughline local` uses.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// Where the front door listens; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where state is kept; `None` keeps it in memory. The Lambda service owns `lambda/` in it.
    pub data: Option<PathBuf>,
    /// An emulator for services that are not here: `http://host:port`.
    pub upstream: Option<String>,
    /// The region of everything.
    pub region: String,
    /// The twelve digits of the account.
    pub account: String,
    /// Where throughline's own HTTP door is, for receipts: `http://127.0.0.1:4000`.
    pub throughline: Option<String>,
    /// Where X-Ray segments are sent.
    pub xray_daemon: SocketAddr,
    /// What the Lambda service needs beyond this.
    pub lambda: crate::lambda::LambdaConfig,
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4566)),
            data: None,
            upstream: None,
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            throughline: None,
            xray_daemon: SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 2000)),
            lambda: crate::lambda::LambdaConfig::default(),
        }
    }
}
