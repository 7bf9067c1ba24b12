//! The node: the parts of the parent module put together. `verbs` holds the type and what the layer above
//! calls; the other files hold what it does, by occasion.

mod exchange;
mod join;
mod learn;
mod operate;
mod search;
mod serve;
mod upkeep;
mod verbs;

pub use verbs::Node;
#[cfg(test)]
pub(super) use {search::MAX_KNOWN, serve::MAX_HELD};
