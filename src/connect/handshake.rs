//! The computations of a handshake: each message that is written or read.

use std::net::SocketAddrV4;
use std::panic::{AssertUnwindSafe, catch_unwind};

use zeroize::Zeroizing;

use super::done::{Done, Responded, Unanswered};
use super::ids::{AttemptId, EntryId};
use super::noise::{Initiator, NoiseError, Responder, Secret, Session};
use super::options::{AllowHook, Applicant, Decision};
use crate::keys::PublicKey;
use crate::wire::handshake::{ERROR_ABORTED, ERROR_NONE, ERROR_VERSION_MISMATCH, NoisePayload, VERSION};

/// A message to write or to read.
pub(super) enum Handshake {
    /// Write message 1.
    Initiate(Box<Initiate>),
    /// Read message 2.
    Finish(Box<Finish>),
    /// Read message 1 and write message 2.
    Respond(Box<Respond>),
}

/// How far that has come.
pub(super) enum Outcome {
    Done(Done),
    /// The server decides on the client.
    Asks(Decision, Box<Answering>),
    /// A signer has to multiply a point first.
    Wants([u8; 32], Handshake),
}

impl Handshake {
    pub(super) fn run(self) -> Outcome {
        match self {
            Self::Initiate(initiate) => match initiate.run() {
                Err(NoiseError::Wants(point)) => Outcome::Wants(point, Self::Initiate(initiate)),
                result => Outcome::Done(Done::Initiated { attempt: initiate.attempt, result }),
            },
            Self::Finish(mut finish) => match finish.run() {
                Err(NoiseError::Wants(point)) => Outcome::Wants(point, Self::Finish(finish)),
                result => {
                    let Finish { attempt, initiator, .. } = *finish;
                    Outcome::Done(Done::Finished { attempt, initiator, result })
                }
            },
            Self::Respond(respond) => respond.run(),
        }
    }

    /// Returns the outcome if the signer has not answered.
    pub(super) fn failed(self) -> Done {
        let error = NoiseError::Signer;
        match self {
            Self::Initiate(initiate) => Done::Initiated { attempt: initiate.attempt, result: Err(error) },
            Self::Finish(finish) => {
                let Finish { attempt, initiator, .. } = *finish;
                Done::Finished { attempt, initiator, result: Err(error) }
            }
            Self::Respond(respond) => {
                Done::Responded { entry: respond.entry, result: Err(Unanswered::Refused) }
            }
        }
    }

    pub(super) const fn secret(&self) -> &Secret {
        match self {
            Self::Initiate(initiate) => &initiate.secret,
            Self::Finish(finish) => finish.initiator.secret(),
            Self::Respond(respond) => &respond.secret,
        }
    }

    /// Adds what a signer has answered.
    pub(super) fn add(&mut self, point: [u8; 32], shared: [u8; 32]) {
        let secret = match self {
            Self::Initiate(initiate) => &mut initiate.secret,
            Self::Finish(finish) => finish.initiator.secret_mut(),
            Self::Respond(respond) => &mut respond.secret,
        };
        secret.add(point, shared);
    }
}

/// Everything that message 1 takes.
pub(super) struct Initiate {
    pub(super) attempt: AttemptId,
    pub(super) secret: Secret,
    pub(super) remote: PublicKey,
    pub(super) ephemeral_seed: Zeroizing<[u8; 32]>,
    pub(super) payload: NoisePayload,
}

impl Initiate {
    fn run(&self) -> Result<(Box<Initiator>, Vec<u8>), NoiseError> {
        let secret = self.secret.clone();
        let (initiator, noise) = Initiator::start(secret, &self.remote, *self.ephemeral_seed, &self.payload)?;
        Ok((Box::new(initiator), noise))
    }
}

/// Everything that reading message 2 takes.
pub(super) struct Finish {
    pub(super) attempt: AttemptId,
    pub(super) initiator: Box<Initiator>,
    pub(super) noise: Vec<u8>,
}

impl Finish {
    fn run(&mut self) -> Result<Box<(NoisePayload, Session)>, NoiseError> {
        self.initiator.finish(&self.noise).map(Box::new)
    }
}

/// Everything that answering a client takes.
pub(super) struct Respond {
    pub(super) entry: EntryId,
    pub(super) secret: Secret,
    pub(super) noise: Vec<u8>,
    pub(super) ephemeral_seed: Zeroizing<[u8; 32]>,
    pub(super) allow: Option<AllowHook>,
    pub(super) client_address: SocketAddrV4,
    pub(super) is_forwarded: bool,
    /// The answer's payload but for its error.
    pub(super) payload: NoisePayload,
}

/// A client whose message 1 has been read.
pub(super) struct Answering {
    respond: Respond,
    responder: Responder,
    client: NoisePayload,
}

impl Respond {
    /// Reads message 1, asks the server whether the client is admitted if it wants to be asked, and writes
    /// message 2 otherwise.
    fn run(self: Box<Self>) -> Outcome {
        let entry = self.entry;
        let unanswered = |reason| Outcome::Done(Done::Responded { entry, result: Err(reason) });
        let (responder, client) = match Responder::read(self.secret.clone(), &self.noise) {
            Ok(read) => read,
            Err(NoiseError::Wants(point)) => return Outcome::Wants(point, Handshake::Respond(self)),
            Err(_) => return unanswered(Unanswered::Unreadable),
        };
        let asked = self.allow.as_ref().map(|allow| {
            let applicant = Applicant {
                claimed_key: *responder.remote_public_key(),
                address: self.client_address,
                named_addresses: client.addresses4.clone(),
                is_forwarded: self.is_forwarded,
                relay_through: client.relay_through.as_ref().map(|offer| offer.public_key),
            };
            // This is foreign code: its panic refuses this client and must not take the node down.
            catch_unwind(AssertUnwindSafe(|| allow(applicant)))
        });
        let answering = Box::new(Answering { respond: *self, responder, client });
        match asked {
            None => Outcome::Done(answering.finish(true)),
            Some(Ok(decision)) => Outcome::Asks(decision, answering),
            Some(Err(_)) => unanswered(Unanswered::Refused),
        }
    }
}

impl Answering {
    pub(super) fn finish(self, is_admitted: bool) -> Done {
        let entry = self.respond.entry;
        let result = if is_admitted { self.write().map(Box::new) } else { Err(Unanswered::Refused) };
        Done::Responded { entry, result }
    }

    /// Writes message 2.
    fn write(self) -> Result<Responded, Unanswered> {
        let Self { respond, responder, client } = self;
        let error = match (&client.version, &client.udx) {
            (version, _) if *version != VERSION => ERROR_VERSION_MISMATCH,
            (_, None) => ERROR_ABORTED,
            _ => ERROR_NONE,
        };
        let mut payload = respond.payload;
        payload.error = error;
        if error != ERROR_NONE
            && let Some(udx) = &mut payload.udx
        {
            udx.id = 0;
        }
        let (noise, session) = responder
            .write(*respond.ephemeral_seed, &payload)
            .map_err(|_: NoiseError| Unanswered::Unreadable)?;
        Ok(Responded { noise, session, client, error })
    }
}
