//! Signatures of announcements (hyperdht-rpc.md §4): each one holds for a single target, node and token.

use std::net::SocketAddrV4;

use super::types::Outgoing;
use crate::keys::KeyPair;
use crate::wire::compact::Encode;
use crate::wire::records::{Announce, AnnounceKind, Peer, announce_signable};
use crate::wire::rpc::{self, NodeId, Target, Token};

/// What a peer announces under a target, or takes back. Signs it for one node at a time.
#[derive(Clone, Debug)]
pub struct Announcement<'a> {
    /// The key that is announced, and that signs.
    pub key_pair: &'a KeyPair,
    /// The key that it is announced under.
    pub target: Target,
    /// Where the peer can be reached. An unannouncement names none.
    pub relays: &'a [SocketAddrV4],
    /// A time stamp in Unix milliseconds, 0 for none. It is not signed.
    pub bump: u64,
}

impl Announcement<'_> {
    /// Returns the value of the request to the node `id`, which gave out `token`.
    pub fn sign(&self, kind: AnnounceKind, id: &NodeId, token: &Token) -> Announce {
        let peer = Peer { public_key: *self.key_pair.public_key(), relay_addresses: self.relays.to_vec() };
        let signable = announce_signable(kind, &self.target, id, token, &peer, None);
        Announce {
            peer: Some(peer),
            refresh: None,
            signature: Some(self.key_pair.sign(&signable)),
            bump: self.bump,
        }
    }

    /// Returns the ANNOUNCE or UNANNOUNCE request to the node `id` at `to`, which gave out `token`.
    pub fn request(&self, kind: AnnounceKind, to: SocketAddrV4, id: &NodeId, token: Token) -> Outgoing {
        let command = match kind {
            AnnounceKind::Announce => rpc::ANNOUNCE,
            AnnounceKind::Unannounce => rpc::UNANNOUNCE,
        };
        Outgoing {
            value: Some(self.sign(kind, id, &token).to_bytes()),
            token: Some(token),
            ..Outgoing::application(to, command, self.target)
        }
    }
}

/// Returns the peer that `announce` names, if it was signed by that peer for this target, node and token.
pub(super) fn verified<'a>(
    announce: &'a Announce,
    target: &Target,
    node_id: &NodeId,
    token: &Token,
    kind: AnnounceKind,
) -> Option<&'a Peer> {
    let peer = announce.peer.as_ref()?;
    let signature = announce.signature.as_ref()?;
    let signable = announce_signable(kind, target, node_id, token, peer, announce.refresh.as_ref());
    peer.public_key.verify(&signable, signature).then_some(peer)
}
