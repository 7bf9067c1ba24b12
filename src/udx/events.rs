//! Events that wait for `poll_event`, and which a stream has reported.

use std::collections::VecDeque;

use tracing::trace;

use super::types::{Event, StreamId};

/// Events in the order in which they happened.
///
/// A peer can make at most a few events per stream before they are polled, but any number of messages, so
/// these are counted.
#[derive(Debug, Default)]
pub(super) struct Events {
    queue: VecDeque<(StreamId, Event)>,
    messages: usize,
}

impl Events {
    pub(super) fn push(&mut self, id: StreamId, event: Event) {
        if matches!(event, Event::Message(_)) {
            if self.messages >= MAX_RECEIVED_MESSAGES {
                trace!("unordered message dropped, too many wait");
                return;
            }
            self.messages += 1;
        }
        self.queue.push_back((id, event));
    }

    pub(super) fn pop(&mut self) -> Option<(StreamId, Event)> {
        let (id, event) = self.queue.pop_front()?;
        if matches!(event, Event::Message(_)) {
            self.messages -= 1;
        }
        Some((id, event))
    }

    /// Drops all events of a stream that its owner has dropped.
    pub(super) fn forget(&mut self, id: StreamId) {
        let messages = &mut self.messages;
        self.queue.retain(|(of, event)| {
            if *of == id && matches!(event, Event::Message(_)) {
                *messages -= 1;
            }
            *of != id
        });
    }
}

/// Which events a stream has reported, so that none comes twice.
#[derive(Debug, Default)]
pub(super) struct Reported {
    readable: bool,
    /// A write was cut short, and the owner waits to hear that it can go on.
    write_blocked: bool,
    remote_finished: bool,
    finished: bool,
}

impl Reported {
    /// Returns whether [`Event::Readable`] is due.
    pub(super) const fn readable(&mut self) -> bool {
        !std::mem::replace(&mut self.readable, true)
    }

    /// Makes the next bytes be reported again.
    pub(super) const fn read(&mut self) {
        self.readable = false;
    }

    /// Notes whether a write was cut short.
    pub(super) const fn write(&mut self, cut_short: bool) {
        self.write_blocked = cut_short;
    }

    /// Returns whether [`Event::Writable`] is due, now that there is room.
    pub(super) const fn writable(&mut self) -> bool {
        std::mem::replace(&mut self.write_blocked, false)
    }

    /// Returns whether [`Event::RemoteFinished`] is due.
    pub(super) const fn remote_finished(&mut self) -> bool {
        !std::mem::replace(&mut self.remote_finished, true)
    }

    pub(super) const fn is_remote_finished(&self) -> bool {
        self.remote_finished
    }

    /// Returns whether [`Event::Finished`] is due.
    pub(super) const fn finished(&mut self) -> bool {
        !std::mem::replace(&mut self.finished, true)
    }

    /// Returns whether both directions have ended.
    pub(super) const fn both_finished(&self) -> bool {
        self.finished && self.remote_finished
    }
}

/// Messages of all streams that may wait; more are dropped, as any datagram may be.
pub(super) const MAX_RECEIVED_MESSAGES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_beyond_the_bound_are_dropped_and_nothing_else_is() {
        let mut events = Events::default();
        for _ in 0..2 * MAX_RECEIVED_MESSAGES {
            events.push(StreamId(1), Event::Message(vec![1]));
        }
        events.push(StreamId(1), Event::Readable);
        assert_eq!(events.queue.len(), MAX_RECEIVED_MESSAGES + 1);
        events.forget(StreamId(1));
        assert_eq!((events.pop(), events.messages), (None, 0));
    }
}
