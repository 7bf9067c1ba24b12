//! What an endpoint, an attempt to connect and a server are given to work with.

use std::net::SocketAddrV4;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::limits::Limits;
use super::nat::Firewall;
use crate::dht;
use crate::identity::Identity;
use crate::keys::PublicKey;
use crate::udx;

/// A client that asks a server for a connection. Nothing of this is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applicant {
    /// The key that it claims: good for a refusal, never to count or to store.
    pub claimed_key: PublicKey,
    /// Where it is: where its handshake has come from, or what the node reports that has passed it on.
    pub address: SocketAddrV4,
    /// The addresses that it names as its own, those in its local network among them.
    pub named_addresses: Vec<SocketAddrV4>,
    /// Whether a node of the DHT has passed its handshake on.
    pub is_forwarded: bool,
    /// The blind relay that it offers to meet at.
    pub relay_through: Option<PublicKey>,
}

/// Whether a client is admitted, once that is decided.
pub type Decision = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Decides whether a client may connect, before it is answered. Runs beside the driver.
pub type AllowHook = Arc<dyn Fn(Applicant) -> Decision + Send + Sync>;

/// A punch that an admitted client asks a server for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PunchRequest {
    /// The key that the client claims.
    pub claimed_key: PublicKey,
    /// What the nodes of the DHT show of the server's NAT.
    pub own_nat: Firewall,
    /// What the client reports of its NAT.
    pub client_nat: Firewall,
    /// The addresses at which the server would be punched to.
    pub own_addresses: Vec<SocketAddrV4>,
    /// The addresses at which the client would be punched to, without a port where its NAT is random. The
    /// client reports them.
    pub client_addresses: Vec<SocketAddrV4>,
}

/// Decides whether a server punches to a client. Runs beside the driver.
pub type PunchHook = Arc<dyn Fn(PunchRequest) -> Decision + Send + Sync>;

/// How an endpoint behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// The DHT node.
    pub dht: dht::Config,
    /// The streams.
    pub udx: udx::Config,
    /// Whether addresses in the local network are named to peers, and those of peers tried.
    pub lan: bool,
    /// Whether a punch begins with a probe, so that the server's answer to it can already open the path.
    pub fast_open: bool,
    /// Bounds of what remote hosts make an endpoint hold.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dht: dht::Config::default(),
            udx: udx::Config::default(),
            lan: true,
            fast_open: true,
            limits: Limits::default(),
        }
    }
}

/// What to connect to, and under which identity.
#[derive(Clone, Debug)]
pub struct Dial {
    /// The server's key.
    pub remote: PublicKey,
    /// Who the client is.
    pub identity: Identity,
    /// Nodes that probably know the server. They are tried beside the lookup.
    pub nodes: Vec<SocketAddrV4>,
    /// Whether only `nodes` are asked and not the DHT. The server's own address is among them.
    pub only_nodes: bool,
    /// The blind relay that the client offers to meet the server at until a direct path is found.
    pub relay_through: Option<PublicKey>,
    /// Whether the socket of this connection may serve a later one to the same server, and the socket of an
    /// earlier connection this one.
    pub reusable_socket: bool,
    /// Whether own addresses in the local network are named and those of the server tried; `None` is
    /// [`Config::lan`].
    pub lan: Option<bool>,
    /// How the stream behaves.
    pub stream_options: udx::StreamOptions,
    /// The time for the whole attempt.
    pub timeout: Duration,
}

impl Dial {
    /// Dials a server through the DHT, within 30 s, and with nothing else that can be chosen.
    pub fn new(remote: PublicKey, identity: impl Into<Identity>) -> Self {
        Self {
            remote,
            identity: identity.into(),
            nodes: Vec::new(),
            only_nodes: false,
            relay_through: None,
            reusable_socket: false,
            lan: None,
            stream_options: udx::StreamOptions::default(),
            timeout: Duration::from_secs(30),
        }
    }
}

/// What to listen as.
#[derive(Clone)]
pub struct Listen {
    /// Who the server is.
    pub identity: Identity,
    /// Decides on each handshake; `None` admits every client.
    pub allow: Option<AllowHook>,
    /// Decides on each punch; `None` lets all begin.
    pub allow_punch: Option<PunchHook>,
    /// The blind relay that clients are offered to meet at until a direct path is found.
    pub relay_through: Option<PublicKey>,
    /// Whether the sockets of connections may serve later ones with the same client.
    pub reusable_socket: bool,
    /// Whether own addresses in the local network are named; `None` is [`Config::lan`].
    pub lan: Option<bool>,
    /// How the streams behave.
    pub stream_options: udx::StreamOptions,
}

/// Why an endpoint can't listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// Another server of this node has the same key.
    #[error("this node already listens with this key")]
    KeyInUse,
    /// The node has as many servers as its limits allow.
    #[error("this node already has as many servers as its limits allow")]
    TooMany,
}
