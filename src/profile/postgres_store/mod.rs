//! Records in a database that speaks PostgreSQL's protocol.
//!
//! Several processes may use one database at once. A change is one statement that names what must be stored
//! for it (`rows.rs`), so that of two changes of one version one alone is made; if it changes no row,
//! [`KeyEntry::decide`] decides about what is there.
//!
//! # Durability
//!
//! A change is acknowledged when its transaction has committed with `synchronous_commit`, which every session
//! sets; with a synchronous standby it is then on the standby as well. Two outcomes of a commit are unknown:
//! the connection is lost before the answer, or the answer comes with a warning (a wait for a standby that
//! was cancelled commits with a warning). Such a change is made again. If it turns out to be there already,
//! it is confirmed by a write of its own before it is acknowledged: that the row is visible does not show
//! that the standby has it.
//!
//! Time-outs are on this side, and end the session: `statement_timeout` would cancel a wait for a standby.
//!
//! # Failures
//!
//! What may succeed later (a lost connection, a server that starts or is a standby now, a conflict of
//! transactions) is tried again, for five seconds in all. Then the call fails with
//! [`StoreError::Unavailable`], and later calls try again by themselves.
//!
//! [`KeyEntry::decide`]: super::entry::KeyEntry::decide
//! [`StoreError::Unavailable`]: super::store::StoreError::Unavailable

mod calls;
#[cfg(test)]
#[path = "../../../tests/support/postgres.rs"]
mod cluster;
#[cfg(test)]
mod crashes;
mod failure;
mod member;
mod notifications;
mod outbox;
mod rows;
mod schema;
mod session;
mod shared;
mod snapshot;
mod store;
#[cfg(test)]
pub(super) mod tests;
mod url;

pub use member::Membership;
pub use snapshot::PostgresSnapshot;
pub use store::PostgresStore;
pub use url::{ParseUrlError, PostgresUrl};
