//! Which keys may have an entry: a key that has none is most often one that registers, and needs no read.

use std::collections::HashSet;

use crate::PublicKey;

/// The first four bytes of each key that has an entry, also one that is being written. A key whose bytes are
/// not here has no entry.
///
/// Takes about ten bytes for each entry. Keys that share these bytes cost a read, as if this did not exist.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(HashSet<u32>);

impl Known {
    pub(super) fn add(&mut self, key: &PublicKey) {
        self.0.insert(first(key));
    }

    pub(super) fn may_hold(&self, key: &PublicKey) -> bool {
        self.0.contains(&first(key))
    }
}

fn first(key: &PublicKey) -> u32 {
    let [a, b, c, d, ..] = *key.as_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::super::super::entry::tests::record;
    use super::super::super::entry::{Change, KeyEntry};
    use super::super::super::store::Store as _;
    use super::super::SledStore;
    use super::*;
    use crate::api::ProvenKey;

    #[tokio::test]
    async fn keys_that_begin_alike_have_their_own_entries() {
        let folder = tempfile::tempdir().unwrap();
        let ada = *record(1, "Ada").key();
        let mut alike = *ada.as_bytes();
        alike[31] ^= 1;
        let alike = PublicKey::from_bytes(alike);
        let store = SledStore::open(folder.path()).unwrap();
        for key in [&ada, &alike] {
            assert_eq!(store.load(key).await.unwrap(), KeyEntry::Unknown);
        }
        let change = Change::Register { record: record(1, "Ada"), after: None };
        store.apply(&ProvenKey::new(ada), change).await.unwrap();
        drop(store);
        let store = SledStore::open(folder.path()).unwrap();
        assert_eq!(store.load(&ada).await.unwrap().version(), 1);
        assert_eq!(store.load(&alike).await.unwrap(), KeyEntry::Unknown);
    }
}
