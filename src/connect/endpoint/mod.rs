//! A whole peer: a DHT node, the streams on its sockets, and what turns two keys into one of these streams.
//!
//! [`verbs`] has what its driver calls, [`dispatch`] routes DHT and stream events to the attempt or server
//! that owns them, [`forward`] passes on what is meant for other nodes.

mod dispatch;
mod forward;
#[cfg(test)]
mod inspect;
mod verbs;

pub use verbs::Endpoint;
