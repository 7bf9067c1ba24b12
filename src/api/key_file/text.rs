//! What a key file says: the secret with a checksum, beside comments.

use std::time::{SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use super::super::files::unmarked;
use crate::KeyPair;
use crate::keys::z_base_32;
use crate::wire::hash;

/// Returns the content of the file of a key pair.
pub(crate) fn render(key_pair: &KeyPair) -> Zeroizing<String> {
    let seed = key_pair.seed();
    let mut bytes = Zeroizing::new([0; SECRET_LEN]);
    bytes[..32].copy_from_slice(seed);
    bytes[32..].copy_from_slice(&checksum(seed));
    let secret = Zeroizing::new(z_base_32().encode(&*bytes));
    Zeroizing::new(format!(
        "# The secret key of an identity. A program that has this file acts as that identity:\n\
         # show it to nobody, keep a copy in a safe place.\n\
         # created: {}\n\
         # public key: {}\n\
         {MARK}{}\n",
        utc(SystemTime::now()),
        key_pair.public_key(),
        *secret
    ))
}

/// Reads the content of a file; the error names what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<KeyPair, &'static str> {
    let lines = unmarked(text).lines();
    let mut lines = lines.filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let secret = lines
        .next()
        .and_then(|line| line.trim_end().strip_prefix(MARK))
        .ok_or("it has no line that begins with HYPERPROFILE-SECRET-1")?;
    if lines.next().is_some() {
        return Err("it has more than one line beside comments");
    }
    let bytes = z_base_32().decode(secret.as_bytes()).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| "the secret is not z-base-32")?;
    let (seed, sum) = bytes
        .split_first_chunk::<32>()
        .filter(|(_, sum)| sum.len() == SECRET_LEN - 32)
        .ok_or("the secret has the wrong length")?;
    if *sum != checksum(seed) {
        return Err("the checksum of the secret is wrong");
    }
    Ok(KeyPair::from_seed(seed))
}

/// Returns whether the content of a file is one that a passphrase protects.
pub(super) fn is_protected(text: &str) -> bool {
    text.lines().any(|line| line.starts_with(PROTECTED))
}

fn checksum(seed: &[u8; 32]) -> [u8; 4] {
    let [a, b, c, d, ..] = hash::hash(&[seed]);
    [a, b, c, d]
}

/// Shows an instant as `2026-01-31T12:00:00Z`.
pub(crate) fn utc(time: SystemTime) -> String {
    // A clock before 1970 is not set.
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days are counted from 1 March of year 0, so that a leap day is the last of its year, in eras of 400
    // years.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// What the line of a secret begins with that a passphrase protects.
pub(crate) const PROTECTED: &str = "HYPERPROFILE-PROTECTED-1 ";
/// What the line of the secret begins with.
pub(super) const MARK: &str = "HYPERPROFILE-SECRET-1 ";
/// Seed and checksum.
const SECRET_LEN: usize = 36;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_format_is_fixed() {
        // The seed 01 … 01 and the first four bytes of its BLAKE2b-256.
        let key_pair = KeyPair::from_seed(&[1; 32]);
        let text = render(&key_pair);
        let line = text.lines().last().unwrap();
        let secret = line.strip_prefix("HYPERPROFILE-SECRET-1 ").unwrap();
        assert_eq!(secret.len(), 58);
        assert!(secret.starts_with("yryonyebyryonyebyryonyebyryonyebyryonyebyryonyebyry"));
        assert_eq!(parse(&text).unwrap().public_key(), key_pair.public_key());
    }

    #[test]
    fn every_damage_is_noticed() {
        let good = render(&KeyPair::from_seed(&[1; 32])).to_string();
        let secret = good.lines().last().unwrap().to_owned();
        for (bad, what) in [
            (String::new(), "empty"),
            ("# only a comment\n".into(), "no secret"),
            (secret[..secret.len() - 1].into(), "cut"),
            (format!("{secret}y"), "longer"),
            (format!("{secret}\n{secret}"), "twice"),
            (secret.replace("SECRET-1", "SECRET-2"), "another format"),
            (secret.replacen("yryo", "yrye", 1), "a changed letter"),
            (secret.to_uppercase(), "upper case"),
            (format!("x{secret}"), "something before"),
        ] {
            assert!(parse(&bad).is_err(), "{what}");
        }
        assert!(parse(&secret).is_ok());
        let edited = format!("\u{feff}{}", good.replace('\n', "\r\n"));
        assert!(parse(&edited).is_ok(), "as an editor of another system saves it");
        let last = secret.len() - 1;
        let spare = if secret.ends_with('y') { "b" } else { "ybndrfg8" };
        for letter in spare.chars() {
            let changed = format!("{}{letter}", &secret[..last]);
            assert!(changed == secret || parse(&changed).is_err(), "{letter}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_799, "2000-02-29T23:59:59Z"),
            (1_735_689_600, "2025-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
    }
}
