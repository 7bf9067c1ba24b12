//! The figures of a swarm: bounds, paces, times.

use std::time::Duration;

/// What the decisions of a swarm depend on.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Connections beyond which no peer of a topic is dialled.
    pub(super) max_peers: usize,
    /// Dials under way at once, but slow ones.
    pub(super) max_parallel: usize,
    /// Connections that this side has dialled, dials under way included.
    pub(super) max_client_connections: usize,
    /// Connections that peers have dialled, those whose key is not proven yet included.
    pub(super) max_server_connections: usize,
    /// How long to wait before a peer is dialled again: after the first, second and third attempt, and where
    /// an explicit peer has failed more often.
    pub(super) backoffs: [Duration; 4],
    /// There is a blind relay for peers to which no path opens.
    pub(super) relays: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_peers: 64,
            max_parallel: 3,
            max_client_connections: usize::MAX,
            max_server_connections: 1024,
            backoffs: BACKOFFS,
            relays: false,
        }
    }
}

/// `hyperswarm lib/retry-timer.js`, `BACKOFF_S` to `BACKOFF_X`.
const BACKOFFS: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(600)];

/// The longest time to wait that a user can set: a clock has an end.
pub(super) const MAX_BACKOFF: Duration = Duration::from_secs(24 * 60 * 60);

/// A topic is announced and looked up anew after this time and a random part of [`REFRESH_JITTER`]
/// (`hyperswarm lib/peer-discovery.js`, `REFRESH_INTERVAL`, `RANDOM_JITTER`).
pub(super) const REFRESH: Duration = Duration::from_secs(600);
pub(super) const REFRESH_JITTER: Duration = Duration::from_secs(120);

/// After a query that failed, the topic is tried again after this time and up to as much again.
pub(super) const REFRESH_FAILED: Duration = Duration::from_secs(30);

/// After a lookup that has found new peers, the next one follows after this time, twice that, and so on.
pub(super) const REFRESH_FRESH: Duration = Duration::from_secs(2);

/// Peers of a topic that a node names at most.
pub(super) const NAMED: usize = 20;

/// A peer that was connected for so long is dialled again as if it had never failed
/// (`hyperswarm lib/peer-info.js`, `MIN_CONNECTION_TIME`).
pub(super) const STABLE: Duration = Duration::from_secs(15);

/// A dial that takes longer leaves its place among [`Settings::max_parallel`] to another one: most likely
/// nobody answers. At most so many times as many dials are under way then.
pub(super) const SLOW_DIAL: Duration = Duration::from_secs(1);
pub(super) const SLOW_FACTOR: usize = 4;

/// How long a client may take to prove its key. The keep-alive of one in JavaScript does so after 5 s.
pub(super) const PROOF_TIMEOUT: Duration = Duration::from_secs(10);

/// A dial of a peer may reach this side so much later than what the peer has sent after it.
pub(super) const OVERTAKING: Duration = Duration::from_secs(1);

/// Peers that are remembered for one topic. A stranger can announce as many keys as it likes.
pub(super) const MAX_TOPIC_PEERS: usize = 1024;

/// Keys by which a topic notices that a lookup has found a new one; 128 KiB.
pub(super) const MAX_SEEN_KEYS: usize = 4096;

/// Connections that claim the same key and have not proven it: a recorded handshake can be played many times.
pub(super) const MAX_CLAIMS: usize = 4;

/// Connections that have ended and that nobody has taken yet. What they have received can still be read.
pub(super) const MAX_ENDED: usize = 64;
