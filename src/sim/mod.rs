//! Virtual time, links and worlds of nodes, for tests.

pub(crate) mod link;
pub(crate) mod nat;
pub(crate) mod network;
