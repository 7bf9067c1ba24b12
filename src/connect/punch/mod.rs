//! Holepunching: two peers behind NATs open a path to each other with small datagrams (`connect.md` §8, §9).
//!
//! [`plan`] knows which probes open which pair of NATs and when they leave, [`run`] carries a plan out,
//! [`puncher`] owns the socket that punches begin from, [`remote`] what a peer has named and proven.
//! [`bounds`] keeps peers from aiming probes at others. [`Kit`] holds what all punches share. The messages
//! that lead a punch are exchanged in `dial::punching` and `serve::punching`.

mod bounds;
mod kit;
mod many_sockets;
mod plan;
mod puncher;
mod remote;
mod run;
mod sockets;
mod step;

pub(super) use kit::{Kit, Probe};
pub(super) use many_sockets::LONGEST;
pub use plan::Strategy;
pub(super) use remote::Remote;
pub(super) use run::Run;
pub(super) use sockets::{Purpose, Sockets};
