//! What hostile nodes of the DHT know, and the datagrams that they make of it.

use std::collections::VecDeque;
use std::net::SocketAddrV4;

use arbitrary::{Result, Unstructured};

use super::messages as make;
use crate::dht::sign::Announcement;
use crate::keys::KeyPair;
use crate::wire::records::{AnnounceKind, MutablePut, MutableValue, mutable_signable};
use crate::wire::rpc::{
    ANNOUNCE, DELAYED_PING, DOWN_HINT, FIND_NODE, IMMUTABLE_PUT, MUTABLE_PUT, NodeId, PEER_HANDSHAKE,
    PEER_HOLEPUNCH, PING_NAT, Packet, Request, Response, Token, UNANNOUNCE,
};
use crate::wire::transmit::SocketId;
use crate::wire::{Decode, Encode};

/// What a node under attack has shown.
#[derive(Default)]
pub(super) struct Talk {
    /// The last requests that it has sent.
    requests: VecDeque<(SocketId, SocketAddrV4, Request)>,
    /// The last token that it has given to each host of the small set.
    tokens: [Option<Token>; HOSTS],
    id: Option<NodeId>,
}

impl Talk {
    /// Notes a datagram that the node has sent, which must be one that others can read.
    pub(super) fn note(&mut self, socket: SocketId, to: SocketAddrV4, datagram: &[u8]) {
        match Packet::from_bytes(datagram).expect("what a node sends is well formed") {
            Packet::Request(request) => {
                self.requests.push_back((socket, to, request));
                if self.requests.len() > 16 {
                    self.requests.pop_front();
                }
            }
            Packet::Response(response) => {
                self.id = response.id.or(self.id);
                let host = (0..HOSTS).find(|number| make::host(*number as u8) == to);
                if let (Some(host), Some(token)) = (host, response.token) {
                    self.tokens[host] = Some(token);
                }
            }
        }
    }

    /// Makes a datagram: where it comes to, where from, and its bytes.
    pub(super) fn datagram(&self, u: &mut Unstructured<'_>) -> Result<(SocketId, SocketAddrV4, Vec<u8>)> {
        let socket = if u.ratio(1, 4)? { SocketId::CLIENT } else { SocketId::SERVER };
        match u.int_in_range(0..=7u8)? {
            0 => {
                let first: &[u8] = u.choose(&[&[0x03][..], &[0x13], &[]])?;
                Ok((socket, make::addr4(u)?, [first, &make::blob(u)?].concat()))
            }
            1..=3 if !self.requests.is_empty() => self.answer(u),
            _ => {
                let (from, request) = self.request(u)?;
                Ok((socket, from, request.to_bytes()))
            }
        }
    }

    /// Makes a response to one of the last requests.
    fn answer(&self, u: &mut Unstructured<'_>) -> Result<(SocketId, SocketAddrV4, Vec<u8>)> {
        let at = u.int_in_range(0..=self.requests.len() - 1)?;
        let (socket, asked, request) = &self.requests[at];
        let from = if u.ratio(1, 8)? { make::addr4(u)? } else { *asked };
        let made = make::response(u)?;
        let value = match u.int_in_range(0..=3u8)? {
            0 => made.value,
            1 => Some(mutable(u)?),
            2 => Some(make::peer(u)?.to_bytes()),
            _ => Some(make::handshake(u)?.to_bytes()),
        };
        let response = Response {
            tid: request.tid,
            id: if u.ratio(1, 4)? { made.id } else { Some(NodeId::of(from)) },
            to: if u.ratio(1, 4)? { made.to } else { make::host(9) },
            value,
            ..made
        };
        Ok((*socket, from, response.to_bytes()))
    }

    /// Makes a request with a value that fits its command, and with a token if there is one.
    fn request(&self, u: &mut Unstructured<'_>) -> Result<(SocketAddrV4, Request)> {
        let number = u.int_in_range(0..=HOSTS - 1)?;
        let from = make::host(number as u8);
        let made = make::request(u)?;
        let command = u.int_in_range(0..=11)?;
        let token = if u.ratio(1, 6)? { made.token } else { self.tokens[number] };
        let target = made.target.unwrap_or([command as u8; 32]);
        let value = match (made.internal, command) {
            (true, PING_NAT) => Some(u.arbitrary::<u16>()?.to_le_bytes().to_vec()),
            (true, DOWN_HINT) => Some(make::addr4(u)?.to_bytes()),
            (true, DELAYED_PING) => Some(u.arbitrary::<u32>()?.to_le_bytes().to_vec()),
            (true, FIND_NODE) => None,
            (false, ANNOUNCE | UNANNOUNCE) => Some(self.announcement(u, command, target, token)?),
            (false, MUTABLE_PUT) => Some(put(u)?),
            (false, PEER_HANDSHAKE) => Some(make::handshake(u)?.to_bytes()),
            (false, PEER_HOLEPUNCH) => Some(make::holepunch(u)?.to_bytes()),
            (false, IMMUTABLE_PUT) => Some(make::blob(u)?),
            _ => made.value,
        };
        let id = if u.arbitrary()? { Some(NodeId::of(from)) } else { made.id };
        let target = match (made.internal, command, &value) {
            (false, IMMUTABLE_PUT, Some(value)) => crate::wire::hash::hash(&[value]),
            _ => target,
        };
        Ok((from, Request { command, token, value, id, target: Some(target), ..made }))
    }

    fn announcement(
        &self,
        u: &mut Unstructured<'_>,
        command: u64,
        target: [u8; 32],
        token: Option<Token>,
    ) -> Result<Vec<u8>> {
        let (Some(id), Some(token), false) = (self.id, token, u.ratio(1, 4)?) else {
            return Ok(make::announce(u)?.to_bytes());
        };
        let kind = if command == ANNOUNCE { AnnounceKind::Announce } else { AnnounceKind::Unannounce };
        let key_pair = make::key_pair(u)?;
        let relays = make::list(u, 4, make::addr4)?;
        let announcement =
            Announcement { identity: &(&key_pair).into(), target, relays: &relays, bump: make::int(u)? };
        Ok(announcement.sign(kind, &id, &token).to_bytes())
    }
}

fn signed(u: &mut Unstructured<'_>) -> Result<(KeyPair, u64, Vec<u8>, [u8; 64])> {
    let (key_pair, seq, value) = (make::key_pair(u)?, make::int(u)?, make::blob(u)?);
    let signature = key_pair.sign(&mutable_signable(seq, &value));
    Ok((key_pair, seq, value, signature))
}

fn put(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let (key_pair, seq, value, signature) = signed(u)?;
    Ok(MutablePut { public_key: *key_pair.public_key(), seq, value, signature }.to_bytes())
}

fn mutable(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let (_, seq, value, signature) = signed(u)?;
    Ok(MutableValue { seq, value, signature }.to_bytes())
}

/// Hosts that send.
const HOSTS: usize = 7;
