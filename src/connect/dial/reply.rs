//! Message 1 of a handshake on its way to a node, and what the node answers (`connect.md` §4, §5.2).

use std::net::SocketAddrV4;
use std::time::Duration;

use crate::connect::noise::Session;
use crate::connect::report::Failure;
use crate::dht::{Answer, Outgoing};
use crate::wire::compact::{Decode, Encode};
use crate::wire::handshake::{
    ERROR_NONE, ERROR_VERSION_MISMATCH, HandshakeMessage, Mode, NoisePayload, VERSION,
};
use crate::wire::rpc::PEER_HANDSHAKE;
use crate::wire::transmit::SocketId;

/// An answer to message 1, from the node that passed it on.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) noise: Vec<u8>,
    /// The node, by the address that it answers from.
    pub(super) asked: SocketAddrV4,
    pub(super) socket: SocketId,
    /// The server as that node sees it; `None` if the node is the server.
    pub(super) peer_address: Option<SocketAddrV4>,
    /// The client as that node sees it.
    pub(super) client_address: SocketAddrV4,
    /// The round-trip time of the datagram that was answered.
    pub(super) rtt: Duration,
    /// How long the exchange took, repetitions included.
    pub(super) round_trip: Duration,
}

impl Reply {
    /// Returns the server's answer if the node that was asked passed one on.
    pub(super) fn accept(answer: Answer, round_trip: Duration) -> Option<Self> {
        let message = HandshakeMessage::from_bytes(answer.value.as_deref()?).ok()?;
        let usable = answer.error == 0
            && message.mode == Mode::Reply
            && message.peer_address.is_none_or(|peer| peer.port() != 0);
        usable.then_some(Self {
            noise: message.noise,
            asked: answer.from,
            socket: answer.socket,
            peer_address: message.peer_address,
            client_address: answer.to,
            rtt: answer.rtt,
            round_trip,
        })
    }
}

/// A server's answer that could be read, and the exact messages.
#[derive(Debug)]
pub(super) struct ServerAnswer {
    pub(super) reply: Reply,
    pub(super) message1: Vec<u8>,
    pub(super) payload: NoisePayload,
    pub(super) session: Session,
    /// The id of the server's stream.
    pub(super) remote_id: u32,
}

/// Makes the request that takes message 1 to a node.
pub(super) fn first_message(
    node: SocketAddrV4,
    socket: Option<SocketId>,
    target: [u8; 32],
    noise: Vec<u8>,
) -> Outgoing {
    let message = HandshakeMessage { mode: Mode::FromClient, noise, peer_address: None, relay_address: None };
    Outgoing {
        socket,
        value: Some(message.to_bytes()),
        retries: Outgoing::RETRIES_IN_HURRY,
        hurry: Some(Outgoing::HURRY),
        ..Outgoing::application(node, PEER_HANDSHAKE, target)
    }
}

/// Returns why a server that answered does not want the connection.
pub(super) const fn refusal(payload: &NoisePayload) -> Option<Failure> {
    if payload.version != VERSION || payload.error == ERROR_VERSION_MISMATCH {
        return Some(Failure::Incompatible);
    }
    match payload.error {
        ERROR_NONE => None,
        error => Some(Failure::Protocol(error)),
    }
}
