//! Profiles in the DHT: a record as a value that its owner's key has signed, found by that key while every
//! server is off.
//!
//! | bytes of the value | meaning |
//! |---|---|
//! | `hyperprofile` (12), `01`, version u64, signature (64), text | a record |
//! | `hyperprofile` (12), `02`, version u64, signature (64), hashes (32) | a record with its text in parts |
//! | `hyperprofile` (12), `03` | the owner has withdrawn what was published |
//! | `hyperprofile` (12), `04`, key (32), signature (64) of the old key and of that one | it was replaced |
//!
//! Numbers are little-endian. The signature is the record's own: what is found is a record like that of a
//! server. `docs/protocol/profile.md` has the rules.

use super::content::MAX_PROFILE_BYTES;
use super::record::{Record, RecordError};
use super::rotation::{MAX_CHAIN, RawRotation, Rotation, RotationError};
use crate::api::{PutError, QueryError, Stored};
use crate::{Dht, KeyPair, PublicKey};

/// What the owner of a key has published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// A record.
    Record(Record),
    /// Nothing any more.
    Withdrawn,
    /// The statement that another key has replaced this one.
    Moved(Rotation),
}

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The key has a value of another program in the DHT, which would be lost.
    #[error("the DHT has another value under this key, which is no profile (sequence number {seq})")]
    Foreign {
        /// Its sequence number.
        seq: u64,
    },
    /// The DHT has a later version of the profile.
    #[error("the DHT has a later version of this profile, {version}")]
    Newer {
        /// That version.
        version: u64,
    },
    /// The DHT did not store it.
    #[error(transparent)]
    Put(#[from] PutError),
}

/// Why what was published cannot be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// The DHT gave no answer.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The value under the key is not one of this module.
    #[error("the value that the DHT has under this key is no profile")]
    Foreign,
    /// No node has a part of the text any more.
    #[error("the DHT has a part of this profile only")]
    Incomplete,
    /// The owner's key has signed the value and not the record in it, or the record breaks a rule.
    #[error("what the DHT has under this key is no valid profile: {0}")]
    Invalid(#[from] RecordError),
    /// Not both keys have signed that one replaces the other, or too many follow each other.
    #[error("what the DHT has under this key does not prove which key has replaced it: {0}")]
    Statement(#[from] RotationError),
}

/// Publishes a record of the owner, or withdraws what was published. Nodes keep it for at least 32 hours, and
/// longer while it is requested: publish it again once a day. With `replace` it takes the place of another
/// program's value as well.
///
/// # Errors
///
/// [`PublishError`]; nothing was replaced then.
///
/// # Panics
///
/// Panics if the record, or the statement, is another key's.
///
/// # Cancel safety
///
/// Dropping the future ends the queries; some nodes may have the value.
pub async fn publish(
    dht: &Dht,
    owner: &KeyPair,
    what: &Published,
    replace: bool,
) -> Result<Stored, PublishError> {
    let (value, parts) = encode(what);
    let key = match what {
        Published::Record(record) => record.key(),
        Published::Moved(rotation) => rotation.from(),
        Published::Withdrawn => owner.public_key(),
    };
    assert_eq!(key, owner.public_key(), "owners publish what is their own");
    let stored = dht.mutable_get(owner.public_key()).await.map_err(PutError::from)?;
    let seq = match &stored {
        None => 1,
        Some(stored) if stored.value == value => stored.seq,
        Some(stored) => match (Head::parse(&stored.value), what) {
            (None, _) if !replace => return Err(PublishError::Foreign { seq: stored.seq }),
            (Some(Head::Record { version, .. }), Published::Record(record)) if version > record.version() => {
                return Err(PublishError::Newer { version });
            }
            _ => stored.seq + 1,
        },
    };
    // A reader that finds the value is to find its parts.
    for part in parts {
        dht.immutable_put(part).await?;
    }
    Ok(dht.mutable_put(owner, seq, &value).await?)
}

/// Finds what the owner of a key has published last; `None` if no node has anything. Everything is verified.
///
/// # Errors
///
/// [`FindError`].
///
/// # Cancel safety
///
/// Cancel safe: dropping the future ends the queries.
pub async fn find(dht: &Dht, key: &PublicKey) -> Result<Option<Published>, FindError> {
    let Some(found) = dht.mutable_get(key).await? else { return Ok(None) };
    let (version, signature, content) = match Head::parse(&found.value).ok_or(FindError::Foreign)? {
        Head::Withdrawn => return Ok(Some(Published::Withdrawn)),
        Head::Moved { to, signatures: [from_signature, to_signature] } => {
            let raw =
                RawRotation { from: *key, to: PublicKey::from_bytes(*to), from_signature, to_signature };
            return Ok(Some(Published::Moved(raw.verify()?)));
        }
        Head::Record { version, signature, content } => (version, signature, content),
    };
    let text = match content {
        Content::Text(text) => text.to_vec(),
        Content::Parts(hashes) => {
            let mut text = Vec::new();
            for hash in hashes {
                let part = dht.immutable_get(*hash).await?.ok_or(FindError::Incomplete)?;
                text.extend_from_slice(&part);
            }
            text
        }
    };
    // A text that is no UTF-8 was not signed as a profile.
    let text = str::from_utf8(&text).map_err(|_| RecordError::Signature)?;
    Ok(Some(Published::Record(Record::verify(*key, version, text, *signature)?)))
}

/// Finds the record of a key or, if its owner has replaced the key, that of the new one, and the statements
/// that lead to it, at most [`MAX_CHAIN`]. `None` if there is none, or it was withdrawn.
///
/// # Errors
///
/// [`FindError`].
///
/// # Cancel safety
///
/// Cancel safe: dropping the future ends the queries.
pub async fn follow(dht: &Dht, key: &PublicKey) -> Result<Option<(Record, Vec<Rotation>)>, FindError> {
    let (mut key, mut chain) = (*key, Vec::new());
    loop {
        match find(dht, &key).await? {
            None | Some(Published::Withdrawn) => return Ok(None),
            Some(Published::Record(record)) => return Ok(Some((record, chain))),
            Some(Published::Moved(_)) if chain.len() == MAX_CHAIN => return Err(RotationError::Long.into()),
            Some(Published::Moved(rotation)) => {
                key = *rotation.to();
                chain.push(rotation);
            }
        }
    }
}

/// A value, split into its parts. Nothing is verified.
#[derive(Debug, PartialEq, Eq)]
enum Head<'a> {
    Record { version: u64, signature: &'a [u8; 64], content: Content<'a> },
    Withdrawn,
    Moved { to: &'a [u8; 32], signatures: [[u8; 64]; 2] },
}

#[derive(Debug, PartialEq, Eq)]
enum Content<'a> {
    Text(&'a [u8]),
    Parts(&'a [[u8; 32]]),
}

impl<'a> Head<'a> {
    fn parse(value: &'a [u8]) -> Option<Self> {
        let (kind, rest) = value.strip_prefix(MAGIC)?.split_first()?;
        if *kind == WITHDRAWN {
            return rest.is_empty().then_some(Self::Withdrawn);
        }
        if *kind == MOVED {
            let (to, signatures) = rest.split_first_chunk()?;
            let ([old, new], []) = signatures.as_chunks() else { return None };
            return Some(Self::Moved { to, signatures: [*old, *new] });
        }
        let (version, rest) = rest.split_first_chunk()?;
        let (signature, rest) = rest.split_first_chunk()?;
        let content = match *kind {
            WHOLE => Content::Text(rest),
            IN_PARTS => match rest.as_chunks() {
                (hashes, []) if (1..=MAX_PARTS).contains(&hashes.len()) => Content::Parts(hashes),
                _ => return None,
            },
            _ => return None,
        };
        Some(Self::Record { version: u64::from_le_bytes(*version), signature, content })
    }
}

/// Returns a value, and the parts of a text that does not fit into it.
fn encode(what: &Published) -> (Vec<u8>, std::slice::Chunks<'_, u8>) {
    let mut value = MAGIC.to_vec();
    let record = match what {
        Published::Record(record) => record,
        Published::Withdrawn => {
            value.push(WITHDRAWN);
            return (value, [].chunks(PART));
        }
        Published::Moved(rotation) => {
            let raw = rotation.raw();
            value.push(MOVED);
            value.extend_from_slice(raw.to.as_bytes());
            value.extend_from_slice(&raw.from_signature);
            value.extend_from_slice(&raw.to_signature);
            return (value, [].chunks(PART));
        }
    };
    let text = record.profile().text().as_bytes();
    let is_whole = text.len() <= MAX_WHOLE;
    value.push(if is_whole { WHOLE } else { IN_PARTS });
    value.extend_from_slice(&record.version().to_le_bytes());
    value.extend_from_slice(record.signature());
    if is_whole {
        value.extend_from_slice(text);
        return (value, [].chunks(PART));
    }
    let parts = text.chunks(PART);
    for part in parts.clone() {
        value.extend_from_slice(&crate::wire::hash::hash(&[part]));
    }
    (value, parts)
}

/// How every value begins.
const MAGIC: &[u8] = b"hyperprofile";
const WHOLE: u8 = 1;
const IN_PARTS: u8 = 2;
const WITHDRAWN: u8 = 3;
const MOVED: u8 = 4;
/// Longest text that is in the value itself, which has 1,775 bytes at most.
const MAX_WHOLE: usize = 1600;
/// Bytes of a part; an immutable value has 1,850 at most.
const PART: usize = 1800;
/// Most parts of a text.
const MAX_PARTS: usize = MAX_PROFILE_BYTES.div_ceil(PART);

#[cfg(test)]
mod tests {
    use super::super::content::{Profile, ProfileDraft};
    use super::*;
    use crate::Testnet;

    fn ada() -> KeyPair {
        KeyPair::from_seed(&[1; 32])
    }

    /// A record whose text has at least `length` bytes.
    fn record(version: u64, length: usize) -> Record {
        let mut draft = ProfileDraft { name: "Ada".into(), ..ProfileDraft::default() };
        for n in 0..length / 1000 {
            // Numbers, so that no two parts are alike.
            let value = (0..).map(|m| format!("{n} {m} ")).take(200).collect::<String>();
            draft.fields.insert(format!("field {n}"), value.chars().take(1000).collect());
        }
        let profile: Profile = draft.check().unwrap();
        Record::sign(&ada(), version, profile)
    }

    #[tokio::test]
    async fn what_is_published_is_found_until_it_is_withdrawn() {
        let network = Testnet::new(4).await.unwrap();
        let [owner, reader] = [&network.nodes()[1], &network.nodes()[2]];
        let key = *ada().public_key();
        assert_eq!(find(reader, &key).await.unwrap(), None);
        for (version, length) in [(1, 0), (2, 7500), (3, 0)] {
            let record = Published::Record(record(version, length));
            // Published again, the value stays the same.
            for _ in 0..2 {
                assert!(publish(owner, &ada(), &record, false).await.unwrap().nodes > 0);
                assert_eq!(find(reader, &key).await.unwrap().as_ref(), Some(&record));
            }
            assert_eq!(reader.mutable_get(&key).await.unwrap().unwrap().seq, version);
        }
        publish(owner, &ada(), &Published::Withdrawn, false).await.unwrap();
        assert_eq!(find(reader, &key).await.unwrap(), Some(Published::Withdrawn));
    }

    #[tokio::test]
    async fn a_key_that_was_replaced_leads_to_the_new_one() {
        let network = Testnet::new(4).await.unwrap();
        let [owner, reader] = [&network.nodes()[1], &network.nodes()[2]];
        let pairs = [1, 2, 3].map(|seed| KeyPair::from_seed(&[seed; 32]));
        let [one, two, three] = &pairs;
        let old = Published::Record(record(4, 0));
        publish(owner, one, &old, false).await.unwrap();
        let chain = [Rotation::sign(one, two), Rotation::sign(two, three)];
        for (from, rotation) in [(one, &chain[0]), (two, &chain[1])] {
            publish(owner, from, &Published::Moved(rotation.clone()), false).await.unwrap();
        }
        assert_eq!(follow(reader, one.public_key()).await.unwrap(), None);
        let new = Record::sign(three, 1, record(4, 0).profile().clone());
        publish(owner, three, &Published::Record(new.clone()), false).await.unwrap();
        let found = follow(reader, one.public_key()).await.unwrap();
        assert_eq!(found, Some((new.clone(), chain.to_vec())));
        assert_eq!(follow(reader, three.public_key()).await.unwrap(), Some((new, vec![])));
        // A statement of which one signature is wrong, and a circle.
        let mut forged = encode(&Published::Moved(chain[0].clone())).0;
        *forged.last_mut().unwrap() ^= 1;
        owner.mutable_put(one, 9, &forged).await.unwrap();
        let found = follow(reader, one.public_key()).await;
        assert!(matches!(found, Err(FindError::Statement(RotationError::Signature))), "{found:?}");
        for (from, to) in [(one, two), (two, one)] {
            let (value, _) = encode(&Published::Moved(Rotation::sign(from, to)));
            owner.mutable_put(from, 10, &value).await.unwrap();
        }
        let found = follow(reader, one.public_key()).await;
        assert!(matches!(found, Err(FindError::Statement(RotationError::Long))), "{found:?}");
    }

    #[tokio::test]
    async fn nothing_is_replaced_unknowingly() {
        let network = Testnet::new(3).await.unwrap();
        let dht = &network.nodes()[0];
        dht.mutable_put(ada(), 7, b"my own").await.unwrap();
        let [old, new] = [4, 5].map(|version| Published::Record(record(version, 0)));
        let refused = publish(dht, &ada(), &new, false).await;
        assert!(matches!(refused, Err(PublishError::Foreign { seq: 7 })), "{refused:?}");
        assert!(matches!(find(dht, ada().public_key()).await, Err(FindError::Foreign)));
        publish(dht, &ada(), &new, true).await.unwrap();
        let refused = publish(dht, &ada(), &old, true).await;
        assert!(matches!(refused, Err(PublishError::Newer { version: 5 })), "{refused:?}");
        assert_eq!(find(dht, ada().public_key()).await.unwrap(), Some(new));
    }

    #[tokio::test]
    async fn a_value_that_is_no_whole_record_of_its_key_is_refused() {
        let network = Testnet::new(3).await.unwrap();
        let dht = &network.nodes()[0];
        let key = *ada().public_key();
        let (whole, _) = encode(&Published::Record(record(2, 0)));
        let mut forged = whole.clone();
        *forged.last_mut().unwrap() = b' ';
        let mut older = whole.clone();
        older[MAGIC.len() + 1] = 1;
        let eve = KeyPair::from_seed(&[6; 32]);
        let foreign = Record::sign(&eve, 2, record(2, 0).profile().clone());
        let (foreign, _) = encode(&Published::Record(foreign));
        for (seq, value) in (0..).zip([forged, older, foreign]) {
            dht.mutable_put(ada(), seq, &value).await.unwrap();
            let found = find(dht, &key).await;
            assert!(matches!(found, Err(FindError::Invalid(_))), "{seq}: {found:?}");
        }
        let long = Published::Record(record(2, 3000));
        let (value, parts) = encode(&long);
        for part in parts.skip(1) {
            dht.immutable_put(part).await.unwrap();
        }
        dht.mutable_put(ada(), 9, &value).await.unwrap();
        let found = find(dht, &key).await;
        assert!(matches!(found, Err(FindError::Incomplete)), "{found:?}");
    }

    #[test]
    fn only_what_was_encoded_is_parsed() {
        let moved = Published::Moved(Rotation::sign(&ada(), &KeyPair::from_seed(&[2; 32])));
        let records = [record(1, 0), record(9, 3000)].map(Published::Record);
        for what in [Published::Withdrawn, moved].into_iter().chain(records) {
            let (value, _) = encode(&what);
            assert!(Head::parse(&value).is_some());
            assert_eq!(Head::parse(&[&value[..], &[0]].concat()).is_some(), value[12] == WHOLE);
            for length in 0..value.len().min(MAGIC.len() + 1 + 8 + 64) {
                assert_eq!(Head::parse(&value[..length]), None);
            }
        }
        let head = [MAGIC, &[IN_PARTS], &[0; 72]].concat();
        for parts in 0..10 {
            let value = [&head[..], &[0; 32].repeat(parts)].concat();
            assert_eq!(Head::parse(&value).is_some(), (1..=MAX_PARTS).contains(&parts), "{parts}");
        }
    }
}
