//! Kinds of datagrams, and forged ones.

use std::net::SocketAddrV4;

use crate::connect::noise::{Initiator, Session};
use crate::keys::KeyPair;
use crate::sim::network::Datagram;
use crate::wire::compact::{Decode, Encode};
use crate::wire::handshake::{HandshakeMessage, Mode, NoisePayload, UdxInfo, VERSION};
use crate::wire::rpc::{Packet, Request};

/// Message 1 of a client that follows no rules.
pub(crate) struct Forged {
    initiator: Initiator,
    pub(crate) noise: Vec<u8>,
}

impl Forged {
    /// `seed` makes it another one.
    pub(crate) fn new(
        client: &KeyPair,
        server: &KeyPair,
        seed: impl Into<u32>,
        payload: &NoisePayload,
    ) -> Self {
        let mut ephemeral = [1; 32];
        ephemeral[..4].copy_from_slice(&seed.into().to_be_bytes());
        let (initiator, noise) = Initiator::start(client, server.public_key(), ephemeral, payload).unwrap();
        Self { initiator, noise }
    }

    /// The message as a client sends it to the server itself.
    pub(crate) fn direct(&self) -> HandshakeMessage {
        HandshakeMessage {
            mode: Mode::FromClient,
            noise: self.noise.clone(),
            peer_address: None,
            relay_address: None,
        }
    }

    /// The message as a forwarding node sends it, which has seen the client at `peer`.
    pub(crate) fn forwarded(&self, peer: SocketAddrV4) -> HandshakeMessage {
        HandshakeMessage { mode: Mode::FromRelay, peer_address: Some(peer), ..self.direct() }
    }

    /// Reads the server's answer, which is among these datagrams.
    pub(crate) fn finish(mut self, sent: &[Datagram]) -> (NoisePayload, Session) {
        let answer = sent.iter().find_map(server_answer).expect("an answer");
        self.initiator.finish(&answer.noise).unwrap()
    }
}

/// Returns the handshake message by which a server answers through a forwarding node.
fn server_answer(datagram: &Datagram) -> Option<HandshakeMessage> {
    let Ok(Packet::Request(request)) = Packet::from_bytes(&datagram.payload) else {
        return None;
    };
    let message = HandshakeMessage::from_bytes(&request.value?).ok()?;
    (message.mode == Mode::FromServer).then_some(message)
}

/// What a client behind this firewall says of itself.
pub(crate) fn noise_payload(firewall: u64) -> NoisePayload {
    NoisePayload {
        version: VERSION,
        firewall,
        udx: Some(UdxInfo { version: 1, reusable_socket: false, id: 77, seq: 0 }),
        secret_stream: Some(1),
        ..NoisePayload::default()
    }
}

/// Returns a request about a server.
pub(crate) fn request(to: SocketAddrV4, tid: u16, key: &KeyPair, command: u64, value: Vec<u8>) -> Vec<u8> {
    let request = Request {
        tid,
        to,
        id: None,
        token: None,
        internal: false,
        command,
        target: Some(key.public_key().target()),
        value: Some(value),
    };
    request.to_bytes()
}

pub(crate) const fn is_probe(datagram: &Datagram) -> bool {
    datagram.payload.len() < 2
}

pub(crate) fn is_stream_packet(datagram: &Datagram) -> bool {
    datagram.payload.first() == Some(&0xff)
}

/// Returns whether it is a message of the DHT.
pub(crate) fn is_rpc(datagram: &Datagram) -> bool {
    !is_probe(datagram) && !is_stream_packet(datagram)
}

/// Returns whether it goes to the router of a home.
pub(crate) fn to_home(datagram: &Datagram) -> bool {
    datagram.to.ip().octets()[..2] == [10, 9]
}

/// Returns whether it is sent within a home, or out of one.
pub(crate) fn sender_is_inside(datagram: &Datagram) -> bool {
    datagram.from.ip().octets()[0] == 192
}

/// Returns whether it goes from a home to the router of another.
pub(crate) fn between_homes(datagram: &Datagram) -> bool {
    sender_is_inside(datagram) && to_home(datagram)
}
