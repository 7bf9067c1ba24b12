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

#[cfg(test)]
pub(super) use serve::MAX_HELD;
pub use verbs::Node;
