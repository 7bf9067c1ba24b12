//! Diffie-Hellman over Edwards points, and the resolver that makes snow use it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};
use zeroize::{Zeroize, Zeroizing};

use super::primitives::{Blake2b, ChaChaPoly};
use crate::identity::Identity;
use crate::keys::{KeyPair, is_canonical};

const KEY_LEN: usize = 32;

/// A private key as snow is given it, with the public key so that it is not derived again: scalar ‖
/// public key.
///
/// The scalar of a key that is kept elsewhere is zero, which that of no key pair is.
pub(super) fn private_key(identity: &Identity) -> Zeroizing<[u8; 2 * KEY_LEN]> {
    let mut private = Zeroizing::new([0; 2 * KEY_LEN]);
    if let Ok(key_pair) = identity.secret() {
        private[..KEY_LEN].copy_from_slice(key_pair.dh_scalar().as_bytes());
    }
    private[KEY_LEN..].copy_from_slice(identity.public_key().as_bytes());
    private
}

/// Multiplies a point that [`check`] let pass; `None` if the result is the identity, which no clamped scalar
/// leads to.
pub(super) fn exchange(scalar: &Scalar, point: &EdwardsPoint) -> Option<[u8; KEY_LEN]> {
    let shared = point * scalar;
    (!shared.is_identity()).then(|| shared.compress().0)
}

/// Decodes a public key, unless libsodium would refuse it: not canonical, not on the curve, of small order or
/// outside the prime-order subgroup.
///
/// Scalars are reduced modulo the order of that subgroup, which is correct for these points only.
pub(super) fn check(bytes: &[u8; KEY_LEN]) -> Option<EdwardsPoint> {
    if !is_canonical(bytes) {
        return None;
    }
    let point = CompressedEdwardsY(*bytes).decompress()?;
    // −1 stands for the order less one, so this is the order times the point. Keys are no secrets: variable
    // time is fine, and a fifth faster.
    let times_order =
        EdwardsPoint::vartime_double_scalar_mul_basepoint(&-Scalar::ONE, &point, &Scalar::ZERO) + point;
    // Of the points with x = 0, which could carry either sign, the identity alone gets here.
    (times_order.is_identity() && !point.is_identity()).then_some(point)
}

/// The own static key, and what its signer has answered if it is kept elsewhere.
#[derive(Clone, Debug)]
pub struct Secret {
    identity: Identity,
    exchanges: Exchanges,
}

/// Points of the peer, and what they come to.
#[derive(Clone, Default)]
struct Exchanges(Vec<([u8; KEY_LEN], Zeroizing<[u8; KEY_LEN]>)>);

impl fmt::Debug for Exchanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Exchanges").field(&self.0.len()).finish()
    }
}

impl<I: Into<Identity>> From<I> for Secret {
    fn from(identity: I) -> Self {
        Self { identity: identity.into(), exchanges: Exchanges::default() }
    }
}

impl Secret {
    /// Returns whose key it is.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Adds what a point comes to, as [`NoiseError::Wants`](super::NoiseError::Wants) asks for it.
    pub fn add(&mut self, point: [u8; KEY_LEN], shared: [u8; KEY_LEN]) {
        self.exchanges.0.push((point, Zeroizing::new(shared)));
    }
}

impl Exchanges {
    fn get(&self, point: &[u8; KEY_LEN]) -> Option<[u8; KEY_LEN]> {
        self.0.iter().find(|(known, _)| known == point).map(|(_, shared)| **shared)
    }
}

/// What the parts that snow owns share with the handshake that owns snow.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<SharedState>>);

#[derive(Default)]
struct SharedState {
    /// What the next ephemeral key is made from.
    seed: Option<Zeroizing<[u8; KEY_LEN]>>,
    /// The peer's static and ephemeral keys; each takes part in two exchanges and is checked for the first.
    checked: [Option<([u8; KEY_LEN], EdwardsPoint)>; 2],
    /// Which of `checked` is overwritten next.
    oldest: usize,
    exchanges: Exchanges,
    /// The point that the handshake could not go on without.
    wanted: Option<[u8; KEY_LEN]>,
}

impl Shared {
    /// Sets the seed of the ephemeral key that is about to be made.
    pub(super) fn set_seed(&self, seed: [u8; KEY_LEN]) {
        self.lock().seed = Some(Zeroizing::new(seed));
    }

    /// Uses what the signer has answered so far.
    pub(super) fn set_secret(&self, secret: &Secret) {
        self.lock().exchanges = secret.exchanges.clone();
    }

    /// Returns the point that the handshake failed for, if it is a signer that has to multiply it.
    pub(super) fn take_wanted(&self) -> Option<[u8; KEY_LEN]> {
        self.lock().wanted.take()
    }

    /// Returns what a signer has answered.
    fn exchanged(&self, point: &[u8; KEY_LEN]) -> Option<[u8; KEY_LEN]> {
        let mut state = self.lock();
        let shared = state.exchanges.get(point);
        if shared.is_none() {
            state.wanted = Some(*point);
        }
        shared
    }

    fn point(&self, bytes: &[u8; KEY_LEN]) -> Option<EdwardsPoint> {
        let mut state = self.lock();
        let known = state.checked.iter().flatten().find(|(key, _)| key == bytes);
        if let Some((_, point)) = known {
            return Some(*point);
        }
        let point = check(bytes)?;
        let slot = state.oldest;
        state.checked[slot] = Some((*bytes, point));
        state.oldest = (slot + 1) % state.checked.len();
        Some(point)
    }

    fn lock(&self) -> MutexGuard<'_, SharedState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands the seed over once; never the same bytes twice.
impl Random for Shared {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        let seed = self.lock().seed.take().ok_or(snow::Error::Rng)?;
        if dest.len() != seed.len() {
            return Err(snow::Error::Rng);
        }
        dest.copy_from_slice(&*seed);
        Ok(())
    }
}

/// Gives snow what it calculates with. It asks for what the name of the handshake says, so there is nothing
/// to choose.
pub(super) struct Resolver(pub(super) Shared);

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(self.0.clone()))
    }

    fn resolve_dh(&self, _: &DHChoice) -> Option<Box<dyn Dh>> {
        Some(Box::new(EdwardsDh { scalar: Scalar::ZERO, private: [0; 2 * KEY_LEN], shared: self.0.clone() }))
    }

    fn resolve_hash(&self, _: &HashChoice) -> Option<Box<dyn Hash>> {
        Some(Box::<Blake2b>::default())
    }

    fn resolve_cipher(&self, _: &CipherChoice) -> Option<Box<dyn Cipher>> {
        Some(Box::<ChaChaPoly>::default())
    }
}

struct EdwardsDh {
    scalar: Scalar,
    /// As [`private_key`] makes it.
    private: [u8; 2 * KEY_LEN],
    shared: Shared,
}

impl Dh for EdwardsDh {
    fn name(&self) -> &'static str {
        "Ed25519"
    }

    fn pub_len(&self) -> usize {
        KEY_LEN
    }

    fn priv_len(&self) -> usize {
        self.private.len()
    }

    fn set(&mut self, private: &[u8]) {
        self.private.copy_from_slice(private);
        let scalar = self.private.first_chunk().expect("the scalar comes first in a private key");
        self.scalar = Scalar::from_bytes_mod_order(*scalar);
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), snow::Error> {
        let mut seed = Zeroizing::new([0; KEY_LEN]);
        rng.try_fill_bytes(&mut *seed)?;
        self.set(&*private_key(&KeyPair::from_seed(&seed).into()));
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.private[KEY_LEN..]
    }

    fn privkey(&self) -> &[u8] {
        &self.private
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        // Both slices are longer than a key: snow's buffers have room for any curve.
        let multiply = |bytes: &[u8; KEY_LEN]| {
            let point = self.shared.point(bytes)?;
            if self.scalar == Scalar::ZERO {
                return self.shared.exchanged(bytes);
            }
            exchange(&self.scalar, &point)
        };
        let shared = public.first_chunk().and_then(multiply).map(Zeroizing::new).ok_or(snow::Error::Dh)?;
        out[..KEY_LEN].copy_from_slice(&*shared);
        Ok(())
    }
}

impl Drop for EdwardsDh {
    fn drop(&mut self) {
        self.scalar.zeroize();
        self.private.zeroize();
    }
}
