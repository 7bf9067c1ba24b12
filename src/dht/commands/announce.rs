//! ANNOUNCE and UNANNOUNCE: keeping the records that LOOKUP and FIND_PEER give out.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use crate::dht::kept::Kept;
use crate::dht::node::Node;
use crate::dht::sign;
use crate::dht::store::{Forward, Refresh};
use crate::dht::types::Incoming;
use crate::wire::compact::{Decode, Encode};
use crate::wire::hash;
use crate::wire::records::{Announce, AnnounceKind, Peer};
use crate::wire::rpc::{Target, Token};

impl Node {
    pub(in crate::dht) fn serve_announce(&mut self, now: Instant, incoming: &Incoming, token: Option<Token>) {
        let (Some(target), Some(token), Some(value)) = (incoming.target, token, &incoming.value) else {
            return;
        };
        let Ok(announce) = Announce::from_bytes(value) else {
            return;
        };
        let stored = match (&announce.peer, &announce.refresh) {
            (Some(_), _) => self.store_announcement(now, incoming.from, &target, &token, &announce),
            (None, Some(refresh)) => self.renew(incoming.from, refresh),
            (None, None) => None,
        };
        if stored.is_some() {
            self.reply_done(now, incoming);
        }
    }

    pub(in crate::dht) fn serve_unannounce(
        &mut self,
        now: Instant,
        incoming: &Incoming,
        token: Option<Token>,
    ) {
        let (Some(target), Some(token), Some(value)) = (incoming.target, token, &incoming.value) else {
            return;
        };
        let Ok(announce) = Announce::from_bytes(value) else {
            return;
        };
        let kind = AnnounceKind::Unannounce;
        let Some(peer) = sign::verified(&announce, &target, self.table.id(), &token, kind) else {
            return;
        };
        self.forget_announcement(&target, peer);
        // The server may end when it hears that. Clients whom we have just shown the way to it are still
        // coming, and one of the reference that finds it gone waits for a long time.
        self.reply_done_at(now, now + FAREWELL, incoming);
    }

    /// Removes what `peer` announced under `target`.
    pub(in crate::dht) fn forget_announcement(&mut self, target: &Target, peer: &Peer) {
        let Some(store) = &mut self.store else {
            return;
        };
        if peer.public_key.target() == *target {
            store.forwards.remove(target);
        }
        store.topics.remove(target, &peer.public_key);
        store.kept.remove(&Kept::place(target, peer));
    }

    /// Stores an announcement, or returns `None` if it is not in order or its source has as many as it may.
    pub(in crate::dht) fn store_announcement(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        target: &Target,
        token: &Token,
        announce: &Announce,
    ) -> Option<()> {
        let kind = AnnounceKind::Announce;
        let peer = sign::verified(announce, target, self.table.id(), token, kind)?;
        let unix_time = self.config.unix_time + now.saturating_duration_since(self.started);
        let latest_bump = (unix_time + MAX_BUMP_AHEAD).as_millis();
        let relays = peer.relay_addresses.iter().take(MAX_RELAYS);
        let record = Peer {
            public_key: peer.public_key,
            relay_addresses: relays.copied().collect(),
        };
        let entry = Refresh {
            target: *target,
            public_key: peer.public_key,
            record: record.to_bytes(),
        };
        self.put_announcement(from, entry.clone())?;
        let keeps = self.config.keeps_announcements;
        let store = self.store.as_mut()?;
        let source = *from.ip();
        if keeps {
            let kept = Kept {
                target: *target,
                from,
                token: *token,
                announce: announce.clone(),
                remaining: Duration::ZERO,
            };
            store.kept.set(source, Kept::place(target, peer), kept);
        }
        if entry.public_key.target() != *target && u128::from(announce.bump) <= latest_bump {
            let known = store.bumps.get(target).copied().unwrap_or(0);
            if announce.bump > known {
                store.bumps.set(source, *target, announce.bump);
            }
        }
        if let Some(refresh) = announce.refresh {
            store.refreshes.set(source, refresh, entry);
        }
        Some(())
    }

    /// Renews an announcement by the token that hashes to the one it came with, and expects the next of the
    /// chain from now on.
    fn renew(&mut self, from: SocketAddrV4, shown: &[u8; 32]) -> Option<()> {
        let expected = hash::hash(&[shown]);
        let entry = self.store.as_mut()?.refreshes.remove(&expected)?;
        self.put_announcement(from, entry.clone())?;
        let store = self.store.as_mut()?;
        store.refreshes.set(*from.ip(), *shown, entry);
        Some(())
    }

    /// Puts a record where it belongs: a server under its own key is a way to forward to, everything else
    /// belongs to a topic.
    fn put_announcement(&mut self, from: SocketAddrV4, entry: Refresh) -> Option<()> {
        let store = self.store.as_mut()?;
        let source = *from.ip();
        let Refresh {
            target,
            public_key,
            record,
        } = entry;
        let stored = if public_key.target() == target {
            store.topics.remove(&target, &public_key);
            store
                .forwards
                .set(source, target, Forward { relay: from, record })
        } else {
            store.topics.add(source, target, public_key, record)
        };
        stored.then_some(())
    }
}

/// How long an announcement that is taken back is not acknowledged: a few round trips in a local network.
const FAREWELL: Duration = Duration::from_micros(300);
/// Relay addresses of a record that are kept.
const MAX_RELAYS: usize = 3;
/// How far ahead of our clock the time stamp of an announcement may be.
const MAX_BUMP_AHEAD: Duration = Duration::from_secs(60);
