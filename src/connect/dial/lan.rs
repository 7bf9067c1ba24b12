//! Looks for the server at an address of the local network (`connect.md` §5.3 row 3).
//!
//! Both sides name their local addresses. Another host may have the server's address, in a network that is
//! not the server's, so the client repeats message 1 there, to which no other host has the answer. (The
//! reference pings, and takes any host that answers for the server.)

use std::net::SocketAddrV4;
use std::time::Duration;

use super::call::Turn;
use super::reply::{Reply, first_message};
use crate::connect::context::Asker;
use crate::connect::ids::Place;
use crate::dht::{Answer, Outgoing, RequestError, RequestId};
use crate::wire::rpc::PING;

/// The check of one address.
#[derive(Clone, Copy, Debug)]
pub(super) struct LanCheck {
    request: RequestId,
    address: SocketAddrV4,
    question: Question,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Message1,
    Ping,
}

/// What a check has come to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// Another question is under way.
    Pending(LanCheck),
    /// The server answers from here.
    Open(SocketAddrV4),
    Failed,
}

impl LanCheck {
    pub(super) fn start(turn: &mut Turn<'_>, place: Place, message1: &[u8]) -> Self {
        let target = turn.call.dial.remote.target();
        let outgoing = first_message(place.address, Some(place.socket), target, message1.to_vec());
        turn.call.note_asked(turn.now, place.address);
        Self {
            request: turn.core.cx.request(turn.now, Asker::Attempt(turn.call.id), outgoing),
            address: place.address,
            question: Question::Message1,
        }
    }

    pub(super) fn owns(&self, request: RequestId) -> bool {
        self.request == request
    }

    /// Handles the answer; `message2` is what the server has answered through a node.
    pub(super) fn handle_answer(
        self,
        turn: &mut Turn<'_>,
        message2: &[u8],
        result: Result<Answer, RequestError>,
    ) -> Verdict {
        let server = match (self.question, result) {
            (Question::Message1, Err(_)) => {
                // A server of the reference that does not take the client for local answers from another
                // socket (`connect.md` §6.2 step 7 row f), and the answer is lost. A node that is not the
                // server answers that it does not know the server.
                let request = turn.core.cx.request(
                    turn.now,
                    Asker::Attempt(turn.call.id),
                    Outgoing::internal(self.address, PING),
                );
                let question = Question::Ping;
                return Verdict::Pending(Self { request, question, ..self });
            }
            (Question::Ping, Ok(answer)) => Some(answer.from),
            // Another host may be at that address, and may even pass messages on to the server.
            (Question::Message1, Ok(answer)) => Reply::accept(answer, Duration::ZERO)
                .filter(|reply| reply.peer_address.is_none() && reply.noise == message2)
                .map(|reply| reply.asked),
            (Question::Ping, Err(_)) => None,
        };
        match server {
            Some(server) => {
                turn.call.note_answered(turn.now, self.address);
                Verdict::Open(server)
            }
            None => Verdict::Failed,
        }
    }

    pub(super) fn stop(self, turn: &mut Turn<'_>) {
        turn.core.cx.cancel_request(turn.now, self.request);
    }
}
