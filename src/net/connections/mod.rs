//! The connections of a node, between their streams and the tasks of their users.

mod lingering;
mod overview;
#[cfg(test)]
mod rebinding;
mod table;
#[cfg(test)]
mod tests;

pub use overview::OpenStream;
pub(in crate::net) use table::Connections;
