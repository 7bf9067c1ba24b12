//! Records in a sled database, encrypted, durable when acknowledged, and verified against a witness.
//!
//! # The folder
//!
//! | name | content |
//! |---|---|
//! | `lock` | locked by the process that uses the folder |
//! | `witness` | what was acknowledged last: a commit number, how many entries, their sum (`witness.rs`) |
//! | `keys` | the keys of the profiles, in slots that a deletion overwrites (`slots.rs`) |
//! | `records.N` | the database, of the generation that the witness names; its entries: `codec.rs` |
//! | `records` | a notice, in the place where format 1 has its database (`migrate.rs`) |
//!
//! No file holds a profile in the clear.
//!
//! # Writing
//!
//! Changes are made in groups, each with the next commit number (`committer.rs`): the entries are written to
//! the database and synced, then the witness is written and synced, then the keys of deleted profiles are
//! overwritten and synced. After that the changes are answered. The first write or sync that fails is the
//! last: every later call fails, until the store is opened again. A disk that is nearly full refuses changes
//! before that.
//!
//! On Linux `sled::Db::flush` ends in `sync_file_range`, after which a power failure can still lose what was
//! written: neither the disk's cache nor the file's length is flushed. So a flush is followed by `fdatasync`
//! of the file that holds the data. Large values would go to files of their own, which neither call syncs;
//! segments are made large enough that no value is that large, and a store with such files fails.
//!
//! # Opening
//!
//! sled takes the first message that it can't read for the end of its log, and clears what follows. So it
//! only opens a copy (`open.rs`), `records.M`, whose entries are then compared with the witness
//! (`survey.rs`). If they are those that were acknowledged, and at most one more group of changes, the
//! witness is made to name M, and `records.N` is removed. If they are not, but are without sled's snapshot,
//! which it can make anew from its log, that is taken, with a warning. Otherwise the copy is removed,
//! [`StoreError::Lost`] says what is missing, and no other file was changed. A database whose file of data is
//! missing or empty is not opened at all: sled would begin a new one.
//!
//! [`StoreError::Lost`]: super::store::StoreError::Lost

mod codec;
mod committer;
mod database;
#[cfg(test)]
mod durability;
mod files;
mod folder;
mod known;
#[cfg(test)]
mod memory;
mod meter;
mod migrate;
mod open;
mod shared;
mod slots;
mod snapshot;
#[cfg(test)]
mod speed;
mod store;
mod survey;
#[cfg(test)]
mod tests;
mod witness;

#[cfg(feature = "postgres")]
pub(super) use meter::Meter;
pub use meter::StoreStats;
pub use snapshot::Snapshot;
pub use store::SledStore;
