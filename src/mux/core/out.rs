//! Which frame is sent next: channels take turns, a message each.

use std::task::{Poll, Waker};

use super::state::{Channel, ChannelId, Core, Phase};
use super::window::{GRANT, Window};
use crate::mux::error::MuxError;
use crate::mux::frame;

impl Core {
    /// Puts a frame in line behind the others of its channel.
    pub(super) fn put(&mut self, id: ChannelId, frame: Vec<u8>) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        channel.queued += frame.len();
        channel.outbox.push_back(frame);
        self.line_up(id);
    }

    /// Puts a channel behind others with something to send.
    pub(super) fn line_up(&mut self, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        if !std::mem::replace(&mut channel.is_ready, true) {
            self.ready.push_back(id);
        }
        self.wake_writer();
    }

    /// Returns whether another frame of a channel may wait, and has the task woken once it may.
    pub(super) fn has_room(&mut self, id: ChannelId, waker: &Waker) -> bool {
        let Some(channel) = self.channels.get_mut(&id) else {
            return true;
        };
        let has_room = channel.queued < MAX_QUEUED;
        if !has_room {
            channel.wait_to_write(waker);
        }
        has_room
    }

    /// Returns the next message for the connection; `None` once there will be no more.
    pub(in crate::mux) fn poll_transmit(&mut self, waker: &Waker) -> Poll<Option<Vec<u8>>> {
        if let Some(reply) = self.replies.pop_front() {
            self.resume();
            return Poll::Ready(Some(reply));
        }
        while let Some(id) = self.ready.pop_front() {
            if let Some(frame) = self.take(id) {
                return Poll::Ready(Some(frame));
            }
        }
        if self.end.is_some() || self.is_abandoned {
            return Poll::Ready(None);
        }
        self.writing = Some(waker.clone());
        Poll::Pending
    }

    /// Returns whether there is nothing to send, and there may be later.
    pub(in crate::mux) fn is_idle(&self) -> bool {
        self.replies.is_empty() && self.ready.is_empty() && self.end.is_none() && !self.is_abandoned
    }

    /// Ready once [`Self::poll_transmit`] is, as a rule.
    pub(in crate::mux) fn poll_sendable(&mut self, waker: &Waker) -> Poll<()> {
        if !self.is_idle() {
            return Poll::Ready(());
        }
        self.writing = Some(waker.clone());
        Poll::Pending
    }

    /// Takes a grant that is due, or else the oldest frame of a channel, and puts the channel behind the
    /// others.
    fn take(&mut self, id: ChannelId) -> Option<Vec<u8>> {
        let channel = self.channels.get_mut(&id)?;
        let frame = channel.take_grant().or_else(|| {
            let frame = channel.outbox.pop_front()?;
            channel.queued -= frame.len();
            Some(frame)
        });
        // Half of it, so that those who wait are not woken for each message.
        if channel.queued < MAX_QUEUED / 2 {
            channel.wake_writers();
        }
        channel.is_unsent &= frame.is_none();
        let has_grant = channel.stream.as_ref().is_some_and(Window::has_grant);
        channel.is_ready = has_grant || !channel.outbox.is_empty();
        if channel.is_ready {
            self.ready.push_back(id);
        } else if matches!(channel.phase, Phase::Ended(_)) {
            self.release_ended(id);
        } else if channel.is_closing {
            self.forget(id);
        }
        frame
    }

    /// The close of a channel is sent. The number waits for the answer to its opening, if there was none.
    fn forget(&mut self, id: ChannelId) {
        let Some(number) = self.channels.remove(&id).and_then(|channel| channel.number) else {
            return;
        };
        match &mut self.locals[number] {
            Some(local) if !local.keys.is_empty() => local.channel = None,
            _ => self.release(number),
        }
    }

    /// Ends a channel that the peer has closed or refused. The frame that opens it is sent all the same: it
    /// answers the peer's, and numbers come in order.
    pub(super) fn end_channel(&mut self, id: ChannelId, reason: MuxError) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        channel.outbox.truncate(usize::from(channel.is_unsent));
        channel.queued = channel.outbox.iter().map(Vec::len).sum();
        channel.end(reason);
        if !channel.is_unsent {
            self.release_ended(id);
        }
    }

    /// The number of a channel that has ended is free.
    fn release_ended(&mut self, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        let number = channel.number.take();
        if channel.is_closing {
            self.channels.remove(&id);
        }
        if let Some(number) = number {
            self.release(number);
        }
    }
}

impl Channel {
    /// Returns the frame of the grant that is due, behind the one that opens the channel.
    fn take_grant(&mut self) -> Option<Vec<u8>> {
        let (number, window) = (self.number?, self.stream.as_mut()?);
        if self.is_unsent {
            return None;
        }
        Some(frame::message(number as u64 + 1, GRANT, &window.take_grant()?))
    }
}

/// Bytes of one channel that wait to be sent, above which its sender waits.
pub(super) const MAX_QUEUED: usize = 64 * 1024;
