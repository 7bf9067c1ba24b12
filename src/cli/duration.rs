//! Times as people write them.

use std::time::{Duration, SystemTime};

use crate::api::key_file::utc;

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

/// Reads a day or a second in UTC, as `2026-01-31` or `2026-01-31T12:00:00Z`, or how long ago it was, as
/// [`parse`] does; returns it in seconds of Unix time.
pub(super) fn moment(text: &str) -> Result<u64, String> {
    if let Ok(ago) = parse(text) {
        let now = SystemTime::UNIX_EPOCH.elapsed().map_err(|_| "the clock of this computer is not set")?;
        return Ok(now.saturating_sub(ago).as_secs());
    }
    let whole = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    let seconds = seconds_of(&whole).ok_or(EXPECTED_MOMENT)?;
    // A month or an hour that there is not was read as one that follows.
    match utc(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)) == whole {
        true => Ok(seconds),
        false => Err(EXPECTED_MOMENT.into()),
    }
}

/// Returns the seconds of a time of the form `2026-01-31T12:00:00Z` whose parts may be out of their ranges.
fn seconds_of(text: &str) -> Option<u64> {
    let numbers: Option<Vec<u64>> = text
        .strip_suffix('Z')?
        .split(['-', 'T', ':'])
        .map(|part| part.get(..4.min(part.len()))?.parse().ok())
        .collect();
    let [year, month, day, hour, minute, second] = numbers?.try_into().ok()?;
    // As in `utc`, years begin in March.
    let year = if month > 2 { year } else { year.checked_sub(1)? };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * ((month + 9) % 12) + 2) / 5 + day;
    Some(days.checked_sub(719_469)? * 86_400 + hour * 3600 + minute * 60 + second)
}

const EXPECTED_MOMENT: &str =
    "expected a time like 2026-01-31 or 2026-01-31T12:00:00Z, or 2h for two hours ago";

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
    fn moments_are_days_seconds_or_some_time_ago() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400),
            ("2026-01-31T12:00:01Z", 1_769_860_801),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(moment(text), Ok(seconds), "{text}");
        }
        for day in 0..200_000 {
            let seconds = day * 86_400 + day % 86_400;
            assert_eq!(moment(&utc(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))), Ok(seconds));
        }
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        assert!((now - 7200..now - 7100).contains(&moment("2h").unwrap()));
        for bad in [
            "",
            "2026-",
            "2026-02-30",
            "2026-13-01",
            "1969-12-31",
            "2026-01-31T24:00:00Z",
            "2026-1-31",
            "x-y-z",
        ] {
            assert_eq!(moment(bad), Err(EXPECTED_MOMENT.to_owned()), "{bad}");
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
