//! Records in a sled database, durable when acknowledged.
//!
//! On Linux `sled::Db::flush` ends in `sync_file_range`, after which a power failure can still lose what was
//! written: the disk's own cache is not flushed, nor is the file's length. So a commit here is a flush
//! followed by `fdatasync` of the one file that holds the data. Large values would go to files of their own,
//! which neither call syncs; segments are made large enough that none is that large, and a store that has
//! such files is refused.

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
