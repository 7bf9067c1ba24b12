//! Announcements that a node keeps as they were signed, so that it can give them out again after a restart.

use std::fmt;
use std::net::SocketAddrV4;
use std::str::FromStr;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;

use super::node::Node;
use super::store::{ANNOUNCEMENT_SWEEP, Weight};
use crate::wire::compact::{Decode, Encode};
use crate::wire::hash;
use crate::wire::records::{Announce, Peer};
use crate::wire::rpc::{Target, Token};

/// An announcement with what proves it: it holds at the node that gave the token, as long as that node has
/// the same id.
///
/// The text form is one line: target, address, token, seconds left, and the announcement, all but the address
/// and the seconds in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What was announced to.
    pub target: Target,
    /// Where the announcement came from; messages for a server are passed on to there.
    pub from: SocketAddrV4,
    /// The token that it was made with.
    pub token: Token,
    /// The announcement.
    pub announce: Announce,
    /// For how long it is given out.
    pub remaining: Duration,
}

impl Node {
    /// Returns the announcements of others that this node gives out; none if its configuration does not say
    /// to keep them.
    pub fn announcements(&self, now: Instant) -> Vec<Kept> {
        let Some(store) = &self.store else {
            return Vec::new();
        };
        let until_sweep = store.until_announcement_sweep(now);
        let kept = store.kept.iter().map(|(kept, is_young)| {
            let more = if is_young {
                ANNOUNCEMENT_SWEEP
            } else {
                Duration::ZERO
            };
            Kept {
                remaining: until_sweep + more,
                ..kept.clone()
            }
        });
        kept.collect()
    }

    /// Takes the announcements of an earlier run up again, as far as their signatures hold here and their
    /// time is not over.
    pub(super) fn restore_announcements(&mut self, now: Instant) {
        let earlier = std::mem::take(&mut self.config.announcements);
        // Those of one run end at one of two times, a sweep apart.
        let last = |kept: &Kept| kept.remaining <= ANNOUNCEMENT_SWEEP;
        let (last, others): (Vec<_>, Vec<_>) = earlier
            .into_iter()
            .filter(|kept| !kept.remaining.is_zero())
            .partition(last);
        let until_sweep = last.iter().map(|kept| kept.remaining).chain(
            others
                .iter()
                .map(|kept| kept.remaining.saturating_sub(ANNOUNCEMENT_SWEEP)),
        );
        let Some(until_sweep) = until_sweep.max() else {
            return;
        };
        for kept in last {
            self.restore(now, &kept);
        }
        if let Some(store) = &mut self.store {
            let since = ANNOUNCEMENT_SWEEP.saturating_sub(until_sweep);
            store.sweep_announcements(now.checked_sub(since).unwrap_or(now));
        }
        for kept in others {
            self.restore(now, &kept);
        }
    }

    fn restore(&mut self, now: Instant, kept: &Kept) {
        // One whose signature does not hold was made at another address of this node; its announcer comes
        // again.
        let _ = self.store_announcement(now, kept.from, &kept.target, &kept.token, &kept.announce);
    }
}

impl Kept {
    /// Returns where an announcement is kept: one for each target and key.
    pub(super) fn place(target: &Target, peer: &Peer) -> Target {
        hash::hash(&[target, peer.public_key.as_bytes()])
    }
}

impl Weight for Kept {
    fn weight(&self) -> usize {
        self.announce.encoded_len()
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
