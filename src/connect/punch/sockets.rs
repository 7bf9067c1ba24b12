//! The sockets beside the two main ones: who they were opened for, and the streams that keep them open.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::connect::context::Context;
use crate::connect::event::Event;
use crate::connect::ids::{AttemptId, EntryId};
use crate::udx::StreamId;
use crate::wire::transmit::SocketId;

/// Who a socket was opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connect) enum Purpose {
    /// All punches: the puncher socket.
    Shared,
    /// An attempt with a random NAT.
    Attempt(AttemptId),
    /// A server's verified client, with a random NAT in front of the server.
    Entry(EntryId),
}

/// Sockets are closed once no punch uses them and the last stream on them has ended.
#[derive(Debug, Default)]
pub(in crate::connect) struct Sockets {
    slots: BTreeMap<SocketId, Slot>,
    opened: u32,
    next_sweep: Option<Instant>,
}

#[derive(Debug)]
struct Slot {
    /// `None` once no punch uses it any more.
    purpose: Option<Purpose>,
    streams: BTreeSet<StreamId>,
    /// When a socket without streams closes.
    closes: Option<Instant>,
}

impl Sockets {
    /// Asks for another socket; `None` if there are too many.
    pub(in crate::connect) fn open(&mut self, cx: &mut Context, purpose: Purpose) -> Option<SocketId> {
        if self.slots.len() >= MAX_SOCKETS {
            return None;
        }
        self.opened += 1;
        let id = SocketId(SocketId::CLIENT.0 + self.opened);
        let slot = Slot { purpose: Some(purpose), streams: BTreeSet::new(), closes: None };
        self.slots.insert(id, slot);
        cx.emit(Event::OpenSocket(id));
        Some(id)
    }

    /// Returns who punches with a socket.
    pub(in crate::connect) fn purpose(&self, id: SocketId) -> Option<Purpose> {
        self.slots.get(&id)?.purpose
    }

    /// Returns whether a socket, or one of the main ones, is there.
    pub(in crate::connect) fn is_open(&self, id: SocketId) -> bool {
        id <= SocketId::CLIENT || self.slots.contains_key(&id)
    }

    /// Forgets a socket that could not be opened.
    pub(in crate::connect) fn forget(&mut self, id: SocketId) {
        self.slots.remove(&id);
    }

    /// Keeps a socket open for as long as a stream lives. Main sockets need no keeping.
    pub(in crate::connect) fn hold(&mut self, now: Instant, id: SocketId, stream: StreamId) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.streams.insert(stream);
            slot.closes = None;
            self.next_sweep.get_or_insert(now + SWEEP);
        }
    }

    /// Ends the use of a socket for a punch: it closes, at once if it never had a stream.
    pub(in crate::connect) fn release(&mut self, cx: &mut Context, id: SocketId) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        slot.purpose = None;
        if slot.streams.is_empty() && slot.closes.is_none() {
            self.slots.remove(&id);
            cx.emit(Event::CloseSocket(id));
        }
    }

    /// Notices streams that have ended, and closes what they leave behind.
    pub(in crate::connect) fn handle_timeout(&mut self, now: Instant, cx: &mut Context) {
        if self.next_sweep.is_none_or(|at| now < at) {
            return;
        }
        let mut busy = false;
        self.slots.retain(|id, slot| {
            if !slot.streams.is_empty() {
                slot.streams.retain(|stream| cx.streams.contains(*stream));
                if slot.streams.is_empty() {
                    slot.closes = Some(now + LINGER);
                }
            }
            if slot.closes.is_some_and(|at| at <= now) {
                slot.closes = None;
                if slot.purpose.is_none() {
                    cx.emit(Event::CloseSocket(*id));
                    return false;
                }
            }
            busy |= !slot.streams.is_empty() || slot.closes.is_some();
            true
        });
        self.next_sweep = busy.then_some(now + SWEEP);
    }

    pub(in crate::connect) const fn poll_timeout(&self) -> Option<Instant> {
        self.next_sweep
    }

    #[cfg(test)]
    pub(in crate::connect) fn len(&self) -> usize {
        self.slots.len()
    }
}

/// Sockets of one node beside the main ones: a few punches with many sockets each, and the streams of earlier
/// ones.
const MAX_SOCKETS: usize = 1024;
/// Between two searches for streams that have ended.
const SWEEP: Duration = Duration::from_secs(5);
/// How long a socket outlives its last stream, so that a peer which has not heard of the end is still
/// answered.
const LINGER: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udx::Admission;

    #[test]
    fn a_socket_outlives_its_stream_by_a_while_and_then_closes() {
        let now = Instant::now();
        let (mut sockets, mut cx) = (Sockets::default(), Context::for_tests(now));
        let stream = cx.streams.open(Admission::Refuse);
        let id = sockets.open(&mut cx, Purpose::Shared).unwrap();
        sockets.hold(now, id, stream);
        sockets.release(&mut cx, id);
        assert!(matches!(cx.poll_event(), Some(Event::OpenSocket(opened)) if opened == id));
        assert!(cx.poll_event().is_none());
        let mut sweep = |cx: &mut Context| {
            let at = sockets.poll_timeout().unwrap();
            sockets.handle_timeout(at, cx);
            (at, cx.poll_event().is_some())
        };
        assert!(!sweep(&mut cx).1);
        cx.streams.destroy(now, stream);
        let (ended, closed) = sweep(&mut cx);
        assert!(!closed);
        let closed = std::iter::repeat_with(|| sweep(&mut cx)).find(|(_, closed)| *closed);
        assert_eq!(closed.map(|(at, _)| at - ended), Some(LINGER));
        assert_eq!((sockets.len(), sockets.poll_timeout()), (0, None));
    }

    #[test]
    fn sockets_are_bounded() {
        let (mut sockets, mut cx) = (Sockets::default(), Context::for_tests(Instant::now()));
        let opened = (0..2 * MAX_SOCKETS).filter_map(|_| sockets.open(&mut cx, Purpose::Shared));
        assert_eq!(opened.count(), MAX_SOCKETS);
        sockets.release(&mut cx, SocketId(2));
        assert!(sockets.open(&mut cx, Purpose::Shared).is_some());
    }
}
