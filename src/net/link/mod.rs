//! What a connection's task and the driver share: a ring of bytes for each direction, the ciphers, and how it
//! ended.

mod driver;
mod end;
mod shared;
mod task;
#[cfg(test)]
mod tests;

pub(crate) use end::End;
pub(super) use shared::{Link, Proof};
pub(crate) use task::{Handle, MAX_DATAGRAM};
