//! Observing the state of a node.

use tokio::sync::watch;

use super::NodeState;

/// Observes the state of a node, from [`Dht::watch`](super::Dht::watch). It does not keep the node running.
///
/// States that follow each other faster than they are taken are skipped: only the latest is kept.
#[derive(Clone, Debug)]
pub struct NodeWatch {
    state: watch::Receiver<NodeState>,
}

impl NodeWatch {
    /// Observes from the present state on.
    pub(super) fn new(mut state: watch::Receiver<NodeState>) -> Self {
        state.mark_unchanged();
        Self { state }
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
        self.state.changed().await.ok()?;
        Some(*self.state.borrow_and_update())
    }

    /// Waits for a state that meets a condition, the present one included, and returns it. `None` once the
    /// node has ended without.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn wait_for(&mut self, condition: impl FnMut(&NodeState) -> bool) -> Option<NodeState> {
        self.state.wait_for(condition).await.ok().map(|state| *state)
    }
}
