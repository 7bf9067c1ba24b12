//! What a store holds, for its operator.

use serde_json::{Value, json};

use super::super::super::exit::{Exit, Failure};
use super::super::super::store::ServerStore;
use super::request::{Answer, MAX_PAGE};
use crate::PublicKey;
use crate::profile::Store as _;
use crate::profile::entry::{Dated, KeyEntry};

/// Returns a page of what the store holds, in the order of the keys.
pub(super) async fn list(
    store: &ServerStore,
    mut after: Option<PublicKey>,
    since: Option<u64>,
    limit: usize,
) -> Result<Answer, Failure> {
    let most = limit.clamp(1, MAX_PAGE);
    let mut lines = Vec::new();
    // However few of them were changed since, the answer comes after so many.
    for _ in 0..MAX_CHUNKS {
        let page = store.page(after, MAX_PAGE).await?;
        let is_last = page.len() < MAX_PAGE;
        for (key, held) in page {
            after = Some(key);
            if since.is_none_or(|since| held.changed >= since) {
                lines.push(line(&key, &held));
            }
            if lines.len() == most {
                return Ok(Answer { lines, next: json!(key) });
            }
        }
        if is_last {
            return Ok(Answer { lines, next: Value::Null });
        }
    }
    Ok(Answer { lines, next: json!(after) })
}

/// Returns all that is held for a key.
pub(super) async fn show(store: &ServerStore, key: &PublicKey) -> Result<Answer, Failure> {
    let found = store.page(before(key), 1).await?.into_iter().next();
    let held = found.filter(|(found, _)| found == key).map(|(_, held)| held).ok_or_else(|| none(key))?;
    Ok(Answer::of(json!({"entry": line(key, &held), "record": held.entry.record()})))
}

/// Removes the profile of a key.
pub(super) async fn delete(store: &ServerStore, key: &PublicKey) -> Result<Value, Failure> {
    match store.remove(key).await? {
        true => Ok(json!({"changed": true})),
        false => Err(none(key)),
    }
}

fn none(key: &PublicKey) -> Failure {
    Failure::new(Exit::NotRegistered, format!("{key} has no profile here"))
}

fn line(key: &PublicKey, held: &Dated) -> Value {
    let changed = Some(held.changed).filter(|changed| *changed > 0);
    let mut line = json!({"key": key, "version": held.entry.version(), "changed": changed});
    match &held.entry {
        KeyEntry::Present(record) => {
            line["state"] = json!("present");
            line["name"] = json!(record.profile().parts().name);
        }
        KeyEntry::Moved { rotation, .. } => {
            line["state"] = json!("moved");
            line["moved_to"] = json!(rotation.to());
        }
        KeyEntry::Deleted { .. } | KeyEntry::Unknown => line["state"] = json!("deleted"),
    }
    line
}

/// Returns the key before another one; `None` before the first.
fn before(key: &PublicKey) -> Option<PublicKey> {
    let mut bytes = *key.as_bytes();
    for byte in bytes.iter_mut().rev() {
        let (less, borrows) = byte.overflowing_sub(1);
        *byte = less;
        if !borrows {
            return Some(PublicKey::from_bytes(bytes));
        }
    }
    None
}

/// Most pages that are looked through for one answer.
const MAX_CHUNKS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_before_another_is_the_next_one_below() {
        let mut bytes = [0; 32];
        assert_eq!(before(&PublicKey::from_bytes(bytes)), None);
        bytes[30] = 1;
        let mut less = [0; 32];
        less[31] = 0xff;
        assert_eq!(before(&PublicKey::from_bytes(bytes)), Some(PublicKey::from_bytes(less)));
        bytes[31] = 7;
        less = bytes;
        less[31] = 6;
        assert_eq!(before(&PublicKey::from_bytes(bytes)), Some(PublicKey::from_bytes(less)));
    }
}
