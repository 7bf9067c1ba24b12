//! Whether the network responds at all, judged by the requests of this node (dht-rpc.md §14).

use std::collections::VecDeque;

/// How the requests of this node have fared lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Health {
    /// Most requests get a response, or there were too few to judge.
    #[default]
    Online,
    /// More than half of the requests get no response.
    Degraded,
    /// No request has got a response for a while. The next response ends that.
    Offline,
}

/// Counts responses and time-outs, and judges them once per tick.
#[derive(Debug, Default)]
pub(super) struct Monitor {
    responses: u64,
    timeouts: u64,
    window: VecDeque<(u64, u64)>,
    silent_ticks: u32,
    degraded_ticks: u32,
    healthy_ticks: u32,
    health: Health,
}

impl Monitor {
    /// Counts a response, which shows that this node is online.
    pub(super) fn answered(&mut self) {
        self.responses += 1;
        self.silent_ticks = 0;
        if self.health == Health::Offline {
            self.health = Health::Online;
        }
    }

    /// Counts a request without response.
    pub(super) const fn timed_out(&mut self) {
        self.timeouts += 1;
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
/// Requests in the window below which it shows nothing.
const FEW: u64 = 4;
/// Ticks without any response that mean offline.
const SILENT_TICKS: u32 = 2;
/// Ticks of one kind in a row that change the verdict.
const STEADY_TICKS: u32 = 4;
