//! A hostile peer, made from bytes: the body of a fuzz target.

use std::task::{Poll, Waker};

use arbitrary::{Result, Unstructured};
use bytes::Bytes;

use super::owner::Opening;
use super::state::{
    ChannelId, Core, ListenerId, MAX_CHANNELS, MAX_REPLIES, MAX_UNREAD, MAX_WAITING, MESSAGE_COST, OFFER_COST,
};
use super::streams::data;
use crate::mux::error::MuxError;
use crate::mux::frame::{self, Batch};

/// The peer sends frames that are right, or nearly, and bytes that are not, while the application does as it
/// likes. Nothing panics, what is counted is right, and what the peer makes grow keeps to its bound.
pub(crate) fn hostile(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let mut world = World::new();
    // Without bytes the peer has no more ideas.
    while !u.is_empty() && world.turn(&mut u).is_ok() {
        world.check();
    }
    world.close();
}

struct World {
    core: Core,
    listener: Option<ListenerId>,
    channels: Vec<ChannelId>,
    /// Whether the core has not handled all of the last message.
    is_behind: bool,
    /// The largest message so far.
    largest: usize,
}

const PROTOCOLS: [&str; 3] = ["listened for", "opened", ""];

impl World {
    fn new() -> Self {
        let mut core = Core::default();
        core.start();
        let listener = core.listen((PROTOCOLS[0].to_owned(), None)).ok();
        Self { core, listener, channels: Vec::new(), is_behind: false, largest: 0 }
    }

    fn turn(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=11_u8)? {
            0..=4 => {
                if !self.is_behind {
                    let message = message(u)?;
                    self.largest = self.largest.max(message.len());
                    self.core.receive(message.into());
                }
                self.is_behind = self.core.poll_read(Waker::noop()).is_pending();
            }
            5 => {
                let is_stream = u.ratio(1, 3)?;
                let protocol = (*u.choose(&PROTOCOLS)?).to_owned();
                let opening = Opening { protocol, is_stream, ..Opening::default() };
                self.channels.extend(self.core.open(&opening).ok());
            }
            6 => self.accept(u)?,
            7 => self.receive(u)?,
            8 => {
                if let Some(id) = self.choose(u)? {
                    let content = vec![1; u.int_in_range(1..=40_000)?];
                    if self.core.channels.get(&id).is_some_and(|channel| channel.stream.is_some()) {
                        if let Poll::Ready(Ok((number, length))) =
                            self.core.poll_room(id, content.len(), Waker::noop())
                        {
                            let _ = self.core.put_data(id, length, data(number, &content[..length]));
                        }
                    } else {
                        let _ = self.core.poll_send(id, 0, &content, Waker::noop());
                    }
                }
            }
            9 => {
                if let Some(id) = self.choose(u)? {
                    self.core.close(id);
                    self.channels.retain(|other| *other != id);
                }
            }
            10 if u.ratio(1, 20)? => {
                self.listener.take().into_iter().for_each(|listener| self.core.unlisten(listener));
            }
            _ => {
                for _ in 0..u.int_in_range(1..=20_u8)? {
                    // There is nothing to send, or the end has come.
                    let _ = self.core.poll_transmit(Waker::noop());
                }
            }
        }
        Ok(())
    }

    fn choose(&self, u: &mut Unstructured<'_>) -> Result<Option<ChannelId>> {
        if self.channels.is_empty() { Ok(None) } else { u.choose(&self.channels).copied().map(Some) }
    }

    fn accept(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(listener) = self.listener else {
            return Ok(());
        };
        let Poll::Ready(Some(offer)) = self.core.poll_accept(listener, Waker::noop()) else {
            return Ok(());
        };
        if u.ratio(1, 4)? {
            self.core.reject(offer);
            return Ok(());
        }
        let opening =
            Opening { protocol: PROTOCOLS[0].to_owned(), is_stream: u.arbitrary()?, ..Opening::default() };
        match self.core.accept(offer, &opening) {
            Ok(id) => self.channels.push(id),
            // Who held it drops it.
            Err(_) => self.core.reject(offer),
        }
        Ok(())
    }

    fn receive(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(id) = self.choose(u)? else {
            return Ok(());
        };
        let mut read = None;
        for _ in 0..u.int_in_range(1..=9_u8)? {
            if self.core.channels.get(&id).is_some_and(|channel| channel.stream.is_some()) {
                let next = self.core.poll_data(id, read.take(), Waker::noop());
                read = match next {
                    Poll::Ready(Ok(Some(data))) => Some(data.len()),
                    _ => None,
                };
            } else {
                let _ = self.core.poll_recv(id, Waker::noop());
            }
        }
        Ok(())
    }

    fn check(&self) {
        let core = &self.core;
        let unread: usize = core.channels.values().map(|channel| channel.unread).sum();
        assert_eq!(core.unread, unread, "what is unread is counted");
        let waiting: usize = core.offers.values().map(|offer| offer.cost).sum();
        assert_eq!(core.waiting, waiting, "what waits is counted");
        let most_waits = MAX_WAITING + OFFER_COST + self.largest;
        assert!(core.waiting <= most_waits);
        // What is accepted has been sent already.
        assert!(core.unread <= MAX_UNREAD + MESSAGE_COST + self.largest + most_waits);
        // A listener that goes rejects all that waits.
        assert!(core.replies.len() <= MAX_REPLIES + 1 + most_waits / OFFER_COST);
        assert!(core.remotes.len() <= MAX_CHANNELS && core.in_use() <= MAX_CHANNELS);
        assert!(core.channels.len() <= MAX_CHANNELS);
        for channel in core.channels.values() {
            let queued: usize = channel.outbox.iter().map(Vec::len).sum();
            assert_eq!(channel.queued, queued, "what is in line is counted");
            let held: usize = channel.inbox.iter().map(|message| message.content.len()).sum();
            assert!(channel.stream.as_ref().is_none_or(|window| held <= window.size()));
        }
    }

    /// Once the application has dropped all it had, nothing of it is left but numbers that the peer has not
    /// answered.
    fn close(&mut self) {
        for id in std::mem::take(&mut self.channels) {
            self.core.close(id);
        }
        self.listener.take().into_iter().for_each(|listener| self.core.unlisten(listener));
        while let Poll::Ready(Some(_)) = self.core.poll_transmit(Waker::noop()) {}
        self.check();
        let unanswered = self.core.locals.iter().flatten().count();
        let core = &self.core;
        assert_eq!((core.unread, core.streams, core.channels.len(), core.offers.len()), (0, 0, 0, 0));
        assert!(core.end.is_some() || unanswered == core.in_use());
        assert!(matches!(core.end, None | Some(MuxError::Protocol(_))), "{:?}", core.end);
    }
}

/// Makes a message of the connection: a frame, a batch, or anything.
fn message(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let number = u64::from(u.int_in_range(0..=6_u8)?);
    Ok(match u.int_in_range(0..=9_u8)? {
        0..=2 => frame::open(number, u.choose(&PROTOCOLS)?, &[], &[]),
        3 => frame::reject(number),
        4 => frame::close(number),
        5..=6 => {
            let kind = u64::from(u.int_in_range(0..=3_u8)?);
            frame::message(number, kind, &vec![0; u.int_in_range(0..=40_000)?])
        }
        7 => {
            let mut batch = Batch::default();
            for _ in 0..u.int_in_range(0..=300_u16)? {
                batch.push(number, &[1][..usize::from(u.arbitrary::<bool>()?)]);
            }
            batch.frame(number)
        }
        8 => {
            let mut message = Bytes::copy_from_slice(&frame::open(number, PROTOCOLS[0], &[], &[])).to_vec();
            let at = u.int_in_range(0..=message.len() - 1)?;
            message[at] = u.arbitrary()?;
            message
        }
        _ => {
            let length = u.int_in_range(0..=60_usize)?.min(u.len());
            u.bytes(length)?.to_vec()
        }
    })
}
