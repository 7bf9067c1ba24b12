//! BLAKE2b-256 of what programs of the Hypercore family hash, and random bytes.

use rand::RngCore as _;

use crate::wire::hash as blake2b;

/// Hashes bytes with BLAKE2b-256, unkeyed.
pub fn hash(data: impl AsRef<[u8]>) -> [u8; 32] {
    blake2b::hash(&[data.as_ref()])
}

/// Hashes several parts as if they were one: borders between them do not count.
pub fn hash_parts(parts: &[&[u8]]) -> [u8; 32] {
    blake2b::hash(parts)
}

/// Hashes bytes with BLAKE2b-256 under a key.
pub fn keyed_hash(key: &[u8; 32], data: impl AsRef<[u8]>) -> [u8; 32] {
    blake2b::keyed_hash(key, &[data.as_ref()])
}

/// Returns the discovery key of a public key: peers that know the public key meet under it, and others do not
/// learn the public key from it.
///
/// It is the hash of `hypercore` under the public key.
pub fn discovery_key(public_key: &[u8; 32]) -> [u8; 32] {
    keyed_hash(public_key, "hypercore")
}

/// Returns namespaces of a protocol, one for each id: hashes and signatures that begin with different
/// namespaces do not pass for each other.
///
/// A namespace is `hash(hash(name) ‖ id)`. The ids of `namespace(name, 3)` in JavaScript are `0..3`.
///
/// ```
/// let [open, close] = hyperprofile::crypto::namespace("example/protocol", 0..2)[..] else {
///     unreachable!("there is one for each id");
/// };
/// assert_ne!(open, close);
/// ```
pub fn namespace(name: impl AsRef<[u8]>, ids: impl IntoIterator<Item = u8>) -> Vec<[u8; 32]> {
    let name = hash(name);
    ids.into_iter().map(|id| blake2b::hash(&[&name, &[id]])).collect()
}

/// A node of a Merkle tree, as Hypercore numbers them: leaves have even indices, parents the odd ones
/// between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TreeNode {
    /// Its number in the flat tree.
    pub index: u64,
    /// The bytes of all data below it.
    pub size: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// Hashes the data of a leaf.
pub fn data(data: impl AsRef<[u8]>) -> [u8; 32] {
    let data = data.as_ref();
    blake2b::hash(&[LEAF, &(data.len() as u64).to_le_bytes(), data])
}

/// Hashes two siblings into their parent's hash, in either order: the one with the lower index comes first.
///
/// The sizes are added modulo 2^64; JavaScript adds them exactly up to 2^53 only.
pub fn parent(a: &TreeNode, b: &TreeNode) -> [u8; 32] {
    let (left, right) = if a.index > b.index { (b, a) } else { (a, b) };
    let size = left.size.wrapping_add(right.size);
    blake2b::hash(&[PARENT, &size.to_le_bytes(), &left.hash, &right.hash])
}

/// Hashes the roots of a tree, in order, into the hash that a Hypercore signs.
pub fn tree(roots: &[TreeNode]) -> [u8; 32] {
    let mut bytes = ROOT.to_vec();
    for root in roots {
        bytes.extend(root.hash);
        bytes.extend(root.index.to_le_bytes());
        bytes.extend(root.size.to_le_bytes());
    }
    blake2b::hash(&[&bytes])
}

/// Returns bytes from the system's randomness, fit for keys.
///
/// # Panics
///
/// Panics if the system has no randomness to give.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rngs::OsRng.fill_bytes(&mut bytes);
    bytes
}

// What a hash in a tree begins with, so that a leaf does not pass for a parent (`hypercore-crypto index.js`).
const LEAF: &[u8] = &[0];
const PARENT: &[u8] = &[1];
const ROOT: &[u8] = &[2];
