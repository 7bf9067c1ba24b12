//! A request of this node that waits for a response, and what it is for.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::types::Outgoing;
use crate::wire::compact::{Encode, Reader};
use crate::wire::rpc::{DELAYED_PING, NodeId, Request};
use crate::wire::transmit::SocketId;

/// What a request of this node is for.
#[derive(Debug)]
pub(super) enum RequestOwner {
    /// The layer above.
    Caller,
    /// A walk, by the key of its query.
    Query(u64),
    /// The commit of a query, or an unannouncement during its walk.
    Commit(u64),
    /// A ping that checks whether a table entry is alive, because of a down hint if `hinted`.
    Check { id: NodeId, hinted: bool },
    /// A ping of the table entry `incumbent`; if it is not alive, the newcomer takes its place.
    RowCheck {
        incumbent: NodeId,
        /// The node that found no room.
        newcomer: SocketAddrV4,
        /// This node as the newcomer sees it, where that counts as a sample.
        sample: Option<SocketAddrV4>,
    },
    /// A ping of a node that sent a request and could enter the table.
    Greeting,
    /// The first firewall check.
    QuickCheck,
    /// A probe of a network check.
    Probe,
    /// None: a down hint, whose response does not matter.
    None,
}

/// A request that waits for a response.
pub(super) struct Pending {
    /// Its place in the order of requests.
    pub(super) key: u64,
    pub(super) owner: RequestOwner,
    pub(super) request: Outgoing,
    /// The id that the table knows the node by; it leaves the table if it does not respond.
    pub(super) id: Option<NodeId>,
    pub(super) tid: u16,
    /// The datagram, once it was sent for the first time. A retry repeats it byte for byte (dht-rpc.md §9).
    pub(super) datagram: Vec<u8>,
    /// How often it was sent.
    pub(super) sent: u32,
    pub(super) sent_at: Instant,
    /// Another address at which the node may be, and the tid of the request that was sent there.
    pub(super) elsewhere: Option<(u16, SocketAddrV4)>,
    /// After how long the response to the first try is late.
    pub(super) late: Option<Duration>,
    pub(super) deadline: Option<Instant>,
}

impl Pending {
    /// Returns the walk that the request belongs to.
    pub(super) const fn walk(&self) -> Option<u64> {
        match self.owner {
            RequestOwner::Query(query) => Some(query),
            _ => None,
        }
    }

    /// Encodes the request as it is sent to `to` under `tid`. Only the address of the server socket is what
    /// an id stands for.
    pub(super) fn encode(&self, to: SocketAddrV4, tid: u16, id: Option<NodeId>) -> Vec<u8> {
        let outgoing = &self.request;
        let request = Request {
            tid,
            to,
            id: id.filter(|_| outgoing.socket == Some(SocketId::SERVER)),
            token: outgoing.token,
            internal: outgoing.internal,
            command: outgoing.command,
            target: outgoing.target,
            value: outgoing.value.clone(),
        };
        request.to_bytes()
    }

    /// Returns how long a try may take: a second, and as long as a delayed ping requests.
    pub(super) fn timeout(&self) -> Duration {
        let is_delayed_ping = self.request.internal && self.request.command == DELAYED_PING;
        let value = self.request.value.as_ref().filter(|_| is_delayed_ping);
        // What is too short for a delay is answered with none.
        let delay = value.map_or(0, |value| Reader::new(value).u32().unwrap_or(0));
        TRY_TIMEOUT + Duration::from_millis(u64::from(delay))
    }

    /// Returns how long the latest try may take: less at first if the request is in a hurry.
    pub(super) fn try_timeout(&self) -> Duration {
        match self.request.hurry {
            Some(first) if self.sent <= self.request.retries => {
                let doubled = first * (1 << self.sent.saturating_sub(1).min(8));
                doubled.min(self.timeout())
            }
            _ => self.timeout(),
        }
    }
}

/// How long a try may take (dht-rpc.md §9, §15 "try timeout").
const TRY_TIMEOUT: Duration = Duration::from_secs(1);
