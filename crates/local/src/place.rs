//! Region and account: where everything here pretends to be.

use std::net::SocketAddr;
use std::sync::OnceLock;

/// What ARNs and addresses are made of.
#[derive(Debug)]
pub(crate) struct Place {
    /// `us-east-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
    front: OnceLock<SocketAddr>,
}

impl Place {
    /// A place whose front door is not open yet.
    pub(crate) fn new(region: &str, account: &str) -> Self {
        Self { region: region.to_owned(), account: account.to_owned(), front: OnceLock::new() }
    }

    /// Told once, when the port is bound.
    pub(crate) fn opened(&self, address: SocketAddr) {
        let _ = self.front.set(address);
    }

    /// `http://127.0.0.1:4566`, without a slash at its end.
    pub(crate) fn endpoint(&self) -> String {
        match self.front.get() {
            Some(address) => format!("http://{address}"),
            None => "http://127.0.0.1:4566".to_owned(),
        }
    }

    /// `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE`.
    pub(crate) fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account)
    }

    /// The same for services without regions, such as IAM.
    pub(crate) fn global_arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}::{}:{resource}", self.account)
    }
}
