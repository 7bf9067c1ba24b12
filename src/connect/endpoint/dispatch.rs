//! Routes DHT and stream events to the attempt or server that owns them, and does what their steps ask for.

use std::net::SocketAddrV4;
use std::time::Instant;

use tracing::{debug, debug_span};

use super::verbs::Endpoint;
use crate::connect::context::{Asker, StreamOwner};
use crate::connect::core::Core;
use crate::connect::dial::{Attempt, End, Input};
use crate::connect::event::Event;
use crate::connect::ids::{AttemptId, Place, ServerId};
use crate::connect::job::{Job, Work};
use crate::connect::report::Failure;
use crate::connect::serve::{Notice, Server};
use crate::dht;
use crate::udx::{self, StreamId};
use crate::wire::rpc::FIRST_FREE_COMMAND;
use crate::wire::transmit::SocketId;

impl Endpoint {
    /// Routes what the node and the streams report, until they report nothing more.
    pub(super) fn drain(&mut self, now: Instant) {
        loop {
            if let Some(event) = self.core.cx.node.poll_event() {
                self.handle_dht_event(now, event);
            } else if let Some((stream, event)) = self.core.cx.streams.poll_event() {
                self.handle_stream_event(now, stream, event);
            } else if self.core.punch.puncher.take_change() {
                self.handle_puncher(now);
            } else if let Some(victim) = self.core.intake.take_victim() {
                self.with_server(victim.server, |server, core| {
                    debug!(entry = victim.number, "handshake forgotten: too many");
                    server.forget(now, core, victim);
                    None
                });
            } else {
                self.prepare_puncher(now);
                return;
            }
        }
    }

    /// Opens the puncher socket before the first client needs it.
    fn prepare_puncher(&mut self, now: Instant) {
        let core = &mut self.core;
        let firewalled = core.punch.puncher.is_closed() && core.cx.node.remote_address().is_none();
        if firewalled && !self.announced.is_empty() {
            core.punch.want_puncher(now, &mut core.cx);
        }
    }

    fn handle_puncher(&mut self, now: Instant) {
        let attempts: Vec<_> = self.attempts.keys().copied().collect();
        for id in attempts {
            self.step_attempt(now, id, Input::Puncher);
        }
        let servers: Vec<_> = self.servers.keys().copied().collect();
        for id in servers {
            self.with_server(id, |server, core| {
                server.handle_puncher(now, core);
                None
            });
        }
    }

    /// Handles a datagram of 0 or 1 byte: it may open a path of an attempt, and a client that is punched to
    /// gets it back.
    pub(super) fn handle_probe(&mut self, now: Instant, socket: SocketId, from: SocketAddrV4) {
        if self.core.punch.sockets.purpose(socket).is_none() {
            return;
        }
        let place = Place::new(socket, from);
        let takes = |attempt: &Attempt| attempt.takes_probe(&self.core, place);
        let mut takers = self.attempts.iter().filter(|(_, attempt)| takes(attempt));
        let first = takers.next();
        let taker = match first {
            Some((_, attempt)) if !attempt.expects_probe(from) => {
                // Several servers may share a host; the one that named this very address comes first.
                takers.find(|(_, other)| other.expects_probe(from)).or(first)
            }
            _ => first,
        };
        if let Some((id, _)) = taker {
            let id = *id;
            self.step_attempt(now, id, Input::Probe(place));
        }
        self.core.punch.echo(now, &self.core.cx, socket, from);
    }

    fn handle_dht_event(&mut self, now: Instant, event: dht::Event) {
        match event {
            dht::Event::Incoming(incoming) if incoming.command < FIRST_FREE_COMMAND => {
                self.handle_incoming(now, incoming);
            }
            dht::Event::Answered { request, result } => match self.core.cx.take_request(request) {
                Some(Asker::Attempt(id)) => self.step_attempt(now, id, Input::Answer(request, result)),
                Some(Asker::Server(id)) => self.with_server(id, |server, core| {
                    server.announcer().handle_answer(now, core, request, result)
                }),
                Some(Asker::Puncher) => {
                    let (puncher, cx) = (&mut self.core.punch.puncher, &mut self.core.cx);
                    puncher.handle_answer(now, cx, request, result);
                }
                Some(Asker::Unattended) => {}
                None => self.report(dht::Event::Answered { request, result }),
            },
            dht::Event::Sign { request, unsigned } => {
                self.core.cx.queue_job(Job(Work::Sign { request, unsigned }));
            }
            dht::Event::QueryAnswer { query, answer } => match self.core.cx.asker_of_query(query) {
                Some(Asker::Attempt(id)) => self.step_attempt(now, id, Input::QueryAnswer(answer)),
                Some(Asker::Server(_) | Asker::Puncher | Asker::Unattended) => {}
                None => self.report(dht::Event::QueryAnswer { query, answer }),
            },
            dht::Event::QueryDone { query, result } => match self.core.cx.take_query(query) {
                Some(Asker::Attempt(id)) => self.step_attempt(now, id, Input::QueryDone(result)),
                Some(Asker::Server(id)) => self.with_server(id, |server, core| {
                    let outcome = result.ok();
                    server.announcer().handle_query_done(now, core, query, outcome)
                }),
                Some(Asker::Puncher | Asker::Unattended) => {}
                None => self.report(dht::Event::QueryDone { query, result }),
            },
            dht::Event::Bootstrapped { reached } => {
                self.core.punch.puncher.handle_joined(now, &mut self.core.cx);
                if reached > 0 {
                    for attempt in self.attempts.values_mut() {
                        attempt.handle_joined(now);
                    }
                }
                self.report(dht::Event::Bootstrapped { reached });
            }
            other => self.report(other),
        }
    }

    fn handle_stream_event(&mut self, now: Instant, stream: StreamId, event: udx::Event) {
        if let udx::Event::RemoteChanged = event {
            self.core.exits.handle_remote_changed(now, stream);
        }
        if let udx::Event::Closed(udx::Closed::TimedOut) = event {
            self.core.remembered.forget_place_of(stream);
        }
        match self.core.cx.stream_owner(stream) {
            Some(StreamOwner::Attempt(id)) => self.step_attempt(now, id, Input::Stream(event)),
            Some(StreamOwner::Entry(id)) => self.with_server(id.server, |server, core| {
                server.handle_stream_event(now, core, id, stream, event);
                None
            }),
            None => self.report_stream_event(stream, event),
        }
    }

    /// Lets an attempt take a step, and ends it if that is the last one.
    pub(super) fn step_attempt(&mut self, now: Instant, id: AttemptId, input: Input) {
        let Some(attempt) = self.attempts.get_mut(&id) else {
            return;
        };
        let span = attempt.span().entered();
        let stream = attempt.stream();
        if attempt.is_handed_out() && !self.core.cx.streams.contains(stream) {
            self.end_attempt(now, id, false);
            if let Input::Stream(event) = input {
                self.report_stream_event(stream, event);
            }
            return;
        }
        let end = attempt.handle(now, &mut self.core, input);
        self.attempt_timers.set(id, Some(attempt.poll_timeout()));
        match end {
            None => {}
            Some(End::Over) => self.end_attempt(now, id, false),
            Some(End::Failed(failure)) => self.fail_attempt(now, id, failure),
        }
        drop(span);
    }

    /// Passes an event of a stream on to its owner. The offer of a path that no attempt or server looks for
    /// any more is not one.
    fn report_stream_event(&mut self, stream: StreamId, event: udx::Event) {
        if !matches!(event, udx::Event::PathOffered { .. }) {
            self.core.cx.emit(Event::Stream(stream, event));
        }
    }

    fn fail_attempt(&mut self, now: Instant, id: AttemptId, failure: Failure) {
        if let Some(attempt) = self.attempts.get(&id) {
            let report = Box::new(attempt.report(now, &self.core));
            debug!(reason = %failure, after_ms = report.total.as_millis() as u64, "attempt failed");
            self.core.remembered.forget(attempt.remote());
            self.end_attempt(now, id, true);
            let attempt = id;
            self.core.cx.emit(Event::Failed { attempt, failure, report });
        }
    }

    /// Ends an attempt. `destroy` ends its stream as well, unless that was handed out.
    pub(super) fn end_attempt(&mut self, now: Instant, id: AttemptId, destroy: bool) {
        let Some(mut attempt) = self.attempts.remove(&id) else {
            return;
        };
        self.attempt_timers.set(id, None);
        let destroy = destroy && !attempt.is_handed_out();
        attempt.stop(now, &mut self.core);
        if destroy {
            self.core.cx.destroy_stream(now, attempt.stream());
        } else {
            self.core.cx.disown_stream(attempt.stream());
        }
    }

    /// Lets a server take a step, and reports what has become of its announcements.
    pub(super) fn with_server(
        &mut self,
        id: ServerId,
        step: impl FnOnce(&mut Server, &mut Core) -> Option<Notice>,
    ) {
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        let span = debug_span!("server", server = id.0).entered();
        let notice = step(server, &mut self.core);
        drop(span);
        self.server_timers.set(id, server.poll_timeout());
        self.follow(id, notice);
    }

    fn follow(&mut self, id: ServerId, notice: Option<Notice>) {
        match notice {
            Some(Notice::Announced) => {
                debug!(server = id.0, "server announced");
                self.announced.insert(id);
                self.core.cx.emit(Event::Listening(id));
            }
            Some(Notice::Suspended) => {
                debug!(server = id.0, "server suspended");
                self.announced.remove(&id);
                self.core.cx.emit(Event::Suspended(id));
            }
            Some(Notice::Withdrawn) => {
                self.servers.remove(&id);
                self.announced.remove(&id);
                self.server_timers.set(id, None);
                self.core.cx.emit(Event::Unlistened(id));
            }
            None => {}
        }
    }

    fn report(&mut self, event: dht::Event) {
        self.core.cx.emit(Event::Dht(event));
    }
}
