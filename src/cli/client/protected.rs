//! Identity files that a passphrase protects. Pure.
//!
//! The seed is encrypted with XChaCha20-Poly1305 under a key that Argon2id makes from the passphrase. The
//! file says what that costs, and has the public key in the clear, which needs no passphrase. Everything
//! but the secret is its associated data. A checksum shows that a file is damaged: a wrong passphrase is
//! something else.
//!
//! The file has comments, and one line: `HYPERPROFILE-PROTECTED-1`, the public key (z-base-32), memory in
//! KiB, passes, lanes, salt (16 bytes as hexadecimal digits), nonce (24), secret and tag (32 and 16), and
//! the first 4 bytes of BLAKE2b-256 of the values before, with a space between each two.

use std::time::SystemTime;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use data_encoding::HEXLOWER;
use rand::RngCore as _;
use zeroize::Zeroizing;

use crate::api::key_file::{PROTECTED, utc};
use crate::crypto::hash_parts as hash;
use crate::{KeyPair, PublicKey};

/// The content of a protected file.
#[derive(Debug)]
pub(super) struct Protected {
    public_key: PublicKey,
    cost: Cost,
    salt: [u8; 16],
    nonce: [u8; 24],
    sealed: [u8; 32],
    tag: [u8; 16],
}

/// What a guess of the passphrase takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    /// In KiB.
    memory: u32,
    passes: u32,
    lanes: u32,
}

/// Why a protected file does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenError {
    /// The passphrase is another one.
    Passphrase,
    /// The content does not fit together.
    Damaged(&'static str),
}

impl Protected {
    /// Encrypts a key pair.
    pub(super) fn seal(key_pair: &KeyPair, passphrase: &str, cost: Cost) -> Self {
        let (mut salt, mut nonce) = ([0; 16], [0; 24]);
        rand::rngs::OsRng.fill_bytes(&mut salt);
        rand::rngs::OsRng.fill_bytes(&mut nonce);
        let public_key = *key_pair.public_key();
        let mut protected = Self { public_key, cost, salt, nonce, sealed: [0; 32], tag: [0; 16] };
        let key = protected.key(passphrase).expect("the cost of this program is within its bounds");
        let mut seed = Zeroizing::new(*key_pair.seed());
        let tag = XChaCha20Poly1305::new((&*key).into())
            .encrypt_inout_detached(&XNonce::from(nonce), &protected.associated(), (&mut seed[..]).into())
            .expect("a seed is far shorter than the cipher's limit");
        // It is a ciphertext by now.
        protected.sealed = *seed;
        protected.tag = tag.into();
        protected
    }

    /// Returns the key that the file is of.
    pub(super) const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Decrypts the key pair. Takes as long as the cost says.
    pub(super) fn open(&self, passphrase: &str) -> Result<KeyPair, OpenError> {
        let key = self.key(passphrase).ok_or(OpenError::Damaged(BOUNDS))?;
        let mut seed = Zeroizing::new(self.sealed);
        XChaCha20Poly1305::new((&*key).into())
            .decrypt_inout_detached(
                &XNonce::from(self.nonce),
                &self.associated(),
                (&mut seed[..]).into(),
                &Tag::from(self.tag),
            )
            .map_err(|_| OpenError::Passphrase)?;
        let key_pair = KeyPair::from_seed(&seed);
        match *key_pair.public_key() == self.public_key {
            true => Ok(key_pair),
            false => Err(OpenError::Damaged("its public key is another one's")),
        }
    }

    /// Returns the content of the file.
    pub(super) fn render(&self) -> String {
        let values = self.values();
        format!(
            "# The secret key of an identity, encrypted with a passphrase. Only profile-client reads it.\n\
             # Without the passphrase it is lost: keep it on paper too, see profile-client identity words.\n\
             # written: {}\n\
             {PROTECTED}{values} {}\n",
            utc(SystemTime::now()),
            sum(&values)
        )
    }

    /// Reads the content of a file; the error names what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        let mut lines = lines.filter_map(|line| line.trim_end().strip_prefix(PROTECTED));
        let (values, found) = lines.next().and_then(|line| line.rsplit_once(' ')).ok_or(FORMAT)?;
        if lines.next().is_some() {
            return Err("it has more than one line beside comments");
        }
        if sum(values) != found {
            return Err("its checksum is wrong");
        }
        let values: Vec<_> = values.split(' ').collect();
        let [key, memory, passes, lanes, salt, nonce, secret] = values[..] else { return Err(FORMAT) };
        let number = |text: &str, most: u32| {
            let number = text.parse().ok().filter(|number| (1..=most).contains(number));
            number.ok_or(BOUNDS)
        };
        let secret: [u8; 48] = bytes(secret)?;
        let (sealed, tag) = secret.split_first_chunk().ok_or(FORMAT)?;
        Ok(Self {
            public_key: key.parse().map_err(|_| FORMAT)?,
            cost: Cost {
                memory: number(memory, MAX_MEMORY)?,
                passes: number(passes, MAX_PASSES)?,
                lanes: number(lanes, MAX_LANES)?,
            },
            salt: bytes(salt)?,
            nonce: bytes(nonce)?,
            sealed: *sealed,
            tag: tag.try_into().map_err(|_| FORMAT)?,
        })
    }

    fn values(&self) -> String {
        let secret = [&self.sealed[..], &self.tag].concat();
        format!("{} {}", self.head(), HEXLOWER.encode(&secret))
    }

    fn head(&self) -> String {
        let Cost { memory, passes, lanes } = self.cost;
        let (salt, nonce) = (HEXLOWER.encode(&self.salt), HEXLOWER.encode(&self.nonce));
        format!("{} {memory} {passes} {lanes} {salt} {nonce}", self.public_key)
    }

    fn associated(&self) -> Vec<u8> {
        format!("{PROTECTED}{}", self.head()).into_bytes()
    }

    fn key(&self, passphrase: &str) -> Option<Zeroizing<[u8; 32]>> {
        let Cost { memory, passes, lanes } = self.cost;
        let params = Params::new(memory, passes, lanes, Some(32)).ok()?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &self.salt, &mut *key)
            .ok()?;
        Some(key)
    }
}

fn sum(values: &str) -> String {
    HEXLOWER.encode(&hash(&[values.as_bytes()])[..4])
}

fn bytes<const N: usize>(text: &str) -> Result<[u8; N], &'static str> {
    HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(FORMAT)
}

/// About 0.15 s on a computer of 2024: 64 MiB, three times.
pub(super) const COST: Cost = Cost { memory: 64 << 10, passes: 3, lanes: 1 };

const FORMAT: &str = "it is not as this program writes it";
const BOUNDS: &str = "opening it would take more than this program spends on a passphrase";
/// Most memory that opening a file takes, in KiB: 1 GiB.
const MAX_MEMORY: u32 = 1 << 20;
/// Most passes over that memory.
const MAX_PASSES: u32 = 10;
/// Most lanes.
const MAX_LANES: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory: 8, passes: 1, lanes: 1 };

    /// The vector of RFC 9106, section 5.3.
    #[test]
    fn argon2id_is_that_of_the_rfc() {
        let data = argon2::AssociatedData::new(&[4; 12]).unwrap();
        let params = argon2::ParamsBuilder::new().m_cost(32).t_cost(3).p_cost(4).data(data).build().unwrap();
        let argon2 = Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params).unwrap();
        let mut tag = [0; 32];
        argon2.hash_password_into(&[1; 32], &[2; 16], &mut tag).unwrap();
        assert_eq!(HEXLOWER.encode(&tag), "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
    }

    #[test]
    fn a_protected_key_pair_opens_with_its_passphrase_alone() {
        let key_pair = KeyPair::from_seed(&[7; 32]);
        let text = Protected::seal(&key_pair, "correct horse", CHEAP).render();
        assert!(!text.contains(&HEXLOWER.encode(&[7; 32])));
        let protected = Protected::parse(&text).unwrap();
        assert_eq!(protected.public_key(), key_pair.public_key());
        assert_eq!(protected.open("correct horse").unwrap(), key_pair);
        for wrong in ["", "correct hors", "Correct horse", "correct horse "] {
            assert_eq!(protected.open(wrong).unwrap_err(), OpenError::Passphrase, "{wrong:?}");
        }
        let again = Protected::seal(&key_pair, "correct horse", CHEAP).render();
        assert_ne!(text.lines().last(), again.lines().last(), "salt and nonce are new each time");
    }

    #[test]
    fn a_damaged_file_is_not_taken_for_a_wrong_passphrase() {
        let text = Protected::seal(&KeyPair::from_seed(&[7; 32]), "correct horse", CHEAP).render();
        let line = text.lines().last().unwrap();
        for at in 0..line.len() {
            let mut damaged = line.as_bytes().to_vec();
            damaged[at] ^= 1;
            let damaged = String::from_utf8(damaged).unwrap();
            assert!(Protected::parse(&damaged).is_err(), "{at}");
            assert!(Protected::parse(&line[..at]).is_err(), "cut at {at}");
        }
        assert!(Protected::parse(&format!("{line}\n{line}")).is_err());
        assert!(Protected::parse("").is_err());
    }

    #[test]
    fn no_file_makes_the_program_work_without_bound() {
        let key_pair = KeyPair::from_seed(&[7; 32]);
        let protected = Protected::seal(&key_pair, "correct horse", CHEAP);
        for (cost, is_read) in [
            (Cost { memory: MAX_MEMORY, passes: MAX_PASSES, lanes: MAX_LANES }, true),
            (Cost { memory: MAX_MEMORY + 1, ..CHEAP }, false),
            (Cost { passes: MAX_PASSES + 1, ..CHEAP }, false),
            (Cost { lanes: MAX_LANES + 1, ..CHEAP }, false),
            (Cost { passes: 0, ..CHEAP }, false),
        ] {
            let text = Protected { cost, ..Protected::parse(&protected.render()).unwrap() }.render();
            let read = Protected::parse(&text);
            assert_eq!(read.as_ref().err(), (!is_read).then_some(&BOUNDS), "{cost:?}");
        }
        // Less memory than Argon2 needs for its lanes.
        let cost = Cost { memory: 1, ..CHEAP };
        let text = Protected { cost, ..Protected::parse(&protected.render()).unwrap() }.render();
        let opened = Protected::parse(&text).unwrap().open("correct horse");
        assert_eq!(opened.unwrap_err(), OpenError::Damaged(BOUNDS));
    }

    #[test]
    fn the_public_key_cannot_be_replaced() {
        let text = Protected::seal(&KeyPair::from_seed(&[7; 32]), "correct horse", CHEAP).render();
        let mut protected = Protected::parse(&text).unwrap();
        protected.public_key = *KeyPair::from_seed(&[8; 32]).public_key();
        let forged = Protected::parse(&protected.render()).unwrap();
        assert_eq!(forged.open("correct horse").unwrap_err(), OpenError::Passphrase);
    }
}
