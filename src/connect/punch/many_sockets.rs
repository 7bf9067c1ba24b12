//! Probes from many sockets to one address, for a NAT that gives each socket a port of its own (`connect.md`
//! §9.4).

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::step::{Due, Step};

#[derive(Debug)]
pub(super) struct ManySockets {
    target: SocketAddrV4,
    /// How many are wanted.
    wanted: usize,
    /// Numbers that were given out; those that could not be opened stay unused.
    asked: usize,
    outstanding: usize,
    open: Vec<usize>,
    fresh: VecDeque<usize>,
    laps_from: Option<Instant>,
    sent: u32,
}

impl ManySockets {
    /// Begins with the puncher socket, number 0.
    pub(super) fn new(target: SocketAddrV4, wanted: usize) -> Self {
        Self {
            target,
            wanted,
            asked: 1,
            outstanding: 0,
            open: vec![0],
            fresh: VecDeque::new(),
            laps_from: None,
            sent: 0,
        }
    }

    /// Adds the next steps: opens all sockets, sends a first probe from each, and goes round them after that.
    pub(super) fn advance(&mut self, now: Instant, steps: &mut Vec<Step>) -> Due {
        while self.asked < self.wanted {
            self.asked += 1;
            self.outstanding += 1;
            steps.push(Step::Open);
        }
        while let Some(socket) = self.fresh.pop_front() {
            steps.push(self.probe(socket, true));
        }
        if self.outstanding > 0 {
            return Due::Later;
        }
        let Some(laps_from) = self.laps_from else {
            // A burst may be too much for a small router, so it gets a moment.
            self.laps_from = Some(now + PAUSE_AFTER_OPENING);
            return Due::More;
        };
        if now < laps_from {
            return Due::Later;
        }
        if self.sent == PROBES {
            return Due::Never;
        }
        let (lap, index) = (self.sent as usize / self.open.len(), self.sent as usize % self.open.len());
        self.sent += 1;
        steps.push(self.probe(self.open[index], lap == 0));
        Due::More
    }

    pub(super) fn handle_socket(&mut self, number: usize, opened: bool) {
        self.outstanding = self.outstanding.saturating_sub(1);
        if opened {
            self.open.push(number);
            self.fresh.push_back(number);
        }
    }

    pub(super) fn next_deadline(&self, started: Instant) -> Option<Instant> {
        let burst = self.asked < self.wanted || !self.fresh.is_empty();
        match self.laps_from {
            _ if burst => Some(started),
            Some(from) => Some(from + LAP_INTERVAL * self.sent),
            None => (self.outstanding == 0).then_some(started),
        }
    }

    const fn probe(&self, socket: usize, low_ttl: bool) -> Step {
        Step::Probe { socket, to: self.target, low_ttl }
    }
}

/// Probes from many sockets to one address (the reference sends as many to random ports).
pub(super) const PROBES: u32 = 1750;
const PAUSE_AFTER_OPENING: Duration = Duration::from_millis(100);
const LAP_INTERVAL: Duration = Duration::from_millis(20);

/// The longest that a plan lasts.
pub(in crate::connect) const LONGEST: Duration = Duration::from_millis(100 + 1750 * 20 + 1000);
