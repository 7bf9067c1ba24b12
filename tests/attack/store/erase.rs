//! Deleting leaves nothing that can be read in any file.

use std::path::Path;

use hyperprofile::KeyPair;
use hyperprofile::profile::entry::KeyEntry;
use hyperprofile::profile::{Profile, Record, SledStore};

use super::damage::files;
use super::writer::{Acknowledged, Writer};

/// Parts of the texts that the writer stores begin like this.
const PIECES: [&[u8]; 2] = [b"text of change", b"\"name\":"];

#[test]
fn no_file_ever_holds_a_piece_of_a_profile() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::new();
    let mut first = 0;
    for kill in [false, true, false] {
        let mut writer = Writer::start(folder.path(), first, &[]);
        for _ in 0..3 {
            writer.write(130, &mut acknowledged);
            first += 130;
            assert_nothing_to_read(folder.path());
        }
        writer.end(kill);
        assert_nothing_to_read(folder.path());
    }
}

fn assert_nothing_to_read(folder: &Path) {
    for (path, bytes) in files(folder) {
        for piece in PIECES {
            let found = bytes.windows(piece.len()).any(|window| window == piece);
            assert!(!found, "{} holds {}", path.display(), String::from_utf8_lossy(piece));
        }
    }
}

#[tokio::test]
async fn deleting_erases_the_key_that_the_profile_is_encrypted_with() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    let owner = KeyPair::from_seed(&[1; 32]);
    for version in 1..=3 {
        let profile = Profile::parse(r#"{"name":"Ada"}"#).unwrap();
        let record = KeyEntry::Present(Record::sign(&owner, version, profile));
        store.restore_entry(*owner.public_key(), record).await.unwrap();
    }
    let keys = || std::fs::read(folder.path().join("keys")).unwrap();
    let before = keys();
    store.restore_entry(*owner.public_key(), KeyEntry::Deleted { version: 3 }).await.unwrap();
    let after = keys();
    let erased: Vec<_> = before.chunks(32).zip(after.chunks(32)).filter(|(old, new)| old != new).collect();
    assert_eq!(erased.len(), 1, "one key belongs to all versions of a profile");
    for (path, bytes) in files(folder.path()) {
        assert!(!bytes.windows(32).any(|window| window == erased[0].0), "{} holds it", path.display());
    }
    // A crash may come before the key is erased: no unused key survives the next start.
    drop(store);
    std::fs::write(folder.path().join("keys"), &before).unwrap();
    drop(SledStore::open(folder.path()).unwrap());
    assert!(keys().chunks(32).zip(before.chunks(32)).all(|(new, old)| new != old));
}
