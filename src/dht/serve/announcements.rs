//! Announcements: keeping the records that LOOKUP and FIND_PEER hand out (hyperdht-rpc.md §5).

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use tracing::debug;

use super::service::Service;
use crate::dht::kept::{ANNOUNCEMENT_SWEEP, Kept};
use crate::dht::sign;
use crate::dht::store::{Refresh, SourceFull};
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
        self.store.as_mut()?.server(target).map(|(relay, _)| relay)
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
        if let Some(store) = &mut self.store {
            store.forget_announcement(target, key);
        }
        self.restoring.retain(|waiting| {
            let peer = waiting.announce.peer.as_ref();
            waiting.target != *target || peer.is_none_or(|peer| peer.public_key != *key)
        });
    }

    /// Returns the announcements with what proves them, if the configuration keeps that.
    pub(in crate::dht) fn announcements(&self, now: Instant) -> Vec<Kept> {
        let mut all = self.store.as_ref().map_or_else(Vec::new, |store| store.kept_announcements(now));
        let since = now.saturating_duration_since(self.restore_begun);
        // Those that wait to be restored are handed out soon.
        all.extend(self.restoring.iter().map(|waiting| {
            let remaining = waiting.remaining.saturating_sub(since);
            Kept { remaining, ..waiting.clone() }
        }));
        all
    }

    /// Stores the announcements of an earlier run of the node, as far as their signatures hold and their time
    /// is not over: by and by, in [`restore_some`](Self::restore_some).
    pub(in crate::dht) fn restore(&mut self, now: Instant, announcements: Vec<Kept>) {
        let Some(swept) = Kept::swept(now, &announcements) else {
            return;
        };
        if let Some(store) = &mut self.store {
            store.set_swept(swept);
        }
        self.restoring = announcements.into();
        self.restore_begun = now;
        self.restore_at = now;
    }

    /// Returns when the next announcements of an earlier run are due.
    pub(in crate::dht) fn next_restore(&self) -> Option<Instant> {
        (!self.restoring.is_empty()).then_some(self.restore_at)
    }

    /// Stores some announcements of an earlier run if they are due, at the node with this id. To verify a
    /// signature takes long enough that all of them at once would keep the node from everything else.
    pub(in crate::dht) fn restore_some(&mut self, now: Instant, id: &NodeId) {
        if self.next_restore().is_none_or(|at| at > now) {
            return;
        }
        self.restore_at = now + RESTORE_PAUSE;
        let since = now.saturating_duration_since(self.restore_begun);
        for _ in 0..MAX_RESTORED {
            let Some(kept) = self.restoring.pop_front() else {
                return;
            };
            let remaining = kept.remaining.saturating_sub(since);
            if !remaining.is_zero() && !self.has_newer(&kept) {
                // A signature that does not hold was made for another address of this node; the announcer
                // comes back.
                let _ = self.store_announcement(now, Kept { remaining, ..kept }, id);
            }
        }
    }

    /// Returns whether the peer of an announcement of an earlier run has announced itself anew.
    fn has_newer(&mut self, kept: &Kept) -> bool {
        let (store, peer) = (self.store.as_mut(), kept.announce.peer.as_ref());
        store.zip(peer).is_some_and(|(store, peer)| store.has_announced(&kept.target, &peer.public_key))
    }

    /// Returns the record of the server with this target, whether it runs here or announced itself here.
    fn server_record(&mut self, target: &Target) -> Option<Vec<u8>> {
        if let Some(own) = self.servers.get(target) {
            return Some(own.clone());
        }
        self.store.as_mut()?.server(target).map(|(_, record)| record.to_vec())
    }

    /// Returns the encoded list of up to twenty records and the latest time stamp, or `None` if there is no
    /// record.
    fn lookup_reply(&mut self, target: &Target, rng: &mut StdRng) -> Option<Vec<u8>> {
        let server = self.server_record(target);
        let store = self.store.as_mut()?;
        let mut records = store.sample(target, K, rng);
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
        reply.put_varuint(store.bump_of(target));
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
            (Some(_), _) => {
                let (from, remaining) = (incoming.from, ANNOUNCEMENT_SWEEP * 2);
                self.store_announcement(now, Kept { target, from, token, announce, remaining }, id)
            }
            (None, Some(refresh)) => self.renew(incoming.from, refresh),
            (None, None) => Err("no peer"),
        }
    }

    /// Stores an announcement that was signed for the node with this id, unless its source has as many as it
    /// may.
    fn store_announcement(&mut self, now: Instant, announcement: Kept, id: &NodeId) -> Result<(), Refusal> {
        let Kept { target, from, token, announce, remaining } = &announcement;
        let kind = AnnounceKind::Announce;
        let peer = sign::verified(announce, target, id, token, kind).ok_or("signature")?;
        let latest_bump = (self.unix_time(now) + MAX_BUMP_AHEAD).as_millis();
        let relays = peer.relay_addresses.iter().take(MAX_RELAYS);
        let record = Peer { public_key: peer.public_key, relay_addresses: relays.copied().collect() };
        let entry = Refresh { target: *target, public_key: peer.public_key, record: record.to_bytes() };
        let kept = self.keeps_announcements.then(|| Box::new(announcement.clone()));
        let store = self.store.as_mut().ok_or("no store")?;
        let generation = store.generation() - u64::from(*remaining <= ANNOUNCEMENT_SWEEP);
        store.announce(*from, entry.clone(), kept, generation).map_err(|SourceFull| FULL)?;
        if entry.public_key.target() != *target && u128::from(announce.bump) <= latest_bump {
            store.bump(target, announce.bump);
        }
        if let Some(refresh) = announce.refresh {
            store.set_refresh(*from.ip(), refresh, entry).map_err(|SourceFull| FULL)?;
        }
        Ok(())
    }

    /// Renews an announcement by the token that hashes to the one it came with, and expects the next of the
    /// chain from now on.
    fn renew(&mut self, from: SocketAddrV4, shown: &[u8; 32]) -> Result<(), Refusal> {
        let expected = hash::hash(&[shown]);
        let store = self.store.as_mut().ok_or("no store")?;
        let entry = store.take_refresh(&expected).ok_or("refresh token")?;
        store.renew(from, entry.clone()).map_err(|SourceFull| FULL)?;
        store.set_refresh(*from.ip(), *shown, entry).map_err(|SourceFull| FULL)
    }
}

/// The network of the source has as many records as it may.
const FULL: Refusal = "source is full";
/// Announcements of an earlier run that are verified at once, and the pause before the next ones: a few
/// milliseconds of every ten go to them.
pub(in crate::dht) const MAX_RESTORED: usize = 32;
const RESTORE_PAUSE: Duration = Duration::from_millis(10);
/// Relay addresses of a record that are kept (hyperdht-rpc.md §5).
const MAX_RELAYS: usize = 3;
/// How far ahead of the own clock the time stamp of an announcement may be.
const MAX_BUMP_AHEAD: Duration = Duration::from_secs(60);
