//! One attempt to connect, through both of its phases.

use std::net::SocketAddrV4;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tracing::{Span, debug, debug_span};

use super::call::Call;
pub(in crate::connect) use super::call::{End, Outcome};
use super::connecting::{Connecting, Step};
use super::punching::Punch;
use super::search::{Found, Search};
use crate::connect::core::Core;
use crate::connect::event::Event;
use crate::connect::ids::{AttemptId, Place};
use crate::connect::noise::{Initiator, NoiseError, Session};
use crate::connect::options::Dial;
use crate::connect::report::{Failure, Report, Stage};
use crate::dht::{Answer, QueryError, QueryOutcome, RequestError, RequestId};
use crate::keys::PublicKey;
use crate::udx::{self, StreamId};
use crate::wire::handshake::NoisePayload;
use crate::wire::transmit::SocketId;

#[derive(Debug)]
pub(in crate::connect) struct Attempt {
    call: Call,
    phase: Phase,
    span: Span,
}

#[derive(Debug)]
enum Phase {
    Searching(Box<Search>),
    Connecting(Box<Connecting>),
    Over,
}

const CONTINUE: Outcome = ControlFlow::Continue(());

impl Attempt {
    pub(in crate::connect) fn start(now: Instant, core: &mut Core, id: AttemptId, dial: Dial) -> Self {
        let span = debug_span!("attempt", attempt = id.0, key = %dial.remote.short());
        let entered = span.clone().entered();
        let mut call = Call::new(now, &mut core.cx, id, dial);
        debug!(
            stream = call.stream.0,
            named = call.dial.nodes.len(),
            "attempt started"
        );
        let search = Search::start(now, core, &mut call);
        drop(entered);
        Self {
            call,
            phase: Phase::Searching(Box::new(search)),
            span,
        }
    }

    pub(in crate::connect) const fn stream(&self) -> StreamId {
        self.call.stream
    }

    pub(in crate::connect) const fn remote(&self) -> &PublicKey {
        &self.call.dial.remote
    }

    /// Returns what the logs of this attempt belong to.
    pub(in crate::connect) fn span(&self) -> Span {
        self.span.clone()
    }

    pub(in crate::connect) fn handle_joined(&mut self, now: Instant) {
        self.call.note_joined(now);
    }

    pub(in crate::connect) fn handle_initiated(
        &mut self,
        now: Instant,
        core: &mut Core,
        result: Result<(Box<Initiator>, Vec<u8>), NoiseError>,
    ) -> Outcome {
        self.search(now, core, |search, core, call| {
            search.handle_initiated(now, core, call, result)
        })
    }

    pub(in crate::connect) fn handle_finished(
        &mut self,
        now: Instant,
        core: &mut Core,
        initiator: Box<Initiator>,
        result: Result<Box<(NoisePayload, Session)>, NoiseError>,
    ) -> Outcome {
        self.search(now, core, |search, core, call| {
            search.handle_finished(now, core, call, initiator, result)
        })
    }

    pub(in crate::connect) fn handle_query_answer(
        &mut self,
        now: Instant,
        core: &mut Core,
        answer: &Answer,
    ) -> Outcome {
        self.search(now, core, |search, core, call| {
            search.handle_query_answer(now, core, call, answer)
        })
    }

    pub(in crate::connect) fn handle_query_done(
        &mut self,
        now: Instant,
        core: &mut Core,
        result: Result<QueryOutcome, QueryError>,
    ) -> Outcome {
        self.search(now, core, |search, core, call| {
            search.handle_query_done(now, core, call, result)
        })
    }

    pub(in crate::connect) fn handle_answer(
        &mut self,
        now: Instant,
        core: &mut Core,
        request: RequestId,
        result: Result<Answer, RequestError>,
    ) -> Outcome {
        if matches!(self.phase, Phase::Searching(_)) {
            return self.search(now, core, |search, core, call| {
                search.handle_answer(now, core, call, request, result)
            });
        }
        self.connect(now, core, |connecting, core, call| {
            connecting.handle_answer(now, core, call, request, result)
        })
    }

    /// Handles the outcome of meeting at the relay.
    pub(in crate::connect) fn handle_relay(
        &mut self,
        now: Instant,
        core: &mut Core,
        paired: Option<(Place, u32)>,
    ) -> Outcome {
        self.connect(now, core, |connecting, core, call| {
            connecting.handle_relay(now, core, call, paired)
        })
    }

    /// Handles an event of the stream.
    pub(in crate::connect) fn handle_stream_event(
        &mut self,
        now: Instant,
        core: &mut Core,
        event: udx::Event,
    ) -> Outcome {
        let Self { call, phase, .. } = self;
        let (step, event) = match phase {
            Phase::Connecting(connecting) => connecting.handle_stream_event(now, core, call, event),
            Phase::Searching(_) => match event {
                udx::Event::Closed(udx::Closed::Reset) => (Step::End(End::Failed(Failure::Refused)), None),
                udx::Event::Closed(_) => (Step::End(End::Failed(Failure::NoPath)), None),
                udx::Event::PathLearned { .. } => (Step::Continue, None),
                other => (Step::Continue, Some(other)),
            },
            Phase::Over => (Step::Continue, Some(event)),
        };
        if let Some(event) = event {
            if self.is_handed_out() {
                core.cx.emit(Event::Stream(self.call.stream, event));
            } else {
                self.call.keep_event(event);
            }
        }
        self.follow(now, core, step)
    }

    /// Handles a puncher socket that is open, or whose NAT is better known.
    pub(in crate::connect) fn handle_puncher(&mut self, now: Instant, core: &mut Core) -> Outcome {
        self.connect(now, core, |connecting, core, call| {
            connecting.handle_puncher(now, core, call)
        })
    }

    /// Handles the outcome of opening a socket of this attempt.
    pub(in crate::connect) fn handle_socket(
        &mut self,
        now: Instant,
        core: &mut Core,
        socket: SocketId,
        opened: bool,
    ) -> Outcome {
        if let Phase::Connecting(connecting) = &mut self.phase {
            connecting.handle_socket(now, core, socket, opened);
        }
        CONTINUE
    }

    /// Handles a probe that [`Self::takes_probe`].
    pub(in crate::connect) fn handle_probe(
        &mut self,
        now: Instant,
        core: &mut Core,
        place: Place,
    ) -> Outcome {
        self.connect(now, core, |connecting, core, call| {
            connecting.handle_probe(now, core, call, place)
        })
    }

    pub(in crate::connect) fn handle_timeout(&mut self, now: Instant, core: &mut Core) -> Outcome {
        if self.end() <= now {
            return ControlFlow::Break(if self.is_handed_out() {
                End::Over
            } else {
                End::Failed(Failure::TimedOut(self.stage()))
            });
        }
        if matches!(self.phase, Phase::Searching(_)) {
            return self.search(now, core, |search, core, call| {
                search.handle_timeout(now, core, call)
            });
        }
        self.connect(now, core, |connecting, core, call| {
            connecting.handle_timeout(now, core, call)
        })
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
        matches!(&self.phase, Phase::Connecting(connecting) if connecting.is_handed_out())
    }

    /// Returns whether a direct path may still be found.
    pub(in crate::connect) fn is_looking(&self) -> bool {
        match &self.phase {
            Phase::Connecting(connecting) => connecting.is_looking(),
            Phase::Searching(_) | Phase::Over => true,
        }
    }

    /// Returns whether a probe at this place can be the server's.
    pub(in crate::connect) fn takes_probe(&self, core: &Core, place: Place) -> bool {
        self.punch().is_some_and(|punch| punch.takes_probe(core, place))
    }

    /// Returns whether the server has named this very address as the one that it punches from.
    pub(in crate::connect) fn expects_probe(&self, from: SocketAddrV4) -> bool {
        self.punch().is_some_and(|punch| punch.expects(from))
    }

    /// Returns the report as of now.
    pub(in crate::connect) fn report(&self, now: Instant, core: &Core) -> Report {
        match &self.phase {
            Phase::Connecting(connecting) => connecting.report(now, core, &self.call),
            Phase::Searching(_) | Phase::Over => Report {
                stage: self.stage(),
                ..self.call.report(now)
            },
        }
    }

    fn punch(&self) -> Option<&Punch> {
        match &self.phase {
            Phase::Connecting(connecting) => connecting.punch(),
            Phase::Searching(_) | Phase::Over => None,
        }
    }

    /// Withdraws every request. The stream is left to its owner, or to be destroyed.
    pub(in crate::connect) fn stop(&mut self, now: Instant, core: &mut Core) {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Searching(search) => {
                search.stop(now, &mut core.cx);
            }
            Phase::Connecting(mut connecting) => connecting.stop(now, core, &mut self.call),
            Phase::Over => {}
        }
    }

    /// Takes a step of the first phase, and enters the last one if that has brought the server's answer.
    fn search(
        &mut self,
        now: Instant,
        core: &mut Core,
        step: impl FnOnce(&mut Search, &mut Core, &mut Call) -> Found,
    ) -> Outcome {
        let Self { call, phase, .. } = self;
        let Phase::Searching(search) = phase else {
            return CONTINUE;
        };
        match step(search, core, call) {
            Found::Nothing => CONTINUE,
            Found::Failed(failure) => ControlFlow::Break(End::Failed(failure)),
            Found::Answer(answer) => {
                debug!(
                    address = %answer.reply.asked,
                    after_ms = call.elapsed(now).as_millis() as u64,
                    "handshake finished"
                );
                let Phase::Searching(search) = std::mem::replace(phase, Phase::Over) else {
                    return CONTINUE;
                };
                let handshakes = search.stop(now, &mut core.cx);
                let connecting = Connecting::start(now, core, call, handshakes, *answer);
                *phase = Phase::Connecting(Box::new(connecting));
                self.connect(now, core, |connecting, core, call| {
                    connecting.advance(now, core, call)
                })
            }
        }
    }

    /// Takes a step of the last phase.
    fn connect(
        &mut self,
        now: Instant,
        core: &mut Core,
        step: impl FnOnce(&mut Connecting, &mut Core, &mut Call) -> Step,
    ) -> Outcome {
        let Phase::Connecting(connecting) = &mut self.phase else {
            return CONTINUE;
        };
        let step = step(connecting, core, &mut self.call);
        self.follow(now, core, step)
    }

    fn follow(&mut self, now: Instant, core: &mut Core, step: Step) -> Outcome {
        match step {
            Step::Continue => CONTINUE,
            Step::End(end) => ControlFlow::Break(end),
            Step::StartAgain => {
                self.start_again(now, core);
                CONTINUE
            }
        }
    }

    /// Exchanges handshakes anew, on another stream, as a client behind a firewall: the server has not
    /// reached this node at the address that it has claimed.
    fn start_again(&mut self, now: Instant, core: &mut Core) {
        let Phase::Connecting(connecting) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return;
        };
        debug!("the server does not reach this node: starting again, to punch");
        let call = &mut self.call;
        let handshakes = connecting.stop_to_search(now, core, call);
        call.report.unreachable = Some(call.elapsed(now));
        call.claims_open = false;
        call.was_unreachable = true;
        call.renew_stream(now, &mut core.cx);
        let search = Search::start_again(&mut core.cx, call, handshakes);
        self.phase = Phase::Searching(Box::new(search));
    }

    /// Returns when the attempt ends in any case.
    fn end(&self) -> Instant {
        let timeout = self.call.dial.timeout;
        let timeout = if self.is_handed_out() {
            timeout.max(LONGEST_SEARCH)
        } else {
            timeout
        };
        self.call.started() + timeout
    }

    fn stage(&self) -> Stage {
        match &self.phase {
            Phase::Searching(search) => search.stage(&self.call),
            Phase::Connecting(_) | Phase::Over => Stage::Path,
        }
    }
}

/// How long a direct path is looked for at least while the stream runs through a relay.
const LONGEST_SEARCH: Duration = Duration::from_secs(60);
