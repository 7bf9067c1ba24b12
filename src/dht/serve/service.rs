//! The state of a node that serves others, and the bounds of what it does for them.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;

use crate::dht::budget::{AMPLIFICATION, Budget, Forwarding, STRANGER_BURST, STRANGER_RATE};
use crate::dht::config::Config;
use crate::dht::kept::Kept;
use crate::dht::stats::{Fill, Stats};
use crate::dht::store::{MAX_BYTES, Store};
use crate::dht::token::Tokens;
use crate::dht::types::Incoming;
use crate::wire::compact::Encode;
use crate::wire::rpc::{Response, Target, Token};

/// What a node keeps and does for others.
pub(in crate::dht) struct Service {
    tokens: Tokens,
    /// Created when the node first turns persistent, kept when it is ephemeral for a while.
    pub(super) store: Option<Store>,
    /// The records of the servers on this node, by target.
    pub(super) servers: BTreeMap<Target, Vec<u8>>,
    /// The bytes that a network gets whose hosts show no token.
    strangers: Budget,
    forwarding: Forwarding,
    pub(super) keeps_announcements: bool,
    /// Announcements of an earlier run that are not verified yet, since when they wait, and when the next
    /// ones are due.
    pub(super) restoring: VecDeque<Kept>,
    pub(super) restore_begun: Instant,
    pub(super) restore_at: Instant,
    /// The Unix time at `started`.
    unix_time: Duration,
    started: Instant,
}

impl Service {
    pub(in crate::dht) fn new(now: Instant, config: &Config, rng: &mut StdRng) -> Self {
        Self {
            tokens: Tokens::new(now, rng),
            store: None,
            servers: BTreeMap::new(),
            strangers: Budget::new(now, rng, STRANGER_BURST, STRANGER_RATE),
            forwarding: Forwarding::new(now, rng),
            keeps_announcements: config.keeps_announcements,
            restoring: VecDeque::new(),
            restore_begun: now,
            restore_at: now,
            unix_time: config.unix_time,
            started: now,
        }
    }

    /// Stores records and values from now on.
    pub(in crate::dht) fn enable(&mut self, now: Instant) {
        self.store.get_or_insert_with(|| Store::new(now));
    }

    /// Ages the records and values. Called once per tick.
    pub(in crate::dht) fn sweep(&mut self, now: Instant) {
        if let Some(store) = &mut self.store {
            store.sweep(now);
        }
    }

    /// Returns how many records and values are stored.
    pub(in crate::dht) fn records(&self) -> usize {
        self.store.as_ref().map_or(0, Store::len)
    }

    /// Returns how much of their bound the records take.
    pub(in crate::dht) fn fill(&self) -> Fill {
        let used = self.store.as_ref().map_or(0, Store::used);
        Fill { what: "records kept for others (bytes)", used, bound: MAX_BYTES }
    }

    pub(super) fn unix_time(&self, now: Instant) -> Duration {
        self.unix_time + now.saturating_duration_since(self.started)
    }

    pub(in crate::dht) fn issue_token(&mut self, now: Instant, host: Ipv4Addr) -> Token {
        self.tokens.issue(now, host)
    }

    pub(in crate::dht) fn accepts_token(&mut self, now: Instant, host: Ipv4Addr, shown: &Token) -> bool {
        self.tokens.accepts(now, host, shown)
    }

    /// Returns whether what `incoming` brought may be passed on to `to`, a third party, in `length` bytes.
    ///
    /// A server that announced itself from there has shown a token, and wants to be found; what others get is
    /// bounded for each of their networks and for each victim.
    pub(in crate::dht) fn may_forward(
        &mut self,
        now: Instant,
        incoming: &Incoming,
        to: SocketAddrV4,
        length: usize,
    ) -> bool {
        let is_announced = incoming.target.is_some_and(|target| self.forward(&target) == Some(to));
        let may = self.forwarding.take(now, *incoming.from.ip())
            && (is_announced || self.strangers.spend(now, *to.ip(), length));
        if may {
            self.forwarding.note_passed(now, *to.ip());
        }
        may
    }

    /// Cuts a response to what its receiver may get, and returns whether that is anything at all.
    ///
    /// A request without token proves nothing about its source address, so a victim may get the response.
    pub(in crate::dht) fn bound(
        &mut self,
        now: Instant,
        incoming: &Incoming,
        to: SocketAddrV4,
        response: &mut Response,
        stats: &mut Stats,
    ) -> bool {
        let source = *incoming.from.ip();
        if *to.ip() != source {
            stats.count_forwarded(incoming.command);
            return self.may_forward(now, incoming, to, response.encoded_len());
        }
        if incoming.proven {
            return true;
        }
        let most = AMPLIFICATION * incoming.length;
        let excess = response.encoded_len().saturating_sub(most);
        if excess > 0 && !self.strangers.has_plenty(now, source) {
            stats.trimmed += 1;
            let nodes = response.closer.len();
            let left = nodes.saturating_sub(excess.div_ceil(ADDRESS_LENGTH));
            response.closer.truncate(left);
            if response.encoded_len() > most {
                response.value = None;
            }
            if response.encoded_len() > most {
                return false;
            }
        }
        self.strangers.spend(now, source, response.encoded_len())
    }

    #[cfg(test)]
    pub(in crate::dht) const fn tokens(&mut self) -> &mut Tokens {
        &mut self.tokens
    }

    /// Forgets all records, as a node does that has no room for them.
    #[cfg(test)]
    pub(in crate::dht) fn forget_records(&mut self) {
        self.store = self.store.take().map(|_| Store::new(self.started));
    }
}

/// Bytes of a node in the list of closer nodes.
const ADDRESS_LENGTH: usize = 6;
