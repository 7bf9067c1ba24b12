//! Records in a sled database, durable when acknowledged.
//!
//! On Linux `sled::Db::flush` ends in `sync_file_range`, after which a power failure can still lose what was
//! written: neither the disk's cache nor the file's length is flushed. A commit here is a flush followed by
//! `fdatasync` of the file that holds the data. Large values would go to files of their own, which neither
//! call syncs; segments are made large enough that no value is that large, and a store with such files is
//! refused.

mod codec;
mod committer;
#[cfg(test)]
mod durability;
#[cfg(test)]
mod memory;
mod open;
#[cfg(test)]
mod tests;

pub use open::SledStore;
