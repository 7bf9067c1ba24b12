//! Who is told that the entry of a key has changed.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::PublicKey;
use crate::wire::hash::hash;

/// The watches of a store: the store notifies them of each key whose durable entry has changed. Clones share
/// everything.
#[derive(Clone, Debug, Default)]
pub struct Changes(Arc<Mutex<BTreeMap<PublicKey, Vec<Arc<Pending>>>>>);

/// Watches keys. What changes is remembered by key: a watch that is read late shows each changed key once,
/// and takes no more memory than its keys.
#[derive(Debug)]
pub struct Watch {
    changes: Changes,
    /// The keys, each with the hash of what was shown of it last.
    keys: BTreeMap<PublicKey, Option<[u8; 32]>>,
    pending: Arc<Pending>,
    /// The key that was returned last. The next one follows it, so that a key that changes all the time does
    /// not hold up the others.
    last: Option<PublicKey>,
}

#[derive(Debug, Default)]
struct Pending {
    changed: Mutex<BTreeSet<PublicKey>>,
    wake: Notify,
}

impl Changes {
    /// Returns a watch of no keys.
    pub fn watch(&self) -> Watch {
        Watch { changes: self.clone(), keys: BTreeMap::new(), pending: Arc::default(), last: None }
    }

    /// Notifies those who watch a key that its durable entry has changed.
    pub fn notify(&self, key: &PublicKey) {
        if let Some(watches) = self.lock().get(key) {
            for pending in watches {
                pending.add([*key]);
            }
        }
    }

    /// Notifies those who watch any keys that all of them may have changed.
    pub fn notify_all(&self) {
        for (key, watches) in self.lock().iter() {
            for pending in watches {
                pending.add([*key]);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PublicKey, Vec<Arc<Pending>>>> {
        // Each change of the map is one insertion or removal.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// Watches these keys instead of those before. Each of them counts as changed.
    pub fn set(&mut self, keys: impl IntoIterator<Item = PublicKey>) {
        self.clear();
        self.keys = keys.into_iter().map(|key| (key, None)).collect();
        let mut watches = self.changes.lock();
        for key in self.keys.keys() {
            watches.entry(*key).or_default().push(Arc::clone(&self.pending));
        }
        drop(watches);
        self.pending.add(self.keys.keys().copied());
    }

    /// Waits until a key has changed, and returns it. Without keys it waits for ever.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a key is returned or still counts as changed.
    pub async fn next(&mut self) -> PublicKey {
        loop {
            if let Some(key) = self.pending.take(self.last) {
                self.last = Some(key);
                return key;
            }
            self.pending.wake.notified().await;
        }
    }

    /// Returns whether a key has something else now than what was shown of it last, and notes that it is
    /// shown.
    pub fn is_news(&mut self, key: &PublicKey, state: &[u8]) -> bool {
        let now = Some(hash(&[state]));
        self.keys.get_mut(key).is_some_and(|shown| std::mem::replace(shown, now) != now)
    }

    fn clear(&mut self) {
        let mut watches = self.changes.lock();
        for key in std::mem::take(&mut self.keys).into_keys() {
            if let Entry::Occupied(mut entry) = watches.entry(key) {
                entry.get_mut().retain(|pending| !Arc::ptr_eq(pending, &self.pending));
                if entry.get().is_empty() {
                    entry.remove();
                }
            }
        }
        drop(watches);
        self.pending.lock().clear();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Pending {
    fn add(&self, keys: impl IntoIterator<Item = PublicKey>) {
        self.lock().extend(keys);
        self.wake.notify_one();
    }

    fn take(&self, last: Option<PublicKey>) -> Option<PublicKey> {
        let mut changed = self.lock();
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        let next = changed.range((after, Bound::Unbounded)).next().or_else(|| changed.first()).copied();
        next.inspect(|key| {
            changed.remove(key);
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<PublicKey>> {
        // Each change of the set is one call.
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn key(n: u8) -> PublicKey {
        PublicKey::from_bytes([n; 32])
    }

    fn next(watch: &mut Watch) -> Option<PublicKey> {
        match pin!(watch.next()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(key) => Some(key),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_watch_returns_each_changed_key_once_and_no_other() {
        let changes = Changes::default();
        let (mut one, mut two) = (changes.watch(), changes.watch());
        assert_eq!(next(&mut one), None);
        one.set([key(1), key(2)]);
        two.set([key(2)]);
        assert_eq!([next(&mut one), next(&mut one), next(&mut one)], [Some(key(1)), Some(key(2)), None]);
        assert_eq!([next(&mut two), next(&mut two)], [Some(key(2)), None]);
        for key in [key(1), key(3), key(1)] {
            changes.notify(&key);
        }
        assert_eq!([next(&mut one), next(&mut one)], [Some(key(1)), None]);
        assert_eq!(next(&mut two), None);
    }

    #[test]
    fn a_key_that_changes_all_the_time_does_not_hold_up_the_others() {
        let changes = Changes::default();
        let mut watch = changes.watch();
        watch.set([key(1), key(2), key(3)]);
        let mut seen = Vec::new();
        for _ in 0..6 {
            changes.notify(&key(1));
            seen.extend(next(&mut watch));
        }
        assert_eq!(seen, [1, 2, 3, 1, 1, 1].map(key));
    }

    #[test]
    fn other_keys_take_the_place_of_those_before_and_nothing_is_left_in_the_end() {
        let changes = Changes::default();
        let (mut one, mut two) = (changes.watch(), changes.watch());
        one.set([key(1), key(2)]);
        two.set([key(1)]);
        one.set([key(3)]);
        assert_eq!([next(&mut one), next(&mut one)], [Some(key(3)), None]);
        changes.notify(&key(1));
        assert_eq!(next(&mut one), None);
        drop(one);
        assert_eq!(changes.lock().keys().copied().collect::<Vec<_>>(), [key(1)]);
        assert_eq!(next(&mut two), Some(key(1)));
        drop(two);
        assert!(changes.lock().is_empty());
    }

    #[tokio::test]
    async fn a_change_wakes_who_waits() {
        let changes = Changes::default();
        let mut watch = changes.watch();
        watch.set([key(1)]);
        watch.next().await;
        let waits = tokio::spawn(async move { watch.next().await });
        tokio::task::yield_now().await;
        changes.notify(&key(1));
        assert_eq!(waits.await.unwrap(), key(1));
    }
}
