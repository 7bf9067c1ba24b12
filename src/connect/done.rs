//! What comes of the computations of a handshake.

use std::fmt;

use super::ids::{AttemptId, EntryId};
use super::noise::{Initiator, NoiseError, Session};
use crate::dht::RequestId;
use crate::wire::handshake::NoisePayload;

/// What a client said, and the answer to it.
#[derive(Debug)]
pub(super) struct Responded {
    pub(super) noise: Vec<u8>,
    pub(super) session: Session,
    pub(super) client: NoisePayload,
    pub(super) error: u64,
}

/// Why a client gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// Message 1 can't be read.
    Unreadable,
    /// The server has not admitted it.
    Refused,
}

/// The outcome of a computation, a decision or a signature.
pub(super) enum Done {
    Initiated {
        attempt: AttemptId,
        result: Result<(Box<Initiator>, Vec<u8>), NoiseError>,
    },
    Finished {
        attempt: AttemptId,
        initiator: Box<Initiator>,
        result: Result<Box<(NoisePayload, Session)>, NoiseError>,
    },
    Responded {
        entry: EntryId,
        result: Result<Box<Responded>, Unanswered>,
    },
    PunchDecided {
        entry: EntryId,
        is_allowed: bool,
    },
    Signed {
        request: RequestId,
        signature: Option<[u8; 64]>,
    },
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initiated { .. } => "Initiated",
            Self::Finished { .. } => "Finished",
            Self::Responded { .. } => "Responded",
            Self::PunchDecided { .. } => "PunchDecided",
            Self::Signed { .. } => "Signed",
        })
    }
}
