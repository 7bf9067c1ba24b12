//! Many channels over one connection, compatible with npm `protomux`; with the feature `mux`.
//!
//! A [`Mux`] takes a [`Connection`](crate::Connection). Both sides open a channel by the name of a protocol
//! and an id, send typed messages on it, and close it. JavaScript applications use such channels on every
//! connection of hyperswarm: hypercore, corestore and `@hyperswarm/rpc` are protocols on them.
//!
//! ```
//! use hyperprofile::mux::Mux;
//! use hyperprofile::{KeyPair, Testnet};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let network = Testnet::new(3).await?;
//! # let server = network.nodes()[1].listen(KeyPair::generate()).await?;
//! # let dht = network.builder().spawn().await?;
//! let client = Mux::new(dht.connect(server.public_key()).await?);
//! let mut channel = client.open("greeting/1", b"").handshake(&b"hello"[..]).begin()?;
//! channel.send(0, b"how are you").await?;
//!
//! let served = Mux::new(server.accept().await.ok_or("closed")?);
//! let mut listener = served.listen("greeting/1")?;
//! let incoming = listener.accept().await.ok_or("closed")?;
//! assert_eq!(&incoming.handshake()[..], b"hello");
//! let mut answers = incoming.accept(b"welcome")?;
//! let message = answers.recv().await?.ok_or("closed")?;
//! assert_eq!((message.kind, &message.content[..]), (0, &b"how are you"[..]));
//!
//! assert_eq!(&channel.opened().await?[..], b"welcome");
//! drop(answers);
//! assert_eq!(channel.recv().await?, None);
//! # Ok(())
//! # }
//! ```
//!
//! # Back-pressure
//!
//! The protocol has no windows of its own. On the sending side, [`Channel::send`] waits while 64 KiB of its
//! channel wait, and channels take turns: one that has much to send does not hold up another. On the
//! receiving side the messages that nobody has received yet have one bound for the connection, 1 MiB. Above
//! it nothing is read from the connection, on which the peer's senders wait in the end: so each channel must
//! be read, or dropped. Streams ([`ByteStream`]) have a window each and hold up only themselves, between two
//! peers of this crate. [`tunnel`] carries TCP connections on them.
//!
//! The wire is in `docs/protocol/mux.md` of the repository.

mod channel;
mod core;
mod error;
mod forward;
mod frame;
mod handle;
mod listener;
mod message;
mod multiplexer;
mod open;
mod stream;
#[cfg(test)]
mod tests;
pub mod tunnel;

#[cfg(any(test, fuzzing))]
pub(crate) use self::core::hostile;
pub use channel::{Batch, Channel, Sender};
pub use error::{MuxError, Violation};
pub use listener::{Incoming, Listener};
pub use message::Message;
pub use multiplexer::Mux;
pub use open::Open;
pub use stream::{ByteStream, StreamListener};
