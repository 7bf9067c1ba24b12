//! What callers and streams exchange.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use crate::wire::packet::{HEADER_LEN, MAX_PAYLOAD};
use crate::wire::transmit::SocketId;

/// The id that this node gave a stream, unique among its live streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// A socket of this node and an address of the peer.
pub(super) type Place = (SocketId, SocketAddrV4);

/// A packet without payload, and where it goes.
pub(super) type BarePacket = (Place, [u8; HEADER_LEN]);

/// What to do with packets for a stream that do not come over its connected path.
///
/// Once the path is validated (see [`Streams::expect_prefix`](super::Streams::expect_prefix)) only
/// [`Admission::Only`] still admits any; see also
/// [`Streams::set_claims`](super::Streams::set_claims).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// They have no effect.
    Refuse,
    /// Their data is kept; the acknowledgement is owed until the stream is connected.
    HoldAndAccept,
    /// The stream is connected to where the first acceptable one came from.
    LearnPath,
    /// The same, with those from one host.
    LearnFrom(Ipv4Addr),
    /// Those from one place are taken, without moving the path there.
    #[cfg_attr(not(feature = "unstable-core"), allow(dead_code))]
    Only(SocketId, SocketAddrV4),
}

/// What happened to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Bytes have come. Not repeated before the next call of `read`.
    Readable,
    /// A write that was cut short can go on.
    Writable,
    /// An unordered message has come.
    Message(Vec<u8>),
    /// What the sender has measured by the end; [`Event::Closed`] follows.
    Measured(Box<StreamStats>),
    /// The path was learned from the peer's packets, or learned anew before it was validated, or by
    /// [`Streams::trust`](super::Streams::trust).
    PathLearned {
        /// The socket that the packets came to.
        socket: SocketId,
        /// Where they came from.
        address: SocketAddrV4,
    },
    /// Packets have come over another path from a candidate, see
    /// [`Streams::set_candidates`](super::Streams::set_candidates). Not repeated while they come from the
    /// same place.
    PathOffered {
        /// The socket that the packets came to.
        socket: SocketId,
        /// Where they came from.
        address: SocketAddrV4,
    },
    /// Packets have come from elsewhere that may be the peer's, see
    /// [`Streams::set_claims`](super::Streams::set_claims).
    PathClaimed,
    /// Nothing comes from a peer that was sending or has to answer. The own address may have changed for it,
    /// so it needs bytes that only this side can make: anything encrypted over the stream.
    Silent,
    /// Everything sent before the change of path is acknowledged.
    RemoteChanged,
    /// The expected first bytes have come, so the path is the peer's.
    PathValidated,
    /// A heartbeat got no answer in time, and the peer never answered one: it may be too old to know them.
    HeartbeatUnanswered,
    /// The peer has ended its direction; everything before the end has come. Some of it may still be unread.
    RemoteFinished,
    /// The own end, and everything before it, is acknowledged.
    Finished,
    /// The stream is over: its last event. Unread bytes can be read until `destroy` or until many more
    /// streams have closed.
    Closed(Closed),
}

/// How a stream came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Both directions ended in order and everything was read.
    Ended,
    /// The peer ended its direction, acknowledged all that was written to it, and destroyed it then: nothing
    /// is lost.
    Left,
    /// The peer destroyed it.
    Reset,
    /// The peer did not answer any more.
    TimedOut,
    /// The peer answered and took no data: its window stayed shut for [`Config::stall_timeout`].
    Stalled,
    /// The peer answered, but packets of more than 576 bytes did not reach it, whole or divided.
    Narrow,
}

/// Why nothing can be written or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The stream has no path yet.
    #[error("the stream is not connected")]
    NotConnected,
    /// The stream was finished, destroyed or closed, or never existed.
    #[error("the stream takes no more data")]
    Closed,
    /// The message is longer than a packet of this path.
    #[error("the message does not fit a packet")]
    TooLarge,
    /// The queue of outgoing messages is full; messages are unreliable, dropping this one is an answer.
    #[error("too many messages wait to be sent")]
    Full,
}

/// What has gone over a connection, or over all connections of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Traffic {
    /// Packets sent: with data, and without any, as acknowledgements.
    pub packets_sent: u64,
    /// Bytes of those packets. The headers of IP and UDP, 28 bytes a packet, are not counted.
    pub bytes_sent: u64,
    /// Packets received from the peer.
    pub packets_received: u64,
    /// Bytes of those packets, counted in the same manner.
    pub bytes_received: u64,
    /// Packets sent that were found lost. Those that only try a larger size are not counted.
    pub packets_lost: u64,
    /// Packets sent again because they seem lost. A few are sent again though they are not.
    pub packets_resent: u64,
}

impl Traffic {
    /// Counts datagrams that leave together: `bytes` bytes of them, each but the last of `size` bytes.
    pub(super) const fn sent(&mut self, bytes: usize, size: usize) {
        self.packets_sent += bytes.div_ceil(size) as u64;
        self.bytes_sent += bytes as u64;
    }

    /// Counts a packet of the peer's.
    pub(super) const fn received(&mut self, bytes: usize) {
        self.packets_received += 1;
        self.bytes_received += bytes as u64;
    }

    /// Adds what has gone over another stream.
    pub(super) const fn add(&mut self, other: &Self) {
        self.packets_sent += other.packets_sent;
        self.bytes_sent += other.bytes_sent;
        self.packets_received += other.packets_received;
        self.bytes_received += other.bytes_received;
        self.packets_lost += other.packets_lost;
        self.packets_resent += other.packets_resent;
    }
}

/// What a stream measures, and what its congestion control makes of that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamStats {
    /// The smoothed round-trip time; `None` before the first measurement.
    pub rtt: Option<Duration>,
    /// By how much round trips differ from that, smoothed.
    pub rtt_variation: Option<Duration>,
    /// The shortest round-trip time of the last seconds.
    pub minimum_rtt: Option<Duration>,
    /// Bytes that may be in flight.
    pub window: u64,
    /// Bytes in flight, headers included.
    pub in_flight: u64,
    /// Bytes per second that the path is thought to deliver; zero while nothing is known.
    pub bandwidth: u64,
    /// Bytes per second that leave at most.
    pub pacing_rate: u64,
    /// The state of the congestion control, a lower-case word or two.
    pub phase: &'static str,
    /// Bytes acknowledged, headers included.
    pub delivered: u64,
    /// Bytes found lost, which were sent again.
    pub lost: u64,
    /// The most bytes of payload in a packet.
    pub payload: usize,
    /// What has gone over the stream.
    pub traffic: Traffic,
}

/// Which algorithm decides how much a stream sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CongestionControl {
    /// BBR, third version (draft-ietf-ccwg-bbr). All connections use it.
    #[default]
    Bbr,
    /// CUBIC (RFC 9438), for comparison.
    #[cfg_attr(not(feature = "unstable-core"), allow(dead_code))]
    Cubic,
}

/// How streams behave. The defaults fit peers on the Internet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The most bytes per stream that wait here for the reader, which is also the window at its widest, until
    /// a reader has shown that it takes so many in a round trip.
    pub receive_window: u32,
    /// The same for readers that have shown it.
    pub max_receive_window: u32,
    /// The most memory that received bytes take, of all streams together, with what the owner reports by
    /// [`Streams::set_held_elsewhere`](super::Streams::set_held_elsewhere). What does not fit is not
    /// acknowledged; windows shrink before.
    pub receive_memory: usize,
    /// The most memory of all streams together for what was sent and is not acknowledged, and 4 KiB more for
    /// each stream. One has a quarter of what is free and 64 MiB at most; what does not fit waits to be sent.
    pub send_memory: usize,
    /// How long a peer that answers may keep its window shut while data waits for it.
    pub stall_timeout: Duration,
    /// How long the acknowledgement of a single packet may wait for data that carries it, 2 ms at most; zero
    /// acknowledges each batch at once.
    pub ack_delay: Duration,
    /// How many written bytes per stream may wait here to be sent for the first time; fewer while many
    /// streams have some, of which all together have hardly more than three times as many.
    pub send_buffer: usize,
    /// The most bytes of payload in a packet, reached by probing the path. Never above [`MAX_PAYLOAD`].
    pub max_payload: usize,
    /// The same on paths that stay on this host, whose packets may be larger.
    pub max_loopback_payload: usize,
    /// Whether the owner notices bytes that are not those of the peer, as encryption does. Then packets are
    /// divided anew on a path that has become too narrow for them, which is safe unless the network delivers
    /// one of them much later. Otherwise such a stream ends if routers do not divide them either.
    pub is_protected: bool,
    /// Which algorithm decides how much is sent.
    pub congestion_control: CongestionControl,
}

impl Config {
    /// The largest payload by default: what fills 1500 bytes of IPv4, 1452.
    pub const ETHERNET_PAYLOAD: usize = 1500 - 20 - 8 - HEADER_LEN;

    /// Returns the most bytes of payload that packets to `address` may reach.
    pub(super) fn max_payload(&self, address: SocketAddrV4) -> usize {
        let most = if address.ip().is_loopback() { self.max_loopback_payload } else { self.max_payload };
        most.min(MAX_PAYLOAD)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            // 4 MiB, as the reference (`udx.md` §19).
            receive_window: 4 << 20,
            // Twice what a gigabit needs at 250 ms: what follows a lost packet waits a round trip for it.
            max_receive_window: 64 << 20,
            receive_memory: 256 << 20,
            send_memory: 256 << 20,
            stall_timeout: Duration::from_secs(600),
            ack_delay: Duration::ZERO,
            send_buffer: 1 << 20,
            max_payload: Self::ETHERNET_PAYLOAD,
            max_loopback_payload: MAX_PAYLOAD,
            is_protected: false,
            congestion_control: CongestionControl::Bbr,
        }
    }
}

/// What the owner of a stream chooses for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// The most bytes that wait here for the reader, which is also the window at its widest; `None` is
    /// [`Config::receive_window`], which widens up to [`Config::max_receive_window`].
    pub receive_window: Option<u32>,
    /// After what time without own data a heartbeat asks the peer for a sign of life, once the stream is
    /// established; `None` is never.
    pub keep_alive: Option<Duration>,
    /// How long data and heartbeats may go without any packet of the peer's.
    pub idle_timeout: Duration,
}

impl StreamOptions {
    /// Sets the window, 4 KiB at least: one packet and what answers it.
    pub fn set_receive_window(&mut self, bytes: u32) {
        self.receive_window = Some(bytes.max(MIN_WINDOW));
    }

    /// Sets the keep-alive, 100 ms to a day.
    pub fn set_keep_alive(&mut self, interval: Option<Duration>) {
        self.keep_alive = interval.map(|interval| interval.clamp(MIN_KEEP_ALIVE, A_DAY));
    }

    /// Sets the idle time-out, a second to a day.
    pub fn set_idle_timeout(&mut self, timeout: Duration) {
        self.idle_timeout = timeout.clamp(MIN_IDLE_TIMEOUT, A_DAY);
    }
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { receive_window: None, keep_alive: Some(KEEP_ALIVE), idle_timeout: IDLE_TIMEOUT }
    }
}

/// How long a stream may be silent (`hyperdht index.js`, `connectionKeepAlive`).
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// With the keep-alive, a peer that has vanished is noticed within 30 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const MIN_WINDOW: u32 = 4 << 10;
/// A shorter keep-alive than a round trip asks again before an answer can come, and one of zero does nothing
/// else.
const MIN_KEEP_ALIVE: Duration = Duration::from_millis(100);
/// A lost packet is sent again within so long.
const MIN_IDLE_TIMEOUT: Duration = Duration::from_secs(1);
/// Later times cannot always be represented.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_would_stop_a_stream_or_the_clock_are_brought_within_bounds() {
        let mut options = StreamOptions::default();
        options.set_receive_window(0);
        options.set_keep_alive(Some(Duration::ZERO));
        options.set_idle_timeout(Duration::ZERO);
        let least = StreamOptions {
            receive_window: Some(MIN_WINDOW),
            keep_alive: Some(MIN_KEEP_ALIVE),
            idle_timeout: MIN_IDLE_TIMEOUT,
        };
        assert_eq!(options, least);
        options.set_keep_alive(Some(Duration::MAX));
        options.set_idle_timeout(Duration::MAX);
        assert_eq!((options.keep_alive, options.idle_timeout), (Some(A_DAY), A_DAY));
        options.set_keep_alive(None);
        assert_eq!(options.keep_alive, None);
    }
}
