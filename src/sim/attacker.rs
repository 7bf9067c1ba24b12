//! An attacker with a few addresses and all their ports, and so ids near any target.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use super::network::Host;
use crate::keys::{KeyPair, PublicKey};
use crate::wire::compact::{Decode, Encode};
use crate::wire::records::{Announce, LookupReply, Peer};
use crate::wire::rpc::{
    ANNOUNCE, FIND_PEER, LOOKUP, MAX_CLOSER, NodeId, PEER_HANDSHAKE, PEER_HOLEPUNCH, PING, Packet, Request,
    Response, Target,
};
use crate::wire::transmit::{SocketId, Transmit};

/// One host with every port of every address. It answers at once that it knows only itself, and acknowledges
/// whatever is stored with it. Every other port claims to know the server that is looked for and passes
/// nothing on to it; the others, and all of them for topics, have a record of somebody else.
pub struct Attacker {
    /// All that it can call itself, in the order of ids.
    names: Vec<(NodeId, SocketAddrV4)>,
    addresses: Vec<Ipv4Addr>,
    key: PublicKey,
    /// The keys that were announced to it, by target.
    announced: BTreeMap<Target, PublicKey>,
    replies: VecDeque<Transmit>,
}

impl Attacker {
    pub fn new(addresses: Vec<Ipv4Addr>) -> Self {
        let all = addresses.iter().flat_map(|ip| (1..=u16::MAX).map(|port| SocketAddrV4::new(*ip, port)));
        let mut names: Vec<_> = all.map(|address| (NodeId::of(address), address)).collect();
        names.sort_unstable();
        Self {
            names,
            addresses,
            key: *KeyPair::from_seed(&[0xee; 32]).public_key(),
            announced: BTreeMap::new(),
            replies: VecDeque::new(),
        }
    }

    /// Returns all its sockets.
    pub fn sockets(&self) -> Vec<(SocketId, SocketAddrV4)> {
        let mut sockets = Vec::with_capacity(self.names.len());
        for (place, ip) in (0..).zip(&self.addresses) {
            for port in 1..=u16::MAX {
                let socket = SocketId(place << 16 | u32::from(port));
                sockets.push((socket, SocketAddrV4::new(*ip, port)));
            }
        }
        sockets
    }

    /// Returns the names nearest to a target, nearest first.
    pub fn nearest(&self, target: &Target, count: usize) -> Vec<(NodeId, SocketAddrV4)> {
        let mut found = Vec::with_capacity(count);
        nearest(&self.names, 0, target, count, &mut found);
        found
    }

    /// Returns the datagram by which a node becomes known to `victim`.
    pub fn introduction(id: NodeId, victim: SocketAddrV4) -> Vec<u8> {
        let ping = Request {
            tid: 0,
            to: victim,
            id: Some(id),
            token: None,
            internal: true,
            command: PING,
            target: None,
            value: None,
        };
        ping.to_bytes()
    }

    fn address(&self, socket: SocketId) -> SocketAddrV4 {
        SocketAddrV4::new(self.addresses[(socket.0 >> 16) as usize], socket.0 as u16)
    }

    fn record(&self, own: SocketAddrV4, target: Option<Target>) -> Peer {
        let known = target.and_then(|target| self.announced.get(&target));
        Peer {
            public_key: known.filter(|_| own.port().is_multiple_of(2)).copied().unwrap_or(self.key),
            relay_addresses: vec![own],
        }
    }
}

/// Appends the nearest of some names that agree in their first bits, by halves: those that share the next bit
/// with the target are all nearer than the others.
fn nearest(
    names: &[(NodeId, SocketAddrV4)],
    bit: usize,
    target: &Target,
    count: usize,
    found: &mut Vec<(NodeId, SocketAddrV4)>,
) {
    if names.len() <= 1 || bit == 256 {
        let room = count - found.len();
        found.extend(names.iter().take(room));
        return;
    }
    let is_set = |id: &[u8; 32]| id[bit / 8] & (0x80 >> (bit % 8)) != 0;
    let border = names.partition_point(|(id, _)| !is_set(&id.0));
    let (zeros, ones) = names.split_at(border);
    let halves = if is_set(target) { [ones, zeros] } else { [zeros, ones] };
    for half in halves {
        if found.len() < count {
            nearest(half, bit + 1, target, count, found);
        }
    }
}

impl Host for Attacker {
    fn handle_datagram(&mut self, _now: Instant, socket: SocketId, from: SocketAddrV4, datagram: &[u8]) {
        let Ok(Packet::Request(request)) = Packet::from_bytes(datagram) else {
            return;
        };
        let own = self.address(socket);
        let value = match (request.internal, request.command) {
            (false, PEER_HANDSHAKE | PEER_HOLEPUNCH) => return,
            (false, FIND_PEER) => Some(self.record(own, request.target).to_bytes()),
            (false, LOOKUP) => {
                let reply = LookupReply { peers: vec![self.record(own, None)], bump: 0 };
                Some(reply.to_bytes())
            }
            (false, ANNOUNCE) => {
                let announce = request.value.as_deref().map(Announce::from_bytes);
                if let (Some(target), Some(Ok(announce))) = (request.target, announce)
                    && let Some(peer) = announce.peer
                {
                    self.announced.insert(target, peer.public_key);
                }
                None
            }
            _ => None,
        };
        let near = request.target.map(|target| self.nearest(&target, MAX_CLOSER));
        let closer = near.into_iter().flatten().map(|name| name.1).collect();
        let response = Response {
            tid: request.tid,
            to: from,
            id: Some(NodeId::of(own)),
            token: Some([0; 32]),
            closer,
            error: 0,
            value,
        };
        self.replies.push_back(Transmit {
            socket,
            destination: from,
            ttl: None,
            may_fragment: true,
            payload: response.to_bytes(),
        });
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_transmit(&mut self, _now: Instant) -> Option<Transmit> {
        self.replies.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_are_those_that_sorting_all_of_them_gives() {
        let attacker = Attacker::new(vec![Ipv4Addr::new(9, 9, 9, 9)]);
        for seed in 0..4 {
            let target = NodeId::of(SocketAddrV4::new(Ipv4Addr::new(1, 2, 3, 4), seed)).0;
            let mut sorted = attacker.names.clone();
            sorted.sort_by_key(|(id, _)| id.distance(&target));
            sorted.truncate(MAX_CLOSER);
            assert_eq!(attacker.nearest(&target, MAX_CLOSER), sorted);
        }
        assert_eq!(attacker.sockets().len(), 65_535);
        let (socket, address) = attacker.sockets()[77];
        assert_eq!(attacker.address(socket), address);
    }
}
