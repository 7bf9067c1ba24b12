//! The operations of users under way.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::command::{OperationOutcome, Token, reply};
use crate::connect::Endpoint;
use crate::dht::{Answer, Findings, FoundPeer, Operation, QueryError, QueryId, QueryOutcome};

/// The query of each operation, with the task that waits for its outcome.
#[derive(Debug, Default)]
pub(super) struct Queries {
    entries: BTreeMap<QueryId, Waiting>,
}

/// The task that waits for the outcome of an operation.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) token: Token,
    /// Where the peers that nodes name go at once. Each operation finds a bounded number of them.
    pub(super) peers: Option<mpsc::UnboundedSender<FoundPeer>>,
    pub(super) answer: oneshot::Sender<OperationOutcome>,
}

#[derive(Debug)]
struct Waiting {
    waiter: Waiter,
    findings: Findings,
}

impl Queries {
    /// Starts the query of an operation, and answers at once if it can't start.
    pub(super) fn start(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        operation: Operation,
        waiter: Waiter,
    ) {
        if self.entries.len() >= MAX_QUERIES {
            return reply(waiter.answer, None);
        }
        match endpoint.node().start(now, operation) {
            Ok((query, findings)) => {
                self.entries.insert(query, Waiting { waiter, findings });
            }
            Err(error) => reply(waiter.answer, Some(Err(error.into()))),
        }
    }

    /// Handles the answer of one node, which may end the operation.
    pub(super) fn handle_answer(&mut self, endpoint: &mut Endpoint, query: QueryId, answer: &Answer) {
        let Some(waiting) = self.entries.get_mut(&query) else {
            return;
        };
        let result = waiting.findings.on_answer(answer);
        if let Some(peers) = &waiting.waiter.peers {
            for peer in waiting.findings.take_peers() {
                // A task that has left gives the operation up.
                let _ = peers.send(peer);
            }
        }
        if let Some(result) = result
            && let Some(waiting) = self.entries.remove(&query)
        {
            endpoint.node().cancel_query(query);
            reply(waiting.waiter.answer, Some(result));
        }
    }

    pub(super) fn handle_done(&mut self, query: QueryId, result: Result<QueryOutcome, QueryError>) {
        if let Some(waiting) = self.entries.remove(&query) {
            reply(waiting.waiter.answer, Some(waiting.findings.finish(result)));
        }
    }

    /// Ends the query with this token, for whose outcome no task waits any more.
    pub(super) fn give_up(&mut self, endpoint: &mut Endpoint, token: Token) {
        let mut entries = self.entries.iter();
        let query = entries.find_map(|(query, waiting)| (waiting.waiter.token == token).then_some(*query));
        if let Some(query) = query {
            self.entries.remove(&query);
            endpoint.node().cancel_query(query);
        }
    }
}

/// Operations of users at the same time.
const MAX_QUERIES: usize = 256;

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV4;
    use std::time::Duration;

    use super::*;
    use crate::connect::Config;
    use crate::keys::PublicKey;
    use crate::wire::compact::Encode;
    use crate::wire::records::{LookupReply, Peer};
    use crate::wire::transmit::SocketId;

    #[test]
    fn operations_beyond_the_bound_fail_at_once() {
        let now = Instant::now();
        let mut endpoint = Endpoint::new(now, Config::default(), [1; 32]);
        let mut queries = Queries::default();
        let mut start = |number: usize| {
            let (answer, answered) = oneshot::channel();
            let waiter = Waiter { token: Token(number as u64), peers: None, answer };
            queries.start(now, &mut endpoint, Operation::Lookup([1; 32]), waiter);
            answered
        };
        let mut answers: Vec<_> = (0..=MAX_QUERIES).map(&mut start).collect();
        assert!(matches!(answers.pop().map(|mut beyond| beyond.try_recv()), Some(Ok(None))));
        assert!(answers.iter_mut().all(|answer| answer.try_recv().is_err()), "they are under way");
    }
    #[test]
    fn peers_are_handed_over_with_the_answer_that_names_them() {
        let now = Instant::now();
        let mut endpoint = Endpoint::new(now, Config::default(), [1; 32]);
        let mut queries = Queries::default();
        let (peers, mut found) = mpsc::unbounded_channel();
        let (answer, mut answered) = oneshot::channel();
        let waiter = Waiter { token: Token(1), peers: Some(peers), answer };
        queries.start(now, &mut endpoint, Operation::Lookup([1; 32]), waiter);
        let query = *queries.entries.keys().next().expect("the query");
        let node = |number| SocketAddrV4::new([88, 0, 0, number].into(), 5);
        for number in 1..=2 {
            let peer = Peer { public_key: PublicKey::from_bytes([number; 32]), relay_addresses: Vec::new() };
            let reply = LookupReply { peers: vec![peer], bump: 7 };
            queries.handle_answer(&mut endpoint, query, &lookup_answer(node(number), &reply));
            let peer = found.try_recv().expect("at once");
            assert_eq!((peer.from, peer.public_key.as_bytes()[0], peer.bump), (node(number), number, 7));
            assert!(found.try_recv().is_err() && answered.try_recv().is_err(), "the query goes on");
        }
        queries.handle_done(query, Ok(QueryOutcome::default()));
        let outcome = answered.try_recv().expect("the end").expect("it was started").expect("nodes answered");
        assert_eq!(outcome.peers, [], "they are handed over already");
        assert!(found.is_closed());
    }

    fn lookup_answer(from: SocketAddrV4, reply: &LookupReply) -> Answer {
        Answer {
            from,
            to: from,
            socket: SocketId::CLIENT,
            id: None,
            token: None,
            closer: Vec::new(),
            error: 0,
            value: Some(reply.to_bytes()),
            rtt: Duration::ZERO,
        }
    }
}
