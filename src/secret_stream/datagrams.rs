//! Encrypted datagrams beside the stream.

use std::fmt;

use rand::{CryptoRng, RngCore};

use super::keys::Keys;
use crate::crypto::secretbox::{MAC_LEN, NONCE_LEN, SecretBox};

/// By how much a sealed datagram is longer than what it carries: counter and MAC.
pub const DATAGRAM_OVERHEAD: usize = COUNTER_LEN + MAC_LEN;

const COUNTER_LEN: usize = 8;

/// Every counter of this session has been used: the connection must end before one repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no counter is left for another datagram")]
pub struct DatagramsExhausted;

/// Seals and opens datagrams, `counter u64 ‖ MAC (16) ‖ ciphertext`, each independent of all others.
///
/// There is no protection against replay or reordering, as in the reference (`secret-stream.md` §7); an
/// application that needs it numbers its datagrams.
pub struct Datagrams {
    tx: SecretBox,
    rx: SecretBox,
    counter: u64,
    /// The counter that must not be reached again.
    start: u64,
    exhausted: bool,
}

impl Datagrams {
    /// Starts counting at a number from `rng`.
    ///
    /// Counters must never repeat under the same keys, so one session has one `Datagrams`.
    pub fn new(keys: &Keys, rng: &mut (impl RngCore + CryptoRng)) -> Self {
        Self::with_counter(keys, rng.next_u64())
    }

    /// Starts counting at a given number; the first datagram bears the next one.
    pub fn with_counter(keys: &Keys, start: u64) -> Self {
        Self {
            tx: SecretBox::new(keys.datagram_tx()),
            rx: SecretBox::new(keys.datagram_rx()),
            counter: start,
            start,
            exhausted: false,
        }
    }

    /// Appends a sealed datagram to `out`, [`DATAGRAM_OVERHEAD`] bytes longer than the message.
    ///
    /// # Errors
    ///
    /// [`DatagramsExhausted`] after 2⁶⁴ − 1 datagrams; nothing is appended then.
    pub fn seal(&mut self, message: &[u8], out: &mut Vec<u8>) -> Result<(), DatagramsExhausted> {
        let counter = self.counter.wrapping_add(1);
        if self.exhausted || counter == self.start {
            self.exhausted = true;
            return Err(DatagramsExhausted);
        }
        self.counter = counter;

        let counter = counter.to_le_bytes();
        out.reserve(message.len() + DATAGRAM_OVERHEAD);
        out.extend_from_slice(&counter);
        let mac_at = out.len();
        out.extend_from_slice(&[0; MAC_LEN]);
        let message_at = out.len();
        out.extend_from_slice(message);
        let mac = self.tx.seal(&nonce(counter), &mut out[message_at..]);
        out[mac_at..message_at].copy_from_slice(&mac);
        Ok(())
    }

    /// Opens a datagram of the peer; `None` for anything else, which must be ignored.
    pub fn open(&self, datagram: &[u8]) -> Option<Vec<u8>> {
        let (counter, rest) = datagram.split_first_chunk::<COUNTER_LEN>()?;
        let (mac, ciphertext) = rest.split_first_chunk::<MAC_LEN>()?;
        let mut message = ciphertext.to_vec();
        self.rx.open(&nonce(*counter), &mut message, mac).then_some(message)
    }

    #[cfg(test)]
    pub(super) const fn skip_to(&mut self, counter: u64) {
        self.counter = counter;
    }
}

impl fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagrams").finish_non_exhaustive()
    }
}

fn nonce(counter: [u8; COUNTER_LEN]) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[..COUNTER_LEN].copy_from_slice(&counter);
    nonce
}
