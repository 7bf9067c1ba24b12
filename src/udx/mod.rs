//! Reliable ordered streams over datagrams (sans-IO).
//!
//! UDX has no handshake: two sides tell each other their stream ids out of band, connect, and send. Each
//! direction is a stream of bytes in numbered packets that ends by itself; beside it go unordered messages.
//! [`Streams`] is the table of all streams of a node; everything below it belongs to one stream:
//!
//! | module | what it knows |
//! |---|---|
//! | `stream`, `incoming`, `output` | one stream: what its owner asks, what a packet does, what it sends and when |
//! | `chunks`, `pool` | queues of bytes, and memory for them that no idle stream holds |
//! | `send`, `recv` | the two byte queues, and the packets that are out or came too early |
//! | `loss`, `rtt` | which packets are lost: RACK, tail-loss probes, time-outs |
//! | `congestion`, `rate`, `pacing` | how much may be out and how fast it leaves: BBR |
//! | `mtu` | how large packets may be |
//! | `credit` | how much a path gets before it has spoken |
//! | `liveness` | keep-alive, probes of a closed window, giving up |
//! | `tombstones` | how to answer for streams that are closed |
//!
//! Where this differs from the reference, which a peer can see but not mind: a batch of received packets is
//! acknowledged once; data carries acknowledgements; the window counts what waits for the reader, and its
//! opening is announced; heartbeats without answers end a stream; packets from anywhere but the stream's
//! path, or with impossible numbers, have no effect.

mod chunks;
mod congestion;
mod credit;
mod events;
mod incoming;
mod liveness;
mod loss;
mod mtu;
mod output;
mod pacing;
mod pool;
mod rate;
mod recv;
mod rtt;
mod send;
mod seq;
mod stream;
mod streams;
#[cfg(test)]
mod tests;
mod tombstones;
mod types;

pub use liveness::PATIENCE;
pub(crate) use pool::Pool;
pub use streams::Streams;
pub use types::{Admission, Closed, Config, Event, StreamId, WriteError};
