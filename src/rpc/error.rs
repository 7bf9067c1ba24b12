//! Why calls fail.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::api::ConnectError;
use crate::mux::MuxError;

/// Why a call failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// The peer has answered with an error.
    #[error("the peer answered with an error: {0}")]
    Remote(RemoteError),
    /// There was no answer within the time of the call. The peer may still do what it was asked.
    #[error("the peer did not answer within {} ms", after.as_millis())]
    TimedOut {
        /// The time.
        after: Duration,
    },
    /// The answer is not encoded as the values of this side are: see
    /// [`Values`](super::Values).
    #[error("the value that the peer sent is not encoded as expected: set the same encoding on both sides")]
    Value,
    /// As many calls wait for their answers as may.
    #[error("{max} calls wait for their answers, as many as may on one channel")]
    TooMany {
        /// How many may.
        max: usize,
    },
    /// The peer has not proven that it knows the secret which this side has set as the capability.
    #[error("the peer does not know the secret that is set as the capability: set the same on both sides")]
    Capability,
    /// The server could not be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The channel has ended.
    #[error(transparent)]
    Channel(#[from] MuxError),
}

/// An error that the peer has answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteError {
    /// What kind of error it is, in capitals; empty if it has none. [`Self::UNKNOWN_METHOD`] and the like are
    /// those of the reference.
    pub code: String,
    /// What has happened.
    pub message: String,
    /// The error behind it, of the function that responded as a rule.
    pub cause: Option<Cause>,
}

/// What a function that responds fails with, and the peer sees as the cause of its error. Made of any error,
/// so that `?` works there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What has happened.
    pub message: String,
    /// What kind of error it is; empty for none.
    pub code: String,
    /// Anything else about it; empty for nothing.
    pub context: String,
}

impl RemoteError {
    /// The peer has nothing that responds to the method.
    pub const UNKNOWN_METHOD: &'static str = "UNKNOWN_METHOD";
    /// The function that responds has failed: see the cause.
    pub const REQUEST_ERROR: &'static str = "REQUEST_ERROR";
    /// The peer could not decode the value of the request.
    pub const DECODE_ERROR: &'static str = "DECODE_ERROR";
    /// The peer could not encode the value of the response.
    pub const ENCODE_ERROR: &'static str = "ENCODE_ERROR";

    pub(super) fn new(code: &str, message: impl Into<String>, cause: Option<Cause>) -> Self {
        Self { code: code.to_owned(), message: message.into(), cause }
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.code.is_empty() {
            write!(f, "{}: ", self.code)?;
        }
        f.write_str(&self.message)?;
        match &self.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl Cause {
    /// Makes one of a text.
    pub fn new(message: impl Into<String>) -> Self {
        Self::with_code("", message)
    }

    /// Makes one with a code, by which the peer distinguishes kinds of failures.
    pub fn with_code(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { message: message.into(), code: code.into(), context: String::new() }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.code.is_empty() {
            write!(f, "{}: ", self.code)?;
        }
        f.write_str(&self.message)?;
        if !self.context.is_empty() {
            write!(f, " ({})", self.context)?;
        }
        Ok(())
    }
}

impl<E: std::error::Error> From<E> for Cause {
    fn from(error: E) -> Self {
        Self::new(error.to_string())
    }
}

impl From<RpcError> for io::Error {
    fn from(error: RpcError) -> Self {
        let kind = match error {
            RpcError::Remote(_) => io::ErrorKind::Other,
            RpcError::TimedOut { .. } => io::ErrorKind::TimedOut,
            RpcError::Capability => io::ErrorKind::PermissionDenied,
            RpcError::Value => io::ErrorKind::InvalidData,
            RpcError::TooMany { .. } => io::ErrorKind::QuotaExceeded,
            RpcError::Connect(error) => return error.into(),
            RpcError::Channel(error) => return error.into(),
        };
        Self::new(kind, error)
    }
}
