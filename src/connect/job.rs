//! Handshake cryptography as bounded jobs, so that it can run beside the driver.

use std::fmt;
use std::net::SocketAddrV4;

use zeroize::Zeroizing;

use super::ids::{AttemptId, EntryId};
use super::noise::{Initiator, NoiseError, Responder, Session};
use super::options::FirewallHook;
use crate::keys::{KeyPair, PublicKey};
use crate::wire::handshake::{ERROR_ABORTED, ERROR_NONE, ERROR_VERSION_MISMATCH, NoisePayload, VERSION};

/// Handshake cryptography that runs beside the driver.
#[derive(Debug)]
pub struct Job(pub(super) Work);

impl Job {
    /// Does the work, some hundred microseconds of it. Never blocks, unless a server's firewall hook does.
    pub fn run(self) -> JobDone {
        JobDone(match self.0 {
            Work::Initiate(initiate) => Done::Initiated { attempt: initiate.attempt, result: initiate.run() },
            Work::Finish { attempt, mut initiator, noise } => {
                let result = initiator.finish(&noise).map(Box::new);
                Done::Finished { attempt, initiator, result }
            }
            Work::Respond(respond) => {
                Done::Responded { entry: respond.entry, result: respond.run().map(Box::new) }
            }
        })
    }
}

/// The outcome of a [`Job`].
#[derive(Debug)]
pub struct JobDone(pub(super) Done);

pub(super) enum Work {
    /// Write message 1.
    Initiate(Box<Initiate>),
    /// Read message 2.
    Finish { attempt: AttemptId, initiator: Box<Initiator>, noise: Vec<u8> },
    /// Read message 1 and write message 2.
    Respond(Box<Respond>),
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initiate(_) => "Initiate",
            Self::Finish { .. } => "Finish",
            Self::Respond(_) => "Respond",
        })
    }
}

/// Everything that message 1 takes.
pub(super) struct Initiate {
    pub(super) attempt: AttemptId,
    pub(super) key_pair: KeyPair,
    pub(super) remote: PublicKey,
    pub(super) ephemeral_seed: Zeroizing<[u8; 32]>,
    pub(super) payload: NoisePayload,
}

impl Initiate {
    fn run(self) -> Result<(Box<Initiator>, Vec<u8>), NoiseError> {
        let (initiator, noise) =
            Initiator::start(&self.key_pair, &self.remote, *self.ephemeral_seed, &self.payload)?;
        Ok((Box::new(initiator), noise))
    }
}

/// Everything that answering a client takes.
pub(super) struct Respond {
    pub(super) entry: EntryId,
    pub(super) key_pair: KeyPair,
    pub(super) noise: Vec<u8>,
    pub(super) ephemeral_seed: Zeroizing<[u8; 32]>,
    pub(super) firewall: Option<FirewallHook>,
    pub(super) client_address: SocketAddrV4,
    /// The answer's payload but for its error.
    pub(super) payload: NoisePayload,
}

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
    /// The firewall hook said no, or panicked.
    Refused,
}

impl Respond {
    fn run(self) -> Result<Responded, Unanswered> {
        let (responder, client) =
            Responder::read(&self.key_pair, &self.noise).map_err(|_: NoiseError| Unanswered::Unreadable)?;
        if let Some(firewall) = &self.firewall {
            let key = *responder.remote_public_key();
            // A hook is foreign code: its panic refuses this client and must not take the node down.
            let allowed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                firewall(&key, self.client_address)
            }));
            if !allowed.unwrap_or(false) {
                return Err(Unanswered::Refused);
            }
        }
        let error = match (&client.version, &client.udx) {
            (version, _) if *version != VERSION => ERROR_VERSION_MISMATCH,
            (_, None) => ERROR_ABORTED,
            _ => ERROR_NONE,
        };
        let mut payload = self.payload;
        payload.error = error;
        if error != ERROR_NONE
            && let Some(udx) = &mut payload.udx
        {
            udx.id = 0;
        }
        let (noise, session) = responder
            .write(*self.ephemeral_seed, &payload)
            .map_err(|_: NoiseError| Unanswered::Unreadable)?;
        Ok(Responded { noise, session, client, error })
    }
}

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
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initiated { .. } => "Initiated",
            Self::Finished { .. } => "Finished",
            Self::Responded { .. } => "Responded",
        })
    }
}
