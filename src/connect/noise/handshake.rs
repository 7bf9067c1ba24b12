//! The two sides of a handshake and what they come to.

use std::fmt;
use std::sync::LazyLock;

use snow::params::{
    BaseChoice, CipherChoice, DHChoice, HandshakeChoice, HandshakeModifierList, HandshakePattern, HashChoice,
    NoiseParams,
};
use snow::{Builder, HandshakeState};
use zeroize::Zeroizing;

use super::dh::{Resolver, Secret, Shared, private_key};
use crate::identity::Identity;
use crate::keys::PublicKey;
use crate::secret_stream::Keys;
use crate::wire::compact::{Decode, DecodeError, Encode};
use crate::wire::handshake::NoisePayload;
use crate::wire::hash;

const PROTOCOL_NAME: &str = "Noise_IK_Ed25519_ChaChaPoly_BLAKE2b";

/// By how much message 1 is longer than its payload.
const OVERHEAD_1: usize = 32 + 48 + 16;

/// By how much message 2 is longer than its payload.
const OVERHEAD_2: usize = 32 + 16;

static NS_PEER_HANDSHAKE: LazyLock<[u8; 32]> = LazyLock::new(|| hash::dht_namespace(0));
static NS_PEER_HOLEPUNCH: LazyLock<[u8; 32]> = LazyLock::new(|| hash::dht_namespace(1));

/// Why a handshake message was not written or not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoiseError {
    /// A part of the message failed its authentication: it is damaged, forged, or meant for another handshake
    /// or key.
    #[error("the handshake message failed its authentication")]
    Authentication,
    /// The handshake has already read its last message.
    #[error("the handshake is over")]
    Finished,
    /// The message is shorter than its keys and tags, or longer than the 65535 bytes that Noise allows.
    #[error("the length of the handshake message is impossible")]
    Length,
    /// The message is authentic, yet its payload cannot be decoded.
    #[error("the payload of the handshake message cannot be decoded: {0}")]
    Payload(#[from] DecodeError),
    /// The key is kept elsewhere, and has to multiply this point first.
    #[error("the handshake waits for the signer")]
    Wants([u8; 32]),
    /// The signer has not done that.
    #[error("the signer has not answered")]
    Signer,
    /// A public key is not a usable point of the curve.
    #[error("a key in the handshake is not a usable point")]
    Point,
}

impl From<snow::Error> for NoiseError {
    fn from(error: snow::Error) -> Self {
        match error {
            snow::Error::Decrypt => Self::Authentication,
            snow::Error::Dh => Self::Point,
            snow::Error::State(_) => Self::Finished,
            _ => Self::Length,
        }
    }
}

/// What a handshake comes to: secrets that only the two peers have.
#[derive(Clone)]
pub struct Session {
    /// The keys of the encrypted stream.
    pub keys: Keys,
    /// The key of the messages that prepare a holepunch.
    pub holepunch_secret: Zeroizing<[u8; 32]>,
    /// The key that this side has used.
    pub own_key: PublicKey,
    /// The peer: proven if it is the server, claimed if it is the client.
    pub remote_public_key: PublicKey,
}

impl Session {
    fn new(state: &mut HandshakeState, own_key: PublicKey, remote_public_key: PublicKey) -> Self {
        let is_initiator = state.is_initiator();
        let (first, second) = state.dangerously_get_raw_split();
        let (first, second) = (Zeroizing::new(first), Zeroizing::new(second));
        let (tx, rx) = if is_initiator { (&*first, &*second) } else { (&*second, &*first) };
        let handshake_hash: &[u8; 64] =
            state.get_handshake_hash().try_into().expect("BLAKE2b-512 has 64 bytes of output");
        Self {
            holepunch_secret: Zeroizing::new(hash::keyed_hash(handshake_hash, &[&*NS_PEER_HOLEPUNCH])),
            keys: Keys::new(tx, rx, handshake_hash, is_initiator),
            own_key,
            remote_public_key,
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("keys", &self.keys)
            .field("remote_public_key", &self.remote_public_key)
            .finish_non_exhaustive()
    }
}

/// The dialling side, after it has written message 1.
pub struct Initiator {
    state: HandshakeState,
    shared: Shared,
    secret: Secret,
    remote: PublicKey,
}

impl Initiator {
    /// Writes message 1 to the holder of `remote`.
    ///
    /// `ephemeral_seed` must come from a secure source and be used for nothing else. One connection has one
    /// message 1, whatever the number of ways it is sent.
    ///
    /// # Errors
    ///
    /// [`NoiseError::Point`] if `remote` is no usable key, [`NoiseError::Length`] if the payload is too long,
    /// [`NoiseError::Wants`] if a signer has to answer first.
    pub fn start(
        secret: impl Into<Secret>,
        remote: &PublicKey,
        ephemeral_seed: [u8; 32],
        payload: &NoisePayload,
    ) -> Result<(Self, Vec<u8>), NoiseError> {
        let (secret, shared) = (secret.into(), Shared::default());
        shared.set_seed(ephemeral_seed);
        shared.set_secret(&secret);
        let mut state = handshake(secret.identity(), Some(remote), shared.clone());
        let message = write(&mut state, payload, OVERHEAD_1).map_err(|error| wanted(&shared, error))?;
        Ok((Self { state, shared, secret, remote: *remote }, message))
    }

    /// Reads message 2. A message that is refused leaves everything as it was, so that a forged answer spoils
    /// nothing.
    ///
    /// # Errors
    ///
    /// Any [`NoiseError`]; after [`NoiseError::Payload`], which only the peer itself can cause, the handshake
    /// is over. After [`NoiseError::Wants`] the same message is read again with what was wanted.
    pub fn finish(&mut self, message: &[u8]) -> Result<(NoisePayload, Session), NoiseError> {
        self.shared.set_secret(&self.secret);
        let read = read(&mut self.state, message, OVERHEAD_2);
        let payload = read.map_err(|error| wanted(&self.shared, error))?;
        Ok((payload, Session::new(&mut self.state, *self.secret.identity().public_key(), self.remote)))
    }

    /// Returns the own key.
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Returns the own key, to add what its signer has answered.
    pub const fn secret_mut(&mut self) -> &mut Secret {
        &mut self.secret
    }
}

impl fmt::Debug for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Initiator").field("remote", &self.remote).finish_non_exhaustive()
    }
}

/// The side that was dialled, after it has read message 1.
pub struct Responder {
    state: HandshakeState,
    shared: Shared,
    own_key: PublicKey,
    remote: PublicKey,
}

impl Responder {
    /// Reads message 1, sent to the holder of `secret`.
    ///
    /// # Errors
    ///
    /// Any [`NoiseError`] but [`NoiseError::Finished`]; [`NoiseError::Wants`] if a signer has to answer
    /// first.
    pub fn read(secret: impl Into<Secret>, message: &[u8]) -> Result<(Self, NoisePayload), NoiseError> {
        let (secret, shared) = (secret.into(), Shared::default());
        shared.set_secret(&secret);
        let mut state = handshake(secret.identity(), None, shared.clone());
        let payload = read(&mut state, message, OVERHEAD_1).map_err(|error| wanted(&shared, error))?;
        let remote = state
            .get_remote_static()
            .and_then(|key| key.try_into().ok())
            .map(PublicKey::from_bytes)
            .expect("message 1 holds the client's key");
        let responder = Self { state, shared, own_key: *secret.identity().public_key(), remote };
        Ok((responder, payload))
    }

    /// Writes message 2. One message 1 has one message 2: a repeated one is answered with the same bytes.
    ///
    /// `ephemeral_seed` must come from a secure source and be used for nothing else.
    ///
    /// # Errors
    ///
    /// [`NoiseError::Length`] if the payload is too long.
    pub fn write(
        mut self,
        ephemeral_seed: [u8; 32],
        payload: &NoisePayload,
    ) -> Result<(Vec<u8>, Session), NoiseError> {
        self.shared.set_seed(ephemeral_seed);
        let message = write(&mut self.state, payload, OVERHEAD_2)?;
        Ok((message, Session::new(&mut self.state, self.own_key, self.remote)))
    }

    /// Returns the key that the client claims.
    pub const fn remote_public_key(&self) -> &PublicKey {
        &self.remote
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("remote", &self.remote).finish_non_exhaustive()
    }
}

/// Starts a handshake: as the initiator if the other side's key is known.
fn handshake(identity: &Identity, remote: Option<&PublicKey>, shared: Shared) -> HandshakeState {
    let params = NoiseParams::new(
        PROTOCOL_NAME.to_owned(),
        BaseChoice::Noise,
        HandshakeChoice {
            pattern: HandshakePattern::IK,
            modifiers: HandshakeModifierList { list: Vec::new() },
        },
        // A placeholder: the resolver knows one Diffie-Hellman only, and only the name enters the hash.
        DHChoice::Curve25519,
        CipherChoice::ChaChaPoly,
        HashChoice::Blake2b,
    );
    let private = private_key(identity);
    let builder = Builder::with_resolver(params, Box::new(Resolver(shared)))
        .local_private_key(&*private)
        .and_then(|builder| builder.prologue(&*NS_PEER_HANDSHAKE));
    match remote {
        Some(remote) => builder
            .and_then(|builder| builder.remote_public_key(remote.as_bytes()))
            .and_then(Builder::build_initiator),
        None => builder.and_then(Builder::build_responder),
    }
    .expect("the parameters are complete and each is set once")
}

/// Returns why a handshake has stopped: where a signer has to answer first, snow only knows that it failed.
fn wanted(shared: &Shared, error: NoiseError) -> NoiseError {
    shared.take_wanted().map_or(error, NoiseError::Wants)
}

fn write(state: &mut HandshakeState, payload: &NoisePayload, overhead: usize) -> Result<Vec<u8>, NoiseError> {
    write_bytes(state, &payload.to_bytes(), overhead)
}

fn write_bytes(state: &mut HandshakeState, payload: &[u8], overhead: usize) -> Result<Vec<u8>, NoiseError> {
    let mut message = vec![0; payload.len() + overhead];
    let length = state.write_message(payload, &mut message)?;
    message.truncate(length);
    Ok(message)
}

fn read(state: &mut HandshakeState, message: &[u8], overhead: usize) -> Result<NoisePayload, NoiseError> {
    let length = message.len().checked_sub(overhead).ok_or(NoiseError::Length)?;
    let mut payload = vec![0; length];
    state.read_message(message, &mut payload)?;
    Ok(NoisePayload::from_bytes(&payload)?)
}

/// Writes message 1 with a payload that need not be one.
#[cfg(test)]
pub(super) fn message_1(
    identity: impl Into<Identity>,
    remote: &PublicKey,
    ephemeral_seed: [u8; 32],
    payload: &[u8],
) -> Vec<u8> {
    let shared = Shared::default();
    shared.set_seed(ephemeral_seed);
    let mut state = handshake(&identity.into(), Some(remote), shared);
    write_bytes(&mut state, payload, OVERHEAD_1).expect("the payload is short")
}
