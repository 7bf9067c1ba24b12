//! Connections on their way to the user.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::core::ConnectionId;
use super::info::PeerInfo;
use super::settings::MAX_ENDED;
use crate::api::Connection;

/// Holds connections until the user takes them.
#[derive(Debug, Default)]
pub(super) struct Outlet {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<Waiting>,
    wakers: Vec<Waker>,
    is_closed: bool,
}

#[derive(Debug)]
struct Waiting {
    id: ConnectionId,
    connection: Connection,
    info: PeerInfo,
    ended: bool,
}

impl Outlet {
    /// Adds a connection.
    pub(super) fn push(&self, id: ConnectionId, connection: Connection, info: PeerInfo) {
        let mut inner = self.lock();
        inner.waiting.push_back(Waiting { id, connection, info, ended: false });
        // All look: the one that would be woken may have left.
        let wakers = std::mem::take(&mut inner.wakers);
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Takes a connection back that was reset.
    pub(super) fn remove(&self, id: ConnectionId) {
        self.lock().waiting.retain(|waiting| waiting.id != id);
    }

    /// Notes that a connection has ended. The oldest of too many such goes.
    pub(super) fn ended(&self, id: ConnectionId) {
        let mut inner = self.lock();
        if let Some(waiting) = inner.waiting.iter_mut().find(|waiting| waiting.id == id) {
            waiting.ended = true;
        }
        if inner.waiting.iter().filter(|waiting| waiting.ended).count() > MAX_ENDED
            && let Some(oldest) = inner.waiting.iter().position(|waiting| waiting.ended)
        {
            inner.waiting.remove(oldest);
        }
    }

    /// Lets nobody wait any more.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.is_closed = true;
        let wakers = std::mem::take(&mut inner.wakers);
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Takes the connection that has waited for longest; `None` once closed and empty.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<(Connection, PeerInfo)>> {
        let mut inner = self.lock();
        if let Some(Waiting { connection, info, .. }) = inner.waiting.pop_front() {
            return Poll::Ready(Some((connection, info)));
        }
        if inner.is_closed {
            return Poll::Ready(None);
        }
        if !inner.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            inner.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves the queue consistent: each change is a single step.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::api::Testnet;
    use crate::swarm::core::{Core, Join, SessionId};
    use crate::swarm::settings::Settings;
    use crate::{KeyPair, PublicKey};

    /// Some information, as a core makes it.
    fn info() -> PeerInfo {
        let own = PublicKey::from_bytes([1; 32]);
        let mut core = Core::new(own, Settings::default(), [1; 32]);
        let now = std::time::Instant::now();
        core.join([1; 32], SessionId(0), Join::default(), now);
        core.join_peer(PublicKey::from_bytes([2; 32]), now);
        core.peers().remove(0)
    }

    #[tokio::test]
    async fn so_many_connections_that_have_ended_wait_to_be_taken() {
        let network = Testnet::new(2).await.unwrap();
        let server = network.nodes()[0].listen(KeyPair::generate()).await.unwrap();
        let outlet = Outlet::default();
        let count = MAX_ENDED as u64 + 10;
        for id in 0..count {
            let connection = network.nodes()[1].connect(server.public_key()).await.unwrap();
            outlet.push(ConnectionId(id), connection, info());
        }
        for id in 0..count {
            outlet.ended(ConnectionId(id));
        }
        outlet.close();
        let mut taken = 0;
        while poll_fn(|cx| outlet.poll_next(cx)).await.is_some() {
            taken += 1;
        }
        assert_eq!(taken, MAX_ENDED);
    }
}
