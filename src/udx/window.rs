//! Flow control: how much each side lets the other send (`udx.md` §11).

use std::time::{Duration, Instant};

/// The window that the peer has advertised.
#[derive(Debug)]
pub(super) struct PeerWindow {
    bytes: u32,
    /// The numbers of the packet that carried it: `wl1` and `wl2` of RFC 9293 §3.10.7.4.
    seq: u64,
    ack: u64,
}

impl PeerWindow {
    /// Starts at what the reference advertises, with the first numbers of both directions.
    pub(super) const fn new(seq: u64, ack: u64) -> Self {
        Self { bytes: INITIAL_PEER_WINDOW, seq, ack }
    }

    /// Takes the window of a packet, unless a newer packet has been heard.
    pub(super) const fn update(&mut self, bytes: u32, seq: u64, ack: u64) {
        if seq > self.seq || (seq == self.seq && ack >= self.ack) {
            *self = Self { bytes, seq, ack };
        }
    }

    pub(super) const fn is_shut(&self) -> bool {
        self.bytes == 0
    }

    /// Returns how many packets of `payload` bytes may be in flight. As in the reference, `libudx
    /// src/udx.c send_window_in_packets`, a window of less than a packet lets one through.
    pub(super) fn packets(&self, payload: usize) -> usize {
        if self.is_shut() { 0 } else { (self.bytes as usize / payload).max(1) }
    }
}

/// The window that was advertised to the peer, and how fast the reader empties it.
#[derive(Debug)]
pub(super) struct OwnWindow {
    advertised: usize,
    /// What the reader has taken since then.
    taken: usize,
    since: Option<Instant>,
}

impl OwnWindow {
    pub(super) const fn new(advertised: usize) -> Self {
        Self { advertised, taken: 0, since: None }
    }

    /// Returns `window` as it stands in a header that leaves.
    pub(super) fn advertise(&mut self, window: usize) -> u32 {
        self.advertised = window;
        u32::try_from(window).unwrap_or(u32::MAX)
    }

    /// Returns whether the opening of the window is worth a packet: only one that was nearly shut can hold
    /// the peer up, and only one that has opened a good part helps.
    pub(super) const fn has_opened(&self, full: usize, window: usize) -> bool {
        self.advertised <= full / 2 && window >= self.advertised + full / 4
    }

    /// Counts `count` bytes that the reader takes. Returns whether it takes more than half of the `full`
    /// window in a round trip: then it is the window that holds the peer up, and should grow.
    pub(super) fn read(&mut self, now: Instant, count: usize, rtt: Option<Duration>, full: usize) -> bool {
        let since = *self.since.get_or_insert(now);
        self.taken += count;
        let elapsed = now.saturating_duration_since(since);
        let Some(rtt) = rtt.filter(|rtt| elapsed >= *rtt) else {
            return false;
        };
        let trips = elapsed.as_secs_f64() / rtt.as_secs_f64();
        let grows = self.taken as f64 > trips * full as f64 / 2.0;
        self.taken = 0;
        self.since = Some(now);
        grows
    }
}

/// What a peer is taken to accept before its first packet: the window that the reference always advertises,
/// 4 MiB (`udx.md` §19).
const INITIAL_PEER_WINDOW: u32 = 4 << 20;
