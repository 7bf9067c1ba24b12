//! Peers that share a topic find each other: the API of Hyperswarm.
//!
//! A topic is 32 bytes. [`Swarm::join`] announces this peer under it, looks the others up, and keeps
//! connections with them. Peers that use npm `hyperswarm` 4 take part.
//!
//! ```
//! use hyperprofile::swarm::Join;
//! use hyperprofile::{Swarm, Testnet};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // `Dht::builder().spawn()` joins the public network instead.
//! let network = Testnet::new(3).await?;
//! let dht = network.builder().spawn().await?;
//! let swarm = Swarm::builder(&dht).spawn()?;
//! swarm.join([7; 32], Join::default()).flushed().await;
//!
//! let other = Swarm::builder(&network.nodes()[1]).spawn()?;
//! other.join([7; 32], Join::client());
//! let (mut connection, peer) = other.next().await.ok_or("closed")?;
//! assert_eq!(peer.public_key, *swarm.public_key());
//! connection.write_message(b"hello").await?;
//!
//! let (mut connection, _) = swarm.next().await.ok_or("closed")?;
//! assert_eq!(connection.read_message().await?.as_deref(), Some(&b"hello"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # The life of a swarm
//!
//! **Join.** A server is announced, a client looks up; by default a peer is both. With the first topic that
//! it announces, the swarm listens under its key. Each topic is refreshed every ten to twelve minutes, when
//! the node finds its network again, and by [`Discovery::refresh`].
//!
//! **Dial.** Peers that a lookup finds wait in a queue, those of a higher [`Priority`] first, and
//! [`max_parallel`](SwarmBuilder::max_parallel) are dialled at once while there are fewer than
//! [`max_peers`](SwarmBuilder::max_peers) connections. A dial that has taken 1 s makes room for another.
//!
//! **Connect.** There is one connection with each peer, over which all topics run. Where both sides dial at
//! the same time, both keep the connection that the peer with the greater key has dialled. A peer that dials
//! again has lost its connection, and the new one takes the place of the old. [`Swarm::next`] hands out each
//! connection that is used; one whose place another takes ends with [`StreamError`](crate::api::StreamError),
//! and the other one is handed out.
//!
//! **Try again.** When a connection ends, the side that has dialled it dials again after about 1 s; after a
//! second and a third end after 5 s and 15 s, and then not before a lookup finds the peer again. A peer that
//! was connected for 15 s starts anew. If the side that has dialled does not come back within 10 to 20 s, the
//! other one dials, if it has found the peer as well. A first dial that fails is followed by others after 5
//! s, 15 s and 15 s.
//!
//! **Leave, suspend, close.** [`Swarm::leave`] withdraws an announcement, [`Swarm::suspend`] all of them
//! until [`Swarm::resume`], [`Swarm::close`] for good. Connections end by the latter two.
//!
//! # What differs from JavaScript
//!
//! * A peer that dials is handed out, and takes the place of another connection, only once its key is
//!   [proven](crate::Connection::proven); the reference goes by the key that is claimed, which a recorded
//!   handshake claims as well.
//! * After a lookup that finds new peers, the topic is looked up again 2 to 4 s later, then after twice that,
//!   and so on, until one finds nobody new, or two in a row where there are more than 20 peers. A node names
//!   20 peers of a topic at most, and the reference looks again after ten minutes. Each peer that joins looks
//!   up once more after that time at least, and one that is also announced once more at once after that, so
//!   that peers which join at the same time find each other.
//! * A refresh that fails is repeated after 30 to 60 s.
//! * Announced peers that nobody answers for do not hold up others: when they are tried again they go behind
//!   all others, and dials that take long leave their place among those under way.
//! * The side that was dialled dials as well, as above: in JavaScript two peers whose connection was lost
//!   four times within a short time wait for the next lookup.
//! * A lookup does not shorten the time until a peer is tried again.
//! * What strangers can make grow is bounded: 1,024 peers of a topic,
//!   [`max_server_connections`](SwarmBuilder::max_server_connections), 64 connections that have ended and
//!   that nobody has taken.
//! * [`SwarmBuilder::allow`] bans nobody; [`Swarm::suspend`] and [`Swarm::close`] leave the node running.
//!
//! The figures are those of `hyperswarm` 4.17: `index.js`, `lib/peer-info.js`, `lib/retry-timer.js` and
//! `lib/peer-discovery.js`.

mod builder;
mod command;
mod core;
mod driver;
mod handle;
mod info;
mod listener;
mod outlet;
mod settings;
mod tasks;
#[cfg(test)]
mod tests;
mod waiters;

pub use self::core::Join;
pub use builder::SwarmBuilder;
pub use handle::{Connections, Discovery, Swarm, SwarmEvents};
pub use info::{PeerInfo, Priority, SwarmEvent, SwarmStats};
