//! The network to join, and the socket to join it from.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::Args;

use super::exit::{Exit, Failure};
use super::room;
use crate::Dht;
use crate::api::{DEFAULT_BOOTSTRAP, DhtBuilder, Limits};
use crate::wire::hash;

/// The arguments that choose a network.
#[derive(Args, Clone, Debug, Default)]
pub struct NetworkArgs {
    /// Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',', global = true)]
    pub bootstrap: Vec<String>,

    /// Use a private DHT on this computer; the server starts it if there is none
    #[arg(
        long,
        value_name = "PORT",
        value_parser = clap::value_parser!(u16).range(1..),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "49737",
        conflicts_with = "bootstrap",
        global = true
    )]
    pub local: Option<u16>,
}

/// A network to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its first nodes.
    pub bootstrap: Vec<String>,
}

impl NetworkArgs {
    /// Returns the network that arguments and environment name: `--local` or `--bootstrap`, else the
    /// environment, else the public one.
    pub fn network(&self) -> Network {
        let environment = std::env::var_os(BOOTSTRAP_VARIABLE).unwrap_or_default();
        // What is no text names no node either, and is refused as such. The public network is not meant.
        self.network_with(&environment.to_string_lossy())
    }

    pub(super) fn network_with(&self, environment: &str) -> Network {
        let listed = |list: &mut dyn Iterator<Item = &str>| -> Vec<String> {
            list.map(str::trim).filter(|entry| !entry.is_empty()).map(Into::into).collect()
        };
        let mut bootstrap = match self.local {
            Some(port) => vec![format!("127.0.0.1:{port}")],
            None => listed(&mut self.bootstrap.iter().map(String::as_str)),
        };
        if bootstrap.is_empty() {
            bootstrap = listed(&mut environment.split(','));
        }
        if bootstrap.is_empty() {
            bootstrap = DEFAULT_BOOTSTRAP.map(Into::into).to_vec();
        }
        Network { bootstrap }
    }
}

impl Network {
    /// Returns whether all first nodes are on this computer; then no other computer needs to reach this node.
    pub fn is_local(&self) -> bool {
        self.bootstrap.iter().all(|entry| {
            let entry = entry.rsplit_once('@').map_or(entry.as_str(), |(_, host)| host);
            match entry.parse::<SocketAddr>() {
                Ok(address) => address.ip().is_loopback(),
                Err(_) => entry.starts_with("localhost:"),
            }
        })
    }

    /// Returns a builder for a node of this network, bound to `bind`, by default to 127.0.0.1 in a network on
    /// this computer and to any address otherwise.
    pub fn node(&self, bind: Option<&str>) -> DhtBuilder {
        let limits = Limits::default();
        let limits = Limits {
            // A line of the profile protocol is at most half of that, whatever messages it travels in.
            message: 128 * 1024,
            // It uses no datagrams.
            datagrams: 0,
            receive_memory: 32 << 20,
            // A server that refuses many leaves as many behind.
            linger_memory: 8 << 20,
            send_memory: 32 << 20,
            stalled_for: STALLED,
            unproven: room::connections(limits.unproven),
            ..limits
        };
        let builder = Dht::builder().bootstrap(self.bootstrap.iter().cloned()).limits(limits);
        let ours = match bind {
            Some(bind) => bind,
            None if self.is_local() => "127.0.0.1:0",
            None => "0.0.0.0:0",
        };
        builder.bind(ours)
    }

    /// Returns a name for the network, independent of the order of its nodes. What is remembered of one
    /// network is of no use in another.
    pub(super) fn name(&self) -> String {
        let mut nodes = self.bootstrap.clone();
        nodes.sort_unstable();
        nodes.dedup();
        let hash = hash::hash(&[nodes.join(",").as_bytes()]);
        data_encoding::HEXLOWER.encode(&hash[..8])
    }

    /// Returns the arguments with which a client joins the same network, for hints.
    pub fn arguments(&self) -> String {
        if self.bootstrap == DEFAULT_BOOTSTRAP {
            return String::new();
        }
        format!(" --bootstrap {}", self.bootstrap.join(","))
    }
}

/// Reads `IP:PORT` or an IP alone.
pub(super) fn bind_address(text: &str) -> Result<String, String> {
    if text.parse::<std::net::SocketAddrV4>().is_ok() {
        return Ok(text.to_owned());
    }
    match text.parse::<Ipv4Addr>() {
        Ok(ip) => Ok(format!("{ip}:0")),
        Err(_) => Err("expected an IPv4 address, with or without a port".into()),
    }
}

/// Returns the failure of a network that does not answer.
pub(super) fn no_network(network: &Network) -> Failure {
    let failure = Failure::new(Exit::NoNetwork, "no bootstrap node answers");
    failure.hint(format!("tried {}", network.bootstrap.join(", ")))
}

/// Names nodes where no argument does.
pub(super) const BOOTSTRAP_VARIABLE: &str = "HYPERDHT_BOOTSTRAP";
/// How long a peer may take nothing of a line that is sent to it.
const STALLED: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(bootstrap: &[&str], local: Option<u16>) -> NetworkArgs {
        NetworkArgs { bootstrap: bootstrap.iter().map(ToString::to_string).collect(), local }
    }

    #[test]
    fn arguments_win_over_the_environment_and_both_over_the_default() {
        let named = |bootstrap: &[&str], local, environment| {
            arguments(bootstrap, local).network_with(environment).bootstrap
        };
        assert_eq!(named(&["a:1", " b:2"], None, "c:3"), ["a:1", "b:2"]);
        assert_eq!(named(&[], Some(5), "c:3"), ["127.0.0.1:5"]);
        assert_eq!(named(&[], None, "c:3, d:4,"), ["c:3", "d:4"]);
        assert_eq!(named(&[], None, ""), DEFAULT_BOOTSTRAP);
    }

    #[test]
    fn a_network_is_local_if_all_its_first_nodes_are() {
        let local = |list: &[&str]| arguments(list, None).network_with("").is_local();
        assert!(local(&["127.0.0.1@localhost:3"]));
        assert!(local(&["127.0.0.1:1", "localhost:2"]));
        assert!(!local(&["127.0.0.1:1", "10.0.0.1:2"]));
        assert!(!local(&[]));
    }
}
