//! The channels of one connection as a state machine without I/O.
//!
//! | file | holds |
//! |---|---|
//! | `state` | the tables, what of them is bounded, and the end |
//! | `owner` | what the application calls |
//! | `peer` | what the frames of the peer do |
//! | `out` | which frame is sent next |
//! | `streams` | byte streams and their windows, on channels |
//! | `window` | how much a stream may be sent |
//!
//! Each side numbers the channels that it has opened. A channel exists once both sides have opened one with
//! the same protocol and id; of several with the same, the first of one side belongs to the first of the
//! other. A number is free again once the other side knows: after it has answered, and after the close has
//! been sent.

#[cfg(any(test, fuzzing))]
mod hostile;
mod out;
mod owner;
mod peer;
mod state;
mod streams;
#[cfg(test)]
mod tests;
mod window;

#[cfg(any(test, fuzzing))]
pub(crate) use hostile::hostile;
pub(super) use owner::Opening;
pub(super) use state::{ChannelId, Core, ListenerId, OfferId};
pub(super) use streams::data;
pub(super) use window::MAX_DATA;
