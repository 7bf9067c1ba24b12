//! What happens every five seconds: pinging the silent, refreshing the table, ageing the store, noticing
//! sleep.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::bootstrap::Bootstrap;
use super::config::Mode;
use super::health::{Health, Monitor};
use super::node::Node;
use super::queries::{Purpose, find_node};
use super::requests::{OLD_NODE, Owner};
use super::types::{Answer, Event, RequestError};
use crate::wire::rpc::NodeId;

/// The clock of a node, and what is due by it.
pub(super) struct Upkeep {
    tick: u64,
    ticked: Instant,
    /// Ticks until the next refresh.
    refresh_in: u32,
    /// Ticks until an ephemeral node examines whether it may turn persistent.
    stable_in: u32,
    /// Our host at the last such examination.
    checked_host: Option<Ipv4Addr>,
    row_checks: u32,
    hint_checks: u32,
    hints_left: u32,
    strays_left: u32,
    pub(super) health: Monitor,
}

impl Upkeep {
    pub(super) fn new(now: Instant, hints: u32, rng: &mut StdRng) -> Self {
        Self {
            // Random, so that nodes started together do not act in step.
            tick: rng.gen_range(51..=100),
            ticked: now,
            refresh_in: rng.gen_range(31..=REFRESH),
            stable_in: STABLE,
            checked_host: None,
            row_checks: 0,
            hint_checks: 0,
            hints_left: hints,
            strays_left: MAX_STRAYS,
            health: Monitor::default(),
        }
    }

    pub(super) const fn tick(&self) -> u64 {
        self.tick
    }

    /// Returns when the next tick is.
    pub(super) fn next(&self) -> Instant {
        self.ticked + TICK
    }

    /// Starts the clock where time has passed without ticks on purpose.
    pub(super) const fn restart(&mut self, now: Instant) {
        self.ticked = now;
    }

    pub(super) const fn postpone_refresh(&mut self) {
        self.refresh_in = REFRESH;
    }

    /// Forgets the checks under way, whose answers are never going to be told.
    pub(super) const fn forget_checks(&mut self) {
        self.row_checks = 0;
        self.hint_checks = 0;
    }

    /// Takes one of the down hints that this tick allows, if there is one left.
    pub(super) const fn may_hint(&mut self) -> bool {
        let left = self.hints_left > 0;
        self.hints_left = self.hints_left.saturating_sub(1);
        left
    }

    /// Takes one of the answers to nothing that are looked at in this tick, if there is one left.
    pub(super) const fn may_follow_stray(&mut self) -> bool {
        let left = self.strays_left > 0;
        self.strays_left = self.strays_left.saturating_sub(1);
        left
    }
}

impl Node {
    /// Returns how our own requests have fared lately.
    pub const fn health(&self) -> Health {
        self.upkeep.health.health()
    }

    pub(super) fn run_upkeep(&mut self, now: Instant) {
        if now < self.upkeep.next() {
            return;
        }
        if now.saturating_duration_since(self.upkeep.ticked) > SLEPT {
            self.wake_up();
        }
        self.upkeep.ticked = now;
        self.upkeep.tick += 1;
        self.upkeep.hints_left = self.config.down_hints_per_tick;
        self.upkeep.strays_left = MAX_STRAYS;
        self.upkeep.health.tick();
        if let Some(store) = &mut self.store {
            store.sweep(now);
        }
        if self.bootstrap != Bootstrap::Done {
            return;
        }
        let tick = self.upkeep.tick;
        if tick.is_multiple_of(PING_PERIOD) {
            self.ping_some(now);
        }
        self.upkeep.refresh_in = self.upkeep.refresh_in.saturating_sub(1);
        let small = tick.is_multiple_of(SMALL_PERIOD) && self.table.len() < SMALL;
        if self.upkeep.refresh_in == 0 || small {
            self.refresh(now);
        }
        if !self.persistent && self.check.is_none() {
            self.reconsider_persistence(now);
        }
    }

    /// Acts as after sleep: everything known is old, and we may be elsewhere.
    pub(super) fn wake_up(&mut self) {
        let upkeep = &mut self.upkeep;
        upkeep.tick += SLEPT_TICKS;
        // Pings begin two ticks later, when the network has had time to come back.
        upkeep.tick += (2 * PING_PERIOD - 3 - upkeep.tick % PING_PERIOD) % PING_PERIOD;
        upkeep.refresh_in = 1;
        upkeep.checked_host = None;
        upkeep.stable_in = MORE_STABLE;
        upkeep.health.reset();
        if self.config.mode == Mode::Adaptive && self.persistent {
            self.persistent = false;
            self.emit(Event::Persistent(false));
        }
    }

    /// Walks towards a part of the network where we know few, or else a random known node, which keeps the
    /// table filled.
    pub(super) fn refresh(&mut self, now: Instant) {
        let thin = if self.config.is_reference() {
            Vec::new()
        } else {
            self.table.thin_rows()
        };
        let target = if let Some(row) = thin.choose(&mut self.rng) {
            self.table.random_id(*row, &mut self.rng).0
        } else {
            let random = self.table.random(&mut self.rng);
            random.map_or_else(|| self.table.id().0, |entry| entry.id.0)
        };
        self.start_query(now, find_node(target), Purpose::Refresh);
    }

    /// Gets to know nodes wherever we know few.
    ///
    /// The walk towards our own id meets only nodes near us. Nodes that know nobody far away leave others
    /// stuck there, so one that serves takes care of it at once. (The reference leaves it to chance.)
    pub(super) fn fill(&mut self, now: Instant) {
        if self.config.is_reference() {
            return;
        }
        for row in self.table.thin_rows() {
            let target = self.table.random_id(row, &mut self.rng).0;
            self.start_query(now, find_node(target), Purpose::Fill);
        }
    }

    /// Takes the claim that a node is down as an occasion to ask it.
    pub(super) fn on_down_hint(&mut self, now: Instant, id: &NodeId) {
        let tick = self.upkeep.tick;
        if self.upkeep.hint_checks >= MAX_HINT_CHECKS {
            return;
        }
        let Some(entry) = self.table.get_mut(id) else {
            return;
        };
        if entry.pinged < tick || entry.down_hints == 0 {
            entry.down_hints += 1;
            self.upkeep.hint_checks += 1;
            self.check_ping(now, id, true);
        }
    }

    /// Makes room for a newcomer if the weakest node of its row turns out to be gone.
    pub(super) fn check_row(
        &mut self,
        now: Instant,
        id: NodeId,
        newcomer: SocketAddrV4,
        sample: Option<SocketAddrV4>,
    ) {
        let Some((incumbent, address)) = self.replaceable(&id, &newcomer) else {
            return;
        };
        let tick = self.upkeep.tick;
        if let Some(entry) = self.table.get_mut(&incumbent) {
            entry.pinged = tick;
        }
        let owner = Owner::RowCheck {
            incumbent,
            newcomer,
            sample,
        };
        if self.ping(now, owner, address, None) {
            self.upkeep.row_checks += 1;
        }
    }

    /// Returns whether the table has room for a node, or would look for some.
    pub(super) fn has_place(&self, id: &NodeId, address: &SocketAddrV4) -> bool {
        !self.table.is_full_for(id, address) || self.replaceable(id, address).is_some()
    }

    /// Returns the node that is to be examined before a newcomer gets its place.
    fn replaceable(&self, id: &NodeId, newcomer: &SocketAddrV4) -> Option<(NodeId, SocketAddrV4)> {
        if self.bootstrap != Bootstrap::Done || self.upkeep.row_checks >= MAX_ROW_CHECKS {
            return None;
        }
        let tick = self.upkeep.tick;
        let weakest = self.table.weakest(id, newcomer, tick)?;
        let proven = tick - weakest.pinged < RECENT_NODE && tick - weakest.added > OLD_NODE;
        (!proven).then_some((weakest.id, weakest.address))
    }

    pub(super) fn on_row_check_answer(
        &mut self,
        incumbent: &NodeId,
        newcomer: SocketAddrV4,
        sample: Option<SocketAddrV4>,
        result: &Result<Answer, RequestError>,
    ) {
        self.upkeep.row_checks -= 1;
        if !is_alive(result, incumbent) {
            self.table.remove(incumbent);
            self.admit(NodeId::of(newcomer), newcomer, sample);
        }
    }

    pub(super) fn on_check_answer(
        &mut self,
        id: &NodeId,
        hinted: bool,
        result: &Result<Answer, RequestError>,
    ) {
        if hinted {
            self.upkeep.hint_checks -= 1;
        }
        if !is_alive(result, id) {
            self.table.remove(id);
        }
    }

    /// Pings the nodes that we have not heard of for longest.
    fn ping_some(&mut self, now: Instant) {
        let busy = self.inflight.len() > 2;
        let by_age = self.table.by_age();
        let Some(oldest) = by_age.first() else {
            return self.refresh(now);
        };
        let fresh = self.upkeep.tick - oldest.pinged < RECENT_NODE;
        let count = match (fresh, busy) {
            (true, _) => 2,
            (false, true) => 3,
            (false, false) => 5,
        };
        let ids: Vec<_> = by_age.into_iter().take(count).map(|entry| entry.id).collect();
        for id in ids {
            self.check_ping(now, &id, false);
        }
    }

    /// Pings a node of the table, which leaves it unless it answers under the same id.
    fn check_ping(&mut self, now: Instant, id: &NodeId, hinted: bool) {
        let tick = self.upkeep.tick;
        let Some(entry) = self.table.get_mut(id) else {
            return;
        };
        entry.pinged = tick;
        let address = entry.address;
        let asked = self.ping(now, Owner::Check { id: *id, hinted }, address, Some(*id));
        if !asked && hinted {
            self.upkeep.hint_checks -= 1;
        }
    }

    /// Examines from time to time whether an ephemeral node may turn persistent.
    fn reconsider_persistence(&mut self, now: Instant) {
        match self.config.mode {
            Mode::Ephemeral => {}
            // The reference gives up for good if the first attempt fails; a node that was told to serve
            // should not.
            Mode::Persistent => {
                // Probes cost others something; what the samples say does not.
                if !self.firewalled || self.upkeep.tick.is_multiple_of(RETRY_PERIOD) {
                    self.start_check(now, false);
                }
            }
            Mode::Adaptive => {
                self.upkeep.stable_in = self.upkeep.stable_in.saturating_sub(1);
                if self.upkeep.stable_in > 0 {
                    return;
                }
                self.upkeep.stable_in = MORE_STABLE;
                let host = self.sampler.host();
                if host != self.upkeep.checked_host {
                    self.upkeep.checked_host = host;
                    self.start_check(now, false);
                }
            }
        }
    }
}

fn is_alive(result: &Result<Answer, RequestError>, id: &NodeId) -> bool {
    result.as_ref().is_ok_and(|answer| answer.id.as_ref() == Some(id))
}

const TICK: Duration = Duration::from_secs(5);
/// Time between two ticks from which on the machine must have slept.
const SLEPT: Duration = Duration::from_secs(15);
/// How much older everything is after sleep: an hour.
const SLEPT_TICKS: u64 = 720;
const REFRESH: u32 = 60;
const PING_PERIOD: u64 = 8;
/// How often a small table is refreshed, and below which size it is one.
const SMALL_PERIOD: u64 = 64;
const SMALL: usize = 20;
/// A node heard of within this many ticks is taken to be alive: a minute.
const RECENT_NODE: u64 = 12;
/// Ticks before an ephemeral node may turn persistent: twenty minutes.
const STABLE: u32 = 240;
/// Ticks before a failed attempt is repeated: an hour.
const MORE_STABLE: u32 = 720;
/// Ticks between attempts of a node that was told to be persistent: a minute.
const RETRY_PERIOD: u64 = 12;
/// Rows of the table that are examined for room at once.
const MAX_ROW_CHECKS: u32 = 3;
/// Answers to nothing that are looked at in one tick: a host with several addresses causes one or two, and
/// who tries tids needs thousands.
const MAX_STRAYS: u32 = 16;
/// Nodes that are pinged at once because others call them down.
pub(super) const MAX_HINT_CHECKS: u32 = 10;
