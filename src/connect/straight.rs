//! Servers that say to be reachable by anybody.
//!
//! Most are, so the stream is its owner's at once and the first data leaves without a further round trip.
//! Until the server has answered on it the path is provisional: where nothing comes back, the client punches
//! and goes to a relay as if the server had not said so, and the stream takes the way that opens first.

use std::fmt;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::client::{Attempt, Outcome, Phase};
use super::punch::{Peer, Punch};
use super::shared::Core;
use super::types::{Event, Moved, Path};
use crate::udx::Admission;
use crate::wire::handshake::{HolepunchInfo, NoisePayload, RelayThrough};
use crate::wire::transmit::SocketId;

/// What is known of a server that should need no search, until it has answered.
#[derive(Default)]
pub(super) struct Straight {
    /// Where it says to be; `None` until it is tried.
    address: Option<SocketAddrV4>,
    secret: Zeroizing<[u8; 32]>,
    punch: Option<(Peer, HolepunchInfo)>,
    /// Where to meet it, and whether that is our offer.
    pub(super) relay: Option<(RelayThrough, bool)>,
}

impl Straight {
    pub(super) fn new(peer: Peer, payload: &NoisePayload) -> Self {
        Self {
            punch: payload.holepunch.clone().map(|info| (peer, info)),
            ..Self::default()
        }
    }
}

impl fmt::Debug for Straight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Straight")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Attempt {
    /// Hands the stream out on the way to where the server says that anybody can reach it.
    pub(super) fn go_straight(
        &mut self,
        now: Instant,
        core: &mut Core,
        socket: SocketId,
        address: SocketAddrV4,
    ) -> Outcome {
        let Phase::Choosing(choosing) = &mut self.phase else {
            return Outcome::Pending;
        };
        let (Some(session), Some(straight)) = (choosing.session.take(), &mut choosing.straight) else {
            return Outcome::Pending;
        };
        straight.address = Some(address);
        straight.secret = session.holepunch_secret.clone();
        choosing.deadline = Some(now + WAIT_FOR_ANSWER);
        let routes = choosing.routes.clone();
        // A server of the reference may send its first data from its other socket, and takes ours there as
        // well.
        core.streams.set_admission(self.stream, Admission::LearnPath);
        core.streams
            .connect(now, self.stream, socket, address, choosing.remote_id);
        self.tell_established(now, core, session, address, Path::Direct);
        Outcome::HandedOut { routes }
    }

    /// Returns whether the stream is its owner's on a path on which nothing has come back.
    pub(super) fn is_provisional(&self) -> bool {
        match &self.phase {
            Phase::Choosing(choosing) => {
                let straight = choosing.straight.as_ref();
                straight.is_some_and(|straight| straight.address.is_some())
            }
            _ => false,
        }
    }

    /// Takes the news that the server has answered on the stream.
    pub(super) fn handle_settled(&mut self, now: Instant, core: &mut Core) -> Outcome {
        if !self.is_provisional() {
            return Outcome::Pending;
        }
        let Phase::Choosing(choosing) = &mut self.phase else {
            return Outcome::Pending;
        };
        choosing.straight = None;
        if choosing.reusable {
            core.remember_way(self.dial.remote, self.stream);
        }
        if choosing.dials_relay() {
            core.events.push_back(Event::LeaveRelay(self.stream));
        }
        core.streams.set_candidates(self.stream, Vec::new());
        choosing.stop(now, core, false);
        Outcome::Over
    }

    /// The server does not answer where it says to be reachable: punches to it and meets it at a relay, as
    /// far as that is possible.
    pub(super) fn fall_back(&mut self, now: Instant, core: &mut Core) -> Outcome {
        let elapsed = self.elapsed(now);
        let Phase::Choosing(choosing) = &mut self.phase else {
            return Outcome::Pending;
        };
        let Some(straight) = &mut choosing.straight else {
            return Outcome::Pending;
        };
        self.report.unanswered = straight.address.map(|address| (address, elapsed));
        choosing.deadline = Some(now + WAIT_FOR_OTHERS);
        if let Some((peer, info)) = straight.punch.take() {
            let secret = &straight.secret;
            choosing.punch = Punch::start(now, core, peer, &info, secret).map(Box::new);
        }
        if let Some(named) = straight.relay.take() {
            self.dial_relay(core, named);
        }
        Outcome::Pending
    }

    /// Takes a stream on which nothing has come back to the relay, where the server is.
    pub(super) fn take_to_relay(
        &mut self,
        now: Instant,
        core: &mut Core,
        (socket, address, id): (SocketId, SocketAddrV4, u32),
    ) -> Outcome {
        core.streams.set_admission(self.stream, Admission::Refuse);
        core.streams.change_remote(now, self.stream, socket, address, id);
        let mut report = self.report(now, core);
        report.path = Some((Path::Relayed, address));
        if let Phase::Choosing(choosing) = &mut self.phase {
            choosing.straight = None;
            choosing.deadline = None;
            report.routes.clone_from(&choosing.routes);
        }
        core.events.push_back(Event::Moved(Box::new(Moved {
            stream: self.stream,
            path: Path::Relayed,
            remote: address,
            report,
        })));
        self.unless_hopeless(now, core)
    }

    /// Nothing has led to a server that says to be reachable: whoever has the stream learns why.
    pub(super) fn give_up_stream(&self, now: Instant, core: &mut Core) -> Outcome {
        core.events.push_back(Event::Unreachable {
            stream: self.stream,
            report: Box::new(self.report(now, core)),
        });
        Outcome::Over
    }
}

/// How long other ways get then at least: the owner of the stream waits for the first data.
const WAIT_FOR_OTHERS: Duration = Duration::from_secs(6);
/// How long a server alone gets to answer where it says that anybody can reach it: the reference repeats its
/// first packet after a second.
const WAIT_FOR_ANSWER: Duration = Duration::from_millis(1500);
