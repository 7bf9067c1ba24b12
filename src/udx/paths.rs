//! Where the packets of a stream come from and go to.

use std::net::Ipv4Addr;
use std::time::Instant;

use super::credit::Credit;
use super::recv::Receiver;
use super::types::{Admission, Place};

/// The places of a stream: the path that it uses, and where else packets are taken from.
///
/// The reference takes packets from anywhere once its firewall hook has agreed (`udx.md` §6, P20). Here a
/// path that is validated is left only by [`Self::set`] and [`Self::change`], and by [`Self::follow`] once
/// something from elsewhere is known to be the peer's.
#[derive(Debug)]
pub(super) struct Paths {
    admission: Admission,
    /// The id that the peer gave the stream.
    remote_id: Option<u32>,
    /// Where packets go.
    current: Option<Place>,
    /// The path before a change, or a second place from which the peer has proven itself.
    alternate: Option<Place>,
    /// When a packet last came from `alternate`.
    alternate_heard: Option<Instant>,
    /// Hosts from which packets are taken without moving the path.
    candidates: Vec<Ipv4Addr>,
    /// The candidate's place that was reported last.
    offered: Option<Place>,
    /// Where packets came from before there was a path.
    held: Option<Place>,
    /// A change of path is complete when everything below this number is acknowledged.
    changing: Option<u64>,
    /// After [`Self::follow`], the highest number that has come over the path.
    followed: Option<u64>,
    /// What may be sent before a packet has come over the path.
    credit: Credit,
}

/// Whether a packet is taken, by where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// It has no effect.
    Refused,
    /// It is processed.
    Accepted,
    /// It is processed; it is the first from this place of a candidate.
    Offered,
    /// It is processed; its place is the path now.
    Learned,
}

impl Paths {
    pub(super) fn new(admission: Admission) -> Self {
        Self {
            admission,
            remote_id: None,
            current: None,
            alternate: None,
            alternate_heard: None,
            candidates: Vec::new(),
            offered: None,
            held: None,
            changing: None,
            followed: None,
            credit: Credit::default(),
        }
    }

    /// Returns where packets go.
    pub(super) const fn current(&self) -> Option<Place> {
        self.current
    }

    /// Returns where packets go and the id that they bear, if both are known.
    pub(super) fn target(&self) -> Option<(Place, u32)> {
        self.current.zip(self.remote_id)
    }

    /// Returns all places from which the peer may ask after the end.
    pub(super) const fn known(&self) -> [Option<Place>; 2] {
        [self.current, self.alternate]
    }

    pub(super) const fn held(&self) -> Option<Place> {
        self.held
    }

    pub(super) const fn alternate_heard(&self) -> Option<Instant> {
        self.alternate_heard
    }

    pub(super) const fn is_changing(&self) -> bool {
        self.changing.is_some()
    }

    /// Returns whether a datagram of `size` bytes may leave.
    pub(super) fn affords(&self, size: usize) -> bool {
        self.credit.affords(size)
    }

    pub(super) const fn set_admission(&mut self, admission: Admission) {
        self.admission = admission;
    }

    pub(super) const fn set_remote_id(&mut self, remote_id: u32) {
        self.remote_id = Some(remote_id);
    }

    pub(super) fn set_candidates(&mut self, hosts: Vec<Ipv4Addr>) {
        self.candidates = hosts;
    }

    pub(super) fn set_credit(&mut self, bytes: usize) {
        self.credit.set(bytes);
    }

    /// Counts a datagram of `size` bytes that leaves.
    pub(super) fn spend(&mut self, size: usize) {
        self.credit.spend(size);
    }

    /// Notes that a heartbeat leaves.
    pub(super) const fn asked(&mut self) {
        self.credit.asked();
    }

    /// Notes a packet of `size` bytes over the path, and whether it may answer a heartbeat.
    pub(super) fn heard(&mut self, place: Place, size: usize, is_answer: bool) {
        if self.current == Some(place) {
            self.credit.heard(size, is_answer);
        }
    }

    /// Sets the path. Packets are still taken from the one before.
    pub(super) fn set(&mut self, place: Place) {
        if let Some(old) = self.current
            && old != place
        {
            self.alternate = Some(old);
        }
        self.current = Some(place);
        self.followed = None;
        if self.held == Some(place) {
            self.credit.lift();
        }
    }

    /// Moves the path to where packets up to number `newest` came from that are known to be the peer's.
    /// `received` limits what goes there if that is another host, from which so many bytes came.
    pub(super) fn follow(&mut self, place: Place, newest: u64, received: Option<usize>) {
        self.alternate = self.current.replace(place);
        self.followed = Some(newest);
        if let Some(received) = received {
            self.credit.restrict(received);
        }
    }

    /// Returns whether the path goes back to where it was before [`Self::follow`]: packet `seq` comes from
    /// there, and is newer than all that came over the path, or the path is silent.
    pub(super) fn go_back(&mut self, place: Place, seq: u64, is_silent: bool) -> bool {
        let Some(newest) = &mut self.followed else {
            return false;
        };
        if self.current == Some(place) {
            *newest = seq.max(*newest);
            return false;
        }
        let goes_back = self.alternate == Some(place) && (seq > *newest || is_silent);
        if goes_back {
            *newest = seq.max(*newest);
            std::mem::swap(&mut self.current, &mut self.alternate);
            self.credit = Credit::default();
            self.credit.lift();
        }
        goes_back
    }

    /// Returns where the path was before [`Self::follow`].
    pub(super) fn former(&self) -> Option<Place> {
        self.alternate.filter(|_| self.followed.is_some())
    }

    /// Starts a change of path, complete when everything below `seq` is acknowledged.
    pub(super) const fn change(&mut self, seq: u64) {
        self.changing = Some(seq);
    }

    /// Returns whether a change of path is complete now that `oldest` is the oldest number out.
    pub(super) fn has_changed(&mut self, oldest: u64) -> bool {
        self.changing.take_if(|seq| oldest >= *seq).is_some()
    }

    /// Forgets where packets came from before there was a path: they were not the peer's.
    pub(super) const fn forget_held(&mut self) {
        self.held = None;
    }

    /// Decides about a packet by where it comes from, and moves the path if it is to be learned.
    ///
    /// `next` is the payload if it is what `receiver` expects next: the bytes by which the peer proves
    /// itself.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        receiver: &mut Receiver,
        place: Place,
        next: Option<&[u8]>,
    ) -> Admitted {
        let validated = self.is_validated(receiver);
        if !validated && next.is_some_and(|payload| !receiver.agrees(payload)) {
            return Admitted::Refused;
        }
        if self.current == Some(place) {
            self.credit.lift();
            return Admitted::Accepted;
        }
        if self.alternate == Some(place) {
            self.alternate_heard = Some(now);
            return Admitted::Accepted;
        }
        if self.current.is_some() && self.candidates.contains(place.1.ip()) {
            return if self.offered.replace(place) == Some(place) {
                Admitted::Accepted
            } else {
                Admitted::Offered
            };
        }
        let learn = match self.admission {
            Admission::Only(socket, address) if place == (socket, address) => return Admitted::Accepted,
            Admission::Only(..) | Admission::Refuse => return Admitted::Refused,
            Admission::HoldAndAccept => false,
            Admission::LearnFrom(host) if place.1.ip() != &host => return Admitted::Refused,
            Admission::LearnPath | Admission::LearnFrom(_) => true,
        };
        let proves = receiver.is_expecting() && next.is_some_and(|payload| !payload.is_empty());
        self.admit_new(receiver, place, learn, validated, proves)
    }

    /// Decides about a packet from a place that nothing is known of.
    fn admit_new(
        &mut self,
        receiver: &mut Receiver,
        place: Place,
        learn: bool,
        validated: bool,
        proves: bool,
    ) -> Admitted {
        if validated && (self.current.is_some() || self.held.is_some_and(|held| held != place)) {
            return Admitted::Refused;
        }
        if self.current.or(self.held).is_some_and(|known| known != place) {
            if !validated && !proves {
                return Admitted::Refused;
            }
            // What others sent ahead of the proof is not the peer's.
            receiver.forget_early();
        }
        if !learn {
            if self.current.is_some() {
                self.alternate = Some(place);
            } else {
                self.held = Some(place);
            }
            return Admitted::Accepted;
        }
        if self.remote_id.is_none() {
            return Admitted::Refused;
        }
        self.current = Some(place);
        self.credit.lift();
        Admitted::Learned
    }

    /// Returns whether the path is known to be the peer's.
    pub(super) fn is_validated(&self, receiver: &Receiver) -> bool {
        if receiver.is_expecting() { receiver.is_proven() } else { self.current.is_some() }
    }
}
