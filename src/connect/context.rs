//! What every part of an endpoint works with: the DHT node, the streams, who waits for what, and the own
//! addresses.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::event::Event;
use super::ids::{AttemptId, EntryId, Place, ServerId};
use super::job::Job;
use super::options::Config;
use super::router;
use crate::dht::{Node, Outgoing, QueryId, RequestId};
use crate::keys::PublicKey;
use crate::udx::{Admission, StreamId, StreamOptions, Streams};
use crate::wire::handshake::{FIREWALL_OPEN, FIREWALL_UNKNOWN, NoisePayload, RelayThrough, UdxInfo, VERSION};

/// Who waits for an answer of the DHT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    Attempt(AttemptId),
    Server(ServerId),
    /// The examination of the NAT in front of the puncher socket.
    Puncher,
    /// The answer does not matter.
    Unattended,
}

/// Who decides about a stream that has no path yet, or may get a better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamOwner {
    Attempt(AttemptId),
    Entry(EntryId),
}

#[derive(Debug)]
pub(super) struct Context {
    pub(super) node: Node,
    pub(super) streams: Streams,
    pub(super) rng: StdRng,
    pub(super) own: OwnAddresses,
    /// Whether the whole network is one of private addresses.
    pub(super) private: bool,
    events: VecDeque<Event>,
    /// Computations of the own attempts, and questions about punches, one for each handshake at most: these
    /// bound them.
    jobs: VecDeque<Job>,
    // Looked up only, never walked: their order must not leak.
    requests: HashMap<RequestId, Asker>,
    queries: HashMap<QueryId, Asker>,
    stream_owners: HashMap<StreamId, StreamOwner>,
}

/// The addresses of the server socket.
#[derive(Debug, Default)]
pub(super) struct OwnAddresses {
    /// Whether addresses in the local network are named and tried.
    lan: bool,
    bound: Option<SocketAddrV4>,
    interfaces: Vec<Ipv4Addr>,
    /// The address at which a server did not reach this node though it seemed public, and until when that
    /// counts.
    doubted: Option<(SocketAddrV4, Instant)>,
}

impl Context {
    pub(super) fn new(node: Node, streams: Streams, config: &Config, seed: [u8; 32]) -> Self {
        Self {
            node,
            streams,
            rng: StdRng::from_seed(seed),
            own: OwnAddresses { lan: config.lan, ..OwnAddresses::default() },
            private: config.dht.private_network,
            events: VecDeque::new(),
            jobs: VecDeque::new(),
            requests: HashMap::new(),
            queries: HashMap::new(),
            stream_owners: HashMap::new(),
        }
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(super) fn queue_job(&mut self, job: Job) {
        self.jobs.push_back(job);
    }

    pub(super) fn take_job(&mut self) -> Option<Job> {
        self.jobs.pop_front()
    }

    /// Returns whether an address that a packet names may be sent to.
    pub(super) fn may_send_to(&self, address: SocketAddrV4) -> bool {
        router::may_follow(&address, self.private)
    }

    pub(super) fn random_seed(&mut self) -> [u8; 32] {
        self.rng.r#gen()
    }

    pub(super) fn random_nonce(&mut self) -> [u8; 24] {
        self.rng.r#gen()
    }

    pub(super) fn request(&mut self, now: Instant, asker: Asker, outgoing: Outgoing) -> RequestId {
        let request = self.node.request(now, outgoing);
        self.requests.insert(request, asker);
        request
    }

    pub(super) fn cancel_request(&mut self, now: Instant, request: RequestId) {
        self.requests.remove(&request);
        self.node.cancel(now, request);
    }

    /// Lets a request take its course. Its answer is dropped.
    pub(super) fn detach_request(&mut self, request: RequestId) {
        self.requests.insert(request, Asker::Unattended);
    }

    /// Returns who waits for this answer, once.
    pub(super) fn take_request(&mut self, request: RequestId) -> Option<Asker> {
        self.requests.remove(&request)
    }

    pub(super) fn find_peer(
        &mut self,
        now: Instant,
        asker: Asker,
        key: &PublicKey,
        seeds: Vec<SocketAddrV4>,
    ) -> QueryId {
        let query = self.node.find_peer(now, key, seeds);
        self.queries.insert(query, asker);
        query
    }

    pub(super) fn cancel_query(&mut self, query: QueryId) {
        self.queries.remove(&query);
        self.node.cancel_query(query);
    }

    pub(super) fn asker_of_query(&self, query: QueryId) -> Option<Asker> {
        self.queries.get(&query).copied()
    }

    /// Returns who waits for the end of this query, once.
    pub(super) fn take_query(&mut self, query: QueryId) -> Option<Asker> {
        self.queries.remove(&query)
    }

    /// Opens a stream whose events go to an owner of this layer, until [`Self::disown_stream`].
    pub(super) fn open_stream(
        &mut self,
        owner: StreamOwner,
        admission: Admission,
        options: StreamOptions,
    ) -> StreamId {
        let stream = self.streams.open(admission);
        self.streams.set_options(stream, options);
        self.stream_owners.insert(stream, owner);
        stream
    }

    pub(super) fn stream_owner(&self, stream: StreamId) -> Option<StreamOwner> {
        self.stream_owners.get(&stream).copied()
    }

    /// Lets all further events of a stream pass to the driver.
    pub(super) fn disown_stream(&mut self, stream: StreamId) {
        self.stream_owners.remove(&stream);
    }

    pub(super) fn destroy_stream(&mut self, now: Instant, stream: StreamId) {
        self.disown_stream(stream);
        self.streams.destroy(now, stream);
    }

    /// Gives a stream a path, unless it is there already.
    pub(super) fn connect_stream(&mut self, now: Instant, stream: StreamId, place: Place, remote_id: u32) {
        if self.streams.path(stream) != Some((place.socket, place.address)) {
            self.streams.connect(now, stream, place.socket, place.address, remote_id);
        }
    }

    pub(super) fn path_of(&self, stream: StreamId) -> Option<Place> {
        let (socket, address) = self.streams.path(stream)?;
        Some(Place { socket, address })
    }

    /// Returns whether message 1 may claim that the server can reach this node.
    pub(super) fn is_reachable(&self, now: Instant) -> bool {
        let doubted = self.own.doubted.filter(|(_, until)| now < *until);
        let address = self.node.remote_address();
        address.is_some() && doubted.map(|(address, _)| address) != address
    }

    /// Notes that a server did not reach this node at its public address.
    pub(super) fn doubt_reachability(&mut self, now: Instant) {
        let address = self.node.remote_address();
        self.own.doubted = address.map(|address| (address, now + DOUBT));
    }

    /// Returns what either side names of itself in its noise payload (`connect.md` §3). `lan` as of
    /// [`OwnAddresses::lan_addresses`].
    pub(super) fn payload(&self, stream: StreamId, reusable_socket: bool, lan: Option<bool>) -> NoisePayload {
        let public = self.node.remote_address();
        // Without leave to name them, none is named.
        let local = self.own.lan_addresses(lan).unwrap_or_default();
        NoisePayload {
            version: VERSION,
            firewall: match public {
                Some(_) => FIREWALL_OPEN,
                None => FIREWALL_UNKNOWN,
            },
            addresses4: public.into_iter().chain(local).take(MAX_OWN_ADDRESSES).collect(),
            udx: Some(UdxInfo { version: 1, reusable_socket, id: stream.0, seq: 0 }),
            secret_stream: Some(1),
            ..NoisePayload::default()
        }
    }

    /// Returns the offer to meet at a relay, with a token of its own.
    pub(super) fn relay_through(&mut self, key: PublicKey) -> RelayThrough {
        RelayThrough { version: VERSION, public_key: key, token: self.random_seed() }
    }
}

#[cfg(test)]
impl Context {
    /// Returns one without sockets and peers.
    pub(super) fn for_tests(now: Instant) -> Self {
        let config = Config::default();
        let node = Node::new(now, config.dht.clone(), [1; 32]);
        let streams = Streams::new(config.udx.clone(), [1; 32]);
        Self::new(node, streams, &config, [1; 32])
    }
}

impl OwnAddresses {
    pub(super) fn set_bound(&mut self, server: SocketAddrV4) {
        self.bound = Some(server);
    }

    pub(super) fn set_interfaces(&mut self, addresses: &[Ipv4Addr]) {
        self.interfaces = addresses.to_vec();
    }

    /// Returns the local port of the server socket, once it is bound.
    pub(super) fn port(&self) -> Option<u16> {
        self.bound.map(|bound| bound.port())
    }

    /// Returns the addresses of the server socket in the local network, as far as they are known; `None` if
    /// they are not to be used, by the wish of one server or attempt, or else by that of the endpoint.
    pub(super) fn lan_addresses(&self, wish: Option<bool>) -> Option<Vec<SocketAddrV4>> {
        if !wish.unwrap_or(self.lan) {
            return None;
        }
        let Some(bound) = self.bound else {
            return Some(Vec::new());
        };
        let at_port = |ip: &Ipv4Addr| SocketAddrV4::new(*ip, bound.port());
        Some(if !bound.ip().is_unspecified() {
            vec![bound]
        } else if self.interfaces.is_empty() {
            vec![at_port(&Ipv4Addr::LOCALHOST)]
        } else {
            self.interfaces.iter().map(at_port).collect()
        })
    }
}

/// Addresses that a noise payload names: a host with hundreds of interfaces must not fill the datagram with
/// them.
const MAX_OWN_ADDRESSES: usize = 16;
/// How long the node does not claim to be reachable at an address where a server did not reach it.
const DOUBT: Duration = Duration::from_secs(600);
