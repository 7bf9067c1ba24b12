//! Which changes other processes have not been notified of yet.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use data_encoding::HEXLOWER;
use rand::Rng as _;
use tokio::sync::Notify;

use crate::PublicKey;

/// The keys whose changes other processes have not been notified of yet.
#[derive(Debug)]
pub(super) struct Outbox {
    /// What the notifications of this process begin with.
    origin: String,
    keys: Mutex<Keys>,
    pub(super) wake: Notify,
}

#[derive(Debug, Default)]
struct Keys {
    keys: BTreeSet<PublicKey>,
    /// There were more.
    all: bool,
}

impl Default for Outbox {
    fn default() -> Self {
        let origin = HEXLOWER.encode(&rand::thread_rng().r#gen::<[u8; 8]>());
        Self { origin, keys: Mutex::default(), wake: Notify::new() }
    }
}

impl Outbox {
    pub(super) fn add(&self, key: &PublicKey) {
        let mut waiting = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.keys.len() < MAX_OUTBOX {
            waiting.keys.insert(*key);
        } else {
            waiting.all = true;
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// All keys count as changed: it is unknown of which of them the others were notified.
    pub(super) fn add_all(&self) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).all = true;
    }

    /// Reads a notification: `None` if it is one of this process, no key if all keys may have changed.
    pub(super) fn read(&self, payload: &str) -> Option<Option<PublicKey>> {
        let (origin, key) = payload.split_once(' ').unwrap_or_default();
        let key = || PublicKey::try_from(HEXLOWER.decode(key.as_bytes()).ok()?.as_slice()).ok();
        (origin != self.origin).then(key)
    }

    /// Takes the keys as payloads.
    pub(super) fn take(&self) -> Vec<String> {
        let waiting = std::mem::take(&mut *self.keys.lock().unwrap_or_else(PoisonError::into_inner));
        let payload = |key: &[u8]| format!("{} {}", self.origin, HEXLOWER.encode(key));
        match waiting.all {
            true => vec![payload(&[])],
            false => waiting.keys.iter().map(|key| payload(key.as_bytes())).collect(),
        }
    }
}

/// Most keys of which others are to be notified. Beyond it they are notified that all keys may have changed.
const MAX_OUTBOX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_changes_become_one_notification_of_all_keys() {
        let outbox = Outbox::default();
        let key = |number: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            PublicKey::from_bytes(bytes)
        };
        for number in 0..MAX_OUTBOX {
            outbox.add(&key(number));
        }
        assert_eq!(outbox.take().len(), MAX_OUTBOX);
        for number in 0..=MAX_OUTBOX {
            outbox.add(&key(number));
        }
        assert_eq!(outbox.take(), [format!("{} ", outbox.origin)]);
        assert!(outbox.take().is_empty());
    }
}
