//! HyperDHT in Rust: connect to a computer behind a home router by its public key.
//!
//! ```text
//! cargo add hyperprofile --no-default-features
//! ```
//!
//! A wire-compatible implementation of Holepunch's HyperDHT. The default features add the profile service and
//! the programs of this crate, which a library does not need:
//!
//! | feature | adds |
//! |---|---|
//! | `profile` | the profile service: messages, records, the store (in `default`) |
//! | `postgres` | a store of profiles in a database that speaks PostgreSQL's protocol |
//! | `cli` | the programs `profile-client`, `profile-server`, `dht-node` and `hyperdht` (in `default`) |
//! | `web` | a page for operators, and metrics for Prometheus, in the programs (in `default`) |
//! | `mux` | many channels over one connection, compatible with npm `protomux` |
//! | `rpc` | calls over a channel, compatible with npm `@hyperswarm/rpc` |
//! | `swarm` | Hyperswarm: peers that share a topic find each other |
//! | `serde` | keys, reports and measurements as data |
//! | `unstable-core` | the modules below the API, public; any release may change them |
//!
//! Applications need the features `macros` and `rt-multi-thread` of tokio for the examples here, and
//! optimised ciphers also in debug builds: `opt-level = 2` under `[profile.dev.package."*"]`.
//!
//! Start here:
//!
//! * [`Dht`], [`Server`], [`Connection`]: the node, what listens, what carries bytes
//! * [the life of a connection](api#the-life-of-a-connection): accept, prove, read, half-close, drop, close
//! * [coming from JavaScript](guide::from_javascript), [coming from iroh](guide::from_iroh)
//! * [`crypto`]: hashes, topics, signatures and sealed boxes, as npm `hypercore-crypto` makes them
//! * [what a connection promises](guide::security), [the words of this documentation](guide::words)
//! * `swarm::Swarm`, with the feature: peers of a topic, as npm `hyperswarm` has them
//! * [`Limits`]: what strangers can make a node keep, with its defaults
//! * `examples`: `pipe`, `chat`, `tunnel`, `rpc`, `records` and `profile`, each a program on one page
//!
//! # Two programs
//!
//! A server is known by its public key alone. It can run anywhere; a client connects to it by the key:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use hyperprofile::{Dht, KeyPair};
//! use tokio::io::copy;
//!
//! let dht = Dht::builder().spawn().await?;
//! let server = dht.listen(&KeyPair::generate()).await?;
//! println!("{}", server.public_key());
//! while let Some(connection) = server.accept().await {
//!     tokio::spawn(async move {
//!         let (mut read, mut write) = connection.into_split();
//!         copy(&mut read, &mut write).await
//!     });
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A client connects from another computer, or here over a private network in one process:
//!
//! ```
//! use hyperprofile::{KeyPair, Testnet};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // Three nodes in this process. `Dht::builder().spawn()` joins the public network instead.
//!     let network = Testnet::new(3).await?;
//!     let server = network.nodes()[2].listen(&KeyPair::generate()).await?;
//!
//!     let dht = network.builder().spawn().await?;
//!     let mut connection = dht.connect(server.public_key()).await?;
//!     connection.write_message(b"hello").await?;
//!
//!     let mut accepted = server.accept().await.ok_or("closed")?;
//!     assert_eq!(accepted.read_message().await?.as_deref(), Some(&b"hello"[..]));
//!     // On this side the client's key is proven now, by what it has sent.
//!     println!("{} says hello", accepted.proven().await?.public_key());
//!     Ok(())
//! }
//! ```
//!
//! # Layers
//!
//! Each layer depends only on those above it in this table. Layers marked *sans-IO* are state machines that
//! get the time, the datagrams and the random seed as arguments.
//!
//! | module | what it does | kind |
//! |---|---|---|
//! | [`keys`] | Ed25519 key pairs and public keys: make, parse, print, sign, verify | pure |
//! | [`crypto`] | hashes, signatures and sealed boxes of the Hypercore family | pure |
//! | `identity` | [`Identity`]: a key pair, or a key that a [`Signer`] keeps | pure |
//! | `wire` | bytes to types and back, every message of the protocol | pure |
//! | `buffer` | queues of bytes and the memory for them | pure |
//! | `slots` | bounds that strangers share, by source | pure |
//! | `dht` | a Kademlia node: table, requests, queries, tokens, records | sans-IO |
//! | `udx` | reliable ordered streams over datagrams | sans-IO |
//! | `secret_stream` | encryption and framing of one stream | pure |
//! | `connect` | from two keys to one path: handshake, holepunching, relays, announcing | sans-IO |
//! | `net` | the driver: sockets, clock and system randomness | I/O |
//! | [`api`] | what users call: [`Dht`], [`Server`], [`Connection`], [`Testnet`] | async |
//! | `mux` | many channels over one connection, with the feature of that name | async |
//! | `rpc` | with that feature, calls over a channel | async |
//! | `swarm` | with that feature, topics and the connections of their peers; decides sans-IO | async |
//! | `profile` | the profile service, with the feature of that name | async |
//! | `cli` | with that feature, what the programs share: arguments, key files, output, exit codes | async |
//!
//! # The run of a connection
//!
//! [`Dht::connect`] sends a command to the task of the node, the driver in `net`, which owns the sockets and
//! the `connect::Endpoint`. The endpoint queries the `dht` for nodes that know the server's key and sends
//! the first Noise message through them; the server answers it and both sides have a session. They open a
//! path between them: straight to the server's address, over the local network, through holes that both
//! punch in their NATs, or through a blind relay that both know. Once a path is validated, a `udx` stream
//! takes it, and the driver hands a [`Connection`] to the task that waits. That task encrypts and decrypts
//! (`secret_stream`) and exchanges bytes with the driver through two bounded queues. A connection that
//! began at a relay migrates when a direct path opens.
//!
//! The repository holds the specification of the protocol, byte by byte (`docs/protocol/README.md`), the map
//! of the source with the life of a datagram and the invariants (`docs/architecture.md`) and the fields of
//! log events (`docs/logging.md`).

// What modules hand on to those who have the feature is not used without it.
#![cfg_attr(not(feature = "unstable-core"), allow(unreachable_pub, unused_imports))]

pub mod api;
mod buffer;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(not(feature = "unstable-core"))]
mod connect;
#[cfg(feature = "unstable-core")]
pub mod connect;
pub mod crypto;
#[cfg(not(feature = "unstable-core"))]
mod dht;
#[cfg(feature = "unstable-core")]
pub mod dht;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
#[cfg(any(doc, doctest))]
pub mod guide {
    //! For those who come from another library, and what a connection promises. Text only.

    #[doc = include_str!("../docs/guide/from-iroh.md")]
    pub mod from_iroh {}
    #[doc = include_str!("../docs/guide/from-javascript.md")]
    #[cfg_attr(feature = "swarm", doc = include_str!("../docs/guide/from-hyperswarm.md"))]
    pub mod from_javascript {}
    #[doc = include_str!("../docs/guide/security.md")]
    pub mod security {}
    #[doc = include_str!("../docs/guide/words.md")]
    pub mod words {}
}
mod identity;
pub mod keys;
#[cfg(feature = "mux")]
pub mod mux;
mod net;
#[cfg(feature = "profile")]
pub mod profile;
#[cfg(feature = "rpc")]
pub mod rpc;
#[cfg(not(feature = "unstable-core"))]
mod secret_stream;
#[cfg(feature = "unstable-core")]
pub mod secret_stream;
#[cfg(any(test, feature = "sim"))]
#[doc(hidden)]
pub mod sim;
#[cfg(not(feature = "unstable-core"))]
mod slots;
#[cfg(feature = "unstable-core")]
pub mod slots;
#[cfg(feature = "swarm")]
pub mod swarm;
#[cfg(not(feature = "unstable-core"))]
mod udx;
#[cfg(feature = "unstable-core")]
pub mod udx;
#[cfg(not(feature = "unstable-core"))]
mod wire;
#[cfg(feature = "unstable-core")]
pub mod wire;

#[doc(inline)]
pub use api::{
    Announce, Applicant, BootstrapError, Bootstrapped, ClaimedKey, Connect, ConnectAddress, ConnectError,
    Connection, ConnectionStats, DEFAULT_BOOTSTRAP, Dht, DhtBuilder, DhtStats, Drops, Exchange, Fill,
    Firewall, Found, Health, Joined, KeptAnnouncement, KeyFile, KeyFileError, Limits, Listen, ListenError,
    Listening, LoadedKey, Lookup, Lost, Messages, Mode, MutableGet, MutableValue, NodeError, NodeState,
    NodeWatch, OpenStream, Overview, ParseAnnouncementError, ParseConnectAddressError, Path, Peers, Pong,
    ProvenKey, PunchRequest, PutError, QueryError, ReadHalf, Relay, RelayLimits, RelayStats, Report, Request,
    RequestError, Requests, Response, SendRequest, ServeRelay, Server, ServerAddress, SpawnError, Stage,
    Stats, Stored, Strategy, StreamError, Testnet, TestnetError, Traffic, WriteHalf,
};
#[doc(inline)]
pub use identity::{Identity, Signer, SignerError, Signing};
#[doc(inline)]
pub use keys::{KeyPair, ParseKeyError, PublicKey, SecretKeyError};
#[cfg(feature = "swarm")]
#[doc(inline)]
pub use swarm::Swarm;
