//! What a congestion controller is told, and what it answers.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use crate::udx::rate::Sample;

/// Decides how much may be in flight and how fast it leaves. Pure: it learns from what is passed, time
/// included.
pub(in crate::udx) trait Controller: Debug + Send + Sync {
    /// Returns how many bytes may be in flight.
    fn window(&self) -> u64;

    /// Returns the pacing rate in bytes per second.
    fn pacing_rate(&self) -> f64;

    /// Learns from a batch of acknowledgements and losses.
    fn update(&mut self, now: Instant, outcome: &Outcome);

    /// Notes that nothing was acknowledged for a whole time-out.
    fn time_out(&mut self, in_flight: u64);

    /// Notes that everything sent before the losses, or before the time-out, has arrived.
    fn leave_recovery(&mut self);

    /// Takes `rtt` for the time that a round trip takes, before the first measurement.
    fn expect_rtt(&mut self, rtt: Duration);

    /// Returns what it makes of the path.
    fn beliefs(&self) -> Beliefs;
}

/// What became of packets since the last call.
#[derive(Clone, Copy, Debug)]
pub(in crate::udx) struct Outcome {
    /// Bytes acknowledged.
    pub(in crate::udx) acked: u64,
    /// Bytes in flight after acknowledgements and losses.
    pub(in crate::udx) in_flight: u64,
    /// All bytes ever delivered.
    pub(in crate::udx) delivered: u64,
    pub(in crate::udx) sample: Option<Sample>,
    /// The round trip of the packet sent last among those acknowledged.
    pub(in crate::udx) rtt: Option<Duration>,
    pub(in crate::udx) loss: Option<Loss>,
}

/// Packets found lost.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::udx) struct Loss {
    /// Their bytes.
    pub(in crate::udx) bytes: u64,
    /// Bytes in flight when the last of them was sent, itself included.
    pub(in crate::udx) in_flight_then: u64,
    /// Bytes lost since it was sent, itself included.
    pub(in crate::udx) lost_since: u64,
}

/// What a controller makes of the path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::udx) struct Beliefs {
    /// The name of its state.
    pub(in crate::udx) phase: &'static str,
    /// Bytes per second that the path delivers; zero while nothing is known.
    pub(in crate::udx) bandwidth: f64,
    /// The round trip of the empty path.
    pub(in crate::udx) minimum_rtt: Option<Duration>,
}
