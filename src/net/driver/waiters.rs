//! Tasks that wait for the outcome of an attempt, the answer to a request or the end of a link between two
//! clients of a relay.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::oneshot;
use tracing::debug;

use crate::connect::AttemptId;
use crate::dht::{Answer, RequestError, RequestId};
use crate::net::command::{DialOutcome, Token, reply};

/// The senders of those answers, each under the id that the endpoint names in its event.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    dials: HashMap<AttemptId, (Token, oneshot::Sender<DialOutcome>)>,
    /// The attempt of each token, to give it up.
    attempts: HashMap<Token, AttemptId>,
    requests: HashMap<RequestId, (Token, oneshot::Sender<Result<Answer, RequestError>>)>,
    /// The request of each token, to give it up.
    asked: HashMap<Token, RequestId>,
    /// Under either id of the link.
    links: HashMap<u32, Arc<oneshot::Sender<()>>>,
}

impl Waiters {
    pub(super) fn add_dial(
        &mut self,
        attempt: AttemptId,
        token: Token,
        answer: oneshot::Sender<DialOutcome>,
    ) {
        self.dials.insert(attempt, (token, answer));
        self.attempts.insert(token, attempt);
    }

    /// Answers with the outcome of an attempt. A connection for which no task waits is dropped, which
    /// destroys it.
    pub(super) fn finish_dial(&mut self, attempt: AttemptId, outcome: DialOutcome) {
        if let Some((token, answer)) = self.dials.remove(&attempt) {
            self.attempts.remove(&token);
            if let Ok(handle) = &outcome {
                debug!(attempt = attempt.0, stream = %handle.stream(), "connection handed over");
            }
            reply(answer, outcome);
        }
    }

    /// Forgets a dial that its user has given up; returns the attempt to abort.
    pub(super) fn give_up(&mut self, token: Token) -> Option<AttemptId> {
        let attempt = self.attempts.remove(&token)?;
        self.dials.remove(&attempt);
        Some(attempt)
    }

    pub(super) fn add_request(
        &mut self,
        request: RequestId,
        token: Token,
        answer: oneshot::Sender<Result<Answer, RequestError>>,
    ) {
        self.requests.insert(request, (token, answer));
        self.asked.insert(token, request);
    }

    /// Answers with the result of a request.
    pub(super) fn finish_request(&mut self, request: RequestId, result: Result<Answer, RequestError>) {
        if let Some((token, answer)) = self.requests.remove(&request) {
            self.asked.remove(&token);
            reply(answer, result);
        }
    }

    /// Forgets a request that its user has given up; returns the one to cancel.
    pub(super) fn give_up_request(&mut self, token: Token) -> Option<RequestId> {
        let request = self.asked.remove(&token)?;
        self.requests.remove(&request);
        Some(request)
    }

    /// Keeps `ended` until the link with these ids is over.
    pub(super) fn add_link(&mut self, ids: [u32; 2], ended: oneshot::Sender<()>) {
        let ended = Arc::new(ended);
        for id in ids {
            self.links.insert(id, Arc::clone(&ended));
        }
    }

    /// Drops the sender of the link, which wakes its receiver.
    pub(super) fn finish_link(&mut self, ids: [u32; 2]) {
        for id in ids {
            self.links.remove(&id);
        }
    }
}
