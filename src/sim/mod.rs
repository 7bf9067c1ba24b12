//! Virtual time, links and worlds of nodes, for tests and for the simulator in `benches/tools`. Not part of
//! the interface of the library.

pub mod attacker;
pub mod bottleneck;
#[cfg(test)]
pub(crate) mod link;
pub mod nat;
pub mod network;
pub mod reference;
