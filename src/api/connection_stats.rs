//! What a connection measures.

use std::time::Duration;

use super::{Path, Traffic};
#[cfg(feature = "serde")]
use crate::connect::milliseconds;
use crate::net::ConnectionHandle;

/// What a connection measures, see [`Connection::stats`](super::Connection::stats).
///
/// Round trips, losses and rates are those of the way to the peer, measured by what this side sends: a side
/// that only receives knows little of them. A connection that moves to another host measures anew.
///
/// With the feature `serde` times are milliseconds with fractions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ConnectionStats {
    /// How packets travel.
    pub path: Path,
    /// The time from a packet to its acknowledgement, smoothed; `None` before the first measurement.
    #[cfg_attr(feature = "serde", serde(serialize_with = "milliseconds"))]
    pub round_trip: Option<Duration>,
    /// The shortest of these times in the last seconds.
    #[cfg_attr(feature = "serde", serde(serialize_with = "milliseconds"))]
    pub round_trip_minimum: Option<Duration>,
    /// By how much they differ from the smoothed one, smoothed as well.
    #[cfg_attr(feature = "serde", serde(serialize_with = "milliseconds"))]
    pub round_trip_variation: Option<Duration>,
    /// What has gone over the connection, headers and encryption included.
    pub traffic: Traffic,
    /// The most bytes of encrypted data in a packet that the path is known to carry.
    pub packet_payload: usize,
    /// Bytes that the congestion control lets be in flight.
    pub congestion_window: u64,
    /// Bytes in flight: sent, and neither acknowledged nor found lost.
    pub in_flight: u64,
    /// Bytes per second that the path is thought to deliver; `None` while nothing is known. A connection that
    /// has had little to send knows a lower bound at most.
    pub bandwidth: Option<u64>,
    /// Bytes per second at which packets leave at most.
    pub pacing_rate: u64,
    /// What the congestion control, BBR of the third version, is at: `startup` and `drain` at the beginning,
    /// then `down`, `cruise`, `refill` and `up` in turn, `probe rtt` now and then. Empty if nothing is known.
    pub congestion_phase: &'static str,
}

impl ConnectionStats {
    pub(super) async fn of(connection: &ConnectionHandle) -> Self {
        let stats = connection.stats().await.unwrap_or_default();
        Self {
            path: connection.route().0,
            round_trip: stats.rtt,
            round_trip_minimum: stats.minimum_rtt,
            round_trip_variation: stats.rtt_variation,
            traffic: stats.traffic,
            packet_payload: stats.payload,
            congestion_window: stats.window,
            in_flight: stats.in_flight,
            bandwidth: Some(stats.bandwidth).filter(|bandwidth| *bandwidth > 0),
            pacing_rate: stats.pacing_rate,
            congestion_phase: stats.phase,
        }
    }
}
