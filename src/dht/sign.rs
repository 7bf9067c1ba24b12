//! Signatures of announcements (hyperdht-rpc.md §4): each one holds for a single target, node and token.

use std::net::SocketAddrV4;

use super::types::Outgoing;
use super::unsigned::Unsigned;
use crate::identity::Identity;
use crate::wire::compact::Encode;
use crate::wire::records::{Announce, AnnounceKind, Peer, announce_signable};
use crate::wire::rpc::{self, NodeId, Target, Token};

/// What a peer announces under a target, or takes back. Signs it for one node at a time.
#[derive(Clone, Debug)]
pub struct Announcement<'a> {
    /// Whose key is announced, and who signs.
    pub identity: &'a Identity,
    /// The key that it is announced under.
    pub target: Target,
    /// Where the peer can be reached. An unannouncement names none.
    pub relays: &'a [SocketAddrV4],
    /// A time stamp in Unix milliseconds, 0 for none. It is not signed.
    pub bump: u64,
}

impl Announcement<'_> {
    /// Returns the value of the request to the node `id`, which gave out `token`: without a signature if the
    /// key is kept elsewhere.
    pub fn sign(&self, kind: AnnounceKind, id: &NodeId, token: &Token) -> Announce {
        let peer = Peer { public_key: *self.identity.public_key(), relay_addresses: self.relays.to_vec() };
        let signable = announce_signable(kind, &self.target, id, token, &peer, None);
        let signature = self.identity.secret().ok().map(|key_pair| key_pair.sign(&signable));
        Announce { peer: Some(peer), refresh: None, signature, bump: self.bump }
    }

    /// Returns what is still to be signed of that value.
    fn unsigned(
        &self,
        announce: &Announce,
        kind: AnnounceKind,
        id: &NodeId,
        token: &Token,
    ) -> Option<Unsigned> {
        let signer = self.identity.secret().err()?;
        let signable = announce_signable(kind, &self.target, id, token, announce.peer.as_ref()?, None);
        Some(Unsigned::new(announce.clone(), signable, signer))
    }

    /// Returns the ANNOUNCE or UNANNOUNCE request to the node `id` at `to`, which gave out `token`.
    pub fn request(&self, kind: AnnounceKind, to: SocketAddrV4, id: &NodeId, token: Token) -> Outgoing {
        let command = match kind {
            AnnounceKind::Announce => rpc::ANNOUNCE,
            AnnounceKind::Unannounce => rpc::UNANNOUNCE,
        };
        let announce = self.sign(kind, id, &token);
        Outgoing {
            value: Some(announce.to_bytes()),
            unsigned: self.unsigned(&announce, kind, id, &token).map(Box::new),
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
