//! Whether the network answers at all, judged by our own requests.

use std::collections::VecDeque;

/// How our requests have fared lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Most requests are answered, or there were too few to tell.
    #[default]
    Online,
    /// More than half of the requests are not answered.
    Degraded,
    /// No request has been answered for a while.
    Offline,
}

/// Counts answers and timeouts, and judges them once per tick.
#[derive(Debug, Default)]
pub(super) struct Monitor {
    pub(super) responses: u64,
    pub(super) timeouts: u64,
    window: VecDeque<(u64, u64)>,
    silent_ticks: u32,
    degraded_ticks: u32,
    healthy_ticks: u32,
    health: Health,
}

impl Monitor {
    /// Counts an answer, which means that we are online.
    pub(super) fn answered(&mut self) {
        self.responses += 1;
        self.silent_ticks = 0;
        if self.health == Health::Offline {
            self.health = Health::Online;
        }
    }

    /// Judges the tick that ends now.
    pub(super) fn tick(&mut self) {
        let previous = self.window.back().copied().unwrap_or_default();
        self.window.push_back((self.responses, self.timeouts));
        if self.window.len() <= WINDOW {
            return;
        }
        self.window.pop_front();
        let (responses, timeouts) = (self.responses - previous.0, self.timeouts - previous.1);
        if responses + timeouts < FEW {
            return;
        }
        if responses == 0 {
            self.silent_ticks += 1;
            if self.silent_ticks >= SILENT_TICKS {
                self.health = Health::Offline;
            }
            return;
        }
        if timeouts > responses {
            self.degraded_ticks += 1;
            self.healthy_ticks = 0;
        } else {
            self.healthy_ticks += 1;
            self.degraded_ticks = 0;
        }
        if self.degraded_ticks >= STEADY_TICKS {
            self.health = Health::Degraded;
        } else if self.healthy_ticks >= STEADY_TICKS {
            self.health = Health::Online;
        }
    }

    /// Forgets the past, as after sleep.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(super) const fn health(&self) -> Health {
        self.health
    }
}

/// Ticks before anything is judged.
const WINDOW: usize = 4;
/// Requests in a tick below which it says nothing.
const FEW: u64 = 4;
/// Ticks without any answer that mean offline.
const SILENT_TICKS: u32 = 2;
/// Ticks of one kind in a row that change the verdict.
const STEADY_TICKS: u32 = 4;
