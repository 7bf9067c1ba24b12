//! Handshake cryptography as bounded jobs, so that it can run beside the driver.

use std::fmt;
use std::net::SocketAddrV4;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{self, Poll, Waker};

use zeroize::Zeroizing;

use super::ids::{AttemptId, EntryId};
use super::noise::{Initiator, NoiseError, Responder, Session};
use super::options::{AllowHook, Applicant, Decision, PunchHook, PunchRequest};
use crate::keys::{KeyPair, PublicKey};
use crate::wire::handshake::{ERROR_ABORTED, ERROR_NONE, ERROR_VERSION_MISMATCH, NoisePayload, VERSION};

/// Handshake cryptography that runs beside the driver.
#[derive(Debug)]
pub struct Job(pub(super) Work);

impl Job {
    /// Does the work to its end, for those without a runtime: a decision that is not ready at once is a
    /// refusal.
    #[cfg_attr(not(feature = "unstable-core"), allow(dead_code))]
    pub fn run(self) -> JobDone {
        match self.start() {
            Step::Done(done) => done,
            Step::Asks(mut question) => {
                let mut cx = task::Context::from_waker(Waker::noop());
                let decided = question.decision.as_mut().poll(&mut cx);
                question.decided(decided == Poll::Ready(true)).run()
            }
        }
    }

    /// Does the work, some hundred microseconds of it, as far as it can be done without a decision of the
    /// server.
    pub fn start(self) -> Step {
        Step::Done(JobDone(match self.0 {
            Work::Initiate(initiate) => Done::Initiated { attempt: initiate.attempt, result: initiate.run() },
            Work::Finish { attempt, mut initiator, noise } => {
                let result = initiator.finish(&noise).map(Box::new);
                Done::Finished { attempt, initiator, result }
            }
            Work::Respond(respond) => {
                let entry = respond.entry;
                match respond.read() {
                    Ok((decision, answering)) => match decision {
                        Some(decision) => {
                            return Step::Asks(Question { decision, about: About::Client(answering) });
                        }
                        None => answering.finish(true),
                    },
                    Err(reason) => Done::Responded { entry, result: Err(reason) },
                }
            }
            Work::Decided(answering, is_admitted) => answering.finish(is_admitted),
            Work::AskForPunch { entry, hook, request } => {
                // This is foreign code, as that of [`Respond::read`].
                match catch_unwind(AssertUnwindSafe(|| hook(*request))) {
                    Ok(decision) => return Step::Asks(Question { decision, about: About::Punch(entry) }),
                    Err(_) => Done::PunchDecided { entry, is_allowed: false },
                }
            }
            Work::PunchDecided { entry, is_allowed } => Done::PunchDecided { entry, is_allowed },
        }))
    }
}

/// How far a [`Job`] has come.
#[derive(Debug)]
pub enum Step {
    /// It is done.
    Done(JobDone),
    /// The server has to decide first.
    Asks(Question),
}

/// What waits for the decision of a server.
pub struct Question {
    /// The decision, whose panic is a refusal.
    pub decision: Decision,
    about: About,
}

enum About {
    /// Whether a client is admitted.
    Client(Box<Answering>),
    /// Whether a client is punched to.
    Punch(EntryId),
}

impl Question {
    /// Returns what is to be done then.
    pub fn decided(self, is_allowed: bool) -> Job {
        Job(match self.about {
            About::Client(answering) => Work::Decided(answering, is_allowed),
            About::Punch(entry) => Work::PunchDecided { entry, is_allowed },
        })
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Question")
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
    /// Write message 2, or not.
    Decided(Box<Answering>, bool),
    /// Ask a server whether it punches.
    AskForPunch { entry: EntryId, hook: PunchHook, request: Box<PunchRequest> },
    /// Report what the server has decided.
    PunchDecided { entry: EntryId, is_allowed: bool },
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initiate(_) => "Initiate",
            Self::Finish { .. } => "Finish",
            Self::Respond(_) => "Respond",
            Self::Decided(..) => "Decided",
            Self::AskForPunch { .. } => "AskForPunch",
            Self::PunchDecided { .. } => "PunchDecided",
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
    pub(super) allow: Option<AllowHook>,
    pub(super) client_address: SocketAddrV4,
    pub(super) is_forwarded: bool,
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
    /// The server has not admitted it.
    Refused,
}

/// A client whose message 1 has been read.
pub(super) struct Answering {
    respond: Respond,
    responder: Responder,
    client: NoisePayload,
}

impl Respond {
    /// Reads message 1, and asks the server whether the client is admitted if it wants to be asked.
    fn read(self) -> Result<(Option<Decision>, Box<Answering>), Unanswered> {
        let (responder, client) =
            Responder::read(&self.key_pair, &self.noise).map_err(|_: NoiseError| Unanswered::Unreadable)?;
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
        let decision = asked.transpose().map_err(|_| Unanswered::Refused)?;
        Ok((decision, Box::new(Answering { respond: self, responder, client })))
    }
}

impl Answering {
    fn finish(self, is_admitted: bool) -> Done {
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
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initiated { .. } => "Initiated",
            Self::Finished { .. } => "Finished",
            Self::Responded { .. } => "Responded",
            Self::PunchDecided { .. } => "PunchDecided",
        })
    }
}
