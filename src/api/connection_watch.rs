//! A hold on a connection beside that of its user.

use std::sync::Arc;

use crate::net::ConnectionHandle;

/// Sees what becomes of a connection that the user has, and can reset it. Keeps the node running.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionWatch {
    handle: Arc<ConnectionHandle>,
}

impl ConnectionWatch {
    pub(super) const fn new(handle: Arc<ConnectionHandle>) -> Self {
        Self { handle }
    }

    /// Waits until the peer's key is proven; returns whether that was before the end.
    pub(crate) async fn proven(&self) -> bool {
        self.handle.proven().await.is_ok()
    }

    /// Waits until anything has come from the peer; returns whether that was before the end.
    pub(crate) async fn answered(&self) -> bool {
        self.handle.heard().await.is_ok()
    }

    /// Waits until the connection is over in both directions.
    pub(crate) async fn ended(&self) {
        self.handle.ended().await;
    }

    /// Resets the connection.
    pub(crate) fn abort(&self) {
        self.handle.abandon();
    }
}
