//! The signed announcement of a server, and its withdrawal (`hyperdht-rpc.md` §6).

use std::net::SocketAddrV4;

use crate::dht::Outgoing;
use crate::keys::KeyPair;
use crate::wire::compact::Encode;
use crate::wire::records::{Announce, AnnounceKind, Peer, announce_signable};
use crate::wire::rpc::{ANNOUNCE, NodeId, Token, UNANNOUNCE};

/// Makes an announcement for one node, or the withdrawal of one: a signature holds only with the id and the
/// token of that node.
pub(super) fn signed(
    key_pair: &KeyPair,
    to: SocketAddrV4,
    id: NodeId,
    token: Token,
    kind: AnnounceKind,
) -> Outgoing {
    let peer = Peer {
        public_key: *key_pair.public_key(),
        relay_addresses: Vec::new(),
    };
    let target = peer.public_key.target();
    let signable = announce_signable(kind, &target, &id, &token, &peer, None);
    let announce = Announce {
        peer: Some(peer),
        refresh: None,
        signature: Some(key_pair.sign(&signable)),
        bump: 0,
    };
    let command = match kind {
        AnnounceKind::Announce => ANNOUNCE,
        AnnounceKind::Unannounce => UNANNOUNCE,
    };
    Outgoing {
        token: Some(token),
        value: Some(announce.to_bytes()),
        ..Outgoing::application(to, command, target)
    }
}
