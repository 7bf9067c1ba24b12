//! Why channels and muxes end.

use std::io;

use crate::api::StreamError;

/// Why an operation on a channel or a mux failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MuxError {
    /// The peer has refused the channel: it has nothing that speaks the protocol, or no room for another
    /// channel.
    #[error("the peer refused the channel: nothing there speaks its protocol, or it has too many channels")]
    Rejected,
    /// The channel has been closed, by the peer or on this side, or the connection has ended in order.
    #[error("the channel has been closed")]
    Closed,
    /// The connection has as many channels as it may have.
    #[error("the connection has {max} channels, as many as it may have: close one first")]
    TooMany {
        /// How many it may have.
        max: usize,
    },
    /// The mux has a listener for this protocol and id already.
    #[error("something listens for this protocol and id already: drop that listener first")]
    Listening,
    /// The message is too large to be sent.
    #[error("a message of {size} bytes is too large, at most {max} fit a message of the connection")]
    TooLarge {
        /// Size of the message in bytes, what the mux puts in front of it included.
        size: usize,
        /// What is allowed, in bytes.
        max: usize,
    },
    /// The peer broke the protocol, and the connection was reset.
    #[error("the peer broke the protocol of channels: {0}")]
    Protocol(Violation),
    /// The connection has failed.
    #[error("the connection of the channel has failed: {0}")]
    Connection(#[from] StreamError),
}

/// How a peer broke the protocol of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A message ends inside of a field.
    #[error("a message ends inside of a field")]
    Truncated,
    /// An integer is larger than the encoding allows.
    #[error("an integer is larger than the encoding allows")]
    IntegerTooLarge,
    /// The name of a protocol is not UTF-8.
    #[error("the name of a protocol is not UTF-8")]
    InvalidText,
    /// A batch contains another batch.
    #[error("a batch contains another batch")]
    NestedBatch,
    /// A channel was opened with a number that is in use, or is not the next one.
    #[error("a channel was opened with a number that is in use, or not the next one")]
    BadNumber,
    /// A channel was rejected that was not offered.
    #[error("a channel was rejected that was not offered")]
    NotOffered,
    /// A stream was sent more than its window allows.
    #[error("a stream was sent more than its window allows")]
    WindowExceeded,
}

impl From<MuxError> for io::Error {
    fn from(error: MuxError) -> Self {
        let kind = match error {
            MuxError::Rejected => io::ErrorKind::ConnectionRefused,
            MuxError::Closed => io::ErrorKind::BrokenPipe,
            MuxError::TooMany { .. } => io::ErrorKind::QuotaExceeded,
            MuxError::Listening => io::ErrorKind::AddrInUse,
            MuxError::TooLarge { .. } => io::ErrorKind::InvalidInput,
            MuxError::Protocol(_) => io::ErrorKind::InvalidData,
            MuxError::Connection(error) => return error.into(),
        };
        Self::new(kind, error)
    }
}
