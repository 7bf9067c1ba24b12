//! Signatures of announcements: each one holds for a single target, node and token.

use crate::keys::KeyPair;
use crate::wire::records::{Announce, AnnounceKind, Peer, announce_signable};
use crate::wire::rpc::{NodeId, Target, Token};

/// Makes the value of an ANNOUNCE or UNANNOUNCE request to the node `node_id`, which gave us `token`.
///
/// An unannouncement names a peer without relay addresses. The bump is not signed; set it in the result.
pub fn announcement(
    key_pair: &KeyPair,
    target: &Target,
    node_id: &NodeId,
    token: &Token,
    peer: &Peer,
    kind: AnnounceKind,
) -> Announce {
    let signable = announce_signable(kind, target, node_id, token, peer, None);
    Announce {
        peer: Some(peer.clone()),
        refresh: None,
        signature: Some(key_pair.sign(&signable)),
        bump: 0,
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
