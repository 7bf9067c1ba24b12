//! A place where the peer may be reached, and how far its check is.

use std::fmt;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use crate::connect::ids::{Path, Place};

/// How a candidate leads to the peer. A connection has at most one candidate of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connect) enum Kind {
    /// Through a blind relay.
    Relayed,
    /// The address at which a server claims to be reachable by any host.
    Advertised,
    /// The place that the peer's first packet comes from.
    Incoming,
    /// Through both NATs, opened by probes.
    Punched,
    /// The place that the peer itself has answered the handshake from.
    Observed,
    /// An address of the peer in the same local network.
    Lan,
}

impl Kind {
    /// Returns how packets to a candidate of this kind travel. Both sides call it direct within one host.
    pub(in crate::connect) const fn path_to(self, address: SocketAddrV4) -> Path {
        match self {
            Self::Relayed => Path::Relayed,
            Self::Lan if !address.ip().is_loopback() => Path::Lan,
            Self::Lan | Self::Advertised | Self::Incoming | Self::Punched | Self::Observed => Path::Direct,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Relayed => "relayed",
            Self::Advertised => "advertised",
            Self::Incoming => "incoming",
            Self::Punched => "punched",
            Self::Observed => "observed",
            Self::Lan => "lan",
        })
    }
}

/// A place where the peer may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connect) struct Candidate {
    pub(super) kind: Kind,
    /// `None` until the check has found it out.
    pub(super) place: Option<Place>,
    pub(super) state: State,
}

/// How far the check of a candidate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not checked before a preferred candidate has failed, or this time has come.
    Held { until: Instant },
    /// Not checked before the selected candidate has failed to answer in time.
    Reserve,
    /// The check is under way. Without a time, its owner ends it.
    Checking { until: Option<Instant> },
    /// The first bytes on the selected candidate are late. They still count until this time.
    Late { until: Instant },
    /// The place works, and the stream is on another one: the peer is asked to answer here too.
    Probing { sent: u32, next: Instant },
    /// The check has succeeded.
    Open,
    /// The check has failed, or is not needed any more.
    Failed,
}

impl Candidate {
    /// A candidate whose check begins at once and is ended by its owner.
    pub(in crate::connect) const fn checked(kind: Kind) -> Self {
        Self { kind, place: None, state: State::Checking { until: None } }
    }

    /// The same at a place that is known.
    pub(super) const fn checked_at(kind: Kind, place: Place) -> Self {
        Self { place: Some(place), ..Self::checked(kind) }
    }

    /// A candidate that fails unless its check succeeds until a given time.
    pub(super) const fn until(kind: Kind, until: Instant) -> Self {
        Self { kind, place: None, state: State::Checking { until: Some(until) } }
    }

    /// A candidate that needs no check.
    pub(super) const fn open(kind: Kind, place: Place) -> Self {
        Self { kind, place: Some(place), state: State::Open }
    }

    /// A candidate that waits for preferred ones until a given time.
    pub(super) const fn held(kind: Kind, place: Place, until: Instant) -> Self {
        Self { kind, place: Some(place), state: State::Held { until } }
    }

    /// A candidate for the case that the selected one does not answer.
    pub(super) const fn reserve(kind: Kind) -> Self {
        Self { kind, place: None, state: State::Reserve }
    }

    /// Returns whether the candidate can still become a path. A reserve can't while it is not called up.
    pub(super) const fn is_hopeful(&self) -> bool {
        matches!(
            self.state,
            State::Held { .. } | State::Checking { .. } | State::Late { .. } | State::Probing { .. }
        )
    }

    #[cfg(test)]
    pub(super) fn describe(&self) -> String {
        let state = match self.state {
            State::Held { until } if until > Instant::now() => "held ",
            State::Reserve => "reserve ",
            _ => "",
        };
        format!("{state}{}", self.kind)
    }

    /// Returns when the candidate has something to do.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Checking { until } => until,
            State::Held { until } | State::Late { until } => Some(until),
            State::Probing { next, .. } => Some(next),
            State::Reserve | State::Open | State::Failed => None,
        }
    }
}

impl State {
    /// Returns the state after the next probe; `None` once enough of them were sent.
    pub(super) fn probed(now: Instant, sent: u32) -> Option<Self> {
        (sent < MAX_PROBES).then(|| Self::Probing { sent: sent + 1, next: now + FIRST_PAUSE * (1 << sent) })
    }
}

/// How often a peer is asked to answer at a place that a stream may migrate to, and the pause after the first
/// time; each is twice the one before.
const MAX_PROBES: u32 = 7;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
