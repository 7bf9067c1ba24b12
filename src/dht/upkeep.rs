//! The clock of a node: ticks of five seconds, and what is due by them (dht-rpc.md §10.4, §13.4, §13.5).

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;

/// The clock of a node, and what one tick allows.
pub(super) struct Upkeep {
    tick: u64,
    ticked: Instant,
    /// Ticks until the next refresh.
    refresh_in: u32,
    /// Ticks until an ephemeral node checks whether it may turn persistent.
    stable_in: u32,
    /// The host of this node at the last such check.
    checked_host: Option<Ipv4Addr>,
    hints_left: u32,
    hints_per_tick: u32,
    strays_left: u32,
}

impl Upkeep {
    pub(super) fn new(now: Instant, hints_per_tick: u32, rng: &mut StdRng) -> Self {
        Self {
            // Random, so that nodes started together do not act in step.
            tick: rng.gen_range(51..=100),
            ticked: now,
            refresh_in: rng.gen_range(31..=REFRESH),
            stable_in: STABLE,
            checked_host: None,
            hints_left: hints_per_tick,
            hints_per_tick,
            strays_left: MAX_STRAYS,
        }
    }

    pub(super) const fn tick(&self) -> u64 {
        self.tick
    }

    /// Returns when the next tick is.
    pub(super) fn next(&self) -> Instant {
        self.ticked + TICK
    }

    /// Returns whether the machine has slept since the last tick.
    pub(super) fn has_slept(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.ticked) > SLEPT
    }

    /// Starts the clock where time has passed without ticks on purpose.
    pub(super) const fn restart(&mut self, now: Instant) {
        self.ticked = now;
    }

    /// Begins a tick.
    pub(super) const fn begin_tick(&mut self, now: Instant) {
        self.ticked = now;
        self.tick += 1;
        self.hints_left = self.hints_per_tick;
        self.strays_left = MAX_STRAYS;
    }

    /// Makes everything old, as after sleep, and puts off checks of reachability.
    pub(super) const fn wake_up(&mut self) {
        self.tick += SLEPT_TICKS;
        // Pings begin two ticks later, when the network has had time to come back.
        self.tick += (2 * PING_PERIOD - 3 - self.tick % PING_PERIOD) % PING_PERIOD;
        self.refresh_in = 1;
        self.checked_host = None;
        self.stable_in = MORE_STABLE;
    }

    /// Returns whether this tick pings nodes.
    pub(super) const fn pings(&self) -> bool {
        self.tick.is_multiple_of(PING_PERIOD)
    }

    /// Returns whether this tick refreshes a table of `nodes` nodes. Called once per tick.
    pub(super) const fn refreshes(&mut self, nodes: usize) -> bool {
        self.refresh_in = self.refresh_in.saturating_sub(1);
        self.refresh_in == 0 || (self.tick.is_multiple_of(SMALL_PERIOD) && nodes < SMALL)
    }

    pub(super) const fn postpone_refresh(&mut self) {
        self.refresh_in = REFRESH;
    }

    /// Returns whether a node that is configured to be persistent probes its firewall in this tick.
    pub(super) const fn retries_check(&self) -> bool {
        self.tick.is_multiple_of(RETRY_PERIOD)
    }

    /// Returns whether an ephemeral node checks in this tick whether it may turn persistent: after it has
    /// been at one host for long. Called once per tick.
    pub(super) fn checks_stability(&mut self, host: impl FnOnce() -> Option<Ipv4Addr>) -> bool {
        self.stable_in = self.stable_in.saturating_sub(1);
        if self.stable_in > 0 {
            return false;
        }
        self.stable_in = MORE_STABLE;
        let host = host();
        let is_new = host != self.checked_host;
        self.checked_host = host;
        is_new
    }

    /// Takes one of the down hints that this tick allows, if one is left.
    pub(super) const fn may_hint(&mut self) -> bool {
        let left = self.hints_left > 0;
        self.hints_left = self.hints_left.saturating_sub(1);
        left
    }

    /// Takes one of the unmatched responses that this tick looks at, if one is left.
    pub(super) const fn may_follow_stray(&mut self) -> bool {
        let left = self.strays_left > 0;
        self.strays_left = self.strays_left.saturating_sub(1);
        left
    }
}

/// This and what follows up to [`MORE_STABLE`]: dht-rpc.md §15.
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
/// Ticks before an ephemeral node may turn persistent: twenty minutes.
const STABLE: u32 = 240;
/// Ticks before a failed attempt is repeated: an hour.
const MORE_STABLE: u32 = 720;
/// Ticks between attempts of a node that is configured to be persistent: a minute.
const RETRY_PERIOD: u64 = 12;
/// Unmatched responses that could be of a bootstrap node with several addresses and are looked at in one
/// tick: such a host causes one or two, and a guesser of tids needs thousands.
const MAX_STRAYS: u32 = 16;
