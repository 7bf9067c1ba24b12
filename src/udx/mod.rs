//! Reliable ordered streams over datagrams (sans-IO).
//!
//! UDX has no handshake: two sides exchange their stream ids out of band, connect, and send. Each
//! direction is a stream of bytes in numbered packets that ends by itself; beside it go unordered messages.
//! [`Streams`] is the table of all streams of a node; everything below it belongs to one stream:
//!
//! | module | what it knows |
//! |---|---|
//! | `stream` | one stream: what its owner asks, what a packet does, what it sends and when |
//! | `paths`, `credit` | where packets come from and go to, and how much a path gets before it has spoken |
//! | `send`, `outstanding` | the bytes for the peer, and the packets that are out |
//! | `recv`, `acks` | the bytes for the reader, packets that came too early, and what the peer is told of both |
//! | `window` | flow control in both directions |
//! | `control` | what the path allows, from the next four |
//! | `loss`, `rtt` | which packets are lost: RACK, tail-loss probes, time-outs |
//! | `congestion`, `rate`, `aggregation`, `pacing` | how much may be out and how fast it leaves: BBR |
//! | `mtu` | how large packets may be |
//! | `liveness` | keep-alive, probes of a closed window, giving up |
//! | `timer`, `schedule` | what a stream waits for, and which stream is next |
//! | `tombstones` | how to answer for streams that are closed |
//!
//! Where this differs from the reference, which a peer can see but not mind: a batch of received packets is
//! acknowledged once; data carries acknowledgements; the window counts what waits for the reader, and its
//! opening is announced; heartbeats without answers end a stream; packets from anywhere but the stream's
//! path, or with impossible numbers, have no effect.

mod acks;
mod aggregation;
mod chunks;
mod congestion;
mod control;
mod credit;
mod events;
mod liveness;
mod loss;
mod mtu;
mod outstanding;
mod pacing;
mod paths;
mod pool;
mod rate;
mod recv;
mod rtt;
mod schedule;
mod send;
mod seq;
mod stream;
mod streams;
#[cfg(test)]
mod tests;
mod timer;
mod tombstones;
mod types;
mod window;

pub use liveness::PEER_TIMEOUT;
pub(crate) use pool::Pool;
pub use streams::Streams;
pub use types::{Admission, Closed, Config, Event, StreamId, WriteError};
