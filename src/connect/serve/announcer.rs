//! Keeps a server announced on the nodes closest to its key, and the NAT open from these nodes to it
//! (`hyperdht-rpc.md` §6.1).
//!
//! The times are those of the reference's announcer: a ping to each node every three seconds (which also
//! keeps the NAT mapping that handshakes arrive through), a new announcement every hundred rounds or as soon
//! as too few nodes are left. Every other ping asks for the server itself, since a node that was restarted
//! answers pings and has lost the announcement. The nodes are the three closest, as there, and on the public
//! network a few more: an attacker with a handful of addresses has ids closer to a key than any other node,
//! and would be all that knows of the server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use tracing::debug;

use super::withdrawals::Withdrawals;
use crate::connect::context::Asker;
use crate::connect::core::Core;
use crate::connect::ids::ServerId;
use crate::dht::sign::Announcement;
use crate::dht::{Answer, Outgoing, QueryId, QueryOutcome, RequestError, RequestId};
use crate::identity::Identity;
use crate::keys::PublicKey;
use crate::wire::address::network;
use crate::wire::compact::Decode;
use crate::wire::handshake::RelayInfo;
use crate::wire::records::{AnnounceKind, Peer};
use crate::wire::rpc::{FIND_PEER, PING};

/// A server is announced on this many nodes at least, and names so many.
const RELAYS: usize = 3;
/// Networks of 256 addresses that the nodes a server is announced on belong to: with four of them an attacker
/// is not alone.
const NETWORKS: usize = 6;
/// Announcements that must have been acknowledged before the server counts as reachable, if that many nodes
/// were found.
const ENOUGH: usize = 2;
/// Between two rounds of pings.
const PING_INTERVAL: Duration = Duration::from_secs(3);
/// Rounds of pings before everything is announced anew.
const ROUNDS: u32 = 100;
/// First and longest pause after an update that reached no node. The longest is short, since a router that
/// was off for minutes must not keep its server away for longer: what is asked meanwhile are a few nodes that
/// don't hear it.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_MOST: Duration = Duration::from_secs(4);
/// From the third try on, a single node is enough.
const RETRY_PERSISTS: Duration = Duration::from_secs(1);

/// What has become of the announcements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connect) enum Notice {
    /// The server is reachable through at least one node.
    Announced,
    /// No announcement is left on other nodes, as far as is known, until the server resumes.
    Suspended,
    /// No announcement is left on other nodes, as far as is known, for good.
    Withdrawn,
}

/// A node that has the announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Relay {
    address: SocketAddrV4,
    /// The server as this node sees it.
    peer_address: SocketAddrV4,
}

#[derive(Debug)]
enum State {
    Idle,
    Finding(QueryId),
    Announcing {
        waiting: BTreeMap<RequestId, Relay>,
        wanted: usize,
        fresh: Vec<Relay>,
    },
    Pinging(Pings),
    Sleeping {
        until: Instant,
        /// The round that follows, or `None` for a new update.
        round: Option<u32>,
    },
    /// Takes the announcements back, or has.
    Withdrawing {
        /// What is reported when none is left.
        then: Notice,
    },
}

/// One round of pings.
#[derive(Debug)]
struct Pings {
    round: u32,
    waiting: Vec<RequestId>,
    /// Nodes that have answered, and still have the announcement if they were asked for it.
    answered: usize,
    /// Whether a node has lost the announcement.
    forgotten: bool,
    /// Whether a node sees the server at another address than when it was announced: it would pass handshakes
    /// on to the old one.
    moved: bool,
}

impl Pings {
    fn count(
        &mut self,
        answer: &Answer,
        key: &PublicKey,
        relays: &[Relay],
        forgetful: &mut BTreeSet<SocketAddrV4>,
    ) {
        // A node that keeps nothing for long must not cause announcements all the time.
        let keeps = match asks_for_server(self.round) {
            true if names(answer, key) => {
                forgetful.remove(&answer.from);
                true
            }
            true => !forgetful.insert(answer.from),
            false => true,
        };
        self.forgotten |= !keeps;
        self.answered += usize::from(keeps);
        let relay = relays.iter().find(|relay| relay.address == answer.from);
        self.moved |= relay.is_some_and(|relay| relay.peer_address != answer.to);
    }
}

#[derive(Debug)]
pub(in crate::connect) struct Announcer {
    server: ServerId,
    identity: Identity,
    state: State,
    /// Announced by the latest completed update, the one before, and the one before that.
    relays: [Vec<Relay>; 3],
    /// Closest nodes of the last query, where the next one starts.
    closest: Vec<SocketAddrV4>,
    retry: Duration,
    announced: bool,
    /// Nodes that did not have the announcement when they were last asked for it.
    forgetful: BTreeSet<SocketAddrV4>,
    withdrawals: Withdrawals,
}

impl Announcer {
    pub(super) fn new(server: ServerId, identity: Identity) -> Self {
        Self {
            server,
            identity,
            state: State::Idle,
            relays: Default::default(),
            closest: Vec::new(),
            retry: RETRY_FIRST,
            announced: false,
            forgetful: BTreeSet::new(),
            withdrawals: Withdrawals::default(),
        }
    }

    /// Starts over: finds the closest nodes and announces on them.
    pub(in crate::connect) fn update(&mut self, now: Instant, core: &mut Core) {
        if self.is_withdrawn() {
            return;
        }
        self.cancel(now, core);
        let query = core.cx.find_peer(now, self.asker(), self.identity.public_key(), self.closest.clone());
        self.state = State::Finding(query);
    }

    /// Starts over at once: the network is another one, so that earlier failures mean nothing.
    pub(in crate::connect) fn restart(&mut self, now: Instant, core: &mut Core) {
        self.retry = RETRY_FIRST;
        self.update(now, core);
    }

    /// Announces anew at once, unless that is under way; [`Notice::Announced`] follows though it has before.
    /// Returns whether it does: not of what is withdrawn.
    pub(in crate::connect) fn refresh(&mut self, now: Instant, core: &mut Core) -> bool {
        if self.is_withdrawn() {
            return false;
        }
        self.announced = false;
        // One that began over each time would never come to an end where it is asked for often.
        if !matches!(self.state, State::Finding(_) | State::Announcing { .. }) {
            self.restart(now, core);
        }
        true
    }

    /// Withdraws all announcements; `then` follows, at once if there are none or the node is suspended: it
    /// sends nothing, and what is announced expires by itself.
    pub(super) fn withdraw(&mut self, now: Instant, core: &mut Core, then: Notice) -> Option<Notice> {
        if core.cx.node.is_suspended() {
            self.cancel(now, core);
            self.cancel_withdrawals(now, core);
        } else if !self.is_withdrawn() {
            self.cancel(now, core);
            let mut all: Vec<Relay> = self.relays[..2].concat();
            all.sort_by_key(|relay| relay.address);
            all.dedup_by_key(|relay| relay.address);
            for relay in all {
                self.take_back(now, core, relay);
            }
        }
        self.state = State::Withdrawing { then };
        self.withdrawn()
    }

    /// Returns what is reported once no announcement is left.
    fn withdrawn(&mut self) -> Option<Notice> {
        match self.state {
            State::Withdrawing { then } if self.withdrawals.is_empty() => {
                self.relays = Default::default();
                Some(then)
            }
            _ => None,
        }
    }

    /// Announces anew what was withdrawn until now; [`Notice::Announced`] follows. Returns whether it does:
    /// only of what was suspended.
    pub(in crate::connect) fn resume(&mut self, now: Instant, core: &mut Core) -> bool {
        let is_suspended = matches!(self.state, State::Withdrawing { then: Notice::Suspended });
        if is_suspended {
            // A withdrawal that arrives after the new announcement would undo it.
            self.cancel_withdrawals(now, core);
            self.state = State::Idle;
            self.refresh(now, core);
        }
        is_suspended
    }

    /// Returns whether the server is announced nowhere, and is not to be.
    pub(in crate::connect) const fn is_withdrawn(&self) -> bool {
        matches!(self.state, State::Withdrawing { .. })
    }

    /// Cancels withdrawals under way: the same key is announced anew.
    pub(in crate::connect) fn cancel_withdrawals(&mut self, now: Instant, core: &mut Core) {
        self.withdrawals.cancel(now, &mut core.cx);
    }

    /// Handles the end of the query for the closest nodes.
    pub(in crate::connect) fn handle_query_done(
        &mut self,
        now: Instant,
        core: &mut Core,
        query: QueryId,
        outcome: Option<QueryOutcome>,
    ) -> Option<Notice> {
        if !matches!(self.state, State::Finding(own) if own == query) {
            return None;
        }
        // After a query that failed there is nobody to announce to: the next round comes soon.
        let closest = outcome.map(|outcome| outcome.closest).unwrap_or_default();
        self.closest = closest.iter().map(|answer| answer.from).collect();
        let mut waiting = BTreeMap::new();
        let mut networks = BTreeSet::new();
        let enough = if core.cx.private { 0 } else { NETWORKS };
        for answer in &closest {
            if waiting.len() >= RELAYS && networks.len() >= enough {
                break;
            }
            // A node without id or token can't be announced to.
            let (Some(id), Some(token)) = (answer.id, answer.token) else {
                continue;
            };
            if !networks.insert(network(*answer.from.ip())) && waiting.len() >= RELAYS {
                continue;
            }
            let relay = Relay { address: answer.from, peer_address: answer.to };
            let outgoing =
                announcement(&self.identity).request(AnnounceKind::Announce, answer.from, &id, token);
            let request = core.cx.request(now, self.asker(), outgoing);
            waiting.insert(request, relay);
        }
        self.state = State::Announcing { wanted: waiting.len(), waiting, fresh: Vec::new() };
        self.announced_more(now, core)
    }

    /// Handles the answer to one of the announcer's requests, or its failure.
    pub(in crate::connect) fn handle_answer(
        &mut self,
        now: Instant,
        core: &mut Core,
        request: RequestId,
        result: Result<Answer, RequestError>,
    ) -> Option<Notice> {
        if self.withdrawals.owns(request) {
            let asker = self.asker();
            let (cx, announcement) = (&mut core.cx, announcement(&self.identity));
            // A node that does not answer forgets the record in time.
            self.withdrawals.handle_answer(now, cx, asker, &announcement, request, result.ok());
            return self.withdrawn();
        }
        match &mut self.state {
            State::Announcing { waiting, fresh, .. } => {
                let relay = waiting.remove(&request)?;
                if result.is_ok_and(|answer| answer.error == 0) {
                    fresh.push(relay);
                }
                self.announced_more(now, core)
            }
            State::Pinging(pings) => {
                let index = pings.waiting.iter().position(|own| *own == request)?;
                pings.waiting.swap_remove(index);
                if let Ok(answer) = result {
                    let key = self.identity.public_key();
                    pings.count(&answer, key, &self.relays[0], &mut self.forgetful);
                }
                // Nodes that are silent do not contradict what one has seen.
                if pings.waiting.is_empty() || pings.moved {
                    self.end_round(now, core);
                }
                None
            }
            _ => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, core: &mut Core) {
        let State::Sleeping { until, round } = self.state else {
            return;
        };
        if until > now {
            return;
        }
        match round {
            Some(round) => self.ping(now, core, round),
            None => self.update(now, core),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Sleeping { until, .. } => Some(until),
            _ => None,
        }
    }

    /// Returns whether this node has an announcement of this server, of this update or of the ones before, or
    /// may have one: its acknowledgement can be lost, or come later than the first client that it sends.
    pub(super) fn is_relay(&self, node: SocketAddrV4) -> bool {
        let is_it = |relay: &Relay| relay.address == node;
        let may_be = match &self.state {
            State::Announcing { fresh, waiting, .. } => waiting.values().chain(fresh).any(is_it),
            _ => false,
        };
        may_be || self.relays.iter().flatten().any(is_it)
    }

    /// Returns where the server is announced, for the noise payload. The node that a message has come through
    /// is the first: it does pass on what it gets.
    pub(super) fn relays(&self, through: SocketAddrV4) -> Vec<RelayInfo> {
        let mut relays = self.current();
        relays.sort_by_key(|relay| relay.address != through);
        relays
            .into_iter()
            .take(RELAYS)
            .map(|relay| RelayInfo { relay_address: relay.address, peer_address: relay.peer_address })
            .collect()
    }

    /// Returns the nodes that have the announcement, the newest one first.
    pub(super) fn nodes(&self) -> impl Iterator<Item = SocketAddrV4> {
        self.current().into_iter().map(|relay| relay.address)
    }

    fn current(&self) -> Vec<Relay> {
        let mut relays: Vec<Relay> = match &self.state {
            State::Announcing { fresh, .. } => fresh.clone(),
            _ => Vec::new(),
        };
        for relay in &self.relays[0] {
            if relays.iter().all(|other| other.address != relay.address) {
                relays.push(*relay);
            }
        }
        relays
    }

    /// Ends a round of pings: announces anew if too few nodes know the server, or rests until the next round.
    fn end_round(&mut self, now: Instant, core: &mut Core) {
        let State::Pinging(pings) = &self.state else {
            return;
        };
        let lost = pings.forgotten || pings.answered < self.relays[0].len().min(RELAYS);
        let (moved, next) = (pings.moved, pings.round + 1);
        if moved {
            // What was found out about the NAT is as old.
            core.punch.puncher.examine(now, &mut core.cx);
        }
        if lost || moved || next >= ROUNDS {
            let answered = pings.answered;
            debug!(lost, moved, answered, round = next, "announcing anew");
            self.update(now, core);
        } else {
            let round = Some(next);
            self.state = State::Sleeping { until: now + PING_INTERVAL, round };
        }
    }

    /// Goes on once enough nodes have the announcement or none is left to wait for.
    fn announced_more(&mut self, now: Instant, core: &mut Core) -> Option<Notice> {
        let State::Announcing { waiting, wanted, fresh } = &mut self.state else {
            return None;
        };
        let reachable = if *wanted == 0 {
            // It answers lookups for its own servers itself.
            core.cx.node.is_only_node()
        } else {
            // Where nodes go on refusing, one has to do.
            let persists = waiting.is_empty() && self.retry > RETRY_PERSISTS;
            fresh.len() >= ENOUGH.min(*wanted) || (persists && !fresh.is_empty())
        };
        let notice = (reachable && !self.announced).then_some(Notice::Announced);
        self.announced |= reachable;
        if waiting.is_empty() {
            let (wanted, fresh) = (*wanted, std::mem::take(fresh));
            debug!(asked = wanted, answered = fresh.len(), reachable, "announcement ended");
            self.rest(now, core, reachable && !fresh.is_empty());
            self.replace_relays(now, core, fresh, reachable);
        }
        notice
    }

    /// Rests after an announcement: until the first round of pings, or until the next try.
    fn rest(&mut self, now: Instant, core: &mut Core, announced: bool) {
        if !announced {
            let until = now + self.retry;
            self.state = State::Sleeping { until, round: None };
            self.retry = (self.retry * 2).min(RETRY_MOST);
            return;
        }
        let until = now + PING_INTERVAL;
        self.state = State::Sleeping { until, round: Some(0) };
        if self.retry > RETRY_FIRST {
            // After a time without network, what was found out about the NAT is as old.
            core.punch.puncher.examine(now, &mut core.cx);
        }
        self.retry = RETRY_FIRST;
    }

    /// Takes over the nodes that have the announcement now, and withdraws it from others.
    fn replace_relays(&mut self, now: Instant, core: &mut Core, fresh: Vec<Relay>, reachable: bool) {
        if !reachable {
            // Too few know the server to withdraw anything from others.
            self.add_relays(fresh);
            return;
        }
        if fresh.is_empty() {
            return;
        }
        self.forgetful.retain(|node| fresh.iter().any(|relay| relay.address == *node));
        let is_stale = |old: &&Relay| fresh.iter().all(|new| new.address != old.address);
        let stale: Vec<Relay> = self.relays[0].iter().filter(is_stale).copied().collect();
        self.relays.rotate_right(1);
        self.relays[0] = fresh;
        for relay in stale {
            self.take_back(now, core, relay);
        }
    }

    /// Adds nodes to those of the latest update.
    fn add_relays(&mut self, relays: impl IntoIterator<Item = Relay>) {
        for relay in relays {
            self.relays[0].retain(|known| known.address != relay.address);
            self.relays[0].push(relay);
        }
    }

    fn ping(&mut self, now: Instant, core: &mut Core, round: u32) {
        let mut waiting = Vec::new();
        for relay in self.relays[0].clone() {
            let outgoing = match asks_for_server(round) {
                true => {
                    let target = self.identity.public_key().target();
                    Outgoing::application(relay.address, FIND_PEER, target)
                }
                false => Outgoing::internal(relay.address, PING),
            };
            waiting.push(core.cx.request(now, self.asker(), outgoing));
        }
        self.state = State::Pinging(Pings { round, waiting, answered: 0, forgotten: false, moved: false });
    }

    fn take_back(&mut self, now: Instant, core: &mut Core, relay: Relay) {
        let (cx, asker) = (&mut core.cx, self.asker());
        self.withdrawals.begin(now, cx, asker, &announcement(&self.identity), relay.address);
    }

    const fn asker(&self) -> Asker {
        Asker::Server(self.server)
    }

    /// Forgets what the current state waits for, and no node that may have the announcement.
    fn cancel(&mut self, now: Instant, core: &mut Core) {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Finding(query) => core.cx.cancel_query(query),
            State::Announcing { waiting, fresh, .. } => {
                // Those that have not answered may have the announcement as well.
                for (request, relay) in waiting {
                    core.cx.cancel_request(now, request);
                    self.add_relays([relay]);
                }
                self.add_relays(fresh);
            }
            State::Pinging(pings) => {
                for request in pings.waiting {
                    core.cx.cancel_request(now, request);
                }
            }
            State::Idle | State::Sleeping { .. } | State::Withdrawing { .. } => {}
        }
    }
}

/// Returns whether the nodes are asked for the server in this round, and not only whether they are there.
const fn asks_for_server(round: u32) -> bool {
    round % 2 == 1
}

/// Returns whether a node has the announcement of this server.
fn names(answer: &Answer, server: &PublicKey) -> bool {
    let record = answer.value.as_deref().map(Peer::from_bytes);
    matches!(record, Some(Ok(peer)) if peer.public_key == *server)
}

/// Returns what is announced of a server: its key, and no address.
pub(super) fn announcement(identity: &Identity) -> Announcement<'_> {
    let target = identity.public_key().target();
    Announcement { identity, target, relays: &[], bump: 0 }
}
