//! Virtual time, links and worlds of nodes, for tests and for the simulator in `benches/tools`. Any release
//! may change them.

pub mod attacker;
pub mod bottleneck;
#[cfg(test)]
pub(crate) mod link;
pub mod nat;
pub mod network;
pub mod reference;
