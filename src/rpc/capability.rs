//! A secret that both sides prove to know before they call each other.
//!
//! The handshake of the channel is a varuint of flags, with bit 0 for what follows: the hash, keyed with the
//! hash of the connection's handshake, of a namespace, a byte that is 1 for the side that has dialled, and
//! the secret (npm `hyperswarm-capability` index.js). It says nothing about the secret, and is of no use on
//! another connection.

use std::fmt;

use bytes::Bytes;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::api::Connection;
use crate::wire::hash::{keyed_hash, namespace};

#[derive(Clone)]
pub(super) struct Capability {
    secret: Zeroizing<[u8; 32]>,
}

/// What the peer must have sent with its opening.
#[derive(Clone)]
pub(super) struct Expected([u8; HANDSHAKE]);

impl Capability {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self { secret: Zeroizing::new(*secret) }
    }

    /// Returns the own handshake, and that of a peer that knows the secret.
    pub(super) fn handshakes(&self, connection: &Connection) -> (Bytes, Expected) {
        let (hash, is_initiator) = (connection.handshake_hash(), connection.is_initiator());
        let own = Bytes::copy_from_slice(&self.handshake(&hash, is_initiator));
        (own, Expected(self.handshake(&hash, !is_initiator)))
    }

    fn handshake(&self, hash: &[u8; 64], is_initiator: bool) -> [u8; HANDSHAKE] {
        let namespace = namespace("hyperswarm-capability", 0);
        let proof = keyed_hash(hash, &[&namespace, &[u8::from(is_initiator)], &self.secret[..]]);
        let mut handshake = [1; HANDSHAKE];
        handshake[1..].copy_from_slice(&proof);
        handshake
    }
}

impl Expected {
    pub(super) fn is(&self, handshake: &[u8]) -> bool {
        // The length is no secret.
        handshake.get(..HANDSHAKE).is_some_and(|sent| self.0.ct_eq(sent).into())
    }
}

impl fmt::Debug for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capability").finish_non_exhaustive()
    }
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expected").finish_non_exhaustive()
    }
}

/// Length of a handshake: the flags and a hash.
const HANDSHAKE: usize = 33;

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    /// Printed by hyperswarm-capability: `new Cap().capability(isInitiator, Buffer.alloc(32, 1),
    /// Buffer.alloc(64, 2))`.
    #[test]
    fn the_proof_is_that_of_the_reference() {
        let capability = Capability::new(&[1; 32]);
        let of = |is_initiator| HEXLOWER.encode(&capability.handshake(&[2; 64], is_initiator)[1..]);
        assert_eq!(of(true), "ed0bd9988a51dbe68ce70f81bcb956c27a9404e472766985052fdebbd6b1cabc");
        assert_eq!(of(false), "be9ec232807616c197c3402c38bcde98f5b0cf111142329488de50d1522791e8");
        let expected = Expected(capability.handshake(&[2; 64], true));
        let sent = capability.handshake(&[2; 64], true);
        assert!(expected.is(&sent) && !expected.is(&sent[..32]) && !expected.is(&[]));
        assert!(!expected.is(&capability.handshake(&[2; 64], false)));
        assert!(!format!("{capability:?} {expected:?}").contains("1, 1"));
    }
}
