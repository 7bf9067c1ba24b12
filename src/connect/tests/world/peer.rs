//! An endpoint on the virtual network, its handshakes computed inline.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddrV4;
use std::time::Instant;

use tracing::dispatcher::DefaultGuard;

use super::base::client_address;
use super::recorder;
use crate::connect::{
    AttemptId, Config, Endpoint, Established, Event, Failure, Moved, Origin, RelayDial, Report, ServerId,
};
use crate::dht;
use crate::sim::network::{Host, SocketOrder};
use crate::udx::{self, StreamId};
use crate::wire::compact::Decode;
use crate::wire::rpc::Packet;
use crate::wire::transmit::{SocketId, Transmit};

/// An endpoint, its events so far, and a rudimentary owner of its streams that writes the prefix of the
/// secret stream.
pub(crate) struct Peer {
    pub(crate) endpoint: Endpoint,
    pub(crate) established: Vec<Established>,
    pub(crate) failed: BTreeMap<AttemptId, Failure>,
    pub(crate) reports: BTreeMap<AttemptId, Report>,
    orders: VecDeque<SocketOrder>,
    /// The sockets that it has opened and not closed, beside the two main ones.
    pub(crate) sockets: BTreeSet<SocketId>,
    pub(crate) listening: Vec<ServerId>,
    pub(crate) suspended: Vec<ServerId>,
    pub(crate) unlistened: Vec<ServerId>,
    pub(crate) stream_events: Vec<(StreamId, udx::Event)>,
    pub(crate) bootstrapped: bool,
    pub(crate) relay_dials: Vec<RelayDial>,
    pub(crate) unlinked: Vec<[u32; 2]>,
    pub(crate) moved: Vec<Moved>,
    /// Streams that were handed out in vain, and what was tried.
    pub(crate) unreachable: Vec<(StreamId, Report)>,
    /// Streams that need no relay any more.
    pub(crate) left: Vec<StreamId>,
    /// How many more handshakes it can compute, if that is limited.
    pub(crate) jobs: Option<usize>,
    /// A command of the DHT that does not reach this peer.
    pub(crate) deaf_to: Option<u64>,
    /// From when on what it logs is recorded.
    pub(crate) recorded_from: Option<Instant>,
    buffer: Vec<u8>,
}

impl Peer {
    /// Makes a peer that joins the network; its server socket is at `server`.
    pub(crate) fn join(now: Instant, config: Config, seed: [u8; 32], server: SocketAddrV4) -> Self {
        let mut endpoint = Endpoint::new(now, config, seed);
        endpoint.handle_sockets(now, server, client_address(server));
        endpoint.bootstrap(now);
        Self {
            endpoint,
            established: Vec::new(),
            failed: BTreeMap::new(),
            reports: BTreeMap::new(),
            orders: VecDeque::new(),
            sockets: BTreeSet::new(),
            listening: Vec::new(),
            suspended: Vec::new(),
            unlistened: Vec::new(),
            stream_events: Vec::new(),
            bootstrapped: false,
            relay_dials: Vec::new(),
            unlinked: Vec::new(),
            moved: Vec::new(),
            unreachable: Vec::new(),
            left: Vec::new(),
            jobs: None,
            deaf_to: None,
            recorded_from: None,
            buffer: Vec::new(),
        }
    }

    fn drain_events(&mut self, now: Instant) {
        loop {
            self.handle_events(now);
            if self.jobs == Some(0) {
                return;
            }
            let Some(job) = self.endpoint.poll_job(now) else {
                return;
            };
            self.jobs = self.jobs.map(|left| left - 1);
            self.endpoint.handle_job(now, job.run());
        }
    }

    fn handle_events(&mut self, now: Instant) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Established(established) => {
                    let mut frame = vec![56, 0, 0];
                    frame.extend_from_slice(&established.session.keys.stream_id());
                    frame.extend_from_slice(&[0; 24]);
                    let written = self.endpoint.streams().write(now, established.stream, &frame);
                    assert_eq!(written.unwrap(), frame.len());
                    self.established.push(*established);
                }
                Event::Failed { attempt, failure, report } => {
                    self.failed.insert(attempt, failure);
                    self.reports.insert(attempt, *report);
                }
                Event::Listening(server) => self.listening.push(server),
                Event::Suspended(server) => self.suspended.push(server),
                Event::Unlistened(server) => self.unlistened.push(server),
                Event::Stream(stream, event) => self.stream_events.push((stream, event)),
                Event::Dht(dht::Event::Bootstrapped { .. }) => self.bootstrapped = true,
                Event::OpenSocket(id) => {
                    self.sockets.insert(id);
                    self.orders.push_back(SocketOrder::Open(id));
                }
                Event::CloseSocket(id) => {
                    self.sockets.remove(&id);
                    self.orders.push_back(SocketOrder::Close(id));
                }
                Event::DialRelay(dial) => self.relay_dials.push(dial),
                Event::LeaveRelay(stream) => self.left.push(stream),
                Event::Moved(moved) => self.moved.push(*moved),
                Event::Unreachable { stream, report } => self.unreachable.push((stream, *report)),
                Event::Unlinked(ids) => self.unlinked.push(ids),
                Event::Dht(_) => {}
            }
        }
    }

    pub(crate) fn find(&self, attempt: AttemptId) -> Option<&Established> {
        self.established.iter().find(|one| one.origin == Origin::Attempt(attempt))
    }

    pub(crate) fn has_ended(&self, attempt: AttemptId) -> bool {
        self.find(attempt).is_some() || self.failed.contains_key(&attempt)
    }

    /// Records what this thread logs until the guard is dropped, if this peer is recorded.
    pub(super) fn record(&self, now: Instant) -> Option<DefaultGuard> {
        self.recorded_from.map(|start| recorder::enter(now - start))
    }
}

impl Host for Peer {
    fn handle_datagram(&mut self, now: Instant, socket: SocketId, from: SocketAddrV4, datagram: &[u8]) {
        let _recording = self.record(now);
        if let Some(command) = self.deaf_to
            && let Ok(Packet::Request(request)) = Packet::from_bytes(datagram)
            && (request.internal, request.command) == (false, command)
        {
            return;
        }
        self.endpoint.handle_datagram(now, socket, from, datagram);
        self.endpoint.flush(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        let _recording = self.record(now);
        self.endpoint.handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let _recording = self.record(now);
        self.drain_events(now);
        self.buffer.clear();
        let train = self.endpoint.poll_transmit(now, 1, &mut self.buffer)?;
        Some(Transmit {
            socket: train.socket,
            destination: train.destination,
            ttl: train.ttl,
            may_fragment: train.may_fragment,
            payload: self.buffer.clone(),
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout().map(|(at, _)| at)
    }

    fn poll_socket(&mut self) -> Option<SocketOrder> {
        self.orders.pop_front()
    }

    fn handle_socket(&mut self, now: Instant, socket: SocketId, local: Option<SocketAddrV4>) {
        let _recording = self.record(now);
        self.endpoint.handle_socket(now, socket, local);
    }
}
