//! The hashes of the protocol: BLAKE2b, unkeyed and keyed, and the namespaces derived from it.

use blake2::digest::consts::U32;
use blake2::digest::{Digest, FixedOutput, KeyInit, Update};
use blake2::{Blake2b, Blake2bMac};

/// Hashes the concatenation of `parts` with BLAKE2b parameterised for 32 bytes of output.
pub fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut state = Blake2b::<U32>::new();
    for part in parts {
        Update::update(&mut state, part);
    }
    state.finalize_fixed().into()
}

/// Hashes the concatenation of `parts` with keyed BLAKE2b and 32 bytes of output.
///
/// # Panics
///
/// Panics if `key` is longer than 64 bytes, the most that BLAKE2b takes.
pub fn keyed_hash(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut state = <Blake2bMac<U32> as KeyInit>::new_from_slice(key)
        .expect("keys of this protocol have at most 64 bytes");
    for part in parts {
        Update::update(&mut state, part);
    }
    state.finalize_fixed().into()
}

/// Returns the namespace `hash(hash(name) ‖ index)`, as hypercore-crypto derives it.
pub fn namespace(name: &str, index: u8) -> [u8; 32] {
    hash(&[&hash(&[name.as_bytes()]), &[index]])
}

/// Returns the namespace of a HyperDHT command.
pub fn dht_namespace(command: u8) -> [u8; 32] {
    namespace("hyperswarm/dht", command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    #[test]
    fn namespaces_are_those_of_the_specification() {
        assert_eq!(
            HEXLOWER.encode(&dht_namespace(0)),
            "14d6d4b49214ab1033ed204976caa258bae9e1e8543b9ad1fd996a910b0c4e3a"
        );
        assert_eq!(
            HEXLOWER.encode(&namespace("hyperswarm/secret-stream", 2)),
            "aab97d097471f56651b0460ffc8aaa7d3342f7377597d60b925a1dac689adcbf"
        );
    }
}
