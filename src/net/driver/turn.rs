//! One turn of the driver: take, drain, wait.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::sync::watch;
use tracing::{debug, error};

use super::state::{Driver, Panic};
use crate::net::panics;
use crate::net::task_event::TaskEvent;

impl Driver {
    /// Takes turns until the node has ended, or until one panics: that ends the node as well, and what goes
    /// with the driver wakes all who wait for it.
    pub(super) async fn run(mut self, panicked: watch::Sender<Panic>) {
        let turns = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| self.poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(None),
            Err(panic) => Poll::Ready(Some(panic)),
        });
        if let Some(panic) = turns.await {
            let message = panics::message(&*panic);
            error!(message, "the node has ended because of a bug");
            // Known before anybody is woken and asks.
            panicked.send_replace(Some(message.into()));
        }
    }

    /// One turn: take what there is, up to a bound, with one reading of the clock; drain; wait.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let before = self.io.traffic().datagrams();
        let mut more = self.io.receive(cx, now, &mut self.endpoint);
        more |= self.take_task_events(cx, now);
        more |= self.take_commands(cx, now);
        more |= self.take_wakeups(cx, now);
        more |= self.connections.go_on_closing(now, &mut self.endpoint);
        self.connections.measure(now, self.endpoint.streams());
        self.handle_timeout(now);
        let unsent = self.drain(cx, now);
        more |= unsent;
        self.publish();
        // Streams that end while something is unsent would keep their peers waiting.
        let is_busy = unsent || self.io.is_blocked() || self.servers.len() > 0;
        if self.closing.is_over(now, is_busy, self.connections.len() > 0) {
            self.farewell();
            self.io.close_all();
            self.closing.finish();
            debug!("node closed");
            return Poll::Ready(());
        }
        let deadline = self.poll_timeout();
        more |= self.timer.arm(cx, now, deadline);
        let has_moved = self.io.traffic().datagrams() != before;
        if (has_moved && self.spin.note(now)) || more || self.look(cx, deadline) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Looks for datagrams instead of sleeping, for as long as [`Spin`](super::spin::Spin) allows. Tasks that
    /// the last ones have woken have run by then. Returns whether there is something to do.
    fn look(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> bool {
        let mut now = Instant::now();
        while self.spin.goes_on(now, deadline) {
            if self.inbox.has_any() {
                return true;
            }
            if self.io.receive_now(now, &mut self.endpoint) {
                self.spin.note(now);
                self.drain(cx, now);
                return true;
            }
            // Another process, which may be the peer, has its turn on this core.
            std::thread::yield_now();
            now = Instant::now();
        }
        false
    }

    fn take_task_events(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        for _ in 0..MAX_MESSAGES {
            match self.inbox.task_events.poll_recv(cx) {
                Poll::Ready(Some(event)) => self.handle_task_event(now, event),
                Poll::Ready(None) | Poll::Pending => return false,
            }
        }
        true
    }

    fn handle_task_event(&mut self, now: Instant, event: TaskEvent) {
        match event {
            TaskEvent::Job(done) => {
                self.jobs.ended();
                if let Some(done) = done {
                    self.endpoint.handle_job(now, *done);
                }
            }
            TaskEvent::Question(question) => {
                self.jobs.ended();
                self.jobs.ask(*question);
            }
            TaskEvent::Decided(job) => self.jobs.go_on(*job),
            TaskEvent::Interfaces(addresses) => self.endpoint.handle_interfaces(now, &addresses),
            TaskEvent::Relay(stream, paired) => self.endpoint.handle_relay(now, stream, paired),
            TaskEvent::RelayGone(stream) => {
                if !self.endpoint.may_leave_relay(stream) {
                    self.connections.handle_relay_gone(now, &mut self.endpoint, stream);
                }
            }
            TaskEvent::Bootstrap(addresses) => {
                self.endpoint.node().set_bootstrap(addresses);
                self.join(now);
            }
            TaskEvent::Panicked => panics::pass_on(),
        }
    }

    fn take_commands(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        for _ in 0..MAX_MESSAGES {
            match self.inbox.commands.poll_recv(cx) {
                Poll::Ready(Some(command)) => self.handle_command(now, command),
                // The last handle is gone.
                Poll::Ready(None) => {
                    self.leave(now);
                    return false;
                }
                Poll::Pending => return false,
            }
        }
        true
    }

    fn take_wakeups(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        for _ in 0..MAX_MESSAGES {
            match self.inbox.wakeups.poll_recv(cx) {
                Poll::Ready(Some(stream)) => self.connections.service(now, &mut self.endpoint, stream),
                Poll::Ready(None) | Poll::Pending => return false,
            }
        }
        true
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.endpoint.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.endpoint.handle_timeout(now);
        }
        self.connections.handle_timeout(now, &mut self.endpoint);
        self.joining.handle_timeout(now);
        if self.sleep.handle_timeout(now) {
            self.endpoint.handle_wake(now);
        }
        if self.interfaces.handle_timeout(now, self.servers.len() > 0) {
            self.endpoint.handle_network_change(now);
        }
        for token in self.relays.sweep(&mut self.endpoint) {
            self.give_up(now, token);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        [
            self.endpoint.poll_timeout().map(|(at, _)| at),
            self.connections.poll_timeout(),
            self.interfaces.poll_timeout(),
            Some(self.sleep.poll_timeout()),
            self.joining.poll_timeout(),
            self.closing.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Sends the endpoint's trains and handles its events, until it is idle or enough has been sent;
    /// returns whether there is more.
    ///
    /// The only function that sends.
    fn drain(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut budget = MAX_TRAINS;
        loop {
            let mut idle = !self.io.send(cx, now, &mut self.endpoint, &mut budget);
            while let Some(event) = self.endpoint.poll_event() {
                idle = false;
                self.handle_event(now, event);
            }
            while self.jobs.has_room()
                && let Some(job) = self.jobs.take_decided().or_else(|| self.endpoint.poll_job(now))
            {
                self.jobs.start(job);
            }
            if idle {
                return false;
            }
            if budget == 0 {
                return true;
            }
        }
    }
}

/// Commands, wake-ups and events of tasks taken per turn, each.
const MAX_MESSAGES: usize = 128;

/// Trains sent per turn.
const MAX_TRAINS: usize = 16;
