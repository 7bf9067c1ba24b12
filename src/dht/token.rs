//! Tokens: proof that the sender of a request owns its address.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use rand::RngCore;
use rand::rngs::StdRng;

use crate::wire::hash;
use crate::wire::rpc::Token;

/// Issues and verifies tokens. One is valid for this and the next rotation of the secrets, 7.5 to 15
/// seconds.
pub(super) struct Tokens {
    /// The previous secret and the current one.
    secrets: [[u8; 32]; 2],
    rotated: Instant,
    /// Tokens of the current secret, at the index that the address of the host gives them: a host that
    /// requests once requests again, and shows its token.
    recent: Vec<Option<(Ipv4Addr, Token)>>,
}

impl Tokens {
    pub(super) fn new(now: Instant, rng: &mut StdRng) -> Self {
        let mut secrets = [[0; 32]; 2];
        for secret in &mut secrets {
            rng.fill_bytes(secret);
        }
        Self { secrets, rotated: now, recent: vec![None; RECENT] }
    }

    #[cfg(test)]
    pub(super) fn with_secrets(now: Instant, secrets: [[u8; 32]; 2]) -> Self {
        Self { secrets, rotated: now, recent: vec![None; RECENT] }
    }

    /// Returns the token for requests from `host`, whichever port they come from.
    pub(super) fn issue(&mut self, now: Instant, host: Ipv4Addr) -> Token {
        self.rotate(now);
        self.current(host)
    }

    /// Returns whether this node gave `shown` to `host` lately.
    pub(super) fn accepts(&mut self, now: Instant, host: Ipv4Addr, shown: &Token) -> bool {
        self.rotate(now);
        equal(&self.current(host), shown) || equal(&token(&self.secrets[0], host), shown)
    }

    fn current(&mut self, host: Ipv4Addr) -> Token {
        let place = &mut self.recent[(u32::from(host).wrapping_mul(SPREAD) >> 24) as usize % RECENT];
        match place {
            Some((known, token)) if *known == host => *token,
            _ => {
                let token = token(&self.secrets[1], host);
                *place = Some((host, token));
                token
            }
        }
    }

    /// Catches up with the rotations that are due, which needs no timer.
    fn rotate(&mut self, now: Instant) {
        let due = now.saturating_duration_since(self.rotated).as_millis() / ROTATION.as_millis();
        if due == 0 {
            return;
        }
        self.recent.fill(None);
        // After two rotations no old token is valid any more, so further ones have no visible effect.
        for _ in 0..due.min(4) {
            let oldest = self.secrets[0];
            self.secrets = [self.secrets[1], hash::hash(&[&oldest])];
        }
        self.rotated += ROTATION * u32::try_from(due).unwrap_or(u32::MAX);
    }
}

/// Returns the keyed hash of the dotted address.
fn token(secret: &[u8; 32], host: Ipv4Addr) -> Token {
    let mut text = Dotted { bytes: [0; 15], length: 0 };
    write!(text, "{host}").expect("a dotted address has at most 15 characters");
    hash::keyed_hash(secret, &[&text.bytes[..text.length]])
}

/// Compares in a time that does not depend on where the difference is.
fn equal(a: &Token, b: &Token) -> bool {
    a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// A dotted address on the stack, because one is made per request served.
struct Dotted {
    bytes: [u8; 15],
    length: usize,
}

impl std::fmt::Write for Dotted {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// Tokens that are remembered.
const RECENT: usize = 64;
/// An odd number that spreads neighbouring addresses.
const SPREAD: u32 = 0x9e37_79b1;
/// Ten drains of the congestion window (dht-rpc.md §6 "Rotation", §15; dht-rpc lib/io.js `_drain`).
const ROTATION: Duration = Duration::from_millis(7500);
