//! Announcements that a node keeps as they were signed, so that it can hand them out again after a restart.

use std::fmt;
use std::net::SocketAddrV4;
use std::str::FromStr;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;

use crate::keys::PublicKey;
use crate::wire::compact::{Decode, Encode};
use crate::wire::hash;
use crate::wire::records::Announce;
use crate::wire::rpc::{Target, Token};

/// An announcement with what proves it: it holds at the node that gave out the token, as long as that node
/// has the same id.
///
/// The text form is one line: target, address, token, seconds left, and the announcement, all but the address
/// and the seconds in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The target that it was announced under.
    pub target: Target,
    /// Where the announcement came from; messages for a server are forwarded to there.
    pub from: SocketAddrV4,
    /// The token that it was made with.
    pub token: Token,
    /// The announcement.
    pub announce: Announce,
    /// For how long it is handed out.
    pub remaining: Duration,
}

impl Kept {
    /// Returns where an announcement is kept: one for each target and key.
    pub(super) fn place(target: &Target, key: &PublicKey) -> Target {
        hash::hash(&[target, key.as_bytes()])
    }

    /// Parts the announcements of an earlier run, as far as their time is not over, into those that the next
    /// sweep forgets, and those that the one after it forgets; returns also when the last sweep was. `None`
    /// if there are none.
    pub(super) fn generations(now: Instant, earlier: Vec<Self>) -> Option<(Vec<Self>, Vec<Self>, Instant)> {
        let earlier = earlier.into_iter().filter(|kept| !kept.remaining.is_zero());
        let (old, young): (Vec<_>, Vec<_>) = earlier.partition(|kept| kept.remaining <= ANNOUNCEMENT_SWEEP);
        let of_young = young.iter().map(|kept| kept.remaining.saturating_sub(ANNOUNCEMENT_SWEEP));
        let until_sweep = old.iter().map(|kept| kept.remaining).chain(of_young).max()?;
        let since = ANNOUNCEMENT_SWEEP.saturating_sub(until_sweep);
        Some((old, young, now.checked_sub(since).unwrap_or(now)))
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
