//! What is remembered of peers, so that the next connection need not search: the least recently connected one
//! is forgotten first.

use std::collections::BTreeMap;

use crate::keys::PublicKey;

/// Something per peer, for a bounded number of them.
#[derive(Debug)]
pub(super) struct Recent<T> {
    capacity: usize,
    clock: u64,
    by_key: BTreeMap<PublicKey, (u64, T)>,
    by_age: BTreeMap<u64, PublicKey>,
}

impl<T> Recent<T> {
    pub(super) const fn new(capacity: usize) -> Self {
        Self {
            capacity,
            clock: 0,
            by_key: BTreeMap::new(),
            by_age: BTreeMap::new(),
        }
    }

    pub(super) fn insert(&mut self, key: PublicKey, value: T) {
        self.forget(&key);
        if self.capacity == 0 {
            return;
        }
        if self.by_key.len() >= self.capacity
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.by_key.remove(&oldest);
        }
        self.clock += 1;
        self.by_age.insert(self.clock, key);
        self.by_key.insert(key, (self.clock, value));
    }

    pub(super) fn get(&self, key: &PublicKey) -> Option<&T> {
        self.by_key.get(key).map(|(_, value)| value)
    }

    pub(super) fn forget(&mut self, key: &PublicKey) {
        if let Some((age, _)) = self.by_key.remove(key) {
            self.by_age.remove(&age);
        }
    }

    /// Forgets every peer of whom this is not to be kept.
    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.by_key.retain(|_, (age, value)| {
            let kept = keep(value);
            if !kept {
                self.by_age.remove(age);
            }
            kept
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_peer_makes_room() {
        let mut recent = Recent::new(2);
        for byte in 1..=3 {
            recent.insert(key(byte), byte);
        }
        assert_eq!(recent.get(&key(1)), None);
        assert_eq!(recent.get(&key(3)), Some(&3));
        assert_eq!(recent.by_age.len(), 2);
    }

    #[test]
    fn a_peer_seen_again_is_young_again() {
        let mut recent = Recent::new(2);
        recent.insert(key(1), 1);
        recent.insert(key(2), 2);
        recent.insert(key(1), 9);
        recent.insert(key(3), 3);
        assert_eq!(recent.get(&key(1)), Some(&9));
        assert_eq!(recent.get(&key(2)), None);
    }

    #[test]
    fn what_is_not_kept_leaves_room() {
        let mut recent = Recent::new(2);
        recent.insert(key(1), 1);
        recent.insert(key(2), 2);
        recent.retain(|value| *value != 1);
        recent.insert(key(3), 3);
        assert_eq!(
            [1, 2, 3].map(|byte| recent.get(&key(byte)).copied()),
            [None, Some(2), Some(3)]
        );
        assert_eq!(recent.by_age.len(), 2);
    }

    fn key(byte: u8) -> PublicKey {
        PublicKey::from_bytes([byte; 32])
    }
}
