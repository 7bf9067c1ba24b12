//! Announcements that a node keeps as they were signed, so that it can hand them out again after a restart.

use std::fmt;
use std::net::SocketAddrV4;
use std::str::FromStr;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;

use crate::wire::compact::{Decode, Encode};
use crate::wire::records::Announce;
use crate::wire::rpc::{Target, Token};

/// An announcement with what proves it: it holds at the node that gave out the token, as long as that node
/// has the same id.
///
/// The text form is one line: target, address, token, seconds left, and the announcement, all but the address
/// and the seconds in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kept {
    /// The target that it was announced under.
    pub target: Target,
    /// Where the announcement came from; messages for a server are forwarded to there.
    pub from: SocketAddrV4,
    /// The token that it was made with.
    pub token: Token,
    /// The announcement.
    pub(crate) announce: Announce,
    /// For how long it is handed out.
    pub remaining: Duration,
}

impl Kept {
    /// Returns when the last sweep of a node with these announcements was; `None` if there are none.
    pub(super) fn swept(now: Instant, announcements: &[Self]) -> Option<Instant> {
        let until_sweep = announcements.iter().map(|kept| match kept.remaining {
            // The next sweep but one forgets those that have more left.
            left if left > ANNOUNCEMENT_SWEEP => left - ANNOUNCEMENT_SWEEP,
            left => left,
        });
        let since = ANNOUNCEMENT_SWEEP.saturating_sub(until_sweep.max()?);
        Some(now.checked_sub(since).unwrap_or(now))
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} {} {}",
            HEXLOWER.encode(&self.target),
            self.from,
            HEXLOWER.encode(&self.token),
            self.remaining.as_secs(),
            HEXLOWER.encode(&self.announce.to_bytes())
        )
    }
}

/// The text is no kept announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an announcement: expected target, address, token, seconds and the announcement")]
#[non_exhaustive]
pub struct ParseKeptError;

impl FromStr for Kept {
    type Err = ParseKeptError;

    fn from_str(text: &str) -> Result<Self, ParseKeptError> {
        let words: Vec<&str> = text.split(' ').collect();
        let [target, from, token, seconds, announce] = words[..] else {
            return Err(ParseKeptError);
        };
        let bytes = |text: &str| HEXLOWER.decode(text.as_bytes()).ok();
        let fixed = |text| bytes(text)?.try_into().ok();
        let parse = || {
            Some(Self {
                target: fixed(target)?,
                from: from.parse().ok()?,
                token: fixed(token)?,
                announce: Announce::from_bytes(&bytes(announce)?).ok()?,
                remaining: Duration::from_secs(seconds.parse().ok()?),
            })
        };
        parse().ok_or(ParseKeptError)
    }
}

/// Between two sweeps of announcements: two thirds of twenty minutes (hyperdht-rpc.md §5.6).
pub(super) const ANNOUNCEMENT_SWEEP: Duration = Duration::from_secs(800);
