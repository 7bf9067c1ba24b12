//! The connections of a node, between their streams and the tasks of their users.

mod held;

pub(in crate::net) use held::Connections;
