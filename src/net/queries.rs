//! The operations of users under way.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio::sync::oneshot;

use super::command::{OperationOutcome, Token, reply};
use crate::connect::Endpoint;
use crate::dht::{Answer, Findings, Operation, QueryError, QueryId, QueryOutcome};

/// The query of each operation, with the task that waits for its outcome.
#[derive(Debug, Default)]
pub(super) struct Queries {
    entries: BTreeMap<QueryId, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    token: Token,
    answer: oneshot::Sender<OperationOutcome>,
    findings: Findings,
}

impl Queries {
    /// Starts the query of an operation, and answers at once if it can't start.
    pub(super) fn start(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        token: Token,
        operation: Operation,
        answer: oneshot::Sender<OperationOutcome>,
    ) {
        if self.entries.len() >= MAX_QUERIES {
            return reply(answer, None);
        }
        match endpoint.node().start(now, operation) {
            Ok((query, findings)) => {
                let waiting = Waiting { token, answer, findings };
                self.entries.insert(query, waiting);
            }
            Err(error) => reply(answer, Some(Err(error.into()))),
        }
    }

    /// Handles the answer of one node, which may end the operation.
    pub(super) fn handle_answer(&mut self, endpoint: &mut Endpoint, query: QueryId, answer: &Answer) {
        let Some(waiting) = self.entries.get_mut(&query) else {
            return;
        };
        if let Some(result) = waiting.findings.on_answer(answer)
            && let Some(waiting) = self.entries.remove(&query)
        {
            endpoint.node().cancel_query(query);
            reply(waiting.answer, Some(result));
        }
    }

    pub(super) fn handle_done(&mut self, query: QueryId, result: Result<QueryOutcome, QueryError>) {
        if let Some(waiting) = self.entries.remove(&query) {
            reply(waiting.answer, Some(waiting.findings.finish(result)));
        }
    }

    /// Ends the query with this token, for whose outcome no task waits any more.
    pub(super) fn give_up(&mut self, endpoint: &mut Endpoint, token: Token) {
        let mut entries = self.entries.iter();
        let query = entries.find_map(|(query, waiting)| (waiting.token == token).then_some(*query));
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
    use super::*;
    use crate::connect::Config;

    #[test]
    fn operations_beyond_the_bound_fail_at_once() {
        let now = Instant::now();
        let mut endpoint = Endpoint::new(now, Config::default(), [1; 32]);
        let mut queries = Queries::default();
        let mut start = |number: usize| {
            let (answer, answered) = oneshot::channel();
            let operation = Operation::Lookup([1; 32]);
            queries.start(now, &mut endpoint, Token(number as u64), operation, answer);
            answered
        };
        let mut answers: Vec<_> = (0..=MAX_QUERIES).map(&mut start).collect();
        assert!(matches!(answers.pop().map(|mut beyond| beyond.try_recv()), Some(Ok(None))));
        assert!(answers.iter_mut().all(|answer| answer.try_recv().is_err()), "they are under way");
    }
}
