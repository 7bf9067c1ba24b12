//! Virtual time, links and worlds of nodes, for tests and for the simulator in `examples`. No part of the
//! library's interface.

pub mod attacker;
#[cfg(test)]
pub(crate) mod link;
pub mod nat;
pub mod network;
