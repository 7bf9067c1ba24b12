//! Compares a database with the witness.

use std::collections::BTreeSet;

use super::super::entry::Dated;
use super::super::inventory::Inventory;
use super::codec::{SlotKey, Stored, Sum};
use super::known::Known;
use super::shared::engine;
use super::witness::Witness;
use crate::PublicKey;

/// What a database holds.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) inventory: Inventory,
    /// What the witness says once the last group of changes is counted, whether it was acknowledged or not.
    pub(super) next: Witness,
    /// The slots that are used in the key file.
    pub(super) used: BTreeSet<u32>,
    pub(super) known: Known,
}

/// Compares a database with the witness.
///
/// A group of changes may be on disk, as a whole or in part, while its witness is not: it was not
/// acknowledged, but nothing speaks against it. Its entries name the sum of the entry before, and for the
/// witness they count as those.
pub(super) fn survey(entries: &sled::Tree, witness: &Witness, keys: &[SlotKey]) -> Survey {
    let mut survey = Survey { next: *witness, ..Survey::default() };
    let inventory = &mut survey.inventory;
    inventory.promised = Some(witness.promised());
    let (mut promised, mut all) = (Witness::default(), Witness::default());
    let mut newest = witness.commit;
    for pair in entries {
        let (key, bytes) = match pair {
            Ok(pair) => pair,
            Err(error) => {
                inventory.add_fault(engine(error).to_string());
                break;
            }
        };
        let parsed = public_key(&key).zip(Stored::parse(&bytes));
        let Some((key, stored)) = parsed else {
            inventory.add_fault("an entry breaks the format");
            continue;
        };
        let slot_key = stored.slot().and_then(|slot| keys.get(slot as usize));
        let sum = Sum::of(&key, &bytes, slot_key);
        inventory.readable += 1;
        all.entries += 1;
        all.sum = all.sum + sum;
        survey.used.extend(stored.slot());
        survey.known.add(&key);
        newest = newest.max(stored.commit);
        if stored.commit <= witness.commit {
            promised.entries += 1;
            promised.sum = promised.sum + sum;
        } else {
            promised.entries += u64::from(!stored.before.is_zero());
            promised.sum = promised.sum + stored.before;
            if stored.open(&key, slot_key).is_none() {
                inventory.add_fault("an entry cannot be decrypted");
            }
        }
    }
    if newest > witness.commit + 1 {
        inventory.add_fault("the witness is older than the entries");
    }
    if (promised.entries, promised.sum) != (witness.entries, witness.sum) {
        inventory.add_fault("the entries are not those that were acknowledged");
    }
    survey.next = Witness { commit: newest, entries: all.entries, sum: all.sum, ..*witness };
    survey
}

/// Counts and visits the entries that can be read.
pub(super) fn read_all(
    entries: &sled::Tree,
    inventory: &mut Inventory,
    open: impl Fn(&PublicKey, &[u8]) -> Option<Dated>,
    visit: &mut dyn FnMut(PublicKey, Dated),
) {
    (inventory.readable, inventory.unreadable) = (0, 0);
    inventory.named.clear();
    for pair in entries {
        let (name, bytes) = match pair {
            Ok(pair) => pair,
            Err(error) => {
                inventory.add_fault(engine(error).to_string());
                break;
            }
        };
        match public_key(&name).and_then(|key| Some((key, open(&key, &bytes)?))) {
            Some((key, entry)) => {
                inventory.readable += 1;
                visit(key, entry);
            }
            None => inventory.add_unreadable(&name),
        }
    }
}

/// Reads an entry; `None` if it can't be.
pub(super) fn open(key: &PublicKey, bytes: &[u8], keys: &[SlotKey]) -> Option<Dated> {
    let stored = Stored::parse(bytes)?;
    let slot_key = stored.slot().and_then(|slot| keys.get(slot as usize));
    stored.open(key, slot_key)
}

/// Returns the key that an entry has as its name, `None` if that is no key.
fn public_key(name: &[u8]) -> Option<PublicKey> {
    name.try_into().map(PublicKey::from_bytes).ok()
}
