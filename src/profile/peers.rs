//! Bounds the connections of proven keys: per key, where the newest win, and in all.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::api::ProvenKey;

/// All open connections whose peer has proven its key.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers(Arc<Mutex<Slots>>);

#[derive(Debug, Default)]
struct Slots {
    slots: BTreeMap<ProvenKey, VecDeque<CancellationToken>>,
    /// Slots not yet given back, the replaced ones included.
    taken: usize,
}

/// The right to one open connection of a key; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Slot {
    peers: Peers,
    key: ProvenKey,
    replaced: CancellationToken,
}

impl Peers {
    /// Takes a slot. If the key has `each` already, its oldest connection is cancelled. Returns `None` if all
    /// keys together have `total`.
    pub(super) fn enter(&self, key: ProvenKey, each: usize, total: usize) -> Option<Slot> {
        let replaced = CancellationToken::new();
        let mut state = self.state();
        if state.taken >= total {
            return None;
        }
        state.taken += 1;
        let slots = state.slots.entry(key).or_default();
        while slots.len() >= each.max(1) {
            if let Some(oldest) = slots.pop_front() {
                oldest.cancel();
            }
        }
        slots.push_back(replaced.clone());
        drop(state);
        Some(Slot { peers: self.clone(), key, replaced })
    }

    /// Returns how many connections are open.
    pub(super) fn count(&self) -> usize {
        self.state().taken
    }

    fn state(&self) -> MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Completes when a newer connection of the key has taken this slot.
    pub(super) async fn replaced(&self) {
        self.replaced.cancelled().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.peers.state();
        state.taken -= 1;
        if let Some(slots) = state.slots.get_mut(&self.key) {
            // A replaced slot has left the queue already; this is the only cancelled one in it.
            self.replaced.cancel();
            slots.retain(|slot| !slot.is_cancelled());
            if slots.is_empty() {
                state.slots.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PublicKey;

    fn key(n: u8) -> ProvenKey {
        ProvenKey::new(PublicKey::from_bytes([n; 32]))
    }

    #[test]
    fn the_fifth_connection_closes_the_oldest() {
        let peers = Peers::default();
        let slots: Vec<_> = (0..5).map(|_| peers.enter(key(1), 4, 99).unwrap()).collect();
        let other = peers.enter(key(2), 4, 99).unwrap();
        let replaced: Vec<_> = slots.iter().map(|slot| slot.replaced.is_cancelled()).collect();
        assert_eq!(replaced, [true, false, false, false, false]);
        assert!(!other.replaced.is_cancelled());
    }

    #[test]
    fn a_place_given_back_is_free_again() {
        let peers = Peers::default();
        let mut slots: Vec<_> = (0..4).map(|_| peers.enter(key(1), 4, 99).unwrap()).collect();
        drop(slots.remove(2));
        slots.push(peers.enter(key(1), 4, 99).unwrap());
        assert!(!slots.iter().any(|slot| slot.replaced.is_cancelled()));
        drop(slots);
        assert!(peers.state().slots.is_empty());
    }

    #[test]
    fn all_keys_together_have_a_bound() {
        let peers = Peers::default();
        let mut slots: Vec<_> = (0..6).map(|n| peers.enter(key(n), 4, 6).unwrap()).collect();
        assert!(peers.enter(key(9), 4, 6).is_none());
        slots.pop();
        assert!(peers.enter(key(9), 4, 6).is_some());
    }
}
