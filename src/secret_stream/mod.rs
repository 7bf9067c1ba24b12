//! Encryption and framing of one stream (pure).
//!
//! Each direction of a connection is a chain of frames in an ordered byte stream, `length u24 ‖ content`
//! (`secret-stream.md` §3, as all sections below):
//!
//! | frame | content | size of the whole frame |
//! |---|---|---|
//! | first | stream id of the sender (32) ‖ random header of its cipher (24) | 59 |
//! | later | encrypted tag (1) ‖ encrypted message (n) ‖ MAC (16) | n + 20 |
//!
//! [`Push`] writes them, [`Pull`] reads them from an [`Input`] in any fragmentation. The cipher is
//! libsodium's secretstream, in which every message depends on all earlier ones: loss, replay and reordering
//! are failures of the MAC. Message borders survive; a caller that wants bytes only joins the messages. An
//! empty message is a keep-alive.
//!
//! [`Datagrams`] are sealed apart from that, each for itself: unordered, unreliable, and replayable by anyone
//! who saw one (§7).
//!
//! The end of a stream is the transport's and is not authenticated (§6): a protocol that must not be cut
//! short unnoticed brings its own last message.

mod cipher;
mod datagrams;
mod foresight;
mod keys;
mod pull;
mod push;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vector_tests;

pub use crate::buffer::ByteQueue;
pub use datagrams::{DATAGRAM_OVERHEAD, Datagrams, DatagramsExhausted};
pub use foresight::Verdict;
pub use keys::{HEADER_FRAME_LEN, Keys, MAX_MESSAGE, MESSAGE_OVERHEAD, STREAM_PREFIX_LEN};
pub use pull::{Input, Pull, PullError, Pulled};
pub use push::{Push, TooLarge};
