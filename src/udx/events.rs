//! What waits for `poll_event`.

use std::collections::VecDeque;

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

    /// Drops what `id` has said: its owner has dropped it.
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
