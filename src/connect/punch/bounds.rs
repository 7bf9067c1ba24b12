//! Keeps peers from aiming probes at others, and a router from running out of ports.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::connect::limits::Limits;
use crate::dht::budget::PerSource;

/// Counts probes per host, in windows of time.
#[derive(Debug)]
pub(in crate::connect) struct Budget {
    /// Until when a window lasts, and how much is left of it.
    hosts: PerSource<Ipv4Addr, (Instant, u32)>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { hosts: PerSource::new(MAX_HOSTS) }
    }
}

impl Budget {
    /// Takes one probe to a host that has not proven to want any. Returns whether it may leave.
    pub(in crate::connect) fn spend(&mut self, now: Instant, host: Ipv4Addr) -> bool {
        let fresh = (now + WINDOW, MAX_UNVERIFIED_PROBES);
        let Some(window) = self.hosts.entry(host, fresh, |(until, _)| *until <= now) else {
            return false;
        };
        if window.0 <= now {
            *window = fresh;
        }
        let granted = window.1 > 0;
        window.1 = window.1.saturating_sub(1);
        granted
    }

    /// Allows `count` more answers to probes from a host for a while.
    pub(in crate::connect) fn grant(&mut self, now: Instant, host: Ipv4Addr, count: u32) {
        let entry = self.hosts.entry(host, (now, 0), |(until, _)| *until <= now);
        if let Some((until, left)) = entry {
            let before = if *until < now { 0 } else { *left };
            *left = before.saturating_add(count).min(MAX_ECHOES);
            *until = now + GRANT;
        }
    }

    /// Takes one answer to a probe. Returns whether one was left.
    pub(in crate::connect) fn take(&mut self, now: Instant, host: Ipv4Addr) -> bool {
        let Some((until, left)) = self.hosts.get_mut(&host) else {
            return false;
        };
        let granted = now < *until && *left > 0;
        *left = left.saturating_sub(1);
        granted
    }
}

/// Keeps punches through random NATs apart: each takes hundreds of a router's ports.
#[derive(Debug)]
pub(in crate::connect) struct Throttle {
    most: usize,
    interval: Duration,
    running: usize,
    free: Option<Instant>,
}

impl Throttle {
    pub(in crate::connect) const fn new(limits: &Limits) -> Self {
        Self { most: limits.random_punches, interval: limits.random_punch_interval, running: 0, free: None }
    }

    /// Returns from when on another one may begin; `None` while that depends on one under way.
    pub(in crate::connect) fn free_at(&self, now: Instant) -> Option<Instant> {
        if self.running >= self.most {
            return None;
        }
        Some(self.free.map_or(now, |free| free.max(now)))
    }

    pub(super) const fn begin(&mut self) {
        self.running += 1;
    }

    /// One has ended. A success has cost the router far less than a failure.
    pub(super) fn end(&mut self, now: Instant, won: bool) {
        self.running = self.running.saturating_sub(1);
        let interval = if won { self.interval / 8 } else { self.interval };
        self.free = self.free.max(Some(now + interval));
    }
}

/// Hosts that are counted at once.
const MAX_HOSTS: usize = 4096;
/// Probes to one host that has proven nothing, per window and over all peers that name it: a few behind one
/// address still find each other.
pub(in crate::connect) const MAX_UNVERIFIED_PROBES: u32 = 64;
const WINDOW: Duration = Duration::from_secs(10);
/// Answers to probes from one host that can be pending, and how long they stay allowed.
const MAX_ECHOES: u32 = 1024;
const GRANT: Duration = Duration::from_secs(40);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_gets_a_few_probes_per_window() {
        let (mut budget, now) = (Budget::default(), Instant::now());
        let host = Ipv4Addr::new(8, 8, 8, 8);
        let spent = |budget: &mut Budget, now| (0..200).filter(|_| budget.spend(now, host)).count();
        assert_eq!(spent(&mut budget, now), MAX_UNVERIFIED_PROBES as usize);
        assert_eq!(spent(&mut budget, now + WINDOW), MAX_UNVERIFIED_PROBES as usize);
    }

    #[test]
    fn hosts_are_bounded_and_the_old_make_room() {
        let (mut budget, now) = (Budget::default(), Instant::now());
        let host = |index: usize| Ipv4Addr::from(0x0800_0000 + index as u32);
        let granted = (0..2 * MAX_HOSTS).filter(|index| budget.spend(now, host(*index)));
        assert_eq!(granted.count(), MAX_HOSTS);
        assert!(budget.spend(now + WINDOW, host(3 * MAX_HOSTS)));
        assert_eq!(budget.hosts.len(), 1);
    }

    #[test]
    fn answers_are_only_as_many_as_were_granted() {
        let (mut budget, now) = (Budget::default(), Instant::now());
        let host = Ipv4Addr::new(8, 8, 8, 8);
        assert!(!budget.take(now, host));
        budget.grant(now, host, 3);
        let taken = (0..10).filter(|_| budget.take(now, host)).count();
        assert_eq!(taken, 3);
        budget.grant(now, host, 3);
        assert!(!budget.take(now + GRANT, host));
    }

    #[test]
    fn random_punches_follow_each_other_slowly() {
        let limits = Limits::default();
        let (mut throttle, now) = (Throttle::new(&limits), Instant::now());
        assert_eq!(throttle.free_at(now), Some(now));
        throttle.begin();
        assert_eq!(throttle.free_at(now), None);
        throttle.end(now, true);
        assert_eq!(throttle.free_at(now), Some(now + limits.random_punch_interval / 8));
        throttle.begin();
        throttle.end(now, false);
        let free = now + limits.random_punch_interval;
        assert_eq!(throttle.free_at(now), Some(free));
        let late = free + Duration::from_secs(9);
        assert_eq!(throttle.free_at(late), Some(late));
    }
}
