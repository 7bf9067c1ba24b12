//! The calls of one channel that wait for their answers.

use std::collections::HashMap;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::error::{RemoteError, RpcError};
use crate::mux::MuxError;

/// What a call gets: the value as it is encoded.
type Answer = Result<Result<Bytes, RemoteError>, Ended>;

/// Why a channel of calls has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Channel(MuxError),
    /// The peer does not know the secret that it must know.
    Capability,
}

impl Ended {
    /// It was closed.
    pub(super) const CLOSED: Self = Self::Channel(MuxError::Closed);
}

impl From<Ended> for RpcError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Channel(error) => Self::Channel(error),
            Ended::Capability => Self::Capability,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Calls {
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
    /// Why there are no more.
    end: Option<Ended>,
}

impl Calls {
    /// Takes an id for a call. The reference counts them from 1 as well.
    pub(super) fn begin(&mut self) -> Result<(u64, oneshot::Receiver<Answer>), RpcError> {
        if let Some(end) = self.end {
            return Err(end.into());
        }
        if self.waiting.len() >= MAX_CALLS {
            return Err(RpcError::TooMany { max: MAX_CALLS });
        }
        self.last += 1;
        let (sender, receiver) = oneshot::channel();
        self.waiting.insert(self.last, sender);
        Ok((self.last, receiver))
    }

    /// Hands an answer to its call. One that nobody waits for any more is dropped.
    pub(super) fn answer(&mut self, id: u64, result: Result<Bytes, RemoteError>) {
        if let Some(waiting) = self.waiting.remove(&id) {
            // A call that was dropped at this moment needs no answer.
            let _ = waiting.send(Ok(result));
        }
    }

    /// Nobody waits for an answer any more.
    pub(super) fn forget(&mut self, id: u64) {
        self.waiting.remove(&id);
    }

    /// Fails all that wait, and those to come.
    pub(super) fn fail(&mut self, reason: Ended) {
        self.end.get_or_insert(reason);
        for (_, waiting) in self.waiting.drain() {
            // As above.
            let _ = waiting.send(Err(reason));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) const fn ended(&self) -> Option<Ended> {
        self.end
    }
}

/// Calls of one channel that wait for their answers.
pub(super) const MAX_CALLS: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_call_gets_its_answer_and_the_end_reaches_all() {
        let mut calls = Calls::default();
        let (first, one) = calls.begin().unwrap();
        let (second, two) = calls.begin().unwrap();
        assert_eq!((first, second), (1, 2));
        calls.answer(second, Ok(Bytes::from_static(b"2")));
        // Twice, and for none.
        calls.answer(second, Ok(Bytes::new()));
        calls.answer(9, Ok(Bytes::new()));
        assert_eq!(two.await.unwrap(), Ok(Ok(Bytes::from_static(b"2"))));
        calls.fail(Ended::Channel(MuxError::Rejected));
        assert_eq!(one.await.unwrap(), Err(Ended::Channel(MuxError::Rejected)));
        assert!(matches!(calls.begin(), Err(RpcError::Channel(MuxError::Rejected))));
    }

    #[test]
    fn so_many_calls_wait_and_one_that_is_forgotten_makes_room() {
        let mut calls = Calls::default();
        let kept: Vec<_> = (0..MAX_CALLS).map(|_| calls.begin().unwrap()).collect();
        assert!(matches!(calls.begin(), Err(RpcError::TooMany { max: MAX_CALLS })));
        calls.forget(kept[5].0);
        assert!(calls.begin().is_ok());
    }
}
