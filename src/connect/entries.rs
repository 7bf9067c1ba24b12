//! The handshakes that a server has answered or is answering, each distinct message 1 once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use super::job::EntryId;
use super::limits::Limits;
use super::noise::Session;
use super::punch::Guest;
use super::report::Report;
use super::route::Route;
use crate::keys::PublicKey;
use crate::udx::StreamId;
use crate::wire::address::{is_private, network};
use crate::wire::handshake::RelayThrough;

/// One message 1 and what became of it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) noise: Vec<u8>,
    pub(super) started: Instant,
    /// When it was answered for the first time, and how long the client took to say more.
    pub(super) answered: Option<Instant>,
    pub(super) round_trip: Option<Duration>,
    /// Whose budget it counts against.
    pub(super) source: Source,
    /// The stream that waits for the client's first packet.
    pub(super) stream: Option<StreamId>,
    pub(super) state: State,
    /// The id that the client gave its stream.
    pub(super) client_id: u32,
    /// The client's key, if both sides reuse the socket of the connection.
    pub(super) reusable: Option<PublicKey>,
    /// The relay that our answer offers.
    pub(super) offer: Option<RelayThrough>,
    /// Whether we try to meet the client at a relay.
    pub(super) relay_dialled: bool,
    /// The relay's address, once it has paired us.
    pub(super) relayed: Option<SocketAddrV4>,
    /// The stream while it runs over the relay and may leave it, and what it took to come about.
    pub(super) moving: Option<(StreamId, Box<Report>)>,
    /// Where the client may be, by what it has said and where it was seen.
    pub(super) hosts: Vec<Ipv4Addr>,
    /// The client as it punches, if it can.
    pub(super) guest: Option<Box<Guest>>,
    /// Whether the answer leaves from the socket that we punch with, so that the client learns where that is.
    pub(super) from_puncher: bool,
    /// When the guest has something to do, as filed with the server.
    pub(super) guest_due: Option<Instant>,
}

#[derive(Debug)]
pub(super) enum State {
    /// The cryptography is under way; these want the answer.
    Computing(Vec<Route>),
    /// Answered; the client's first packet has not come.
    HalfOpen { answer: Vec<u8>, session: Box<Session> },
    /// Answered, and nothing is expected any more: the stream lives its own life, or never came to be.
    Settled { answer: Vec<u8> },
    /// Unreadable or refused: silence.
    Silent,
}

/// Where a handshake comes from, as coarse as a stranger's addresses are cheap: the network of whoever sent
/// it to us, and inside of that the network of the client that a relay reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    transport: [u8; 3],
    client: [u8; 3],
    public: bool,
}

impl Entry {
    /// Takes note that the client has said something after our answer.
    pub(super) fn note_heard(&mut self, now: Instant) {
        let passed = self.answered.map(|at| now.saturating_duration_since(at));
        self.round_trip = self.round_trip.or(passed);
    }
}

impl Source {
    pub(super) fn of(from: SocketAddrV4, client: SocketAddrV4) -> Self {
        Self {
            transport: network(*from.ip()),
            client: network(*client.ip()),
            public: !is_private(*from.ip()),
        }
    }
}

/// Entries by id, by message, by stream and by the time at which they are forgotten.
#[derive(Debug, Default)]
pub(super) struct Entries {
    all: BTreeMap<EntryId, (Instant, Entry)>,
    by_noise: BTreeMap<Vec<u8>, EntryId>,
    by_stream: BTreeMap<StreamId, EntryId>,
    /// Those whose streams run over a relay and may leave it.
    moving: BTreeMap<StreamId, EntryId>,
    /// Half-open ones from public addresses.
    public: usize,
    deadlines: BTreeSet<(Instant, EntryId)>,
}

impl Entries {
    pub(super) fn insert(&mut self, id: EntryId, forget: Instant, entry: Entry) {
        self.by_noise.insert(entry.noise.clone(), id);
        if let Some(stream) = entry.stream {
            self.by_stream.insert(stream, id);
            self.public += usize::from(entry.source.public);
        }
        self.deadlines.insert((forget, id));
        self.all.insert(id, (forget, entry));
    }

    pub(super) fn remove(&mut self, id: EntryId) -> Option<Entry> {
        let (forget, entry) = self.all.remove(&id)?;
        self.deadlines.remove(&(forget, id));
        self.by_noise.remove(&entry.noise);
        if let Some((stream, _)) = &entry.moving {
            self.moving.remove(stream);
        }
        if let Some(stream) = entry.stream {
            self.by_stream.remove(&stream);
            self.public -= usize::from(entry.source.public);
        }
        Some(entry)
    }

    pub(super) fn get(&self, id: EntryId) -> Option<&Entry> {
        self.all.get(&id).map(|(_, entry)| entry)
    }

    pub(super) fn get_mut(&mut self, id: EntryId) -> Option<&mut Entry> {
        self.all.get_mut(&id).map(|(_, entry)| entry)
    }

    pub(super) fn with_noise(&mut self, noise: &[u8]) -> Option<&mut Entry> {
        let id = *self.by_noise.get(noise)?;
        self.get_mut(id)
    }

    pub(super) fn with_stream(&self, stream: StreamId) -> Option<EntryId> {
        self.by_stream.get(&stream).copied()
    }

    /// Takes the stream from an entry: it no longer counts as half open.
    pub(super) fn release_stream(&mut self, id: EntryId) -> Option<StreamId> {
        let entry = self.get_mut(id)?;
        let (stream, public) = (entry.stream.take()?, entry.source.public);
        self.by_stream.remove(&stream);
        self.public -= usize::from(public);
        Some(stream)
    }

    /// Notes that the entry's stream runs over a relay and may leave it.
    pub(super) fn set_moving(&mut self, id: EntryId, stream: StreamId, report: Report) {
        if let Some(entry) = self.get_mut(id) {
            entry.moving = Some((stream, Box::new(report)));
            self.moving.insert(stream, id);
        }
    }

    pub(super) fn with_moving(&self, stream: StreamId) -> Option<EntryId> {
        self.moving.get(&stream).copied()
    }

    /// Takes the note of [`Self::set_moving`] back.
    pub(super) fn take_moving(&mut self, id: EntryId) -> Option<(StreamId, Box<Report>)> {
        let moving = self.get_mut(id)?.moving.take()?;
        self.moving.remove(&moving.0);
        Some(moving)
    }

    pub(super) fn set_deadline(&mut self, id: EntryId, forget: Instant) {
        if let Some((old, _)) = self.all.get_mut(&id) {
            self.deadlines.remove(&(*old, id));
            *old = forget;
            self.deadlines.insert((forget, id));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub(super) fn next_due(&self, now: Instant) -> Option<EntryId> {
        let (at, id) = self.deadlines.first()?;
        (*at <= now).then_some(*id)
    }

    /// Returns how many wait for their client's first packet.
    pub(super) fn half_open(&self) -> usize {
        self.by_stream.len()
    }

    pub(super) fn ids(&self) -> Vec<EntryId> {
        self.all.keys().copied().collect()
    }

    /// Returns an entry that must go before another one comes from `source`, if the limits say so.
    pub(super) fn victim(&self, limits: &Limits, source: Source) -> Option<EntryId> {
        if source.public && self.public >= limits.max_half_open {
            self.oldest_of_the_busiest(true)
        } else if self.by_stream.len() >= limits.max_half_open_anywhere {
            self.oldest_of_the_busiest(false)
        } else if self.all.len() - self.by_stream.len() >= limits.max_remembered {
            let mut settled = self.deadlines.iter().map(|(_, id)| *id);
            settled.find(|id| self.all[id].1.stream.is_none())
        } else {
            None
        }
    }

    /// Returns the oldest half-open entry of whoever has the most of them: first by who sends to us, then by
    /// whom they name.
    fn oldest_of_the_busiest(&self, public_only: bool) -> Option<EntryId> {
        let half_open = || {
            let all = self.by_stream.values().map(|id| (*id, &self.all[id].1));
            all.filter(|(_, entry)| entry.source.public || !public_only)
        };
        let transport = busiest(half_open().map(|(_, entry)| entry.source.transport))?;
        let of_it = || half_open().filter(|(_, entry)| entry.source.transport == transport);
        let client = busiest(of_it().map(|(_, entry)| entry.source.client))?;
        of_it()
            .filter(|(_, entry)| entry.source.client == client)
            .min_by_key(|(id, entry)| (entry.started, *id))
            .map(|(id, _)| id)
    }
}

/// Returns the network that occurs most often.
fn busiest(networks: impl Iterator<Item = [u8; 3]>) -> Option<[u8; 3]> {
    let mut counts: BTreeMap<[u8; 3], usize> = BTreeMap::new();
    for network in networks {
        *counts.entry(network).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count)?;
    Some(most.0)
}
