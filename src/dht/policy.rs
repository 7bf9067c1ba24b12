//! The choices by which a node finds other nodes and keeps its table.

use std::time::Duration;

/// How a node walks towards a target and keeps its table.
///
/// [`Policy::default`] is what nodes run with. Only simulations build another one, to compare the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The share of one /24 network in a row of the table, in a reply and in a walk: nodes beyond it count
    /// only where there are too few others. An attacker with a few addresses has all their ports, and so any
    /// number of ids next to any target; where nodes of other networks are known, a few addresses are not
    /// enough to surround it (an eclipse attack, S/Kademlia, Baumgart and Mies 2007).
    pub per_network: usize,
    /// Nodes in a row of the table below which the row is filled where possible; 0 fills none.
    pub thin_row: usize,
    /// Whether a reply names the nodes in the order of the rows of the table, rather than the nearest ones.
    pub names_by_row: bool,
    /// Whether a walk requests the node added last first, rather than the nearest one, stops reading a reply
    /// at the first node that is too far away, and waits for unresponsive nodes until it is full.
    pub newest_first: bool,
    /// Whether an unknown sender of a request must respond to a ping before it enters the table.
    pub verifies_senders: bool,
    /// Requests of the walk of a bootstrap at once.
    pub bootstrap_concurrency: usize,
    /// After how long the request of a walk that hangs on one node is sent again; `None` is as any other.
    pub first_retry: Option<Duration>,
    /// Whether a walk requests another node when a response takes longer than most.
    pub notices_late: bool,
    /// How many tries a request of a walk gets that goes on without it.
    pub tries_after_end: u32,
    /// For how long a try without response counts against a node.
    pub unresponsive_for: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            per_network: 2,
            thin_row: 5,
            names_by_row: false,
            newest_first: false,
            verifies_senders: true,
            bootstrap_concurrency: 10,
            first_retry: Some(super::types::Outgoing::HURRY),
            notices_late: true,
            tries_after_end: 3,
            unresponsive_for: Duration::from_secs(60),
        }
    }
}
