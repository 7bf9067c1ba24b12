//! What a connection's user and the driver share: a queue of bytes for each direction, the ciphers, and how
//! the connection ended.

mod end;
#[cfg(test)]
mod model;
mod shared;
#[cfg(test)]
mod tests;
mod transport_side;
mod user_side;

pub(crate) use end::End;
pub(super) use shared::{Link, Proof};
pub(crate) use user_side::MAX_DATAGRAM;
