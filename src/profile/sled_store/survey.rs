//! Compares a database with the witness.

use std::collections::BTreeSet;

use super::super::entry::KeyEntry;
use super::super::inventory::{Inventory, MAX_NAMED};
use super::codec::{SlotKey, Stored, Sum};
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
        let Some((key, bytes)) = pair.map_err(|error| fault(inventory, engine(error).to_string())).ok()
        else {
            break;
        };
        let parsed = public_key(&key).zip(Stored::parse(&bytes));
        let Some((key, stored)) = parsed else {
            fault(inventory, "an entry breaks the format".into());
            continue;
        };
        let slot_key = stored.slot().and_then(|slot| keys.get(slot as usize));
        let sum = Sum::of(&key, &bytes, slot_key);
        inventory.readable += 1;
        all.entries += 1;
        all.sum = all.sum + sum;
        survey.used.extend(stored.slot());
        newest = newest.max(stored.commit);
        if stored.commit <= witness.commit {
            promised.entries += 1;
            promised.sum = promised.sum + sum;
        } else {
            promised.entries += u64::from(!stored.before.is_zero());
            promised.sum = promised.sum + stored.before;
            if stored.open(&key, slot_key).is_none() {
                fault(inventory, "an entry cannot be decrypted".into());
            }
        }
    }
    if newest > witness.commit + 1 {
        fault(inventory, "the witness is older than the entries".into());
    }
    if (promised.entries, promised.sum) != (witness.entries, witness.sum) {
        fault(inventory, "the entries are not those that were acknowledged".into());
    }
    survey.next = Witness { commit: newest, entries: all.entries, sum: all.sum, ..*witness };
    survey
}

/// Counts and visits what can be read.
pub(super) fn read_all(
    entries: &sled::Tree,
    keys: &[SlotKey],
    inventory: &mut Inventory,
    visit: &mut dyn FnMut(PublicKey, KeyEntry),
) {
    (inventory.readable, inventory.unreadable) = (0, 0);
    inventory.named.clear();
    for pair in entries {
        // What follows is lost, and the survey has said so.
        let Ok((name, bytes)) = pair else { break };
        let opened = public_key(&name).and_then(|key| {
            let stored = Stored::parse(&bytes)?;
            let slot_key = stored.slot().and_then(|slot| keys.get(slot as usize));
            Some((key, stored.open(&key, slot_key)?))
        });
        if let Some((key, entry)) = opened {
            inventory.readable += 1;
            visit(key, entry);
            continue;
        }
        inventory.unreadable += 1;
        if inventory.named.len() < MAX_NAMED {
            let digits = name.iter().take(4).map(|byte| format!("{byte:02x}"));
            inventory.named.push(digits.collect());
        }
    }
}

fn public_key(bytes: &[u8]) -> Option<PublicKey> {
    bytes.try_into().map(PublicKey::from_bytes).ok()
}

fn fault(inventory: &mut Inventory, fault: String) {
    if !inventory.faults.contains(&fault) {
        inventory.faults.push(fault);
    }
}
