//! What an attempt handles, and what comes of it.

use super::reply::ServerAnswer;
use crate::connect::ids::Place;
use crate::connect::noise::{Initiator, NoiseError, Session};
use crate::connect::report::Failure;
use crate::dht::{Answer, QueryError, QueryOutcome, RequestError, RequestId};
use crate::udx;
use crate::wire::handshake::NoisePayload;
use crate::wire::transmit::SocketId;

/// What an attempt has to handle.
#[derive(Debug)]
pub(in crate::connect) enum Input {
    /// Message 1 is written.
    Initiated(Result<(Box<Initiator>, Vec<u8>), NoiseError>),
    /// An answer to message 1 was read.
    Finished(Box<Initiator>, Result<Box<(NoisePayload, Session)>, NoiseError>),
    /// A node has answered the lookup.
    QueryAnswer(Answer),
    QueryDone(Result<QueryOutcome, QueryError>),
    Answer(RequestId, Result<Answer, RequestError>),
    /// The outcome of meeting at the relay: the place and the id through which the server can be reached.
    Relay(Option<(Place, u32)>),
    Stream(udx::Event),
    /// The puncher socket is open, or its NAT is better known.
    Puncher,
    /// The outcome of opening a socket of this attempt.
    Socket(SocketId, bool),
    /// A probe that [`Attempt::takes_probe`](super::attempt::Attempt::takes_probe) takes.
    Probe(Place),
    Timeout,
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connect) enum End {
    /// The stream was handed out, and its path does not change any more.
    Over,
    Failed(Failure),
}

#[derive(Debug)]
pub(super) enum Step {
    Continue,
    /// The search has brought the server's answer: the stream needs a path.
    Answered(Box<ServerAnswer>),
    /// The server has not reached this node, which has to search again and punch.
    StartAgain,
    End(End),
}

impl Step {
    pub(super) const fn fail(failure: Failure) -> Self {
        Self::End(End::Failed(failure))
    }
}
