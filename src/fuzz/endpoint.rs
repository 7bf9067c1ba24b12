//! A whole peer among hostile ones: it listens, dials, punches.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use arbitrary::{Result, Unstructured};

use super::messages as make;
use super::meter::Meter;
use super::talk::Talk;
use crate::connect::noise::{Initiator, Responder, Session};
use crate::connect::secure_payload::SecurePayload;
use crate::connect::{Config, Dial, Endpoint, Event, Listen};
use crate::dht;
use crate::keys::KeyPair;
use crate::udx::StreamOptions;
use crate::wire::handshake::{HandshakeMessage, HolepunchMessage, NoisePayload, UdxInfo};
use crate::wire::packet::PacketHeader;
use crate::wire::rpc::{PEER_HANDSHAKE, PEER_HOLEPUNCH, Packet, Request, Response};
use crate::wire::transmit::SocketId;
use crate::wire::{Decode, Encode};

/// A peer takes what the bytes make hostile clients, servers and nodes send. It does not panic, and a
/// datagram does not cost more than it may.
pub(super) fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let mut world = World::new();
    while !u.is_empty() && world.turn(&mut u).is_ok() {}
}

struct World {
    now: Instant,
    endpoint: Endpoint,
    talk: Talk,
    meter: Meter,
    /// Handshakes that hostile clients have begun, until the answer has come.
    initiators: Vec<Initiator>,
    /// What hostile peers have agreed on with this one.
    sessions: Vec<(Session, NoisePayload)>,
    /// Messages 1 of the peer itself.
    dialled: Vec<(SocketAddrV4, u16, HandshakeMessage)>,
    /// Ids of streams that it has established.
    streams: Vec<u32>,
    sockets: Vec<SocketId>,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let dht = dht::Config {
            bootstrap: vec![make::host(0), make::host(1)],
            mode: dht::Mode::Persistent,
            firewalled: false,
            public_address: Some(OWN),
            private_network: true,
            ..dht::Config::default()
        };
        let mut endpoint = Endpoint::new(now, Config { dht, ..Config::default() }, [7; 32]);
        endpoint.handle_sockets(now, OWN, make::host(10));
        endpoint.bootstrap(now);
        let listen = Listen {
            identity: server().into(),
            allow: None,
            allow_punch: None,
            relay_through: None,
            reusable_socket: true,
            lan: None,
            stream_options: StreamOptions::default(),
        };
        endpoint.listen(now, listen).expect("the first server");
        let mut world = Self {
            now,
            endpoint,
            talk: Talk::default(),
            meter: Meter::default(),
            initiators: Vec::new(),
            sessions: Vec::new(),
            dialled: Vec::new(),
            streams: Vec::new(),
            sockets: vec![SocketId::SERVER, SocketId::CLIENT],
        };
        world.drain();
        world
    }

    fn turn(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=11u8)? {
            0..=2 => {
                let (socket, from, bytes) = self.talk.datagram(u)?;
                self.deliver(socket, from, &bytes);
            }
            3 | 4 => self.first_message(u)?,
            5 => self.holepunch(u)?,
            6 => self.answer_dial(u)?,
            7 => self.stream_packet(u)?,
            8 => {
                let socket = *u.choose(&self.sockets)?;
                let from = make::addr4(u)?;
                let length = u.int_in_range(0..=1)?;
                self.deliver(socket, from, &[0u8][..length]);
            }
            9 => self.wait(Duration::from_millis(u.int_in_range(0..=2000)?)),
            10 if u.ratio(1, 4)? => {
                let key_pair = make::key_pair(u)?;
                let dial = Dial {
                    nodes: make::list(u, 2, make::addr4)?,
                    only_nodes: u.arbitrary()?,
                    reusable_socket: u.arbitrary()?,
                    timeout: Duration::from_secs(10),
                    ..Dial::new(*far().public_key(), key_pair)
                };
                self.endpoint.connect(self.now, dial);
            }
            11 if u.ratio(1, 8)? => self.wait(Duration::from_secs(u.int_in_range(0..=90)?)),
            _ => self.wait(Duration::from_millis(20)),
        }
        self.drain();
        Ok(())
    }

    fn deliver(&mut self, socket: SocketId, from: SocketAddrV4, bytes: &[u8]) {
        let (now, endpoint) = (self.now, &mut self.endpoint);
        self.meter.datagram(|| {
            endpoint.handle_datagram(now, socket, from, bytes);
            endpoint.flush(now);
        });
        self.drain();
    }

    /// A client's first message, valid or not, straight or forwarded.
    fn first_message(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let mut message = make::handshake(u)?;
        if !u.ratio(1, 8)? {
            let payload = make::noise_payload(u)?;
            let client = make::key_pair(u)?;
            let started = Initiator::start(&client, server().public_key(), u.arbitrary()?, &payload);
            let (initiator, noise) = started.expect("a usable key");
            self.initiators.push(initiator);
            message.noise = noise;
        }
        let from = make::addr4(u)?;
        self.request(u, from, PEER_HANDSHAKE, message.to_bytes())
    }

    /// A holepunch message of a client that has an answer.
    fn holepunch(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let mut message: HolepunchMessage = make::holepunch(u)?;
        if !self.sessions.is_empty() {
            let at = u.int_in_range(0..=self.sessions.len() - 1)?;
            let (session, answer) = &self.sessions[at];
            let secure = SecurePayload::new(&session.holepunch_secret, [3; 32]);
            let mut payload = make::holepunch_payload(u)?;
            if u.arbitrary()? {
                payload.token = Some(secure.token(*OWN.ip()));
            }
            message.payload = secure.seal(&payload, &u.arbitrary()?);
            message.id = answer.holepunch.as_ref().map_or(message.id, |holepunch| holepunch.id);
        }
        let from = make::addr4(u)?;
        self.request(u, from, PEER_HOLEPUNCH, message.to_bytes())
    }

    fn request(
        &mut self,
        u: &mut Unstructured<'_>,
        from: SocketAddrV4,
        command: u64,
        value: Vec<u8>,
    ) -> Result<()> {
        let made = make::request(u)?;
        let target = Some(server().public_key().target());
        let request = Request { internal: false, command, target, value: Some(value), to: OWN, ..made };
        self.deliver(SocketId::SERVER, from, &request.to_bytes());
        Ok(())
    }

    /// Answers a dial of the peer, as the server that it wants or as a liar.
    fn answer_dial(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some((to, tid, message)) = self.dialled.pop() else { return Ok(()) };
        let mut reply = make::handshake(u)?;
        if let Ok((responder, _)) = Responder::read(far(), &message.noise) {
            let payload = make::noise_payload(u)?;
            let (noise, session) = responder.write(u.arbitrary()?, &payload).expect("a short payload");
            self.sessions.push((session, payload));
            reply.noise = noise;
        }
        let made = make::response(u)?;
        let response = Response { tid, value: Some(reply.to_bytes()), ..made };
        let socket = *u.choose(&self.sockets)?;
        self.deliver(socket, to, &response.to_bytes());
        Ok(())
    }

    /// A packet for a stream of an established or half-open connection.
    fn stream_packet(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let known = |(_, answer): &(Session, NoisePayload)| answer.udx.as_ref().map(|udx: &UdxInfo| udx.id);
        let ids: Vec<u32> = self.sessions.iter().filter_map(known).chain(self.streams.clone()).collect();
        let id = if ids.is_empty() { u.arbitrary()? } else { *u.choose(&ids)? };
        let header = PacketHeader {
            kind: *u.choose(&[1, 2, 4, 8, 16, 32, 0])?,
            data_offset: 0,
            stream_id: id,
            window: *u.choose(&[0, 1 << 20])?,
            seq: u.int_in_range(0..=4)?,
            ack: u.int_in_range(0..=4)?,
        };
        let mut datagram = header.to_bytes().to_vec();
        if u.arbitrary()? && !self.sessions.is_empty() {
            let at = u.int_in_range(0..=self.sessions.len() - 1)?;
            datagram.extend_from_slice(&[56, 0, 0]);
            datagram.extend_from_slice(&self.sessions[at].0.keys.stream_id());
            datagram.extend_from_slice(&[0; 24]);
        } else {
            datagram.extend_from_slice(&make::blob(u)?);
        }
        let (socket, from) = (*u.choose(&self.sockets)?, make::addr4(u)?);
        self.deliver(socket, from, &datagram);
        Ok(())
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        for round in 0.. {
            assert!(round < 20_000, "a timer spins: {:?}", self.endpoint.poll_timeout());
            match self.endpoint.poll_timeout() {
                Some((at, _)) if at <= until => {
                    self.now = self.now.max(at);
                    self.endpoint.handle_timeout(self.now);
                    self.drain();
                }
                _ => break,
            }
        }
        self.now = until;
    }

    fn drain(&mut self) {
        let now = self.now;
        for round in 0.. {
            assert!(round < 10_000, "it never comes to rest");
            let mut moved = false;
            while let Some(job) = self.endpoint.poll_job(now) {
                moved = true;
                self.endpoint.handle_job(now, job.run());
            }
            while let Some(event) = self.endpoint.poll_event() {
                moved = true;
                self.handle(event);
            }
            let mut buffer = Vec::new();
            while let Some(train) = self.endpoint.poll_transmit(now, 1, &mut buffer) {
                moved = true;
                self.note(train.socket, train.destination, &buffer);
                buffer.clear();
            }
            if !moved {
                break;
            }
        }
    }

    fn handle(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::OpenSocket(id) => {
                self.sockets.push(id);
                let local = SocketAddrV4::new(*OWN.ip(), 30_000 + self.sockets.len() as u16);
                self.endpoint.handle_socket(now, id, Some(local));
            }
            Event::CloseSocket(id) => self.sockets.retain(|open| *open != id),
            Event::Established(established) => self.streams.push(established.stream.0),
            _ => {}
        }
    }

    /// Notes a datagram that the peer has sent.
    fn note(&mut self, socket: SocketId, to: SocketAddrV4, datagram: &[u8]) {
        if datagram.len() < 2 || datagram[0] == 0xff {
            return;
        }
        let packet = Packet::from_bytes(datagram).expect("what a peer sends is well formed");
        let (value, tid, is_request) = match packet {
            Packet::Request(request) if request.internal || request.command != PEER_HANDSHAKE => {
                (None, 0, true)
            }
            Packet::Request(request) => (request.value, request.tid, true),
            Packet::Response(response) => (response.value, response.tid, false),
        };
        if let Some(message) = value.and_then(|value| HandshakeMessage::from_bytes(&value).ok()) {
            let answered = self.initiators.iter_mut().find_map(|one| one.finish(&message.noise).ok());
            match answered {
                Some((payload, session)) => self.sessions.push((session, payload)),
                None if is_request => self.dialled.push((to, tid, message)),
                None => {}
            }
        }
        self.talk.note(socket, to, datagram);
    }
}

/// The server under attack.
fn server() -> KeyPair {
    super::secrets::stranger()
}

/// The server that the peer dials.
fn far() -> KeyPair {
    KeyPair::from_seed(&[0; 32])
}

const OWN: SocketAddrV4 = make::host(9);
