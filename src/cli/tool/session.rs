//! The node, the identity, and what several commands print.

use std::future::IntoFuture;
use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::super::exit::{Exit, Failure};
use super::super::network::no_network;
use super::super::output::Output;
use super::super::stderr;
use super::args::{Arguments, Command, Target};
use crate::api::{Connect, Limits, LoadedKey};
use crate::{ConnectAddress, Connection, Dht, KeyPair, PublicKey, Server};

/// A node that has joined, and who its user is.
pub(super) struct Tool<'a> {
    pub(super) arguments: &'a Arguments,
    pub(super) output: &'a Output,
    pub(super) dht: Dht,
    pub(super) identity: KeyPair,
}

impl<'a> Tool<'a> {
    pub(super) async fn start(arguments: &'a Arguments, output: &'a Output) -> Result<Self, Failure> {
        let identity = match identity(arguments, output)? {
            Some(identity) => identity,
            None => KeyPair::generate(),
        };
        let network = arguments.network.network();
        // Those of the programs fit lines of profiles.
        let mut limits = Limits::default();
        if let Command::Swarm { .. } = arguments.command {
            limits.message = LINE;
        }
        let dht = network.node(arguments.bind.as_deref()).limits(limits).spawn().await?;
        let tool = Self { arguments, output, dht, identity };
        // A node that is named by its address answers without a network.
        if !matches!(arguments.command, Command::Ping { target: Some(Target::Node(_)), .. }) {
            let spinner = output.spinner("joining the network");
            let joined = tool.within("the network", tool.dht.bootstrapped()).await?;
            drop(spinner);
            joined.map_err(|_| no_network(&network))?;
        }
        Ok(tool)
    }

    /// Gives up what takes longer than the time-out.
    pub(super) async fn within<T>(
        &self,
        what: &str,
        work: impl IntoFuture<Output = T>,
    ) -> Result<T, Failure> {
        let limit = self.arguments.timeout;
        timeout(limit, work.into_future()).await.map_err(|_| self.late(what))
    }

    /// Returns the failure of what has taken longer than the time-out.
    pub(super) fn late(&self, what: &str) -> Failure {
        let limit = self.arguments.timeout;
        Failure::new(Exit::TimedOut, format!("{what} has not answered within {limit:?}"))
            .hint("allow more time with --timeout")
    }

    /// Returns a connection attempt as the arguments want it.
    pub(super) fn dial(&self, server: &ConnectAddress) -> Connect {
        let connect = self.dht.connect(server).key_pair(&self.identity).timeout(self.arguments.timeout);
        match &self.arguments.relay {
            Some(relay) => connect.relay_through(relay),
            None => connect,
        }
    }

    /// Connects, and waits until the server has answered on the path.
    pub(super) async fn connect(&self, server: &ConnectAddress) -> Result<Connection, Failure> {
        let _spinner = self.output.spinner(&format!("connecting to {}", server.public_key()));
        let connection = self.dial(server).await.map_err(|error| {
            let failure = Failure::from(error);
            match failure.exit {
                Exit::Refused | Exit::NotFound => failure.hint(NOT_LET_IN),
                _ => failure,
            }
        })?;
        connection.answered().await?;
        Ok(connection)
    }

    /// Listens under the own key for peers that may connect; all may if none are named.
    pub(super) async fn listen(&self, allowed: &[PublicKey]) -> Result<Server, Failure> {
        let mut listen = self.dht.listen(&self.identity).reusable_socket();
        if let Some(relay) = &self.arguments.relay {
            listen = listen.relay_through(relay);
        }
        if !allowed.is_empty() {
            let allowed = allowed.to_vec();
            listen = listen.allow(move |peer| std::future::ready(allowed.contains(&peer.claimed_key)));
        }
        Ok(listen.await?)
    }

    /// Prints a remark, or with --json an object, on standard error: standard output belongs to the peer.
    pub(super) fn aside(&self, words: &str, value: &Value) {
        match self.output.json {
            true => stderr::print(&value.to_string()),
            false => self.output.note(words),
        }
    }
}

/// Reads the key pair in the file that is named, if one is.
pub(super) fn identity(arguments: &Arguments, output: &Output) -> Result<Option<KeyPair>, Failure> {
    let Some(path) = &arguments.identity else { return Ok(None) };
    let LoadedKey { key_pair, created, .. } = arguments.modes.file(path).load_or_create()?;
    if created {
        output.note(&format!("made a new key pair in {}", path.display()));
    }
    Ok(Some(key_pair))
}

/// Returns the failure of something on this computer.
pub(super) fn local(verb: &str, error: io::Error) -> Failure {
    let what = format!("cannot {verb}");
    Failure::from_error(Exit::Internal, anyhow::Error::new(error).context(what))
}

/// Returns milliseconds, for people and programs.
pub(super) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}

/// Most bytes of a message of a peer of a topic. One that sends more is cut off.
const LINE: usize = 64 << 10;
/// What to do about a peer that does not answer.
const NOT_LET_IN: &str = "does the peer run, in the same network (--bootstrap, --local)? a peer with an \
                          allow-list needs your key, which hyperdht whoami prints, and --identity here";
