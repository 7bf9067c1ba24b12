//! The connections of a node as a person looks at them.

use std::cmp::Reverse;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::table::Connections;
use crate::connect::{Endpoint, Path};
use crate::dht::Fill;
use crate::keys::PublicKey;
use crate::udx::Traffic;

/// An open connection of a node, dialled or accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenStream {
    /// The number of the stream, which no other open connection of the node has.
    pub id: u32,
    /// The peer's key.
    pub key: PublicKey,
    /// Whether the peer has proven that it owns the key. Until then the key may be another one's.
    pub proven: bool,
    /// Whether this side has dialled.
    pub dialled: bool,
    /// How packets travel.
    pub path: Path,
    /// Where packets go to.
    pub address: SocketAddrV4,
    /// Since when it is open.
    pub age: Duration,
    /// The smoothed round-trip time; `None` before the first measurement.
    pub round_trip: Option<Duration>,
    /// What has gone over it.
    pub traffic: Traffic,
}

impl Connections {
    /// Returns the newest connections, at most so many, the newest first.
    pub(in crate::net) fn newest(
        &self,
        now: Instant,
        endpoint: &mut Endpoint,
        most: usize,
    ) -> Vec<OpenStream> {
        let opened = self.entries.iter().map(|(id, entry)| (Reverse(entry.opened), *id));
        let mut newest: Vec<_> = opened.collect();
        newest.sort_unstable();
        newest.truncate(most);
        let shown = newest.into_iter().map(|(Reverse(opened), id)| {
            let link = &self.entries[&id].link;
            let (path, address) = link.route();
            // One that has just ended measures no more.
            let stats = endpoint.streams().stats(id).unwrap_or_default();
            OpenStream {
                id: id.0,
                key: *link.remote(),
                proven: link.is_proven(),
                dialled: link.is_initiator(),
                path,
                address,
                age: now.saturating_duration_since(opened),
                round_trip: stats.rtt,
                traffic: stats.traffic,
            }
        });
        shown.collect()
    }

    /// Returns how full the bound of those is whose peer has not proven its key.
    pub(in crate::net) fn fill(&self) -> Fill {
        Fill { what: "unproven connections", used: self.unproven(), bound: self.max_unproven }
    }
}
