//! The requests by which a query commits to the nodes that it found (dht-rpc.md §12.6).

use super::sign::Announcement;
use super::table::K;
use super::types::{Answer, Commit, Outgoing, Query};
use crate::wire::compact::Decode;
use crate::wire::records::{AnnounceKind, LookupReply, Peer};

/// Returns the request that commits a query to the node of `answer`, if that node can take it.
pub(super) fn request(query: &Query, answer: &Answer) -> Option<Outgoing> {
    let token = answer.token?;
    match &query.commit {
        Commit::Nothing | Commit::Unannounce { .. } => None,
        Commit::Announce { identity, relays, bump } => {
            let announcement = Announcement { identity, target: query.target, relays, bump: *bump };
            Some(announcement.request(AnnounceKind::Announce, answer.from, &answer.id?, token))
        }
        Commit::Send { command, value } => Some(Outgoing {
            value: value.clone(),
            token: Some(token),
            internal: query.internal,
            ..Outgoing::application(answer.from, *command, query.target)
        }),
    }
}

/// Returns the request that takes an announcement back at the node of `answer`, if the query does that and
/// the node may hold one.
pub(super) fn unannouncement(query: &Query, answer: &Answer) -> Option<Outgoing> {
    let Commit::Unannounce { identity } = &query.commit else {
        return None;
    };
    let (token, id) = (answer.token?, answer.id?);
    let reply = LookupReply::from_bytes(answer.value.as_ref()?).ok()?;
    // A full list may be a sample without this peer.
    let listed = |peer: &Peer| peer.public_key == *identity.public_key();
    if reply.peers.len() < K && !reply.peers.iter().any(listed) {
        return None;
    }
    let announcement = Announcement { identity, target: query.target, relays: &[], bump: 0 };
    Some(announcement.request(AnnounceKind::Unannounce, answer.from, &id, token))
}
