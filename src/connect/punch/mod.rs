//! Holepunching: two peers behind NATs open the way to each other with small datagrams, told when and where
//! by messages through a node that both reach.
//!
//! `strategy` knows which probes open which pair of NATs and when they leave; `puncher` has the socket that
//! punches begin from; `client` and `server` lead the conversation; `bounds` keeps strangers from using us
//! against others.

mod bounds;
mod client;
mod puncher;
mod remote;
mod running;
mod server;
mod sockets;
mod strategy;

pub(super) use bounds::{Budget, Throttle};
pub(super) use client::{Peer, Punch, Verdict};
pub(super) use puncher::Puncher;
pub(super) use server::{Guest, Handled};
pub(super) use sockets::{Purpose, Sockets};
pub(super) use strategy::LONGEST;
pub use strategy::Strategy;
