//! Which of the connections with one peer is used.
//!
//! Two peers that find each other at the same time dial each other. Both must keep the same one of the two
//! connections: the one that the peer with the greater key has dialled (`hyperswarm index.js`,
//! `_handleServerConnection`). A peer that dials although its connection is in use has lost that one, and the
//! new one takes its place.
//!
//! The reference decides on the key that a handshake claims. Anyone who has recorded a handshake can play it
//! again, and would end the connection in use so. Here a connection that a peer has dialled displaces another
//! one only once its key is proven. Until then it can delay a dial to that key, once, for [`PROOF_TIMEOUT`].

use std::time::Instant;

use crate::swarm::settings::{MAX_CLAIMS, OVERTAKING, PROOF_TIMEOUT};

/// Names a connection or a dial of a swarm. Later ones have greater numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::swarm) struct ConnectionId(pub(in crate::swarm) u64);

/// What follows for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is used from now on.
    Use(ConnectionId),
    /// It is reset, having been in use.
    Replace(ConnectionId),
    /// It is reset, never having been used.
    Refuse(ConnectionId),
    /// It is a dial that ends before it has opened anything.
    GiveUp(ConnectionId),
}

/// The connections with one peer.
#[derive(Debug)]
pub(super) struct Rivals {
    /// Whether this side's key is the greater one.
    initiates: bool,
    dial: Option<ConnectionId>,
    used: Option<Used>,
    /// Dialled by the peer, and not used yet. The oldest comes first.
    waiting: Vec<Waiting>,
    /// The last claim of the key was not proven, so that further ones hold no dial up.
    doubted: bool,
}

#[derive(Debug)]
struct Used {
    id: ConnectionId,
    dialled: bool,
    /// Something has come from the peer on it: the peer has it too.
    heard: bool,
}

#[derive(Debug)]
struct Waiting {
    id: ConnectionId,
    proven: bool,
    /// Whether it takes the place of a connection that this side has dialled.
    wins: Wins,
    until: Instant,
}

/// Whether a dial of the peer counts more than one of this side.
#[derive(Clone, Copy, Debug)]
enum Wins {
    /// It was under way when this side dialled, and the peer gives it up.
    Never,
    /// The peer may have lost the connection that this side has dialled, or the dial came late: it wins if it
    /// is still there at this time.
    From(Instant),
    Always,
}

impl Rivals {
    pub(super) const fn new(initiates: bool) -> Self {
        Self { initiates, dial: None, used: None, waiting: Vec::new(), doubted: false }
    }

    /// Returns whether there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.dial.is_none() && self.used.is_none() && self.waiting.is_empty()
    }

    /// Returns whether the peer may be dialled.
    pub(super) fn may_dial(&self) -> bool {
        self.dial.is_none() && self.used.is_none() && (self.waiting.is_empty() || self.doubted)
    }

    pub(super) fn used(&self) -> Option<ConnectionId> {
        self.used.as_ref().map(|used| used.id)
    }

    pub(super) const fn dial(&self) -> Option<ConnectionId> {
        self.dial
    }

    /// Returns when [`Self::handle_timeout`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let deadlines = self.waiting.iter().filter_map(|waiting| match waiting.wins {
            _ if !waiting.proven => Some(waiting.until),
            Wins::From(at) if self.used.as_ref().is_some_and(|used| used.dialled) => Some(at),
            _ => None,
        });
        deadlines.min()
    }

    /// This side dials.
    pub(super) fn dialled(&mut self, id: ConnectionId) {
        self.dial = Some(id);
    }

    /// The dial has opened a connection. The peer's key is proven.
    pub(super) fn opened(&mut self, id: ConnectionId, now: Instant) -> Vec<Verdict> {
        if self.dial != Some(id) {
            return vec![Verdict::Refuse(id)];
        }
        self.dial = None;
        self.used = Some(Used { id, dialled: true, heard: false });
        let mut verdicts = vec![Verdict::Use(id)];
        verdicts.extend(self.decide(now));
        verdicts
    }

    /// The peer has dialled, and claims its key.
    pub(super) fn came(&mut self, id: ConnectionId, now: Instant) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        if self.waiting.len() >= MAX_CLAIMS {
            let unproven = self.waiting.iter().position(|waiting| !waiting.proven);
            let gone = self.waiting.remove(unproven.unwrap_or(0));
            verdicts.push(Verdict::Refuse(gone.id));
        }
        let wins = match &self.used {
            _ if !self.initiates => Wins::Always,
            // What the peer sends on a connection that it has accepted comes after the first packet of a dial
            // of its own that was under way, unless packets overtake each other.
            Some(used) if used.heard => Wins::From(now + OVERTAKING),
            _ => Wins::Never,
        };
        self.waiting.push(Waiting { id, proven: false, wins, until: now + PROOF_TIMEOUT });
        if !self.initiates
            && !self.doubted
            && let Some(dial) = self.dial.take()
        {
            verdicts.push(Verdict::GiveUp(dial));
        }
        verdicts
    }

    /// The peer has proven its key on a connection that it has dialled.
    pub(super) fn proven(&mut self, id: ConnectionId, now: Instant) -> Vec<Verdict> {
        let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.id == id) else {
            return Vec::new();
        };
        waiting.proven = true;
        self.doubted = false;
        self.decide(now)
    }

    /// Something has come on a connection that this side has dialled.
    pub(super) fn heard(&mut self, id: ConnectionId) {
        if let Some(used) = self.used.as_mut().filter(|used| used.id == id) {
            used.heard = true;
        }
    }

    /// A dial has failed, or a connection has ended.
    pub(super) fn closed(&mut self, id: ConnectionId, now: Instant) -> Vec<Verdict> {
        self.dial.take_if(|dial| *dial == id);
        self.used.take_if(|used| used.id == id);
        self.waiting.retain(|waiting| waiting.id != id);
        self.decide(now)
    }

    /// Ends what has not been proven in time, and decides what has waited for that.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        self.waiting.retain(|waiting| {
            let keeps = waiting.proven || waiting.until > now;
            if !keeps {
                verdicts.push(Verdict::Refuse(waiting.id));
            }
            keeps
        });
        self.doubted |= !verdicts.is_empty();
        verdicts.extend(self.decide(now));
        verdicts
    }

    /// Ends all but the connection that is used.
    pub(super) fn refuse(&mut self) -> Vec<Verdict> {
        let refused = self.waiting.drain(..).map(|waiting| Verdict::Refuse(waiting.id));
        self.dial.take().map(Verdict::GiveUp).into_iter().chain(refused).collect()
    }

    /// Chooses among the connections whose key is proven.
    fn decide(&mut self, now: Instant) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        loop {
            let dialled = self.used.as_ref().is_some_and(|used| used.dialled);
            let is_ready = |waiting: &Waiting| {
                waiting.proven && !matches!(waiting.wins, Wins::From(at) if dialled && now < at)
            };
            let Some(index) = self.waiting.iter().position(is_ready) else {
                break;
            };
            if self.used.is_none() && self.dial.is_some() && self.initiates {
                // Both dial, and the own dial is the one to keep. It may fail.
                break;
            }
            let Waiting { id, wins, .. } = self.waiting.remove(index);
            match &self.used {
                Some(used) if (dialled && matches!(wins, Wins::Never)) || (!dialled && id < used.id) => {
                    verdicts.push(Verdict::Refuse(id));
                    continue;
                }
                Some(used) => verdicts.push(Verdict::Replace(used.id)),
                None => verdicts.extend(self.dial.take().map(Verdict::GiveUp)),
            }
            self.used = Some(Used { id, dialled: false, heard: true });
            verdicts.push(Verdict::Use(id));
        }
        verdicts
    }
}
