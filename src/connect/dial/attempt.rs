//! One attempt to connect, through both of its phases.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use tracing::{Span, debug, debug_span};

use super::call::{Call, Turn};
use super::connecting::Connecting;
use super::search::Search;
use super::step::{End, Input, Step};
use crate::connect::core::Core;
use crate::connect::ids::{AttemptId, Place};
use crate::connect::options::Dial;
use crate::connect::report::{Failure, Report, Stage};
use crate::keys::PublicKey;
use crate::udx::StreamId;

#[derive(Debug)]
pub(in crate::connect) struct Attempt {
    call: Call,
    phase: Phase,
    /// What the logs of this attempt belong to.
    span: Span,
}

#[derive(Debug)]
enum Phase {
    Searching(Box<Search>),
    Connecting(Box<Connecting>),
    Over,
}

impl Attempt {
    pub(in crate::connect) fn start(now: Instant, core: &mut Core, id: AttemptId, dial: Dial) -> Self {
        let span = debug_span!("attempt", attempt = id.0, key = %dial.remote.short());
        let entered = span.clone().entered();
        let mut call = Call::new(now, &mut core.cx, id, dial);
        debug!(
            stream = %call.stream,
            named = call.dial.nodes.len(),
            "attempt started"
        );
        let search = Search::start(&mut Turn { now, core, call: &mut call });
        drop(entered);
        Self { call, phase: Phase::Searching(Box::new(search)), span }
    }

    pub(in crate::connect) const fn stream(&self) -> StreamId {
        self.call.stream
    }

    pub(in crate::connect) const fn remote(&self) -> &PublicKey {
        &self.call.dial.remote
    }

    pub(in crate::connect) fn span(&self) -> Span {
        self.span.clone()
    }

    pub(in crate::connect) fn handle_joined(&mut self, now: Instant) {
        self.call.note_joined(now);
    }

    /// Takes a step. Returns how the attempt ends, if it does.
    pub(in crate::connect) fn handle(&mut self, now: Instant, core: &mut Core, input: Input) -> Option<End> {
        if matches!(input, Input::Timeout) && self.end() <= now {
            return Some(match self.is_handed_out() {
                true => End::Over,
                false => End::Failed(Failure::TimedOut(self.stage())),
            });
        }
        let mut turn = Turn { now, core, call: &mut self.call };
        let mut step = match &mut self.phase {
            Phase::Searching(search) => search.handle(&mut turn, input),
            Phase::Connecting(connecting) => connecting.handle(&mut turn, input),
            Phase::Over => Step::Continue,
        };
        loop {
            step = match step {
                Step::Continue => return None,
                Step::End(end) => return Some(end),
                Step::Answered(answer) => {
                    let Phase::Searching(search) = std::mem::replace(&mut self.phase, Phase::Over) else {
                        return None;
                    };
                    let after_ms = turn.call.elapsed(now).as_millis() as u64;
                    debug!(node = %answer.reply.asked, after_ms, "handshake finished");
                    let handshakes = search.stop(&mut turn);
                    let mut connecting = Connecting::start(&mut turn, handshakes, *answer);
                    let step = connecting.advance(&mut turn);
                    self.phase = Phase::Connecting(Box::new(connecting));
                    step
                }
                Step::StartAgain => {
                    let Phase::Connecting(connecting) = std::mem::replace(&mut self.phase, Phase::Over)
                    else {
                        return None;
                    };
                    let handshakes = connecting.stop_to_search(&mut turn);
                    let search = Search::start_again(&mut turn, handshakes);
                    self.phase = Phase::Searching(Box::new(search));
                    Step::Continue
                }
            }
        }
    }

    pub(in crate::connect) fn poll_timeout(&self) -> Instant {
        let next = match &self.phase {
            Phase::Searching(search) => search.poll_timeout(),
            Phase::Connecting(connecting) => connecting.poll_timeout(),
            Phase::Over => None,
        };
        next.into_iter().fold(self.end(), Instant::min)
    }

    /// Returns whether the stream is its owner's, so that the attempt can't fail any more.
    pub(in crate::connect) fn is_handed_out(&self) -> bool {
        self.connecting().is_some_and(Connecting::is_handed_out)
    }

    /// Returns whether a direct path may still be found.
    pub(in crate::connect) fn is_looking(&self) -> bool {
        self.connecting().is_none_or(Connecting::is_looking)
    }

    /// Returns whether a probe at this place can be the server's.
    pub(in crate::connect) fn takes_probe(&self, core: &Core, place: Place) -> bool {
        let punch = self.connecting().and_then(Connecting::punch);
        punch.is_some_and(|punch| punch.takes_probe(core, place))
    }

    /// Returns whether the server has named this very address as the one that it punches from.
    pub(in crate::connect) fn expects_probe(&self, from: SocketAddrV4) -> bool {
        let punch = self.connecting().and_then(Connecting::punch);
        punch.is_some_and(|punch| punch.expects(from))
    }

    /// Returns the report as of now.
    pub(in crate::connect) fn report(&self, now: Instant, core: &Core) -> Report {
        match self.connecting() {
            Some(connecting) => connecting.report(now, core, &self.call),
            None => Report { stage: self.stage(), ..self.call.report(now) },
        }
    }

    /// Withdraws every request. The stream is left to its owner, or to be destroyed.
    pub(in crate::connect) fn stop(&mut self, now: Instant, core: &mut Core) {
        let mut turn = Turn { now, core, call: &mut self.call };
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Searching(search) => drop(search.stop(&mut turn)),
            Phase::Connecting(mut connecting) => connecting.stop(&mut turn),
            Phase::Over => {}
        }
    }

    fn connecting(&self) -> Option<&Connecting> {
        match &self.phase {
            Phase::Connecting(connecting) => Some(connecting),
            Phase::Searching(_) | Phase::Over => None,
        }
    }

    /// Returns when the attempt ends in any case.
    fn end(&self) -> Instant {
        let timeout = self.call.dial.timeout;
        let timeout = if self.is_handed_out() { timeout.max(LONGEST_SEARCH) } else { timeout };
        self.call.started() + timeout
    }

    fn stage(&self) -> Stage {
        match &self.phase {
            Phase::Searching(search) => search.stage(&self.call),
            Phase::Connecting(_) | Phase::Over => Stage::Path,
        }
    }
}

/// How long a path is looked for at least once the stream is handed out.
const LONGEST_SEARCH: Duration = Duration::from_secs(60);
