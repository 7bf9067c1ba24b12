//! The connections of a node, between their streams and the tasks of their users.

mod lingering;
#[cfg(test)]
mod rebinding;
mod table;
#[cfg(test)]
mod tests;

pub(in crate::net) use table::Connections;
