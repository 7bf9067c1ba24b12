//! What attempts and servers share: the node, the streams, and who waits for which answer.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::moving::Moves;
use super::punch::{Budget, Puncher, Sockets, Throttle};
use super::recent::Recent;
use super::relay::Forwards;
use super::reuse::Way;
use super::router;
use super::types::{AttemptId, Config, Event, ServerId};
use crate::dht::{Node, Outgoing, QueryId, RequestId};
use crate::keys::PublicKey;
use crate::udx::{StreamId, Streams};
use crate::wire::handshake::{FIREWALL_OPEN, FIREWALL_UNKNOWN, NoisePayload, RelayThrough, UdxInfo, VERSION};
use crate::wire::transmit::Transmit;

/// Who an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Attempt(AttemptId),
    Server(ServerId),
    /// The examination of our NAT.
    Puncher,
    /// Nobody: it was only to be said.
    Nobody,
}

#[derive(Debug)]
pub(super) struct Core {
    pub(super) node: Node,
    pub(super) streams: Streams,
    pub(super) events: VecDeque<Event>,
    pub(super) requests: BTreeMap<RequestId, Owner>,
    pub(super) queries: BTreeMap<QueryId, Owner>,
    /// Whether local addresses are told and tried.
    pub(super) lan: bool,
    /// Whether the whole network is one of private addresses.
    pub(super) private: bool,
    /// Whether the first message of a punch comes with a probe.
    pub(super) fast_open: bool,
    pub(super) sockets: Sockets,
    pub(super) puncher: Puncher,
    pub(super) throttle: Throttle,
    /// Probes to hosts that have proven nothing.
    pub(super) unverified: Budget,
    /// Answers to probes.
    pub(super) echoes: Budget,
    /// The links of a relay of ours.
    pub(super) forwards: Forwards,
    /// Streams that have left their relays.
    pub(super) moves: Moves,
    /// Where the last connections to peers ran, if both sides reuse their sockets.
    pub(super) ways: Recent<Way>,
    /// Probes that are to leave.
    pub(super) probes: VecDeque<Transmit>,
    pub(super) rng: StdRng,
    bound: Option<SocketAddrV4>,
    interfaces: Vec<Ipv4Addr>,
    /// The address at which a server did not reach us though we took it to be public, and until when that
    /// counts.
    doubted: Option<(SocketAddrV4, Instant)>,
}

impl Core {
    pub(super) fn new(node: Node, streams: Streams, config: &Config, seed: [u8; 32]) -> Self {
        Self {
            node,
            streams,
            events: VecDeque::new(),
            requests: BTreeMap::new(),
            queries: BTreeMap::new(),
            lan: config.lan,
            private: config.dht.private_network,
            fast_open: config.fast_open,
            sockets: Sockets::default(),
            puncher: Puncher::default(),
            throttle: Throttle::new(&config.limits),
            unverified: Budget::default(),
            echoes: Budget::default(),
            forwards: Forwards::default(),
            moves: Moves::default(),
            ways: Recent::new(config.limits.max_routes),
            probes: VecDeque::new(),
            rng: StdRng::from_seed(seed),
            bound: None,
            interfaces: Vec::new(),
            doubted: None,
        }
    }

    pub(super) fn set_bound(&mut self, server: SocketAddrV4) {
        self.bound = Some(server);
    }

    pub(super) fn set_interfaces(&mut self, addresses: &[Ipv4Addr]) {
        self.interfaces = addresses.to_vec();
    }

    /// Returns whether an address that a stranger named may be sent to.
    pub(super) fn may_send_to(&self, address: SocketAddrV4) -> bool {
        router::may_follow(&address, self.private)
    }

    pub(super) fn random_seed(&mut self) -> [u8; 32] {
        self.rng.r#gen()
    }

    pub(super) fn random_nonce(&mut self) -> [u8; 24] {
        self.rng.r#gen()
    }

    pub(super) fn request(&mut self, now: Instant, owner: Owner, outgoing: Outgoing) -> RequestId {
        let request = self.node.request(now, outgoing);
        self.requests.insert(request, owner);
        request
    }

    pub(super) fn cancel_request(&mut self, now: Instant, request: RequestId) {
        self.requests.remove(&request);
        self.node.cancel(now, request);
    }

    /// Lets a request run its course; nobody waits for the answer.
    pub(super) fn let_go(&mut self, request: RequestId) {
        self.requests.insert(request, Owner::Nobody);
    }

    pub(super) fn find_peer(
        &mut self,
        now: Instant,
        owner: Owner,
        key: &PublicKey,
        seeds: Vec<SocketAddrV4>,
    ) -> QueryId {
        let query = self.node.find_peer(now, key, seeds);
        self.queries.insert(query, owner);
        query
    }

    pub(super) fn cancel_query(&mut self, query: QueryId) {
        self.queries.remove(&query);
        self.node.cancel_query(query);
    }

    /// Returns the addresses of the server socket in the local network, as far as they are known.
    pub(super) fn local_addresses(&self) -> Vec<SocketAddrV4> {
        let Some(bound) = self.bound else {
            return Vec::new();
        };
        if !bound.ip().is_unspecified() {
            return vec![bound];
        }
        let at_port = |ip: &Ipv4Addr| SocketAddrV4::new(*ip, bound.port());
        if self.interfaces.is_empty() {
            return vec![at_port(&Ipv4Addr::LOCALHOST)];
        }
        self.interfaces.iter().map(at_port).collect()
    }

    /// Returns whether servers may be told that they can reach us.
    pub(super) fn is_reachable(&self, now: Instant) -> bool {
        let doubted = self.doubted.filter(|(_, until)| now < *until);
        let address = self.node.remote_address();
        address.is_some() && doubted.map(|(address, _)| address) != address
    }

    /// Takes note that a server did not reach us where we thought it can, and did when we punched.
    pub(super) fn doubt_reachability(&mut self, now: Instant) {
        let address = self.node.remote_address();
        self.doubted = address.map(|address| (address, now + DOUBT));
    }

    /// Returns what either side says of itself in its noise payload, for a stream of ours.
    pub(super) fn payload(&self, stream: StreamId, reusable_socket: bool) -> NoisePayload {
        let open = self.node.remote_address().is_some();
        NoisePayload {
            version: VERSION,
            firewall: if open { FIREWALL_OPEN } else { FIREWALL_UNKNOWN },
            addresses4: self.own_addresses(),
            udx: Some(UdxInfo {
                version: 1,
                reusable_socket,
                id: stream.0,
                seq: 0,
            }),
            secret_stream: Some(1),
            ..NoisePayload::default()
        }
    }

    /// Returns the offer to meet at a relay, with a token of its own.
    pub(super) fn relay_through(&mut self, key: PublicKey) -> RelayThrough {
        RelayThrough {
            version: VERSION,
            public_key: key,
            token: self.random_seed(),
        }
    }

    /// Returns what goes into `addresses4` of a noise payload: the public address if it is known, then the
    /// local ones.
    pub(super) fn own_addresses(&self) -> Vec<SocketAddrV4> {
        let local = if self.lan {
            self.local_addresses()
        } else {
            Vec::new()
        };
        self.node
            .remote_address()
            .into_iter()
            .chain(local)
            .take(MAX_OWN_ADDRESSES)
            .collect()
    }
}

/// Addresses of ours that a noise payload names: a host with hundreds of interfaces must not fill the
/// datagram with them.
const MAX_OWN_ADDRESSES: usize = 16;

/// How long we don't claim to be reachable at an address where a server did not reach us.
const DOUBT: Duration = Duration::from_secs(600);
