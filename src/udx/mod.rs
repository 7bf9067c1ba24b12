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
//! | `claims`, `following` | packets from elsewhere, until it is known whether they are the peer's |
//! | `send`, `packet`, `outstanding`, `batch` | bytes for the peer, packets out, what was acknowledged |
//! | `recv`, `acks` | the bytes for the reader, packets that came too early, and when both are acknowledged |
//! | `window`, `memory` | flow control in both directions, and what all streams together may hold |
//! | `control` | what the path allows, from the next four |
//! | `loss`, `rtt` | which packets are lost: RACK, tail-loss probes, time-outs |
//! | `congestion`, `rate`, `pacing` | how much may be out and how fast it leaves: BBR |
//! | `mtu`, `division` | how large packets may be, and when those that are out can be made smaller |
//! | `liveness` | keep-alive, probes of a closed window, giving up |
//! | `timer`, `schedule` | what a stream waits for, and which stream is next |
//! | `measures` | what the owner of a stream can see of it |
//! | `tombstones` | how to answer for streams that are closed |
//!
//! The wire is `udx.md`, in which the sections below lie. A peer can see these differences from the
//! reference, but they are compatible (§21): a batch of received packets is acknowledged once (§9); data
//! carries acknowledgements; the window counts what waits for the reader, and its opening is announced (§11);
//! heartbeats without answers end a stream (§13); packets from anywhere but the stream's path (§3), or with
//! impossible numbers, have no effect.

mod acks;
mod batch;
mod claims;
mod congestion;
mod control;
mod credit;
mod division;
mod events;
mod following;
mod liveness;
mod loss;
mod measures;
mod memory;
mod mtu;
mod outstanding;
mod pacing;
mod packet;
mod paths;
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

pub use measures::Held;
pub use streams::Streams;
pub use types::{
    Admission, Closed, Config, CongestionControl, Event, StreamId, StreamOptions, StreamStats, Traffic,
    WriteError,
};
