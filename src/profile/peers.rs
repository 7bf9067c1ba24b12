//! The connections of proven keys: a few each, the newest win.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::api::ProvenKey;

/// All open connections whose peer has proven its key.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    places: BTreeMap<ProvenKey, VecDeque<CancellationToken>>,
    /// Places not yet given back, those that were replaced included.
    taken: usize,
}

/// A place among the connections of a key, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    peers: Peers,
    key: ProvenKey,
    replaced: CancellationToken,
}

impl Peers {
    /// Takes a place; if the key has `each` already, its oldest connection is told to close. `None` if all
    /// keys together have `total`.
    pub(super) fn enter(&self, key: ProvenKey, each: usize, total: usize) -> Option<Place> {
        let replaced = CancellationToken::new();
        let mut state = self.state();
        if state.taken >= total {
            return None;
        }
        state.taken += 1;
        let places = state.places.entry(key).or_default();
        while places.len() >= each.max(1) {
            if let Some(oldest) = places.pop_front() {
                oldest.cancel();
            }
        }
        places.push_back(replaced.clone());
        drop(state);
        Some(Place {
            peers: self.clone(),
            key,
            replaced,
        })
    }

    /// Returns how many connections are open.
    pub(super) fn count(&self) -> usize {
        self.state().taken
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Completes when a newer connection of the key has taken this place.
    pub(super) async fn replaced(&self) {
        self.replaced.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.peers.state();
        state.taken -= 1;
        if let Some(places) = state.places.get_mut(&self.key) {
            // A replaced place has left the queue already; ours is the only cancelled one in it.
            self.replaced.cancel();
            places.retain(|place| !place.is_cancelled());
            if places.is_empty() {
                state.places.remove(&self.key);
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
        let places: Vec<_> = (0..5).map(|_| peers.enter(key(1), 4, 99).unwrap()).collect();
        let other = peers.enter(key(2), 4, 99).unwrap();
        let replaced: Vec<_> = places.iter().map(|place| place.replaced.is_cancelled()).collect();
        assert_eq!(replaced, [true, false, false, false, false]);
        assert!(!other.replaced.is_cancelled());
    }

    #[test]
    fn a_place_given_back_is_free_again() {
        let peers = Peers::default();
        let mut places: Vec<_> = (0..4).map(|_| peers.enter(key(1), 4, 99).unwrap()).collect();
        drop(places.remove(2));
        places.push(peers.enter(key(1), 4, 99).unwrap());
        assert!(!places.iter().any(|place| place.replaced.is_cancelled()));
        drop(places);
        assert!(peers.state().places.is_empty());
    }

    #[test]
    fn all_keys_together_have_a_bound() {
        let peers = Peers::default();
        let mut places: Vec<_> = (0..6).map(|n| peers.enter(key(n), 4, 6).unwrap()).collect();
        assert!(peers.enter(key(9), 4, 6).is_none());
        places.pop();
        assert!(peers.enter(key(9), 4, 6).is_some());
    }
}
