//! Announcements: keeping the records that LOOKUP and FIND_PEER hand out (hyperdht-rpc.md §5).

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use tracing::debug;

use super::service::Service;
use crate::dht::kept::Kept;
use crate::dht::sign;
use crate::dht::store::{Forward, Refresh};
use crate::dht::table::K;
use crate::dht::types::{Incoming, Reply};
use crate::keys::PublicKey;
use crate::wire::compact::{Decode, Encode, Put};
use crate::wire::hash;
use crate::wire::records::{Announce, AnnounceKind, Peer};
use crate::wire::rpc::{NodeId, Target, Token};

/// Why an announcement is not stored, for the log.
type Refusal = &'static str;

impl Service {
    /// Sets or removes the record of a server on this node, by the target of its key.
    pub(in crate::dht) fn set_server(&mut self, target: Target, record: Option<Vec<u8>>) {
        match record {
            Some(record) => self.servers.insert(target, record),
            None => self.servers.remove(&target),
        };
    }

    /// Returns the address from which the server with this target announced itself here, if it did.
    pub(in crate::dht) fn forward(&mut self, target: &Target) -> Option<SocketAddrV4> {
        let forward = self.store.as_mut()?.forwards.get(target);
        forward.map(|forward| forward.relay)
    }

    /// Serves FIND_PEER.
    pub(in crate::dht) fn find_peer(&mut self, incoming: &Incoming) -> Option<Reply> {
        let record = self.server_record(&incoming.target?);
        Some(Reply::with_value(record))
    }

    /// Serves LOOKUP.
    pub(in crate::dht) fn lookup(&mut self, incoming: &Incoming, rng: &mut StdRng) -> Option<Reply> {
        let value = self.lookup_reply(&incoming.target?, rng);
        Some(Reply::with_value(value))
    }

    /// Serves ANNOUNCE, at the node with this id.
    pub(in crate::dht) fn announce(
        &mut self,
        now: Instant,
        incoming: &Incoming,
        token: Option<Token>,
        id: &NodeId,
    ) -> Option<Reply> {
        match self.store_request(now, incoming, token, id) {
            Ok(()) => debug!(from = %incoming.from, "announcement stored"),
            Err(reason) => {
                debug!(from = %incoming.from, reason, "announcement refused");
                return None;
            }
        }
        Some(Reply::default())
    }

    /// Serves UNANNOUNCE, at the node with this id.
    pub(in crate::dht) fn unannounce(
        &mut self,
        incoming: &Incoming,
        token: Option<Token>,
        id: &NodeId,
    ) -> Option<Reply> {
        let (target, token, value) = (incoming.target?, token?, incoming.value.as_ref()?);
        let announce = Announce::from_bytes(value).ok()?;
        let peer = sign::verified(&announce, &target, id, &token, AnnounceKind::Unannounce)?;
        self.forget_announcement(&target, &peer.public_key);
        debug!(from = %incoming.from, "announcement withdrawn");
        Some(Reply::default())
    }

    /// Removes what `key` announced under `target`.
    pub(in crate::dht) fn forget_announcement(&mut self, target: &Target, key: &PublicKey) {
        let Some(store) = &mut self.store else {
            return;
        };
        if key.target() == *target {
            store.forwards.remove(target);
        }
        store.topics.remove(target, key);
        store.kept.remove(&Kept::place(target, key));
    }

    /// Returns the announcements with what proves them, if the configuration keeps that.
    pub(in crate::dht) fn announcements(&self, now: Instant) -> Vec<Kept> {
        self.store.as_ref().map_or_else(Vec::new, |store| store.kept_announcements(now))
    }

    /// Stores the announcements of an earlier run of the node with this id, as far as their signatures hold
    /// and their time is not over.
    pub(in crate::dht) fn restore(&mut self, now: Instant, id: &NodeId, announcements: Vec<Kept>) {
        let Some((old, young, swept)) = Kept::generations(now, announcements) else {
            return;
        };
        for kept in old {
            self.restore_one(now, id, &kept);
        }
        if let Some(store) = &mut self.store {
            store.sweep_announcements(swept);
        }
        for kept in young {
            self.restore_one(now, id, &kept);
        }
    }

    fn restore_one(&mut self, now: Instant, id: &NodeId, kept: &Kept) {
        // A signature that does not hold was made for another address of this node; the announcer comes back.
        let _ = self.store_announcement(now, kept.from, &kept.target, &kept.token, &kept.announce, id);
    }

    /// Returns the record of the server with this target, whether it runs here or announced itself here.
    fn server_record(&mut self, target: &Target) -> Option<Vec<u8>> {
        if let Some(own) = self.servers.get(target) {
            return Some(own.clone());
        }
        let forward = self.store.as_mut()?.forwards.get(target)?;
        Some(forward.record.clone())
    }

    /// Returns the encoded list of up to twenty records and the latest time stamp, or `None` if there is no
    /// record.
    fn lookup_reply(&mut self, target: &Target, rng: &mut StdRng) -> Option<Vec<u8>> {
        let server = self.server_record(target);
        let store = self.store.as_mut()?;
        let mut records = store.topics.sample(target, K, rng);
        if records.len() < K {
            records.extend(server.as_deref());
        }
        if records.is_empty() {
            return None;
        }
        let size: usize = records.iter().map(|record| record.len()).sum();
        let mut reply = Vec::with_capacity(1 + size + 9);
        reply.put_varuint(records.len() as u64);
        for record in records {
            reply.extend_from_slice(record);
        }
        reply.put_varuint(store.bumps.get(target).copied().unwrap_or(0));
        Some(reply)
    }

    fn store_request(
        &mut self,
        now: Instant,
        incoming: &Incoming,
        token: Option<Token>,
        id: &NodeId,
    ) -> Result<(), Refusal> {
        let (Some(target), Some(token), Some(value)) = (incoming.target, token, &incoming.value) else {
            return Err("incomplete");
        };
        let announce = Announce::from_bytes(value).map_err(|_| "malformed")?;
        match (&announce.peer, &announce.refresh) {
            (Some(_), _) => self.store_announcement(now, incoming.from, &target, &token, &announce, id),
            (None, Some(refresh)) => self.renew(incoming.from, refresh),
            (None, None) => Err("no peer"),
        }
    }

    /// Stores an announcement that was signed for the node with this id, unless its source has as many as it
    /// may.
    fn store_announcement(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        target: &Target,
        token: &Token,
        announce: &Announce,
        id: &NodeId,
    ) -> Result<(), Refusal> {
        let kind = AnnounceKind::Announce;
        let peer = sign::verified(announce, target, id, token, kind).ok_or("signature")?;
        let latest_bump = (self.unix_time(now) + MAX_BUMP_AHEAD).as_millis();
        let relays = peer.relay_addresses.iter().take(MAX_RELAYS);
        let record = Peer { public_key: peer.public_key, relay_addresses: relays.copied().collect() };
        let entry = Refresh { target: *target, public_key: peer.public_key, record: record.to_bytes() };
        self.put_announcement(from, entry.clone())?;
        let keeps = self.keeps_announcements;
        let store = self.store.as_mut().ok_or("no store")?;
        let source = *from.ip();
        if keeps {
            let kept = Kept {
                target: *target,
                from,
                token: *token,
                announce: announce.clone(),
                remaining: Duration::ZERO,
            };
            store.kept.set(source, Kept::place(target, &peer.public_key), kept);
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
        Ok(())
    }

    /// Renews an announcement by the token that hashes to the one it came with, and expects the next of the
    /// chain from now on.
    fn renew(&mut self, from: SocketAddrV4, shown: &[u8; 32]) -> Result<(), Refusal> {
        let expected = hash::hash(&[shown]);
        let store = self.store.as_mut().ok_or("no store")?;
        let entry = store.refreshes.remove(&expected).ok_or("refresh token")?;
        self.put_announcement(from, entry.clone())?;
        let store = self.store.as_mut().ok_or("no store")?;
        store.refreshes.set(*from.ip(), *shown, entry);
        Ok(())
    }

    /// Puts a record where it belongs: a server under its own key is a forward, everything else belongs to a
    /// topic.
    fn put_announcement(&mut self, from: SocketAddrV4, entry: Refresh) -> Result<(), Refusal> {
        let store = self.store.as_mut().ok_or("no store")?;
        let source = *from.ip();
        let Refresh { target, public_key, record } = entry;
        let stored = if public_key.target() == target {
            store.topics.remove(&target, &public_key);
            store.forwards.set(source, target, Forward { relay: from, record })
        } else {
            store.topics.add(source, target, public_key, record)
        };
        if stored { Ok(()) } else { Err("source is full") }
    }
}

/// Relay addresses of a record that are kept (hyperdht-rpc.md §5).
const MAX_RELAYS: usize = 3;
/// How far ahead of the own clock the time stamp of an announcement may be.
const MAX_BUMP_AHEAD: Duration = Duration::from_secs(60);
