//! The handshake: Noise IK over Ed25519 keys, as the HyperDHT speaks it.
//!
//! The name is `Noise_IK_Ed25519_ChaChaPoly_BLAKE2b`. Two messages make a [`Session`]:
//!
//! | message | from | content | length |
//! |---|---|---|---|
//! | 1 | client | ephemeral key (32) ‖ sealed static key (48) ‖ sealed payload | 96 + payload |
//! | 2 | server | ephemeral key (32) ‖ sealed payload | 48 + payload |
//!
//! Message 2 proves the server's key to the client. Message 1 proves nothing about the client, since a host
//! that has recorded it can send it again: its key is a claim until the first frame of the client's stream
//! has decrypted.
//!
//! The Diffie-Hellman of this Noise is not X25519: keys are compressed Edwards points, and so is what two
//! sides share. Points that libsodium would refuse are refused. What costs most is done once per key: a point
//! that was checked is remembered for the other Diffie-Hellman that it takes part in.

mod dh;
mod handshake;
mod primitives;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wycheproof;

pub use dh::Secret;
pub use handshake::{Initiator, NoiseError, Responder, Session};
