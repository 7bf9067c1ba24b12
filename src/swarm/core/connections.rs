//! Connections: dialling, being dialled, losing, and trying again.

use std::time::Instant;

use rand::Rng as _;
use tracing::debug;

use super::peers::Peer;
use super::rivals::{ConnectionId, Verdict};
use super::state::{Action, Core, Counts, Phase};
use crate::PublicKey;
use crate::slots::Source;
use crate::swarm::info::{PeerInfo, SwarmEvent};
use crate::swarm::settings::SLOW_FACTOR;

impl Core {
    /// Asks for a connection with a peer, beyond the bound on peers of topics.
    pub(in crate::swarm) fn join_peer(&mut self, key: PublicKey, now: Instant) {
        if self.phase == Phase::Closed || key == self.own {
            return;
        }
        let peer = self.peers.upsert(key);
        if !peer.explicit {
            peer.explicit = true;
            self.counts.explicit += 1;
        }
        if self.phase == Phase::Running {
            // What waits already moves before the peers of topics.
            self.peers.forget_plans(&key);
            self.peers.enqueue(key, &mut self.rng);
            self.settle(key);
            self.dial_more(now);
        }
    }

    /// Takes that back. A connection stays.
    pub(in crate::swarm) fn leave_peer(&mut self, key: PublicKey, now: Instant) {
        let Some(peer) = self.peers.get_mut(&key).filter(|peer| peer.explicit) else {
            return;
        };
        peer.explicit = false;
        self.counts.explicit -= 1;
        self.peers.forget_plans(&key);
        self.plan(key, now);
    }

    /// Keeps a peer away, or no longer. A connection in use stays.
    pub(in crate::swarm) fn ban(&mut self, key: PublicKey, banned: bool, now: Instant) {
        if key == self.own || !banned && self.peers.get(&key).is_none() {
            return;
        }
        let peer = self.peers.upsert(key);
        peer.banned = banned;
        if banned {
            let verdicts = peer.rivals.refuse();
            self.apply(key, verdicts, now);
            self.stats.banned += 1;
            self.peers.forget_plans(&key);
        }
        self.tell(key, SwarmEvent::Banned);
        self.plan(key, now);
    }

    /// Sets whether a peer is dialled again after a connection has ended.
    pub(in crate::swarm) fn set_reconnect(&mut self, key: PublicKey, reconnects: bool, now: Instant) {
        if key == self.own || reconnects && self.peers.get(&key).is_none() {
            return;
        }
        self.peers.upsert(key).reconnects = reconnects;
        if reconnects {
            self.plan(key, now);
        }
        self.settle(key);
    }

    /// Queues a peer that is wanted and for which nothing is planned, and dials whom there is room for now.
    fn plan(&mut self, key: PublicKey, now: Instant) {
        let is_planned = self.peers.get(&key).is_some_and(Peer::is_planned);
        if !is_planned && self.is_wanted(&key) {
            self.peers.enqueue(key, &mut self.rng);
        }
        self.settle(key);
        self.dial_more(now);
    }

    /// Returns whether peers of topics may not be dialled because there are enough connections
    /// (`hyperswarm index.js`, `_withinMaxPeers`).
    pub(super) fn is_full(&self) -> bool {
        let counts = self.counts;
        let factor = match counts.explicit {
            0 => 1,
            1 => 2,
            2 | 3 => 3,
            _ => 4,
        };
        let clients = counts.dialling + counts.dialled;
        factor * (clients + counts.served) >= self.settings.max_peers
            || clients >= self.settings.max_client_connections
    }

    /// Dials as many of those that wait as may be dialled.
    pub(super) fn dial_more(&mut self, now: Instant) {
        while self.phase == Phase::Running && self.may_dial_more() {
            let Some(key) = self.peers.take_next(self.is_full()) else {
                break;
            };
            self.dial(key, now);
            self.settle(key);
        }
        self.flush_tried();
    }

    fn may_dial_more(&self) -> bool {
        let Counts { dialling, slow, .. } = self.counts;
        let most = self.settings.max_parallel;
        dialling - slow < most && dialling < most.saturating_mul(SLOW_FACTOR)
    }

    fn dial(&mut self, key: PublicKey, now: Instant) {
        let id = ConnectionId(self.id());
        let Some(peer) = self.peers.get_mut(&key).filter(|peer| !peer.banned && peer.rivals.may_dial())
        else {
            return;
        };
        peer.dialled(id, now);
        let (relay_addresses, relayed) = (peer.relay_addresses.clone(), peer.relayed);
        self.keys.insert(id, key);
        self.counts.dialling += 1;
        self.stats.client_attempted += 1;
        self.push(Action::Dial { id, key, relay_addresses, relayed });
        self.tell(key, SwarmEvent::Dialling);
    }

    /// A dial has opened a connection.
    pub(in crate::swarm) fn dial_opened(&mut self, id: ConnectionId, now: Instant) {
        let Some((key, peer)) = self.peer_of(id) else {
            return;
        };
        let verdicts = peer.rivals.opened(id, now);
        self.dial_over(key);
        self.apply(key, verdicts, now);
        self.settle(key);
        self.dial_more(now);
    }

    /// A dial has failed. `pathless` says that the peer has answered and no path to it has opened.
    pub(in crate::swarm) fn dial_failed(&mut self, id: ConnectionId, pathless: bool, now: Instant) {
        let relays = self.settings.relays;
        let Some((key, peer)) = self.peer_of(id) else {
            return;
        };
        if pathless && relays {
            peer.relay();
        }
        peer.ended(now);
        let verdicts = peer.rivals.closed(id, now);
        self.keys.remove(&id);
        self.dial_over(key);
        self.tell(key, SwarmEvent::DialFailed);
        self.apply(key, verdicts, now);
        self.try_again(key, now);
        self.settle(key);
        self.dial_more(now);
    }

    /// A peer has dialled. Returns the name of the connection; `None` if it is to be reset at once.
    pub(in crate::swarm) fn came(
        &mut self,
        key: PublicKey,
        source: Source,
        now: Instant,
    ) -> Option<ConnectionId> {
        let is_banned = self.peers.get(&key).is_some_and(|peer| peer.banned);
        if self.phase != Phase::Running || key == self.own || is_banned {
            self.stats.server_refused += 1;
            return None;
        }
        if self.inbound.len() >= self.settings.max_server_connections {
            let Some(rival) = self.inbound.rival(source) else {
                self.stats.server_refused += 1;
                return None;
            };
            self.push(Action::Drop(rival));
            self.closed(rival, now);
        }
        let id = ConnectionId(self.id());
        self.keys.insert(id, key);
        self.inbound.insert(id, source);
        let verdicts = self.peers.upsert(key).rivals.came(id, now);
        self.apply(key, verdicts, now);
        self.settle(key);
        self.dial_more(now);
        Some(id)
    }

    /// A peer that has dialled has proven its key.
    pub(in crate::swarm) fn proven(&mut self, id: ConnectionId, now: Instant) {
        let Some((key, peer)) = self.peer_of(id) else {
            return;
        };
        let verdicts = peer.rivals.proven(id, now);
        self.apply(key, verdicts, now);
        self.settle(key);
        self.dial_more(now);
    }

    /// Something has come from the peer on a connection that was dialled.
    pub(in crate::swarm) fn heard(&mut self, id: ConnectionId) {
        if let Some((_, peer)) = self.peer_of(id) {
            peer.rivals.heard(id);
        }
    }

    /// A connection has ended.
    pub(in crate::swarm) fn closed(&mut self, id: ConnectionId, now: Instant) {
        let Some((key, peer)) = self.peer_of(id) else {
            return;
        };
        let was_used = peer.rivals.used() == Some(id);
        let verdicts = peer.rivals.closed(id, now);
        self.keys.remove(&id);
        let was_inbound = self.inbound.remove(&id);
        if was_used {
            self.count_end(key, was_inbound, false, now);
        } else {
            self.stats.server_refused += 1;
        }
        self.apply(key, verdicts, now);
        if was_inbound && was_used {
            self.take_over(key, now);
        } else {
            self.try_again(key, now);
        }
        self.settle(key);
        self.dial_more(now);
    }

    /// Ends claims that were not proven, and queues peers that are due.
    pub(super) fn peer_timeout(&mut self, key: PublicKey, now: Instant) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        self.counts.slow += usize::from(peer.becomes_slow(now));
        let verdicts = peer.rivals.handle_timeout(now);
        if !verdicts.is_empty() {
            self.apply(key, verdicts, now);
            self.try_again(key, now);
        }
        if self.peers.take_retry(&key, now) && self.is_wanted(&key) {
            self.peers.enqueue(key, &mut self.rng);
        }
        self.settle(key);
    }

    /// Carries verdicts out.
    fn apply(&mut self, key: PublicKey, verdicts: Vec<Verdict>, now: Instant) {
        for verdict in verdicts {
            debug!(own = %self.own.short(), key = %key.short(), ?verdict, "connection");
            let (Verdict::Use(id) | Verdict::Replace(id) | Verdict::Refuse(id) | Verdict::GiveUp(id)) =
                verdict;
            if let Verdict::Use(_) = verdict {
                self.take_up(id, key, now);
                continue;
            }
            self.keys.remove(&id);
            let was_inbound = self.inbound.remove(&id);
            self.push(Action::Drop(id));
            match verdict {
                Verdict::Replace(_) => self.count_end(key, was_inbound, true, now),
                Verdict::GiveUp(_) => {
                    self.dial_over(key);
                    self.peers.upsert(key).replaced(now);
                }
                _ => self.stats.server_refused += 1,
            }
        }
    }

    fn dial_over(&mut self, key: PublicKey) {
        self.counts.dialling -= 1;
        if self.peers.get_mut(&key).is_some_and(Peer::dial_over) {
            self.counts.slow -= 1;
        }
    }

    fn take_up(&mut self, id: ConnectionId, key: PublicKey, now: Instant) {
        let is_inbound = self.inbound.contains(&id);
        if is_inbound {
            self.counts.served += 1;
            self.stats.server_opened += 1;
        } else {
            self.counts.dialled += 1;
            self.stats.client_opened += 1;
        }
        self.peers.forget_plans(&key);
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.opened(!is_inbound, now);
            let info = peer.info(key);
            self.push(Action::Use { id, info });
        }
        self.tell(key, SwarmEvent::Connected);
    }

    /// Counts the end of a connection that was used.
    fn count_end(&mut self, key: PublicKey, was_inbound: bool, is_replaced: bool, now: Instant) {
        if was_inbound {
            self.counts.served -= 1;
            self.stats.server_closed += 1;
        } else {
            self.counts.dialled -= 1;
            self.stats.client_closed += 1;
            if let Some(peer) = self.peers.get_mut(&key) {
                match is_replaced {
                    true => peer.replaced(now),
                    false => peer.ended(now),
                }
            }
        }
        self.tell(key, SwarmEvent::Disconnected);
    }

    /// Has a peer dialled again after a while, if that is wanted and it has not failed too often.
    fn try_again(&mut self, key: PublicKey, now: Instant) {
        let backoff = self.peers.get(&key).and_then(Peer::backoff);
        self.retry(key, backoff, now);
    }

    /// Has a peer dialled whose connection has ended that it had dialled itself, if it has not come back by
    /// then: it may have given up.
    fn take_over(&mut self, key: PublicKey, now: Instant) {
        let peer = self.peers.get(&key);
        // What took the place of a dial of this side was perhaps given up itself, and nobody else dials.
        let least = if peer.is_some_and(|peer| peer.has_yielded(now)) { 0 } else { 2 };
        let backoff = peer.and_then(Peer::backoff);
        self.retry(key, backoff.map(|backoff| backoff.max(least)), now);
    }

    fn retry(&mut self, key: PublicKey, backoff: Option<usize>, now: Instant) {
        let peer = self.peers.get(&key).filter(|peer| peer.rivals.may_dial() && !peer.is_planned());
        if let Some(backoff) = backoff.filter(|_| peer.is_some() && self.is_wanted(&key)) {
            // As much as the ticks of `hyperswarm lib/bulk-timer.js` spread it.
            let spread = self.rng.gen_range(0.66..1.32);
            self.peers.retry(&key, now + self.settings.backoffs[backoff].mul_f64(spread));
        }
    }

    /// Returns whether this side wants to dial a peer.
    fn is_wanted(&self, key: &PublicKey) -> bool {
        let is_client = |topic| self.topics.get(topic).is_some_and(|topic| topic.client());
        let peer = self.peers.get(key).filter(|_| self.phase == Phase::Running);
        peer.is_some_and(|peer| peer.explicit || peer.topics.iter().any(is_client))
    }

    /// Brings the alarm of a peer up to date, and forgets a peer that nothing needs.
    pub(super) fn settle(&mut self, key: PublicKey) {
        for topic in self.peers.settle(&key).into_iter().flatten() {
            if let Some(topic) = self.topics.get_mut(&topic) {
                topic.members -= 1;
            }
        }
    }

    fn peer_of(&mut self, id: ConnectionId) -> Option<(PublicKey, &mut Peer)> {
        let key = *self.keys.get(&id)?;
        Some((key, self.peers.get_mut(&key)?))
    }

    fn tell(&mut self, key: PublicKey, event: impl FnOnce(PeerInfo) -> SwarmEvent) {
        if let Some(peer) = self.peers.get(&key) {
            let event = event(peer.info(key));
            self.push(Action::Event(event));
        }
    }
}
