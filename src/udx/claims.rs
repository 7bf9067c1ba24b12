//! Packets from places where the peer has not been.
//!
//! They may be the peer's, whose router has given it another address, or forged: headers are not
//! authenticated. So they are kept apart from the stream until its owner finds that what they carry decrypts
//! ([`Streams::trust`](super::Streams::trust)): only the peer can make that.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::credit::FACTOR;
use super::seq::RangeSet;
use super::types::Place;
use crate::wire::packet::{HEADER_LEN, MAX_SACK_RANGES, PacketHeader, RANGE_LEN};

/// What has come for a stream from elsewhere.
#[derive(Debug, Default)]
pub(super) struct Claims {
    enabled: bool,
    claims: Vec<Claim>,
    /// What all packets take.
    memory: usize,
    /// The owner is to look at what has come, and has not yet.
    is_reported: bool,
    /// The place that is answered next, and when at the earliest.
    answer: Option<(Instant, Place)>,
    answered: Option<Instant>,
}

/// What has come from one place.
///
/// It is acknowledged there, as a peer that gets no answer sends the same few packets again and again. So it
/// is not dropped while the peer may still prove itself.
#[derive(Debug)]
pub(super) struct Claim {
    place: Place,
    heard: Instant,
    /// Bytes of datagrams from there, and of those that went there.
    pub(super) received: usize,
    sent: usize,
    /// The header of the packet that came last.
    pub(super) latest: PacketHeader,
    /// Those that are kept, by number.
    pub(super) packets: BTreeMap<u64, Claimed>,
    /// What came from there did not decrypt.
    is_forged: bool,
}

/// What a packet with a number holds.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) kind: u8,
    pub(super) payload: Box<[u8]>,
}

/// A packet with a number from another place than the path's.
pub(super) struct Foreign<'a> {
    pub(super) place: Place,
    pub(super) seq: u64,
    pub(super) header: &'a PacketHeader,
    pub(super) payload: &'a [u8],
}

impl Claims {
    /// Sets whether packets from elsewhere are kept, and forgets those that are.
    pub(super) fn enable(&mut self, enabled: bool) {
        *self = Self { enabled, ..Self::default() };
    }

    pub(super) const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Returns how much memory is held.
    pub(super) const fn memory(&self) -> usize {
        self.memory
    }

    /// Keeps a packet, if it fits into `free` bytes. `next` is the number that the stream expects. Returns
    /// whether the owner is to look at what has come.
    pub(super) fn hold(&mut self, now: Instant, packet: &Foreign<'_>, next: u64, free: usize) -> bool {
        self.forget_below(next);
        let known = self.claims.iter().position(|claim| claim.place == packet.place);
        let at = known.unwrap_or(self.claims.len());
        if at >= MAX_CLAIMS {
            return false;
        }
        if known.is_none() {
            self.claims.push(Claim::new(now, packet));
        }
        let claim = &mut self.claims[at];
        if claim.is_forged {
            return false;
        }
        claim.heard = now;
        claim.received += HEADER_LEN + packet.payload.len();
        claim.latest = *packet.header;
        let at = self.answered.map_or(now, |at| now.max(at + ANSWER_PAUSE));
        self.answer.get_or_insert((at, packet.place));
        let is_known = packet.seq < next || claim.packets.contains_key(&packet.seq);
        // What fills a gap is what all behind it wait for.
        let fills_gap = claim.packets.last_key_value().is_some_and(|(last, _)| packet.seq < *last);
        let limit = if fills_gap { 2 * MAX_CLAIMED } else { MAX_CLAIMED };
        if is_known || self.memory + charge(packet.payload) > limit || packet.payload.len() > free {
            return false;
        }
        let claimed = Claimed { kind: packet.header.kind, payload: packet.payload.into() };
        self.memory += charge(&claimed.payload);
        claim.packets.insert(packet.seq, claimed);
        claim.packets.contains_key(&next) && !std::mem::replace(&mut self.is_reported, true)
    }

    /// Notes a packet without a number from a place.
    pub(super) fn heard(&mut self, now: Instant, place: Place) {
        if let Some(claim) = self.claim_mut(place) {
            claim.heard = now;
        }
    }

    /// Returns the places from which the packet has come that the stream expects: the owner looks at them.
    pub(super) fn places(&mut self, next: u64) -> Vec<Place> {
        self.is_reported = false;
        self.forget_below(next);
        let claims = self.claims.iter().filter(|claim| claim.packets.contains_key(&next));
        claims.map(|claim| claim.place).collect()
    }

    /// Returns what packet `seq` from a place holds.
    pub(super) fn payload(&self, place: Place, seq: u64) -> Option<&[u8]> {
        let claim = self.claims.iter().find(|claim| claim.place == place)?;
        claim.packets.get(&seq).map(|packet| &*packet.payload)
    }

    /// Takes out what has come from a place.
    pub(super) fn take(&mut self, place: Place) -> Option<Claim> {
        let at = self.claims.iter().position(|claim| claim.place == place)?;
        let claim = self.claims.swap_remove(at);
        self.memory -= claim.memory();
        self.answer.take_if(|(_, to)| *to == place);
        Some(claim)
    }

    /// Drops what has come from a place, and what comes from there for a while: it is not the peer's.
    pub(super) fn refuse(&mut self, place: Place) {
        if let Some(claim) = self.claim_mut(place) {
            let memory = claim.memory();
            claim.packets.clear();
            claim.is_forged = true;
            self.memory -= memory;
        }
        self.answer.take_if(|(_, to)| *to == place);
    }

    /// Returns whether an answer is due.
    pub(super) fn owes_answer(&self, now: Instant) -> bool {
        self.answer.is_some_and(|(at, _)| at <= now)
    }

    /// Takes the place that is due an answer, and the numbers from `next` on that it acknowledges. `gaps` are
    /// those that came over the path: the peer takes what an answer does not name for lost. It is at most
    /// three times as long as what came from there.
    pub(super) fn take_answer(
        &mut self,
        now: Instant,
        next: u64,
        gaps: impl Iterator<Item = (u64, u64)>,
    ) -> Option<(Place, RangeSet)> {
        let (_, place) = self.answer.take_if(|(at, _)| *at <= now)?;
        self.answered = Some(now);
        let claim = self.claim_mut(place)?;
        let mut ranges = RangeSet::new();
        let held = claim.packets.range(next..).map(|(seq, _)| (*seq, *seq + 1));
        for (from, to) in gaps.chain(held) {
            ranges.insert(from, to, |_, _| {});
        }
        let size = HEADER_LEN + RANGE_LEN * ranges.edges(MAX_SACK_RANGES).count();
        let fits = claim.sent + size <= FACTOR * claim.received;
        claim.sent += if fits { size } else { 0 };
        fits.then_some((place, ranges))
    }

    /// Returns when there is something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let ends = self.claims.iter().map(Claim::ends);
        ends.chain(self.answer.map(|(at, _)| at)).min()
    }

    /// Forgets places from which nothing has come for long.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let memory = &mut self.memory;
        self.claims.retain(|claim| {
            let stays = claim.ends() > now;
            *memory -= if stays { 0 } else { claim.memory() };
            stays
        });
    }

    /// Drops what has come over the path meanwhile.
    fn forget_below(&mut self, next: u64) {
        for claim in &mut self.claims {
            while let Some(first) = claim.packets.first_entry().filter(|first| *first.key() < next) {
                self.memory -= charge(&first.remove().payload);
            }
        }
    }

    fn claim_mut(&mut self, place: Place) -> Option<&mut Claim> {
        self.claims.iter_mut().find(|claim| claim.place == place)
    }
}

impl Claim {
    const fn new(now: Instant, packet: &Foreign<'_>) -> Self {
        Self {
            place: packet.place,
            heard: now,
            received: 0,
            sent: 0,
            latest: *packet.header,
            packets: BTreeMap::new(),
            is_forged: false,
        }
    }

    /// Returns when it is forgotten if nothing more comes.
    fn ends(&self) -> Instant {
        self.heard + LIFETIME
    }

    fn memory(&self) -> usize {
        self.packets.values().map(|packet| charge(&packet.payload)).sum()
    }
}

/// What a packet counts.
const fn charge(payload: &[u8]) -> usize {
    payload.len() + PACKET_OVERHEAD
}

/// Places beside the path from which packets of one stream are kept.
pub(super) const MAX_CLAIMS: usize = 4;
/// The most memory that such packets of a stream take, twice that with what fills gaps: several of the
/// longest frames that this side writes.
pub(super) const MAX_CLAIMED: usize = 1 << 20;
/// What a packet takes beside its bytes: its place in the table, and what allocations round up to.
const PACKET_OVERHEAD: usize = 128;
/// How long a place is remembered from which nothing comes: longer than a peer that lives is silent.
const LIFETIME: Duration = Duration::from_secs(30);
/// Between two answers to packets from elsewhere: rare, so that an answer that somebody else has asked for is
/// no burden.
const ANSWER_PAUSE: Duration = Duration::from_millis(20);
