//! A side, and two of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Wake, Waker};

use bytes::Bytes;

use crate::mux::core::{ChannelId, Core, ListenerId, OfferId, Opening};
use crate::mux::error::MuxError;
use crate::mux::message::Message;

/// A state machine, and what it has sent that has not arrived.
#[derive(Default)]
pub(super) struct Side {
    pub(super) core: Core,
    pub(super) sent: VecDeque<Vec<u8>>,
}

impl Side {
    /// A side that reads from the beginning.
    pub(super) fn started() -> Self {
        let mut side = Self::default();
        side.core.start();
        side
    }

    pub(super) fn open(&mut self, protocol: &str) -> ChannelId {
        self.core.open(&opening(protocol, b"")).unwrap()
    }

    pub(super) fn listen(&mut self, protocol: &str) -> ListenerId {
        self.core.listen((protocol.to_owned(), None)).unwrap()
    }

    /// Takes what the peer has opened.
    pub(super) fn offer(&mut self, listener: ListenerId) -> Option<OfferId> {
        match self.core.poll_accept(listener, Waker::noop()) {
            Poll::Ready(offer) => offer,
            Poll::Pending => None,
        }
    }

    pub(super) fn accept(&mut self, listener: ListenerId) -> Option<ChannelId> {
        let offer = self.offer(listener)?;
        let (protocol, id, _) = self.core.offered(offer).unwrap();
        let opening = opening(protocol, &id.clone());
        Some(self.core.accept(offer, &opening).unwrap())
    }

    /// Panics if the message has to wait.
    pub(super) fn send(&mut self, id: ChannelId, content: &[u8]) {
        let sent = self.core.poll_send(id, 0, content, Waker::noop());
        assert_eq!(sent, Poll::Ready(Ok(())));
    }

    pub(super) fn recv(&mut self, id: ChannelId) -> Poll<Result<Option<Message>, MuxError>> {
        self.core.poll_recv(id, Waker::noop())
    }

    /// Receives all that has come.
    pub(super) fn received(&mut self, id: ChannelId) -> Vec<Bytes> {
        let mut all = Vec::new();
        while let Poll::Ready(Ok(Some(message))) = self.recv(id) {
            all.push(message.content);
        }
        all
    }

    pub(super) fn opened(&mut self, id: ChannelId) -> Poll<Result<Bytes, MuxError>> {
        self.core.poll_opened(id, Waker::noop())
    }

    /// Moves what is in line to the link.
    pub(super) fn transmit(&mut self) {
        while let Poll::Ready(Some(frame)) = self.core.poll_transmit(Waker::noop()) {
            self.sent.push_back(frame);
        }
    }

    /// Gives it a message of the connection; returns whether it has handled all of it.
    pub(super) fn get(&mut self, message: impl Into<Bytes>) -> bool {
        self.core.receive(message.into());
        self.turn()
    }

    /// Goes on with what it has been given.
    pub(super) fn turn(&mut self) -> bool {
        // A batch takes several turns.
        (0..100_000).any(|_| self.core.poll_read(Waker::noop()).is_ready())
    }
}

struct Woken(Arc<AtomicBool>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A waker, and whether it was woken.
pub(super) fn woken() -> (Waker, Arc<AtomicBool>) {
    let woken = Arc::new(AtomicBool::new(false));
    (Arc::new(Woken(Arc::clone(&woken))).into(), woken)
}

pub(super) fn opening(protocol: &str, id: &[u8]) -> Opening {
    Opening { protocol: protocol.to_owned(), id: Bytes::copy_from_slice(id), ..Opening::default() }
}

/// Delivers until nothing moves.
pub(super) fn settle(sides: &mut [Side; 2]) {
    loop {
        sides.iter_mut().for_each(Side::transmit);
        let Some(from) = (0..2).find(|side| !sides[*side].sent.is_empty()) else {
            return;
        };
        let message = sides[from].sent.pop_front().unwrap();
        assert!(sides[1 - from].get(message), "the other side reads");
        assert_eq!(sides[1 - from].core.ended(), None);
    }
}

pub(super) fn pair() -> [Side; 2] {
    [Side::started(), Side::started()]
}
