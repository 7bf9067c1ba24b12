//! Times as people write them.

use std::time::Duration;

/// Reads `500ms`, `30s`, `2m`, `6h`, `1d`, or a number of seconds. Zero is refused.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let number: u64 = number.parse().map_err(|_| EXPECTED)?;
    let seconds = match unit {
        "ms" => 0,
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(EXPECTED.into()),
    };
    let duration = match seconds {
        0 => Duration::from_millis(number),
        seconds => Duration::from_secs(number.saturating_mul(seconds)),
    };
    match duration.is_zero() {
        true => Err("expected a time above zero".into()),
        false => Ok(duration),
    }
}

const EXPECTED: &str = "expected a time like 500ms, 30s, 2m, 6h or 1d";

/// Reads a time of at most [`MAX_TIMEOUT`].
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    let duration = parse(text)?;
    match duration > MAX_TIMEOUT {
        true => Err("expected a time between 1ms and 60m".into()),
        false => Ok(duration),
    }
}

const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, seconds) in [("30s", 30), ("7", 7), ("2m", 120), ("6h", 21_600), ("1d", 86_400)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("999999999999999999d"), Ok(Duration::from_secs(u64::MAX)));
        for bad in ["", "s", "0", "0d", "-1s", "1w", "1.5s", "99999999999999999999s"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_bounded() {
        assert_eq!(timeout("60m"), Ok(Duration::from_secs(3600)));
        for bad in ["", "0", "61m", "2h"] {
            assert!(timeout(bad).is_err(), "{bad}");
        }
    }
}
