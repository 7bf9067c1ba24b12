//! Keeps a server announced on the nodes closest to its key, and the way from these nodes to us open.
//!
//! Times are those of the reference's announcer: a ping to each node every three seconds (which also keeps
//! the NAT mapping that handshakes arrive through), a new announcement every hundred rounds or as soon as too
//! few nodes are left. Every other time the ping is a question for the server itself, since a node that was
//! restarted answers pings and knows nobody. The nodes are the three closest, as there, and on the public
//! network a few more: whoever has a handful of addresses has ids closer to a key than anybody else, and
//! would be all that knows of the server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::shared::{Core, Owner};
use super::types::ServerId;
use crate::dht::{Answer, Outgoing, QueryId, QueryOutcome, RequestError, RequestId};
use crate::keys::{KeyPair, PublicKey};
use crate::wire::address::network;
use crate::wire::compact::{Decode, Encode};
use crate::wire::handshake::RelayInfo;
use crate::wire::records::{Announce, AnnounceKind, Peer, announce_signable};
use crate::wire::rpc::{ANNOUNCE, FIND_PEER, NodeId, PING, Token, UNANNOUNCE};

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
/// Retransmissions when taking an announcement back: it expires by itself, so nobody waits long for it.
const RETRIES_GOODBYE: u32 = 1;

/// What the announcer wants its server to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Reachable through at least one node.
    Announced,
    /// Nothing of ours is left on other nodes, as far as we can tell.
    Withdrawn,
}

/// A node that has our announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Relay {
    address: SocketAddrV4,
    /// Ourselves as this node sees us.
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
    Pinging {
        waiting: Vec<RequestId>,
        /// Nodes that have answered, and still have the announcement if they were asked for it.
        answered: usize,
        /// A node has lost the announcement.
        forgotten: bool,
        /// A node sees us at another address than when we announced: it would pass handshakes on to the old
        /// one.
        moved: bool,
        round: u32,
    },
    Sleeping {
        until: Instant,
        /// The round that follows, or `None` for a new update.
        round: Option<u32>,
    },
    Withdrawing,
}

#[derive(Debug)]
pub(super) struct Announcer {
    server: ServerId,
    key_pair: KeyPair,
    state: State,
    /// Announced by the latest completed update, the one before, and the one before that.
    relays: [Vec<Relay>; 3],
    /// Closest nodes of the last query, where the next one starts.
    closest: Vec<SocketAddrV4>,
    retry: Duration,
    announced: bool,
    /// Nodes that did not have the announcement when they were last asked for it.
    forgetful: BTreeSet<SocketAddrV4>,
    withdrawals: Vec<Withdrawal>,
}

/// Taking back one announcement: ask for a token, then send the signed withdrawal.
#[derive(Debug)]
struct Withdrawal {
    request: RequestId,
    asked_token: bool,
}

impl Announcer {
    pub(super) fn new(server: ServerId, key_pair: KeyPair) -> Self {
        Self {
            server,
            key_pair,
            state: State::Idle,
            relays: Default::default(),
            closest: Vec::new(),
            retry: RETRY_FIRST,
            announced: false,
            forgetful: BTreeSet::new(),
            withdrawals: Vec::new(),
        }
    }

    /// Starts over: finds the closest nodes and announces on them.
    pub(super) fn update(&mut self, now: Instant, core: &mut Core) {
        if matches!(self.state, State::Withdrawing) {
            return;
        }
        self.cancel(now, core);
        let query = core.find_peer(
            now,
            Owner::Server(self.server),
            self.key_pair.public_key(),
            self.closest.clone(),
        );
        self.state = State::Finding(query);
    }

    /// Starts over at once: the network is another one, so that earlier failures mean nothing.
    pub(super) fn restart(&mut self, now: Instant, core: &mut Core) {
        self.retry = RETRY_FIRST;
        self.update(now, core);
    }

    /// Takes all announcements back; [`News::Withdrawn`] follows, at once if there are none.
    pub(super) fn withdraw(&mut self, now: Instant, core: &mut Core) -> Option<News> {
        let mut all: Vec<Relay> = self.relays[..2].concat();
        if let State::Announcing { waiting, fresh, .. } = &self.state {
            all.extend(waiting.values());
            all.extend(fresh);
        }
        all.sort_by_key(|relay| relay.address);
        all.dedup_by_key(|relay| relay.address);
        self.cancel(now, core);
        self.state = State::Withdrawing;
        for relay in all {
            self.take_back(now, core, relay);
        }
        self.withdrawals.is_empty().then_some(News::Withdrawn)
    }

    /// Lets go of withdrawals under way: somebody announces the same key anew.
    pub(super) fn cancel_withdrawals(&mut self, now: Instant, core: &mut Core) {
        for withdrawal in std::mem::take(&mut self.withdrawals) {
            core.cancel_request(now, withdrawal.request);
        }
    }

    /// Takes the end of the query for the closest nodes.
    pub(super) fn handle_query_done(
        &mut self,
        now: Instant,
        core: &mut Core,
        query: QueryId,
        outcome: Option<QueryOutcome>,
    ) -> Option<News> {
        if !matches!(self.state, State::Finding(own) if own == query) {
            return None;
        }
        let closest = outcome.map(|outcome| outcome.closest).unwrap_or_default();
        self.closest = closest.iter().map(|answer| answer.from).collect();
        let mut waiting = BTreeMap::new();
        let mut networks = BTreeSet::new();
        let enough = if core.private { 0 } else { NETWORKS };
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
            let relay = Relay {
                address: answer.from,
                peer_address: answer.to,
            };
            let outgoing = self.signed(answer.from, id, token, AnnounceKind::Announce);
            let request = core.request(now, Owner::Server(self.server), outgoing);
            waiting.insert(request, relay);
        }
        self.state = State::Announcing {
            wanted: waiting.len(),
            waiting,
            fresh: Vec::new(),
        };
        self.announced_more(now, core)
    }

    /// Takes an answer to one of our requests, or its failure.
    pub(super) fn handle_answer(
        &mut self,
        now: Instant,
        core: &mut Core,
        request: RequestId,
        result: Result<Answer, RequestError>,
    ) -> Option<News> {
        if let Some(index) = self.withdrawals.iter().position(|one| one.request == request) {
            return self.handle_withdrawal(now, core, index, result.ok());
        }
        match &mut self.state {
            State::Announcing { waiting, fresh, .. } => {
                let relay = waiting.remove(&request)?;
                if result.is_ok_and(|answer| answer.error == 0) {
                    fresh.push(relay);
                }
                self.announced_more(now, core)
            }
            State::Pinging {
                waiting,
                answered,
                forgotten,
                moved,
                round,
            } => {
                let index = waiting.iter().position(|own| *own == request)?;
                waiting.swap_remove(index);
                if let Ok(answer) = result {
                    // One that keeps nothing for long must not have us announce all the time.
                    let keeps = match asks_for_server(*round) {
                        true if names(&answer, self.key_pair.public_key()) => {
                            self.forgetful.remove(&answer.from);
                            true
                        }
                        true => !self.forgetful.insert(answer.from),
                        false => true,
                    };
                    *forgotten |= !keeps;
                    *answered += usize::from(keeps);
                    let mut relays = self.relays[0].iter();
                    let relay = relays.find(|relay| relay.address == answer.from);
                    *moved |= relay.is_some_and(|relay| relay.peer_address != answer.to);
                }
                // Those that are silent say nothing against what one has seen.
                if waiting.is_empty() || *moved {
                    let lost = *forgotten || *answered < self.relays[0].len().min(RELAYS);
                    let next = *round + 1;
                    if *moved {
                        // What was found out about our NAT is as old.
                        core.examine(now);
                    }
                    if lost || *moved || next >= ROUNDS {
                        self.update(now, core);
                    } else {
                        self.state = State::Sleeping {
                            until: now + PING_INTERVAL,
                            round: Some(next),
                        };
                    }
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

    /// Returns whether the server has been announced.
    pub(super) const fn is_announced(&self) -> bool {
        self.announced
    }

    /// Returns whether this node has an announcement of ours, of this update or of the ones before, or may
    /// have one: its word that it has taken it can be lost, or later than the first client that it sends us.
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
        let mut relays: Vec<Relay> = match &self.state {
            State::Announcing { fresh, .. } => fresh.clone(),
            _ => Vec::new(),
        };
        for relay in &self.relays[0] {
            if relays.iter().all(|other| other.address != relay.address) {
                relays.push(*relay);
            }
        }
        relays.sort_by_key(|relay| relay.address != through);
        relays
            .into_iter()
            .take(RELAYS)
            .map(|relay| RelayInfo {
                relay_address: relay.address,
                peer_address: relay.peer_address,
            })
            .collect()
    }

    /// Goes on once enough nodes have the announcement or none is left to wait for.
    fn announced_more(&mut self, now: Instant, core: &mut Core) -> Option<News> {
        let State::Announcing {
            waiting,
            wanted,
            fresh,
        } = &mut self.state
        else {
            return None;
        };
        let reachable = if *wanted == 0 {
            // The only node of its network: it answers lookups for its own servers itself.
            core.node.is_persistent()
        } else {
            // Where nodes go on refusing, one has to do.
            let persists = waiting.is_empty() && self.retry > RETRY_PERSISTS;
            fresh.len() >= ENOUGH.min(*wanted) || (persists && !fresh.is_empty())
        };
        let news = (reachable && !self.announced).then_some(News::Announced);
        self.announced |= reachable;
        if !waiting.is_empty() {
            return news;
        }
        let fresh = std::mem::take(fresh);
        if !reachable || fresh.is_empty() {
            self.state = State::Sleeping {
                until: now + self.retry,
                round: None,
            };
            self.retry = (self.retry * 2).min(RETRY_MOST);
        } else {
            self.state = State::Sleeping {
                until: now + PING_INTERVAL,
                round: Some(0),
            };
            if self.retry > RETRY_FIRST {
                // After a time without network, what was found out about our NAT is as old.
                core.examine(now);
            }
            self.retry = RETRY_FIRST;
        }
        if !reachable {
            // Too few know us to take anything back from others.
            for relay in fresh {
                self.relays[0].retain(|known| known.address != relay.address);
                self.relays[0].push(relay);
            }
            return news;
        }
        if fresh.is_empty() {
            return news;
        }
        self.forgetful
            .retain(|node| fresh.iter().any(|relay| relay.address == *node));
        let stale: Vec<Relay> = self.relays[0]
            .iter()
            .filter(|old| fresh.iter().all(|new| new.address != old.address))
            .copied()
            .collect();
        self.relays.rotate_right(1);
        self.relays[0] = fresh;
        for relay in stale {
            self.take_back(now, core, relay);
        }
        news
    }

    fn ping(&mut self, now: Instant, core: &mut Core, round: u32) {
        let mut waiting = Vec::new();
        for relay in self.relays[0].clone() {
            let outgoing = match asks_for_server(round) {
                true => {
                    let target = self.key_pair.public_key().target();
                    Outgoing::application(relay.address, FIND_PEER, target)
                }
                false => Outgoing::internal(relay.address, PING),
            };
            waiting.push(core.request(now, Owner::Server(self.server), outgoing));
        }
        self.state = State::Pinging {
            waiting,
            answered: 0,
            forgotten: false,
            moved: false,
            round,
        };
    }

    fn take_back(&mut self, now: Instant, core: &mut Core, relay: Relay) {
        let target = self.key_pair.public_key().target();
        let outgoing = Outgoing {
            retries: RETRIES_GOODBYE,
            ..Outgoing::application(relay.address, FIND_PEER, target)
        };
        let request = core.request(now, Owner::Server(self.server), outgoing);
        self.withdrawals.push(Withdrawal {
            request,
            asked_token: true,
        });
    }

    fn handle_withdrawal(
        &mut self,
        now: Instant,
        core: &mut Core,
        index: usize,
        answer: Option<Answer>,
    ) -> Option<News> {
        let asked_token = self.withdrawals[index].asked_token;
        match answer {
            Some(Answer {
                from,
                id: Some(id),
                token: Some(token),
                value: Some(_),
                ..
            }) if asked_token => {
                let outgoing = Outgoing {
                    retries: RETRIES_GOODBYE,
                    ..self.signed(from, id, token, AnnounceKind::Unannounce)
                };
                self.withdrawals[index] = Withdrawal {
                    request: core.request(now, Owner::Server(self.server), outgoing),
                    asked_token: false,
                };
            }
            _ => {
                self.withdrawals.swap_remove(index);
            }
        }
        let done = self.withdrawals.is_empty() && matches!(self.state, State::Withdrawing);
        done.then_some(News::Withdrawn)
    }

    /// Makes an announcement for one node, or the withdrawal of one: a signature holds only with the id and
    /// the token of that node.
    fn signed(&self, to: SocketAddrV4, id: NodeId, token: Token, kind: AnnounceKind) -> Outgoing {
        let peer = Peer {
            public_key: *self.key_pair.public_key(),
            relay_addresses: Vec::new(),
        };
        let target = peer.public_key.target();
        let signable = announce_signable(kind, &target, &id, &token, &peer, None);
        let announce = Announce {
            peer: Some(peer),
            refresh: None,
            signature: Some(self.key_pair.sign(&signable)),
            bump: 0,
        };
        let command = match kind {
            AnnounceKind::Announce => ANNOUNCE,
            AnnounceKind::Unannounce => UNANNOUNCE,
        };
        Outgoing {
            token: Some(token),
            value: Some(announce.to_bytes()),
            ..Outgoing::application(to, command, target)
        }
    }

    /// Forgets what the current state waits for.
    fn cancel(&mut self, now: Instant, core: &mut Core) {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Finding(query) => core.cancel_query(query),
            State::Announcing { waiting, .. } => {
                for request in waiting.into_keys() {
                    core.cancel_request(now, request);
                }
            }
            State::Pinging { waiting, .. } => {
                for request in waiting {
                    core.cancel_request(now, request);
                }
            }
            State::Idle | State::Sleeping { .. } | State::Withdrawing => {}
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
