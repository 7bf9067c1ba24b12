//! What the application does with its channels and listeners.

use std::task::{Poll, Waker};

use bytes::Bytes;

use super::state::{
    Channel, ChannelId, Core, Key, Listener, ListenerId, Local, MAX_CHANNELS, MESSAGE_COST, Offer, OfferId,
    Phase, Remote,
};
use super::window::Window;
use crate::api::Connection;
use crate::mux::error::MuxError;
use crate::mux::frame::{self, Batch};
use crate::mux::message::Message;

/// A channel to be opened.
#[derive(Clone, Debug, Default)]
pub(in crate::mux) struct Opening {
    pub(in crate::mux) protocol: String,
    /// Empty for none.
    pub(in crate::mux) id: Bytes,
    /// Other names by which the peer may open its side.
    pub(in crate::mux) aliases: Vec<String>,
    pub(in crate::mux) handshake: Bytes,
    /// Whether it carries bytes that a window holds back.
    pub(in crate::mux) is_stream: bool,
}

impl Opening {
    fn keys(&self) -> Vec<Key> {
        let mut names = vec![&self.protocol];
        for alias in &self.aliases {
            if !names.contains(&alias) {
                names.push(alias);
            }
        }
        names.into_iter().map(|name| (name.clone(), self.id.clone())).collect()
    }
}

impl Core {
    /// Opens a channel. It belongs to the first one with the same protocol and id that the peer has opened
    /// and nobody has accepted, or that it will open.
    pub(in crate::mux) fn open(&mut self, opening: &Opening) -> Result<ChannelId, MuxError> {
        let keys = opening.keys();
        // Also one that the application is looking at: they belong together in order.
        let mut offers = self.offers.iter();
        let offer = offers.find(|(_, offer)| keys.contains(&offer.key));
        let offer = offer.map(|(id, _)| *id);
        let (id, number) = self.begin(opening)?;
        match offer {
            Some(offer) => self.pair_offer(id, offer)?,
            None => {
                for key in &keys {
                    self.outgoing.entry(key.clone()).or_default().push_back(number);
                }
                if let Some(local) = &mut self.locals[number] {
                    local.keys = keys;
                }
            }
        }
        Ok(id)
    }

    /// Opens the own side of what the peer has opened.
    pub(in crate::mux) fn accept(
        &mut self,
        offer: OfferId,
        opening: &Opening,
    ) -> Result<ChannelId, MuxError> {
        let Some(Offer { is_closed, .. }) = self.offers.get(&offer) else {
            return Err(self.end.unwrap_or(MuxError::Closed));
        };
        // That is a reset.
        if *is_closed && opening.is_stream {
            return Err(MuxError::Closed);
        }
        let id = match self.end {
            None => self.begin(opening)?.0,
            Some(_) => ChannelId(self.fresh()),
        };
        self.pair_offer(id, offer)?;
        Ok(id)
    }

    /// Takes a number and puts the frame that opens the channel in line.
    fn begin(&mut self, opening: &Opening) -> Result<(ChannelId, usize), MuxError> {
        if let Some(reason) = self.end {
            return Err(reason);
        }
        // The peer can end channels and open others sooner than the application drops them.
        if self.in_use().max(self.channels.len()) >= MAX_CHANNELS {
            return Err(MuxError::TooMany { max: MAX_CHANNELS });
        }
        let number = self.free.last().copied().unwrap_or(self.locals.len());
        let Opening { protocol, id, handshake, .. } = opening;
        let frame = frame::open(number as u64 + 1, protocol, id, handshake);
        fits(frame.len())?;
        let channel = ChannelId(self.fresh());
        if self.free.pop().is_none() {
            self.locals.push(None);
        }
        self.locals[number] = Some(Local { channel: Some(channel), keys: Vec::new() });
        let stream = opening.is_stream.then(Window::default);
        self.streams += usize::from(opening.is_stream);
        self.channels.insert(channel, Channel::new(number, stream));
        self.put(channel, frame);
        Ok((channel, number))
    }

    /// Joins an own channel to what the peer has opened, and hands over what has come for it.
    fn pair_offer(&mut self, id: ChannelId, offer: OfferId) -> Result<(), MuxError> {
        let Some(offer) = self.offers.remove(&offer) else {
            return Ok(());
        };
        self.waiting -= offer.cost;
        self.wake_next(&offer.key);
        if self.end.is_none() {
            self.pair(id, offer.remote, offer.handshake);
        } else {
            self.channels.insert(id, Channel::ended(offer.handshake));
        }
        for message in offer.messages {
            if let Err(violation) = self.deliver(id, message) {
                self.fail(MuxError::Protocol(violation));
                // Nobody gets it.
                self.close(id);
                return Err(MuxError::Protocol(violation));
            }
        }
        if offer.is_closed {
            self.closed(id);
        }
        self.resume();
        Ok(())
    }

    /// Joins an own channel to a number of the peer's, less one.
    pub(super) fn pair(&mut self, id: ChannelId, remote: usize, handshake: Bytes) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        channel.remote = Some(remote);
        channel.handshake = Some(handshake);
        channel.phase = Phase::Open;
        channel.reader.take().into_iter().for_each(Waker::wake);
        self.remotes[remote] = Remote::Paired(id);
    }

    /// Refuses what the peer has opened.
    pub(in crate::mux) fn reject(&mut self, offer: OfferId) {
        if let Some(offer) = self.offers.remove(&offer) {
            self.waiting -= offer.cost;
            self.wake_next(&offer.key);
            self.remotes[offer.remote] = Remote::Free;
            self.refuse(offer.remote);
            self.resume();
        }
    }

    /// Returns what the peer has sent with its opening, once it has opened its side.
    pub(in crate::mux) fn poll_opened(
        &mut self,
        id: ChannelId,
        waker: &Waker,
    ) -> Poll<Result<Bytes, MuxError>> {
        self.start();
        let Some(channel) = self.channels.get_mut(&id) else {
            return Poll::Ready(Err(MuxError::Closed));
        };
        match (&channel.handshake, channel.phase) {
            // Also one that has ended since: what has come can be read.
            (Some(handshake), _) => Poll::Ready(Ok(handshake.clone())),
            (None, Phase::Ended(reason)) => Poll::Ready(Err(reason)),
            (None, Phase::Opening | Phase::Open) => {
                channel.reader = Some(waker.clone());
                Poll::Pending
            }
        }
    }

    /// Puts a message in line, unless as many bytes of the channel wait as may.
    pub(in crate::mux) fn poll_send(
        &mut self,
        id: ChannelId,
        kind: u64,
        content: &[u8],
        waker: &Waker,
    ) -> Poll<Result<(), MuxError>> {
        let size = |number| frame::message_len(number, kind, content.len());
        self.poll_put(id, waker, size, |number| frame::message(number, kind, content))
    }

    /// Puts messages in line that go as one.
    pub(in crate::mux) fn poll_send_batch(
        &mut self,
        id: ChannelId,
        batch: &Batch,
        waker: &Waker,
    ) -> Poll<Result<(), MuxError>> {
        self.poll_put(id, waker, |number| batch.len(number), |number| batch.frame(number))
    }

    fn poll_put(
        &mut self,
        id: ChannelId,
        waker: &Waker,
        size: impl FnOnce(u64) -> usize,
        make: impl FnOnce(u64) -> Vec<u8>,
    ) -> Poll<Result<(), MuxError>> {
        let number = match self.writable(id) {
            Ok(number) => number,
            Err(reason) => return Poll::Ready(Err(reason)),
        };
        fits(size(number))?;
        if !self.has_room(id, waker) {
            return Poll::Pending;
        }
        self.put(id, make(number));
        Poll::Ready(Ok(()))
    }

    /// Returns the own number of a channel that can be written to.
    pub(super) fn writable(&self, id: ChannelId) -> Result<u64, MuxError> {
        let channel = self.channels.get(&id).ok_or(MuxError::Closed)?;
        match (channel.phase, channel.number) {
            (Phase::Ended(reason), _) => Err(reason),
            (_, Some(number)) if !channel.is_closing => Ok(number as u64 + 1),
            _ => Err(MuxError::Closed),
        }
    }

    /// Returns the next message; `None` once the peer has closed the channel.
    pub(in crate::mux) fn poll_recv(
        &mut self,
        id: ChannelId,
        waker: &Waker,
    ) -> Poll<Result<Option<Message>, MuxError>> {
        self.start();
        let Some(channel) = self.channels.get_mut(&id) else {
            return Poll::Ready(Ok(None));
        };
        if let Some(message) = channel.inbox.pop_front() {
            let cost = MESSAGE_COST + message.content.len();
            channel.unread -= cost;
            self.unread -= cost;
            self.resume();
            return Poll::Ready(Ok(Some(message)));
        }
        match channel.phase {
            Phase::Ended(MuxError::Closed) => Poll::Ready(Ok(None)),
            Phase::Ended(reason) => Poll::Ready(Err(reason)),
            Phase::Opening | Phase::Open => {
                channel.reader = Some(waker.clone());
                Poll::Pending
            }
        }
    }

    /// Its owner is done with a channel: what waits is sent, then the peer is told.
    pub(in crate::mux) fn close(&mut self, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        if channel.is_closing {
            return;
        }
        self.unread -= channel.unread;
        self.streams -= usize::from(channel.stream.is_some());
        channel.unread = 0;
        channel.inbox.clear();
        channel.is_closing = true;
        let remote = channel.remote.take();
        let is_over = matches!(channel.phase, Phase::Ended(_));
        let (number, is_queued) = (channel.number, !channel.outbox.is_empty());
        channel.wake_writers();
        if let Some(remote) = remote {
            self.remotes[remote] = Remote::Free;
        }
        match number {
            Some(number) if !is_over => self.put(id, frame::close(number as u64 + 1)),
            // The frame that opens it has not been sent yet, or others before the end.
            Some(_) if is_queued => {}
            _ => {
                self.channels.remove(&id);
            }
        }
        self.resume();
    }

    /// Begins to take what the peer opens of a protocol: with one id, or with all that nobody else listens
    /// for.
    pub(in crate::mux) fn listen(&mut self, name: (String, Option<Bytes>)) -> Result<ListenerId, MuxError> {
        if let Some(reason) = self.end {
            return Err(reason);
        }
        if self.by_name.contains_key(&name) {
            return Err(MuxError::Listening);
        }
        let id = ListenerId(self.fresh());
        self.by_name.insert(name.clone(), id);
        self.listeners.insert(id, Listener { name, waker: None });
        Ok(id)
    }

    /// Ends a listener; what nobody has accepted is refused.
    pub(in crate::mux) fn unlisten(&mut self, id: ListenerId) {
        let Some(listener) = self.listeners.remove(&id) else {
            return;
        };
        self.by_name.remove(&listener.name);
        let offers = self.offers.iter().filter(|(_, offer)| offer.listener == id && !offer.is_taken);
        for offer in offers.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.reject(offer);
        }
    }

    /// Returns what the peer has opened next; `None` once the connection has ended and all of that has been
    /// returned. Of those with the same protocol and id, which only their order distinguishes for the peer,
    /// one at a time.
    pub(in crate::mux) fn poll_accept(&mut self, id: ListenerId, waker: &Waker) -> Poll<Option<OfferId>> {
        self.start();
        let is_taken = |key: &Key| self.offers.values().any(|offer| offer.is_taken && offer.key == *key);
        let mut offers = self.offers.iter();
        let next = offers.find(|(_, offer)| offer.listener == id && !is_taken(&offer.key));
        if let Some(next) = next.map(|(id, _)| *id) {
            if let Some(offer) = self.offers.get_mut(&next) {
                offer.is_taken = true;
            }
            return Poll::Ready(Some(next));
        }
        if self.end.is_some() {
            return Poll::Ready(None);
        }
        if let Some(listener) = self.listeners.get_mut(&id) {
            listener.waker = Some(waker.clone());
        }
        Poll::Pending
    }

    pub(super) fn wake_listener(&mut self, id: ListenerId) {
        let listener = self.listeners.get_mut(&id).and_then(|listener| listener.waker.take());
        listener.into_iter().for_each(Waker::wake);
    }

    /// Wakes the listener of the next of those with the same protocol and id. It is another one than that of
    /// the last, if that has been dropped, or this one has come since.
    fn wake_next(&mut self, key: &Key) {
        let listener = self.offers.values().find(|offer| offer.key == *key).map(|offer| offer.listener);
        listener.into_iter().for_each(|listener| self.wake_listener(listener));
    }

    /// Returns protocol, id and handshake of what the peer has opened.
    pub(in crate::mux) fn offered(&self, offer: OfferId) -> Option<(&str, &Bytes, &Bytes)> {
        let Offer { key: (protocol, id), handshake, .. } = self.offers.get(&offer)?;
        Some((protocol, id, handshake))
    }
}

/// Fails if a frame is larger than a message of the connection.
fn fits(size: usize) -> Result<(), MuxError> {
    let max = Connection::MAX_MESSAGE;
    if size > max { Err(MuxError::TooLarge { size, max }) } else { Ok(()) }
}
