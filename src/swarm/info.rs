//! What a user sees of a swarm: its peers, its events, its counters.

use crate::PublicKey;

/// What a swarm knows of a peer, at the time it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerInfo {
    /// The key of the peer.
    pub public_key: PublicKey,
    /// The topics of this swarm under which the peer was found, in the order of their bytes. A peer that has
    /// dialled, and that no lookup has found yet, has none.
    pub topics: Vec<[u8; 32]>,
    /// Whether this side has dialled the last connection with the peer.
    pub client: bool,
    /// Whether a connection with the peer is open.
    pub connected: bool,
    /// Whether [`Swarm::join_peer`](super::Swarm::join_peer) asks for a connection with the peer.
    pub explicit: bool,
    /// Whether [`Swarm::ban`](super::Swarm::ban) keeps the peer away.
    pub banned: bool,
    /// How soon the peer is dialled, compared with others that wait.
    pub priority: Priority,
    /// Connections and dials that have ended since the peer was found or last connected for 15 s.
    pub attempts: u32,
}

/// How soon a peer is dialled, compared with others that wait. Among equals the order is random.
///
/// A new peer has [`Self::Normal`]. One that was connected goes before those at the first and the second
/// retry, and behind them at the third (`hyperswarm lib/peer-info.js`, `_getPriority`). One that nothing has
/// connected goes behind all others when it is tried again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// More than three attempts, or one without a connection.
    VeryLow,
    /// Three attempts.
    Low,
    /// None yet.
    #[default]
    Normal,
    /// Two attempts.
    High,
    /// One attempt.
    VeryHigh,
}

/// Something that has happened in a swarm, from [`Swarm::events`](super::Swarm::events).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SwarmEvent {
    /// A connection is open. [`Swarm::next`](super::Swarm::next) returns it.
    Connected(PeerInfo),
    /// A connection has ended, or another one with the same peer has taken its place.
    Disconnected(PeerInfo),
    /// A peer is dialled.
    Dialling(PeerInfo),
    /// A dial has failed.
    DialFailed(PeerInfo),
    /// A peer is banned, or no longer.
    Banned(PeerInfo),
    /// A topic has been announced, looked up, or both, by a refresh that is now over.
    Refreshed([u8; 32]),
}

/// What a swarm has counted since it was started, and what is there now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SwarmStats {
    /// Open connections.
    pub connections: usize,
    /// Dials under way.
    pub dialling: usize,
    /// Peers that are known: found and not given up, connected, explicit or banned.
    pub peers: usize,
    /// Peers that wait to be dialled.
    pub queued: usize,
    /// Topics that are joined.
    pub topics: usize,
    /// Dials that were begun.
    pub client_attempted: u64,
    /// Connections that were dialled and have opened.
    pub client_opened: u64,
    /// Connections among them that have ended.
    pub client_closed: u64,
    /// Connections that peers have dialled and that were used. Those that lost against another one with the
    /// same peer are not counted.
    pub server_opened: u64,
    /// Connections among them that have ended.
    pub server_closed: u64,
    /// Connections that peers have dialled and that were not used: the peer has another one, is banned, has
    /// not proven its key, or there are too many.
    pub server_refused: u64,
    /// Calls of [`Swarm::ban`](super::Swarm::ban).
    pub banned: u64,
}
