//! The tables of channels, offers and listeners.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::task::{Poll, Waker};

use bytes::Bytes;

use super::window::Window;
use crate::mux::error::{MuxError, Violation};
use crate::mux::frame::{self, Frames};
use crate::mux::message::Message;

/// Names a channel to its owner; never used again, unlike its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::mux) struct ChannelId(pub(super) u64);

/// Names a channel that the peer has opened and nobody has accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::mux) struct OfferId(pub(super) u64);

/// Names a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::mux) struct ListenerId(pub(super) u64);

/// Protocol and id of a channel.
pub(super) type Key = (String, Bytes);

#[derive(Debug, Default)]
pub(in crate::mux) struct Core {
    pub(super) channels: BTreeMap<ChannelId, Channel>,
    /// Own numbers of channels, by the number less one.
    pub(super) locals: Vec<Option<Local>>,
    /// Own numbers, less one, that are free.
    pub(super) free: Vec<usize>,
    /// The peer's numbers, by the number less one.
    pub(super) remotes: Vec<Remote>,
    /// Own numbers, less one, that wait for the peer to open its side.
    pub(super) outgoing: BTreeMap<Key, VecDeque<usize>>,
    /// What the peer has opened and nobody has accepted yet, the oldest first.
    pub(super) offers: BTreeMap<OfferId, Offer>,
    pub(super) listeners: BTreeMap<ListenerId, Listener>,
    /// Which listener is asked: that of the id, or that of all ids.
    pub(super) by_name: BTreeMap<(String, Option<Bytes>), ListenerId>,
    last: u64,
    /// Answers to be sent: rejections, and closes that are repeated.
    pub(super) replies: VecDeque<Vec<u8>>,
    /// Channels with something to send, in turn.
    pub(super) ready: VecDeque<ChannelId>,
    /// What unread messages of channels take, streams left out.
    pub(super) unread: usize,
    /// What offers and their messages take.
    pub(super) waiting: usize,
    /// How many channels are streams.
    pub(super) streams: usize,
    /// What is left of the message that is being handled.
    pub(super) frames: Frames,
    /// Whether the application waits for something of the peer's.
    pub(super) is_started: bool,
    /// Whether the application has dropped everything.
    pub(super) is_abandoned: bool,
    pub(super) end: Option<MuxError>,
    /// The task that reads from the connection, while it may not.
    pub(super) reading: Option<Waker>,
    /// The task that writes, while there is nothing to send.
    pub(super) writing: Option<Waker>,
    /// The task that reads, while it waits for the peer.
    stopping: Option<Waker>,
}

/// One side of a channel, ours.
#[derive(Debug)]
pub(super) struct Channel {
    /// The own number less one, until the channel is closed.
    pub(super) number: Option<usize>,
    /// The peer's number less one, while its messages come here.
    pub(super) remote: Option<usize>,
    pub(super) phase: Phase,
    /// What the peer has sent with its opening, once it has opened its side.
    pub(super) handshake: Option<Bytes>,
    pub(super) inbox: VecDeque<Message>,
    /// What the inbox takes of the connection's bound.
    pub(super) unread: usize,
    pub(super) outbox: VecDeque<Vec<u8>>,
    /// How many bytes the outbox holds.
    pub(super) queued: usize,
    /// Whether it is in the list of those with something to send.
    pub(super) is_ready: bool,
    /// Whether the frame that opens it is still in the outbox.
    pub(super) is_unsent: bool,
    /// Whether its owner has dropped it, so that the last frame of the outbox closes it.
    pub(super) is_closing: bool,
    /// For streams: what either side may send.
    pub(super) stream: Option<Window>,
    pub(super) reader: Option<Waker>,
    /// By what they wake, for there may be thousands.
    pub(super) writers: HashMap<(usize, usize), Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The peer has not opened its side.
    Opening,
    Open,
    Ended(MuxError),
}

/// An own number in use.
#[derive(Debug)]
pub(super) struct Local {
    /// `None` once it is closed, until the peer has answered the opening.
    pub(super) channel: Option<ChannelId>,
    /// What the peer's opening may be named; empty once it has answered.
    pub(super) keys: Vec<Key>,
}

/// What a number of the peer's stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remote {
    /// Nothing, or a channel that is closed on this side: messages are dropped.
    Free,
    Offered(OfferId),
    Paired(ChannelId),
}

/// A channel that the peer has opened and nobody has accepted.
#[derive(Debug)]
pub(super) struct Offer {
    /// The peer's number less one.
    pub(super) remote: usize,
    pub(super) key: Key,
    pub(super) handshake: Bytes,
    pub(super) messages: Vec<Message>,
    /// What it takes of the bound.
    pub(super) cost: usize,
    pub(super) listener: ListenerId,
    /// Whether the listener has handed it to the application.
    pub(super) is_taken: bool,
    /// Whether the peer has closed it, or ended the connection.
    pub(super) is_closed: bool,
}

#[derive(Debug)]
pub(super) struct Listener {
    pub(super) name: (String, Option<Bytes>),
    pub(super) waker: Option<Waker>,
}

impl Core {
    /// Returns a number for a channel, an offer or a listener.
    pub(super) const fn fresh(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Returns how many own numbers are in use.
    pub(super) fn in_use(&self) -> usize {
        self.locals.len() - self.free.len()
    }

    /// Makes an own number free for another channel.
    pub(super) fn release(&mut self, number: usize) {
        self.locals[number] = None;
        self.free.push(number);
    }

    /// Takes a number from those that wait for the peer.
    pub(super) fn answer(&mut self, number: usize) {
        let Some(local) = &mut self.locals[number] else {
            return;
        };
        for key in std::mem::take(&mut local.keys) {
            if let Some(waiting) = self.outgoing.get_mut(&key) {
                waiting.retain(|other| *other != number);
                if waiting.is_empty() {
                    self.outgoing.remove(&key);
                }
            }
        }
    }

    /// Returns whether the peer has to wait until the application has read, accepted or sent something.
    pub(super) fn is_full(&self) -> bool {
        self.unread > MAX_UNREAD || self.waiting > MAX_WAITING || self.replies.len() > MAX_REPLIES
    }

    /// Lets the reading task go on if it may.
    pub(super) fn resume(&mut self) {
        let may_go_on = self.is_started && !self.is_full();
        if (may_go_on || self.end.is_some() || self.is_abandoned)
            && let Some(reading) = self.reading.take()
        {
            reading.wake();
        }
    }

    /// Lets reading begin: the application waits for something that the peer sends.
    pub(in crate::mux) fn start(&mut self) {
        if !self.is_started {
            self.is_started = true;
            self.resume();
        }
    }

    pub(super) fn wake_writer(&mut self) {
        if let Some(writing) = self.writing.take() {
            writing.wake();
        }
    }

    /// Ends all channels, and drops what waits to be sent; the first reason counts.
    pub(in crate::mux) fn fail(&mut self, reason: MuxError) {
        if self.end.is_none() {
            self.offers.clear();
            self.waiting = 0;
        }
        self.end(reason);
        for channel in self.channels.values_mut() {
            channel.outbox.clear();
            channel.queued = 0;
        }
        self.channels.retain(|_, channel| !channel.is_closing);
        self.ready.clear();
        self.replies.clear();
    }

    /// Ends all channels: the peer sends no more. What waits is still sent, and what has come can still be
    /// accepted and read.
    pub(in crate::mux) fn finish(&mut self) {
        self.offers.values_mut().for_each(|offer| offer.is_closed = true);
        self.end(MuxError::Closed);
    }

    fn end(&mut self, reason: MuxError) {
        if self.end.is_some() {
            return;
        }
        self.end = Some(reason);
        for channel in self.channels.values_mut() {
            channel.end(reason);
        }
        self.frames = Frames::default();
        for listener in self.listeners.values_mut() {
            listener.waker.take().into_iter().for_each(Waker::wake);
        }
        self.stop();
        self.wake_writer();
    }

    /// The application has dropped everything that belongs to the mux: what waits is still sent.
    pub(in crate::mux) fn abandon(&mut self) {
        self.is_abandoned = true;
        self.stop();
        self.wake_writer();
    }

    /// Ready once nothing more of the peer's is wanted.
    pub(in crate::mux) fn poll_stopped(&mut self, waker: &Waker) -> Poll<()> {
        if self.end.is_some() || self.is_abandoned {
            return Poll::Ready(());
        }
        self.stopping = Some(waker.clone());
        Poll::Pending
    }

    fn stop(&mut self) {
        self.resume();
        self.stopping.take().into_iter().for_each(Waker::wake);
    }

    /// Returns why the mux has ended.
    pub(in crate::mux) const fn ended(&self) -> Option<MuxError> {
        self.end
    }

    /// Refuses a channel of the peer's; the number is less one.
    pub(super) fn refuse(&mut self, remote: usize) {
        self.reply(frame::reject(remote as u64 + 1));
    }

    /// Puts an answer to a frame of the peer's in line, before what channels send.
    pub(super) fn reply(&mut self, frame: Vec<u8>) {
        self.replies.push_back(frame);
        self.wake_writer();
    }
}

impl Channel {
    pub(super) fn new(number: usize, stream: Option<Window>) -> Self {
        Self {
            number: Some(number),
            remote: None,
            phase: Phase::Opening,
            handshake: None,
            inbox: VecDeque::new(),
            unread: 0,
            outbox: VecDeque::new(),
            queued: 0,
            is_ready: false,
            is_unsent: true,
            is_closing: false,
            stream,
            reader: None,
            writers: HashMap::new(),
        }
    }

    /// Takes a message of the peer's and returns what it takes of the connection's bound: nothing in a
    /// stream, which has a window of its own.
    pub(super) fn deliver(&mut self, message: Message) -> Result<usize, Violation> {
        let cost = match &mut self.stream {
            None => MESSAGE_COST + message.content.len(),
            Some(window) => {
                if !window.receive(&message)? {
                    // It is done with, and tasks that wait may go on because of it.
                    self.wake();
                    return Ok(0);
                }
                0
            }
        };
        self.unread += cost;
        self.inbox.push_back(message);
        self.reader.take().into_iter().for_each(Waker::wake);
        Ok(cost)
    }

    /// Returns one that the peer has opened and that is over.
    pub(super) fn ended(handshake: Bytes) -> Self {
        let phase = Phase::Ended(MuxError::Closed);
        Self { number: None, phase, handshake: Some(handshake), is_unsent: false, ..Self::new(0, None) }
    }

    /// Nothing more is sent or received; what has come can still be read.
    pub(super) fn end(&mut self, reason: MuxError) {
        self.stream.as_mut().into_iter().for_each(Window::forget_grant);
        if !matches!(self.phase, Phase::Ended(_)) {
            self.phase = Phase::Ended(reason);
        }
        self.remote = None;
        self.wake();
    }

    /// Has a task woken once more may be sent.
    pub(super) fn wait_to_write(&mut self, waker: &Waker) {
        let task = (waker.data().addr(), std::ptr::from_ref(waker.vtable()).addr());
        self.writers.entry(task).or_insert_with(|| waker.clone());
    }

    pub(super) fn wake_writers(&mut self) {
        self.writers.drain().for_each(|(_, waker)| waker.wake());
    }

    fn wake(&mut self) {
        self.reader.take().into_iter().for_each(Waker::wake);
        self.wake_writers();
    }
}

/// Channels that each side may have open.
pub(in crate::mux) const MAX_CHANNELS: usize = 4096;

/// Bytes of unread messages of all channels, above which the peer waits.
pub(super) const MAX_UNREAD: usize = 1 << 20;

/// Bytes of channels that nobody has accepted, above which the peer waits: the same in protomux (index.js,
/// `MAX_BUFFERED`).
pub(super) const MAX_WAITING: usize = 32 * 1024;

/// Answers that wait to be sent, above which the peer waits.
pub(super) const MAX_REPLIES: usize = 256;

/// What a message takes beside its content.
pub(super) const MESSAGE_COST: usize = 64;

/// What an offer, or a message of one, takes beside its content: the same in protomux (index.js, `byteSize`).
pub(super) const OFFER_COST: usize = 512;
