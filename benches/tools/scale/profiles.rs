//! Owners by number, and their profiles.

use hyperprofile::KeyPair;
use hyperprofile::profile::{Profile, Record};

/// Returns the key pair of an owner.
pub(crate) fn owner(number: usize) -> KeyPair {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
    KeyPair::from_seed(&seed)
}

/// Returns a profile whose text has so many bytes, from about 60 to 1000.
pub(crate) fn profile(owner: usize, version: u64, bytes: usize) -> Profile {
    let name = format!("owner {owner} version {version}");
    let empty = Profile::parse(&format!(r#"{{"name":"{name}","bio":""}}"#)).unwrap();
    let bio = "b".repeat(bytes.saturating_sub(empty.text().len()));
    Profile::parse(&format!(r#"{{"name":"{name}","bio":"{bio}"}}"#)).unwrap()
}

/// Returns a record that the owner has signed.
pub(crate) fn record(owner: usize, version: u64, bytes: usize) -> Record {
    Record::sign(&self::owner(owner), version, profile(owner, version, bytes))
}
