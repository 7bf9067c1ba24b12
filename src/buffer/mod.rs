//! Bytes on their way, and the memory for them (pure).

mod pool;
mod queue;

pub(crate) use pool::{MAX_SPARES, Pool};
pub use queue::ByteQueue;
