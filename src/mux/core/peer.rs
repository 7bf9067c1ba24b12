//! What the frames of the peer do.

use std::task::{Poll, Waker};

use bytes::Bytes;

use super::state::{ChannelId, Core, MAX_CHANNELS, OFFER_COST, Offer, OfferId, Remote};
use crate::mux::error::{MuxError, Violation};
use crate::mux::frame::{self, Frame, Frames};
use crate::mux::message::Message;

impl Core {
    /// Takes a message of the connection. [`Self::poll_read`] handles it.
    pub(in crate::mux) fn receive(&mut self, message: Bytes) {
        self.frames = Frames::new(message);
    }

    /// Handles what has been received as far as there is room for it. Ready with `true` when the next message
    /// may be received, and with `false` once none is wanted any more.
    ///
    /// A batch may hold millions of frames: after a few of them others get their turn.
    pub(in crate::mux) fn poll_read(&mut self, waker: &Waker) -> Poll<bool> {
        for _ in 0..MAX_FRAMES {
            if self.end.is_some() || self.is_abandoned {
                return Poll::Ready(false);
            }
            if !self.is_started || self.is_full() {
                self.reading = Some(waker.clone());
                return Poll::Pending;
            }
            let handled = match self.frames.next() {
                Ok(Some(frame)) => self.handle(frame),
                Ok(None) => return Poll::Ready(true),
                Err(violation) => Err(violation),
            };
            if let Err(violation) = handled {
                self.fail(MuxError::Protocol(violation));
            }
        }
        waker.wake_by_ref();
        Poll::Pending
    }

    fn handle(&mut self, frame: Frame) -> Result<(), Violation> {
        match frame {
            Frame::Message { number, kind, content } => self.on_message(number, Message { kind, content }),
            Frame::Open { number, protocol, id, handshake } => {
                self.on_open(number, (protocol, id), handshake)
            }
            Frame::Reject { number } => self.on_reject(number),
            Frame::Close { number } => {
                self.on_close(number);
                Ok(())
            }
            Frame::Unknown => Ok(()),
        }
    }

    /// What comes for a channel that is closed on this side may have been sent before the peer knew.
    fn on_message(&mut self, number: u64, message: Message) -> Result<(), Violation> {
        match self.remote(number) {
            Remote::Free => Ok(()),
            Remote::Paired(id) => self.deliver(id, message),
            Remote::Offered(id) => {
                if let Some(offer) = self.offers.get_mut(&id) {
                    let cost = OFFER_COST + message.content.len();
                    offer.cost += cost;
                    self.waiting += cost;
                    offer.messages.push(message);
                }
                Ok(())
            }
        }
    }

    /// Hands a message to its channel.
    pub(super) fn deliver(&mut self, id: ChannelId, message: Message) -> Result<(), Violation> {
        if let Some(channel) = self.channels.get_mut(&id) {
            self.unread += channel.deliver(message)?;
        }
        Ok(())
    }

    fn on_open(&mut self, number: u64, key: (String, Bytes), handshake: Bytes) -> Result<(), Violation> {
        let index = number.checked_sub(1).ok_or(Violation::BadNumber)?;
        let remote = usize::try_from(index).map_err(|_| Violation::BadNumber)?;
        if remote >= MAX_CHANNELS {
            // A peer that uses its free numbers has as many channels open.
            self.refuse(remote);
            return Ok(());
        }
        if remote == self.remotes.len() {
            self.remotes.push(Remote::Free);
        }
        if self.remotes.get(remote) != Some(&Remote::Free) {
            return Err(Violation::BadNumber);
        }
        if let Some(first) = self.outgoing.get(&key).and_then(|waiting| waiting.front().copied()) {
            self.answer(first);
            self.on_answer(first, remote, handshake);
            return Ok(());
        }
        let listener = [Some(key.1.clone()), None].into_iter();
        let listener = listener.filter_map(|id| self.by_name.get(&(key.0.clone(), id))).next().copied();
        let Some(listener) = listener else {
            self.refuse(remote);
            return Ok(());
        };
        let cost = OFFER_COST + key.0.len() + key.1.len() + handshake.len();
        let id = OfferId(self.fresh());
        self.waiting += cost;
        self.remotes[remote] = Remote::Offered(id);
        self.offers.insert(
            id,
            Offer {
                remote,
                key,
                handshake,
                messages: Vec::new(),
                cost,
                listener,
                is_taken: false,
                is_closed: false,
            },
        );
        self.wake_listener(listener);
        Ok(())
    }

    /// The peer has opened its side of a channel that this side opened before.
    fn on_answer(&mut self, number: usize, remote: usize, handshake: Bytes) {
        let channel = self.locals[number].as_ref().and_then(|local| local.channel);
        match channel {
            // It was closed before the answer came; the peer is told, or has been.
            None => self.close_again(number),
            Some(id) if self.channels.get(&id).is_some_and(|channel| channel.is_closing) => {}
            Some(id) => self.pair(id, remote, handshake),
        }
    }

    fn on_reject(&mut self, number: u64) -> Result<(), Violation> {
        let index = number.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        let local = index.and_then(|index| self.locals.get(index)).and_then(Option::as_ref);
        let (Some(number), Some(local)) = (index, local.filter(|local| !local.keys.is_empty())) else {
            return Err(Violation::NotOffered);
        };
        let channel = local.channel;
        self.answer(number);
        match channel {
            Some(id) => self.end_channel(id, MuxError::Rejected),
            None => self.release(number),
        }
        Ok(())
    }

    /// A close of what is closed on this side may have been sent before the peer knew.
    fn on_close(&mut self, number: u64) {
        match self.remote(number) {
            Remote::Free => {}
            // Who accepts it gets what was sent before.
            Remote::Offered(id) => {
                self.offers.get_mut(&id).into_iter().for_each(|offer| offer.is_closed = true);
            }
            Remote::Paired(id) => self.closed(id),
        }
    }

    /// The peer has closed a channel.
    pub(super) fn closed(&mut self, id: ChannelId) {
        let remote = self.channels.get(&id).and_then(|channel| channel.remote);
        if let Some(remote) = remote {
            self.remotes[remote] = Remote::Free;
        }
        self.end_channel(id, MuxError::Closed);
    }

    /// The peer has answered the opening of a channel whose close has been sent. protomux ignores a close
    /// that comes before its application has opened its side (index.js, `_onclosesession`), and takes the
    /// number for one in use: so it is closed again before it is free.
    fn close_again(&mut self, number: usize) {
        self.reply(frame::close(number as u64 + 1));
        self.release(number);
    }

    /// Returns what a number of the peer's stands for.
    fn remote(&self, number: u64) -> Remote {
        let index = number.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| self.remotes.get(index)).copied().unwrap_or(Remote::Free)
    }

    #[cfg(test)]
    pub(super) fn phase(&self, id: ChannelId) -> Option<super::state::Phase> {
        self.channels.get(&id).map(|channel| channel.phase)
    }
}

/// Frames of a batch that are handled in a turn.
const MAX_FRAMES: usize = 256;
