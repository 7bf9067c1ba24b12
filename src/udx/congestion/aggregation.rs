//! How much more than expected is acknowledged at once, by paths that hold acknowledgements back.
//!
//! The window has to make room for it, as in the reference (`udx.md` §15) and Linux' BBR
//! (`tcp_bbr.c bbr_update_ack_aggregation`).

use std::time::{Duration, Instant};

/// The excess of the last rounds.
#[derive(Debug)]
pub(super) struct Aggregation {
    since: Option<Instant>,
    acked: u64,
    /// The largest excess of the current window of rounds and of the one before it.
    maxima: [u64; 2],
    rounds: u32,
}

impl Aggregation {
    pub(super) const fn new() -> Self {
        Self { since: None, acked: 0, maxima: [0; 2], rounds: 0 }
    }

    /// Counts `acked` bytes that came at once over a path with this bandwidth and round trip, never more than
    /// `window` in excess.
    pub(super) fn measure(
        &mut self,
        now: Instant,
        acked: u64,
        bandwidth: f64,
        rtt: Option<Duration>,
        window: u64,
        new_round: bool,
    ) {
        if new_round {
            self.rounds += 1;
            if self.rounds >= WINDOW_ROUNDS {
                self.rounds = 0;
                self.maxima = [0, self.maxima[0]];
            }
        }
        let since = *self.since.get_or_insert(now);
        let expected = bandwidth * now.saturating_duration_since(since).as_secs_f64();
        if self.acked as f64 <= expected {
            self.since = Some(now);
            self.acked = acked;
        } else {
            self.acked += acked;
            // Without the bound, peers on one machine would take turns with ever larger windows, and nothing
            // else got through.
            let rtt = rtt.map_or(0.0, |rtt| rtt.as_secs_f64());
            let most = bandwidth * (MAX_ROUND_TRIPS * rtt + MAX_SECONDS_BEYOND).min(MAX_SECONDS);
            let more = (self.acked as f64 - expected).min(most).min(window as f64);
            self.maxima[0] = self.maxima[0].max(more as u64);
        }
    }

    /// Returns the largest excess of the last rounds in bytes.
    pub(super) fn excess(&self) -> u64 {
        self.maxima[0].max(self.maxima[1])
    }
}

/// Rounds per window; two windows are looked at, as in the reference (`udx.md` §15).
const WINDOW_ROUNDS: u32 = 5;
/// Bounds of the excess, in round trips and beyond.
const MAX_ROUND_TRIPS: f64 = 2.0;
const MAX_SECONDS_BEYOND: f64 = 0.000_5;
/// The bound of the reference (`udx.md` §15): 100 ms of the bandwidth.
const MAX_SECONDS: f64 = 0.1;
