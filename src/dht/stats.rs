//! The counters of a node.

use crate::wire::rpc;

/// Datagrams dropped since the start, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Drops {
    /// Received ones that are no RPC packet, or none that decodes.
    pub malformed: u64,
    /// Received responses that match no request of this node.
    pub unmatched: u64,
    /// Received or own ones that are longer than a datagram may be, or have no port to go to.
    pub oversized: u64,
    /// Those that found a queue full.
    pub full: u64,
    /// Those that the /24 network of a stranger had no budget for.
    pub budget: u64,
}

/// How full one of the bounds of a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fill {
    /// What is bounded, and its unit if it is not counted in pieces: `records (bytes)`.
    pub what: &'static str,
    /// How much there is now.
    pub used: usize,
    /// How much there may be.
    pub bound: usize,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Stats {
    /// Requests received.
    pub requests_received: u64,
    /// Those of the RPC layer by command number, then those with any other number.
    pub(crate) internal_received: [u64; rpc::DELAYED_PING as usize + 2],
    /// Those of HyperDHT by command number, then those with any other number.
    pub(crate) application_received: [u64; rpc::PLUGIN as usize + 2],
    /// Requests answered with a response.
    pub replies_sent: u64,
    /// Replies that were cut to three times the request, because the sender's network had spent its budget
    /// and the sender showed no token.
    pub trimmed: u64,
    /// Handshake messages forwarded to another node, and their answers.
    pub relayed_handshakes: u64,
    /// Holepunch messages forwarded to another node, and their answers.
    pub relayed_holepunches: u64,
    /// Responses received that matched a request of this node.
    pub responses_received: u64,
    /// Requests sent, retries not counted.
    pub requests_sent: u64,
    /// Datagrams of the walks of the layer above, commits left out.
    pub walk_datagrams: u64,
    /// Requests sent again.
    pub retries_sent: u64,
    /// Requests that no try got a response to.
    pub timeouts: u64,
    /// Datagrams dropped, by reason.
    pub drops: Drops,
    /// Records held for others: announcements, servers and values.
    pub records: usize,
    /// Nodes in the routing table.
    pub nodes: usize,
}

impl Stats {
    /// Counts a request that was received.
    pub(super) fn count_request(&mut self, internal: bool, command: u64) {
        self.requests_received += 1;
        let counters: &mut [u64] =
            if internal { &mut self.internal_received } else { &mut self.application_received };
        let command = usize::try_from(command).unwrap_or(usize::MAX);
        let command = command.min(counters.len() - 1);
        counters[command] += 1;
    }

    /// Counts a message that was forwarded to another node, or its answer.
    pub(super) const fn count_forwarded(&mut self, command: u64) {
        match command {
            rpc::PEER_HANDSHAKE => self.relayed_handshakes += 1,
            rpc::PEER_HOLEPUNCH => self.relayed_holepunches += 1,
            _ => {}
        }
    }

    /// Returns the requests received by layer, name of the command and count; `other` stands for all unknown
    /// ones.
    pub fn requests_by_command(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let counts = |internal, counts: &[u64]| {
            let layer = if internal { "internal" } else { "application" };
            let named = counts.iter().enumerate();
            let named = named.map(move |(command, count)| {
                let name = rpc::command_name(internal, command as u64);
                (layer, name.unwrap_or("other"), *count)
            });
            named.collect::<Vec<_>>()
        };
        let internal = counts(true, &self.internal_received);
        let application = counts(false, &self.application_received);
        internal.into_iter().chain(application)
    }
}
