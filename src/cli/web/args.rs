//! The options.

use std::net::{SocketAddr, SocketAddrV4};

use clap::Args;

use super::super::exit::{Exit, Failure};

/// Where the page is served.
#[derive(Args, Clone, Debug, Default)]
pub(in crate::cli) struct WebArgs {
    /// Serve a page with the state of this program at http://IP:PORT/, and numbers for Prometheus at
    /// /metrics; anyone who reaches the address can read it
    #[arg(long, value_name = "IP:PORT")]
    pub(super) web: Option<SocketAddr>,

    /// Let --web name an address that other hosts reach
    #[arg(long, requires = "web")]
    web_public: bool,

    /// Name under which browsers may ask for the page, beside localhost and IP addresses; may be repeated
    #[arg(long, value_name = "NAME", requires = "web")]
    pub(super) web_host: Vec<String>,
}

/// Where the numbers alone are served.
#[derive(Args, Clone, Debug, Default)]
pub(in crate::cli) struct MetricsArgs {
    /// Serve numbers for Prometheus at http://IP:PORT/metrics
    #[arg(long, value_name = "IP:PORT")]
    pub(super) metrics: Option<SocketAddrV4>,
}

impl WebArgs {
    /// Returns where to serve the page, if that is asked for.
    pub(super) fn address(&self) -> Result<Option<SocketAddr>, Failure> {
        match self.web {
            Some(address) if !address.ip().is_loopback() && !self.web_public => {
                let what = format!("--web {address} is not an address of this computer alone");
                Err(Failure::new(Exit::Usage, what).hint(
                    "name 127.0.0.1:PORT and reach it through ssh -L, or add --web-public if everyone who \
                     reaches the address may read the page",
                ))
            }
            address => Ok(address),
        }
    }
}
