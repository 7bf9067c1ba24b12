//! Handshake cryptography as bounded jobs, so that it can run beside the driver.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{self, Poll, Waker};

use tracing::warn;
use zeroize::Zeroizing;

use super::done::Done;
use super::handshake::{Answering, Handshake, Outcome};
use super::ids::EntryId;
use super::options::{Decision, PunchHook, PunchRequest};
use crate::dht::{RequestId, Unsigned};
use crate::identity::SignerError;

/// Handshake cryptography that runs beside the driver.
#[derive(Debug)]
pub struct Job(pub(super) Work);

impl Job {
    /// Does the work to its end, for those without a runtime: what is not ready at once fails.
    #[cfg_attr(not(feature = "unstable-core"), allow(dead_code))]
    pub fn run(self) -> JobDone {
        match self.start() {
            Step::Done(done) => done,
            Step::Asks(mut question) => {
                let mut cx = task::Context::from_waker(Waker::noop());
                match question.reply.as_mut().poll(&mut cx) {
                    Poll::Ready(reply) => question.answered(Some(reply)).run(),
                    Poll::Pending => question.answered(None).run(),
                }
            }
        }
    }

    /// Does the work, some hundred microseconds of it, as far as it can be done without a decision of the
    /// server or an answer of a signer.
    pub fn start(self) -> Step {
        Step::Done(JobDone(match self.0 {
            Work::Handshake(handshake) => match handshake.run() {
                Outcome::Done(done) => done,
                Outcome::Asks(decision, answering) => {
                    return Step::Asks(Question::decision(decision, About::Client(answering)));
                }
                Outcome::Wants(point, handshake) => return exchange(point, handshake),
            },
            Work::Failed(handshake) => handshake.failed(),
            Work::Sign { request, unsigned } => {
                // The signer is foreign code: not a line of it runs here.
                let reply = async move { unsigned.signer.sign(unsigned.message).await.map(Reply::Signature) };
                return Step::Asks(Question { reply: logged(reply), about: About::Announcement(request) });
            }
            Work::Signed { request, signature } => Done::Signed { request, signature },
            Work::Decided(answering, is_admitted) => answering.finish(is_admitted),
            Work::AskForPunch { entry, hook, request } => {
                // This is foreign code, as the hook that `Respond::run` calls.
                match catch_unwind(AssertUnwindSafe(|| hook(*request))) {
                    Ok(decision) => return Step::Asks(Question::decision(decision, About::Punch(entry))),
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
    /// The server has to decide first, or a signer to answer.
    Asks(Question),
}

/// What waits for a server or a signer.
pub struct Question {
    /// What they answer, whose panic is a refusal.
    pub reply: Pin<Box<dyn Future<Output = Reply> + Send>>,
    about: About,
}

/// The answer to a [`Question`].
pub enum Reply {
    /// A server admits the client or the punch, or not.
    Decision(bool),
    /// A signer has signed.
    Signature([u8; 64]),
    /// A signer has multiplied the point.
    Exchange(Zeroizing<[u8; 32]>),
    /// A signer has failed.
    Nothing,
}

enum About {
    /// Whether a client is admitted.
    Client(Box<Answering>),
    /// Whether a client is punched to.
    Punch(EntryId),
    /// The signature of an announcement.
    Announcement(RequestId),
    /// What a point comes to, without which the handshake does not go on.
    Exchange([u8; 32], Handshake),
}

impl Question {
    fn decision(decision: Decision, about: About) -> Self {
        Self { reply: Box::pin(async { Reply::Decision(decision.await) }), about }
    }

    /// Returns what is to be done then. `None` is an answer that has not come in time.
    pub fn answered(self, reply: Option<Reply>) -> Job {
        let is_allowed = matches!(reply, Some(Reply::Decision(true)));
        Job(match self.about {
            About::Client(answering) => Work::Decided(answering, is_allowed),
            About::Punch(entry) => Work::PunchDecided { entry, is_allowed },
            About::Announcement(request) => {
                let signature = match reply {
                    Some(Reply::Signature(signature)) => Some(signature),
                    _ => None,
                };
                Work::Signed { request, signature }
            }
            About::Exchange(point, mut handshake) => match reply {
                Some(Reply::Exchange(shared)) => {
                    handshake.add(point, *shared);
                    Work::Handshake(handshake)
                }
                _ => Work::Failed(handshake),
            },
        })
    }
}

/// Asks the signer to multiply a point.
fn exchange(point: [u8; 32], handshake: Handshake) -> Step {
    let signer = handshake.secret().identity().secret().err().cloned();
    let reply = async move {
        match signer {
            Some(signer) => Ok(Reply::Exchange(signer.exchange(point).await?.into())),
            // A key pair wants nothing.
            None => Ok(Reply::Nothing),
        }
    };
    Step::Asks(Question { reply: logged(reply), about: About::Exchange(point, handshake) })
}

/// Makes nothing of an error, and logs it.
fn logged(
    reply: impl Future<Output = Result<Reply, SignerError>> + Send + 'static,
) -> Pin<Box<dyn Future<Output = Reply> + Send>> {
    Box::pin(async {
        reply.await.unwrap_or_else(|error| {
            warn!(%error, "the signer has failed");
            Reply::Nothing
        })
    })
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
    /// Read or write a handshake message.
    Handshake(Handshake),
    /// Report that the signer has not done its part in that.
    Failed(Handshake),
    /// Write message 2, or not.
    Decided(Box<Answering>, bool),
    /// Ask a server whether it punches.
    AskForPunch { entry: EntryId, hook: PunchHook, request: Box<PunchRequest> },
    /// Report what the server has decided.
    PunchDecided { entry: EntryId, is_allowed: bool },
    /// Have an announcement signed.
    Sign { request: RequestId, unsigned: Box<Unsigned> },
    /// Report the signature.
    Signed { request: RequestId, signature: Option<[u8; 64]> },
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake(_) => "Handshake",
            Self::Sign { .. } => "Sign",
            Self::Signed { .. } => "Signed",
            Self::Failed(_) => "Failed",
            Self::Decided(..) => "Decided",
            Self::AskForPunch { .. } => "AskForPunch",
            Self::PunchDecided { .. } => "PunchDecided",
        })
    }
}
