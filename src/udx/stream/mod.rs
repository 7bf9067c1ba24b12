//! One stream.
//!
//! | file | what is in it |
//! |---|---|
//! | `state` | the parts of a stream, and its owner's commands |
//! | `incoming` | what a received packet does |
//! | `output` | what is sent, when, and what a timer does |

mod incoming;
mod output;
mod state;

#[cfg(test)]
pub(super) use state::MAX_OUTGOING_MESSAGES;
pub(super) use state::{Stream, StreamContext};
