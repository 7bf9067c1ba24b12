//! From two keys to one path (sans-IO): handshake, relaying, announcing, and the way to a stream.
//!
//! [`Endpoint`] is a whole peer. It owns a DHT node and the streams, and turns the answers of the one and the
//! packets of the other into connections: `client` holds one attempt to connect, `handshakes` whom it asks,
//! `path` its last part, where `neighbours` looks for servers in the local network, `straight` goes to those
//! that say to be reachable and `reuse` the way of an earlier connection; `moving` lets streams take another
//! path. `server` holds one listening key, `guests` those of its clients that are punched to, `announcer`
//! keeps that key findable, `router` passes on what is meant for others.

mod announcer;
mod client;
mod dispatch;
mod endpoint;
mod entries;
mod guests;
mod handshakes;
mod job;
mod limits;
mod moving;
mod nat;
mod neighbours;
pub mod noise;
mod path;
mod punch;
mod recent;
pub mod relay;
mod reply;
mod report;
mod reuse;
mod route;
mod router;
pub mod secure_payload;
mod server;
mod shared;
mod straight;
#[cfg(test)]
mod tests;
mod types;

pub use endpoint::Endpoint;
pub use job::{Job, JobDone};
pub use limits::Limits;
pub use nat::Firewall;
pub use punch::Strategy;
pub use report::{Exchange, Failure, Lost, Report, Stage};
pub use types::{
    AttemptId, Config, Dial, Established, Event, FirewallHook, Listen, ListenError, Moved, Origin, Path,
    RelayDial, ServerId,
};
