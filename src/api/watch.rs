//! Observing the state of a node.

use tokio::sync::watch;

use super::NodeState;

/// Observes the state of a node, from [`Dht::watch`](super::Dht::watch). It does not keep the node running.
///
/// States that follow each other faster than they are taken are skipped: only the latest is kept.
#[derive(Clone, Debug)]
pub struct NodeWatch {
    state: watch::Receiver<NodeState>,
    /// What was returned last.
    seen: NodeState,
}

impl NodeWatch {
    /// Observes from the present state on.
    pub(super) fn new(mut state: watch::Receiver<NodeState>) -> Self {
        let seen = *state.borrow_and_update();
        Self { state, seen }
    }

    /// Returns the present state.
    pub fn current(&self) -> NodeState {
        *self.state.borrow()
    }

    /// Waits until the state is another than when this was made or returned last, and returns it. `None` once
    /// the node has ended and its last state has been returned.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no change is lost.
    pub async fn changed(&mut self) -> Option<NodeState> {
        let seen = self.seen;
        self.wait_for(|state| *state != seen).await
    }

    /// Waits for a state that meets a condition, the present one included, and returns it. `None` once the
    /// node has ended without.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: [`Self::changed`] returns a state that was rejected.
    pub async fn wait_for(&mut self, mut condition: impl FnMut(&NodeState) -> bool) -> Option<NodeState> {
        loop {
            // A copy: while the state is borrowed the node cannot write it.
            let state = *self.state.borrow_and_update();
            if condition(&state) {
                self.seen = state;
                return Some(state);
            }
            self.state.changed().await.ok()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::api::Joined;

    #[test]
    fn a_condition_may_read_the_state_while_the_node_writes_it() {
        let (node, observed) = watch::channel(NodeState::default());
        let (done, finished) = mpsc::channel();
        thread::spawn(move || {
            let mut watch = NodeWatch::new(observed.clone());
            let state = now(watch.wait_for(|_| {
                node.send_replace(state(1));
                observed.borrow().joined == Joined::Done { nodes: 1 }
            }));
            done.send(state)
        });
        let guard = Duration::from_secs(30);
        assert_eq!(finished.recv_timeout(guard), Ok(Poll::Ready(Some(NodeState::default()))));
    }

    #[test]
    fn a_state_that_a_condition_rejects_is_not_lost() {
        let (node, observed) = watch::channel(NodeState::default());
        let mut watch = NodeWatch::new(observed);
        node.send_replace(state(1));
        assert_eq!(now(watch.wait_for(|_| false)), Poll::Pending);
        assert_eq!(now(watch.changed()), Poll::Ready(Some(state(1))));
        assert_eq!(now(watch.changed()), Poll::Pending);
        // Back to what was returned last: not another state.
        node.send_replace(state(2));
        node.send_replace(state(1));
        assert_eq!(now(watch.changed()), Poll::Pending);
        assert_eq!(now(watch.wait_for(|_| true)), Poll::Ready(Some(state(1))));
        node.send_replace(state(3));
        drop(node);
        assert_eq!(now(watch.wait_for(|_| false)), Poll::Ready(None));
        assert_eq!(now(watch.changed()), Poll::Ready(Some(state(3))));
        assert_eq!(now(watch.changed()), Poll::Ready(None));
    }

    fn state(nodes: usize) -> NodeState {
        NodeState { joined: Joined::Done { nodes }, ..NodeState::default() }
    }

    /// Polls once, and drops what is not ready.
    fn now<T>(work: impl Future<Output = T>) -> Poll<T> {
        pin!(work).poll(&mut Context::from_waker(Waker::noop()))
    }
}
