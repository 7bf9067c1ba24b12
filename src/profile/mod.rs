//! The profile service: each client keeps a small signed profile at a server, which it reaches by the
//! server's public key. `docs/protocol/profile.md` describes the protocol.
//!
//! A client *is* the key that it proves in the handshake of its connection; no message claims an identity.
//! Everything here works on any byte stream; tests use pipes in memory.
//!
//! | module | what it does |
//! |---|---|
//! | [`content`] | what a profile may hold |
//! | [`record`] | a profile under its owner's signature |
//! | [`rotation`] | the statement that one key replaces another one |
//! | [`entry`] | what a store holds for a key, and how a request changes it |
//! | [`json`], [`lines`], [`message`] | what travels |
//! | [`store`], [`sled_store`], [`inventory`] | where records are kept, durable when acknowledged |
//! | [`changes`] | who is told that an entry has changed |
//! | [`backup`] | all entries of a store as lines of text |
//! | [`service`] | the server's side |
//! | [`client`] | the client's side |
//! | [`proof`] | a record as a file |
//! | [`publication`] | a record in the DHT |

pub mod backup;
pub mod changes;
pub mod client;
pub mod content;
pub mod entry;
mod follow;
mod hello;
#[cfg(test)]
mod hostile;
pub mod inventory;
pub mod json;
mod limits;
pub mod lines;
pub mod message;
mod peers;
#[cfg(feature = "postgres")]
mod postgres_store;
pub mod proof;
pub mod publication;
pub mod record;
pub mod rotation;
pub mod service;
pub mod sled_store;
pub mod store;
#[cfg(test)]
mod stores;

pub use client::{
    ClientError, Denied, Dial, DialError, Found, MemoryVersions, ProfileClient, ThroughDht, Versions,
};
pub use content::{InvalidProfile, Profile, ProfileDraft};
pub use entry::{Dated, is_newer};
pub use inventory::Inventory;
pub use limits::{Limits, MAX_WINDOWS, Use, Verdict};
pub use peers::{OpenConnection, PeerAddress};
#[cfg(feature = "postgres")]
pub use postgres_store::{
    Membership, ParseUrlError as ParsePostgresUrlError, PostgresSnapshot, PostgresStore, PostgresUrl,
};
pub use record::Record;
pub use rotation::Rotation;
pub use service::{Access, Admission, Ended, Ipv4Network, ParseNetworkError, Service, ServiceConfig};
pub use sled_store::{SledStore, StoreStats};
pub use store::{ApplyError, MemoryStore, Store, StoreError};
