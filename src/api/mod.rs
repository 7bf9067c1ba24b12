//! What users call; re-exported from the crate root.

mod config;
mod connect;
mod connection;
mod connection_stats;
mod dht;
mod error;
mod identity;
mod node;
mod records;
mod relay;
mod server;
mod testnet;

pub use crate::connect::relay::RelayLimits;
pub use crate::connect::{Exchange, Firewall, Lost, Path, Report, Stage, Strategy};
pub use crate::dht::{FoundPeer as Found, FoundValue as MutableValue, Kept as KeptAnnouncement, Stored};
pub use crate::net::Stats;
pub use crate::udx::Traffic;
pub use config::{DEFAULT_BOOTSTRAP, DhtBuilder, Limits, Mode};
pub use connect::Connect;
pub use connection::{Connection, ReadHalf, WriteHalf};
pub use connection_stats::ConnectionStats;
pub use dht::{Bootstrapped, Dht, Pong};
pub use error::{
    BootstrapError, ConnectError, ListenError, NodeError, PutError, QueryError, SpawnError, StreamError,
};
pub use identity::{ClaimedKey, ProvenKey};
pub use records::{Announce, MutableGet};
pub use relay::{Relay, RelayStats, ServeRelay};
pub use server::{Listen, Server};
pub use testnet::{Testnet, TestnetError};
