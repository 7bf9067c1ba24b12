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
    /// Bytes in flight, this packet included, and all bytes found lost by then.
    pub(super) in_flight: u64,
    pub(super) lost: u64,
    app_limited: bool,
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Bytes per second.
    pub(super) rate: f64,
    /// Bytes delivered when the measured packet was sent, by which the round is known that it belongs to.
    pub(super) delivered_before: u64,
    /// Bytes delivered since then.
    pub(super) delivered: u64,
    /// Bytes in flight then, the packet included.
    pub(super) in_flight_then: u64,
    /// Whether the sender had too little to send, so that the path may carry more.
    pub(super) app_limited: bool,
}

/// Counts what was delivered.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    delivered: u64,
    delivered_at: Option<Instant>,
    first_sent_at: Option<Instant>,
    lost: u64,
    packets_lost: u64,
    /// The sender had too little to send until this many bytes were delivered.
    app_limited_until: u64,
}

impl Delivery {
    /// Returns what a packet that is sent now has to remember, with which `in_flight` bytes are.
    pub(super) fn snapshot(&mut self, now: Instant, in_flight: u64, idle: bool) -> Snapshot {
        if idle {
            self.delivered_at = Some(now);
            self.first_sent_at = Some(now);
        }
        Snapshot {
            delivered: self.delivered,
            delivered_at: *self.delivered_at.get_or_insert(now),
            first_sent_at: *self.first_sent_at.get_or_insert(now),
            in_flight,
            lost: self.lost,
            app_limited: self.app_limited_until > 0 && self.delivered <= self.app_limited_until,
        }
    }

    /// Counts `bytes` that were acknowledged.
    pub(super) const fn add(&mut self, now: Instant, bytes: u64) {
        self.delivered += bytes;
        self.delivered_at = Some(now);
    }

    /// Counts a packet of `bytes` that was found lost. Returns the bytes of all of them.
    pub(super) const fn lose(&mut self, bytes: u64) -> u64 {
        self.packets_lost += 1;
        self.lost += bytes;
        self.lost
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
        let delivered = self.delivered - packet.delivered;
        Some(Sample {
            rate: delivered as f64 / interval.as_secs_f64(),
            delivered_before: packet.delivered,
            delivered,
            in_flight_then: packet.in_flight,
            app_limited: packet.app_limited,
        })
    }

    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    pub(super) const fn packets_lost(&self) -> u64 {
        self.packets_lost
    }

    pub(super) const fn delivered(&self) -> u64 {
        self.delivered
    }
}
