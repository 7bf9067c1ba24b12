//! How fast the path delivers, measured from the packets it has delivered
//! (draft-cheng-iccrg-delivery-rate-estimation-00).

use std::time::{Duration, Instant};

/// What a packet remembers from when it was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Snapshot {
    /// Bytes delivered by then.
    pub(super) delivered: u64,
    delivered_at: Instant,
    first_sent_at: Instant,
    app_limited: bool,
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Bytes per second.
    pub(super) rate: f64,
    /// Bytes delivered when the measured packet was sent, by which the round is known that it belongs to.
    pub(super) delivered_before: u64,
    /// Whether the sender had too little to send, so that the path may carry more.
    pub(super) app_limited: bool,
}

/// Counts what was delivered.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    delivered: u64,
    delivered_at: Option<Instant>,
    first_sent_at: Option<Instant>,
    /// The sender had too little to send until this many bytes were delivered.
    app_limited_until: u64,
}

impl Delivery {
    /// Returns what a packet that is sent now has to remember.
    pub(super) fn snapshot(&mut self, now: Instant, idle: bool) -> Snapshot {
        if idle {
            self.delivered_at = Some(now);
            self.first_sent_at = Some(now);
        }
        Snapshot {
            delivered: self.delivered,
            delivered_at: *self.delivered_at.get_or_insert(now),
            first_sent_at: *self.first_sent_at.get_or_insert(now),
            app_limited: self.app_limited_until > 0 && self.delivered <= self.app_limited_until,
        }
    }

    /// Counts `bytes` that were acknowledged.
    pub(super) const fn add(&mut self, now: Instant, bytes: u64) {
        self.delivered += bytes;
        self.delivered_at = Some(now);
    }

    /// Notes that there is too little to send.
    pub(super) fn limit(&mut self, in_flight: u64) {
        self.app_limited_until = (self.delivered + in_flight).max(1);
    }

    /// Measures with the latest sent of the packets that were acknowledged together.
    pub(super) fn sample(
        &mut self,
        now: Instant,
        packet: &Snapshot,
        sent_at: Instant,
        minimum_rtt: Option<Duration>,
    ) -> Option<Sample> {
        self.first_sent_at = Some(sent_at);
        let sending = sent_at.saturating_duration_since(packet.first_sent_at);
        let acknowledging = now.saturating_duration_since(packet.delivered_at);
        let interval = sending.max(acknowledging);
        // Shorter than a round trip, it measures a burst and not the path.
        if interval.is_zero() || minimum_rtt.is_some_and(|minimum| interval < minimum) {
            return None;
        }
        Some(Sample {
            rate: (self.delivered - packet.delivered) as f64 / interval.as_secs_f64(),
            delivered_before: packet.delivered,
            app_limited: packet.app_limited,
        })
    }

    pub(super) const fn delivered(&self) -> u64 {
        self.delivered
    }
}

/// The highest rate of the last ten rounds.
///
/// Only rounds count that measured something of the path, so that a time with little to send does not wear
/// the measurements out.
#[derive(Debug)]
pub(super) struct MaxRate {
    /// The highest rate of each round.
    rates: [f64; ROUNDS],
    /// Where the latest round is.
    latest: u8,
    /// The current round has not measured anything yet.
    unrated: bool,
}

impl MaxRate {
    pub(super) const fn new() -> Self {
        Self { rates: [0.0; ROUNDS], latest: 0, unrated: false }
    }

    pub(super) const fn start_round(&mut self) {
        self.unrated = true;
    }

    /// Adds a measurement of the current round, in bytes per second.
    pub(super) fn add(&mut self, rate: f64) {
        let begins = std::mem::take(&mut self.unrated);
        self.latest = (self.latest + u8::from(begins)) % ROUNDS as u8;
        let slot = &mut self.rates[usize::from(self.latest)];
        *slot = if begins { rate } else { slot.max(rate) };
    }

    /// Returns the highest rate, in bytes per second.
    pub(super) fn max(&self) -> f64 {
        self.rates.iter().copied().fold(0.0, f64::max)
    }
}

/// `BtlBwFilterLen` of draft-cardwell-iccrg-bbr-congestion-control-00 §4.1.1.
const ROUNDS: usize = 10;
