//! One turn of the driver: take, drain, wait.

use std::future::Future;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Instant;

use tracing::trace;

use super::start::{Blocked, Driver, Held, News};
use crate::net::pool::Buffers;
use crate::net::socket::{Sent, Socket};
use crate::wire::transmit::SocketId;

impl Driver {
    /// One turn: take what there is, up to a bound, with one reading of the clock; drain; wait.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let mut more = self.receive(cx, now);
        more |= self.take_news(cx, now);
        more |= self.take_commands(cx, now);
        more |= self.take_bells(cx, now);
        if self.endpoint.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.endpoint.handle_timeout(now);
        }
        self.table.handle_timeout(now, &mut self.endpoint);
        self.expire_held(now);
        self.watch_interfaces(now);
        for token in self.relays.sweep(&mut self.endpoint) {
            self.give_up(now, token);
        }
        let unsent = self.drain(cx, now);
        more |= unsent;
        if self.is_over(now, unsent || self.blocked.is_some()) {
            return Poll::Ready(());
        }
        more |= self.arm(cx, now);
        if more {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Hands datagrams to the endpoint; returns whether there may be more.
    fn receive(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let (mut more, mut any) = (false, false);
        for id in [SocketId::SERVER, SocketId::CLIENT] {
            more |= self.receive_from(cx, now, id, &mut any);
        }
        for (id, waker) in self.ready.take(cx.waker()) {
            if self.receive_from(&mut Context::from_waker(&waker), now, id, &mut any) {
                waker.wake();
            }
        }
        if any {
            self.endpoint.flush(now);
        }
        more
    }

    /// Takes what a socket has, up to a bound; returns whether there may be more.
    fn receive_from(&mut self, cx: &mut Context<'_>, now: Instant, id: SocketId, any: &mut bool) -> bool {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return false;
        };
        let mut datagrams = 0;
        while let Poll::Ready(Ok(())) = socket.poll_readable(cx) {
            if datagrams >= MAX_DATAGRAMS {
                return true;
            }
            // An error may stand for a datagram of ours that was refused somewhere.
            datagrams += 1;
            Buffers::with(|buffers| {
                let filled = buffers.receive(socket).unwrap_or(0);
                for index in 0..filled {
                    let (meta, received) = buffers.datagrams(index);
                    let SocketAddr::V4(from) = meta.addr else {
                        continue;
                    };
                    socket.note_arrival(from, meta);
                    self.traffic.bytes_received += meta.len as u64;
                    if meta.len == 0 {
                        self.endpoint.handle_datagram(now, id, from, &[]);
                    }
                    for datagram in received {
                        datagrams += 1;
                        self.traffic.datagrams_received += 1;
                        self.endpoint.handle_datagram(now, id, from, datagram);
                    }
                }
                *any |= filled > 0;
            });
        }
        false
    }

    fn take_news(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        for _ in 0..MAX_MESSAGES {
            match self.inbox.poll_recv(cx) {
                Poll::Ready(Some(News::Job(done))) => {
                    self.jobs.ended();
                    if let Some(done) = done {
                        self.endpoint.handle_job(now, *done);
                    }
                }
                Poll::Ready(Some(News::Interfaces(addresses))) => {
                    self.endpoint.handle_interfaces(now, &addresses);
                }
                Poll::Ready(Some(News::Relay(stream, paired))) => {
                    self.endpoint.handle_relay(now, stream, paired);
                }
                Poll::Ready(Some(News::RelayGone(stream))) => {
                    if !self.endpoint.may_leave_relay(stream) {
                        self.table.handle_relay_gone(now, &mut self.endpoint, stream);
                    }
                }
                Poll::Ready(Some(News::Bootstrap(addresses))) => {
                    self.endpoint.node().set_bootstrap(addresses);
                    self.join(now);
                }
                Poll::Ready(None) | Poll::Pending => return false,
            }
        }
        true
    }

    fn take_commands(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        for _ in 0..MAX_MESSAGES {
            match self.commands.poll_recv(cx) {
                Poll::Ready(Some(command)) => self.handle_command(now, command),
                // The last handle is gone.
                Poll::Ready(None) => {
                    self.close(now, None);
                    return false;
                }
                Poll::Pending => return false,
            }
        }
        true
    }

    fn take_bells(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        for _ in 0..MAX_MESSAGES {
            match self.bells.poll_recv(cx) {
                Poll::Ready(Some(stream)) => self.table.service(now, &mut self.endpoint, stream),
                Poll::Ready(None) | Poll::Pending => return false,
            }
        }
        true
    }

    /// Sends what the endpoint wants sent and takes its events, until it is idle or enough has been sent;
    /// returns whether there is more.
    ///
    /// The only function that sends.
    fn drain(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut trains = 0;
        loop {
            let mut idle = true;
            self.resume(cx);
            while self.blocked.is_none() && trains < MAX_TRAINS {
                self.buffer.clear();
                let segments = self
                    .sockets
                    .get(&SocketId::SERVER)
                    .map_or(1, Socket::max_segments);
                let Some(train) = self.endpoint.poll_transmit(now, segments, &mut self.buffer) else {
                    break;
                };
                idle = false;
                trains += 1;
                self.blocked = Some(Blocked { train, sent: 0 });
                self.resume(cx);
            }
            while let Some(event) = self.endpoint.poll_event() {
                idle = false;
                self.handle_event(now, event);
            }
            if idle {
                return false;
            }
            if trains >= MAX_TRAINS {
                return true;
            }
        }
    }

    /// Sends the train in the buffer as far as the system takes it.
    fn resume(&mut self, cx: &mut Context<'_>) {
        while let Some(Blocked { train, sent }) = &mut self.blocked {
            let Some(socket) = self.sockets.get_mut(&train.socket) else {
                self.blocked = None;
                return;
            };
            let rest = &self.buffer[*sent..];
            match socket.send(train, rest) {
                Sent::All { calls, failed } => {
                    let datagrams = self.buffer.len().div_ceil(train.segment_size.max(1));
                    trace!(to = %train.destination, datagrams, "sent");
                    self.traffic.sends += calls;
                    self.traffic.send_errors += u64::from(failed);
                    self.traffic.datagrams_sent += datagrams as u64;
                    self.traffic.bytes_sent += self.buffer.len() as u64;
                    self.blocked = None;
                }
                Sent::Blocked(more) => {
                    *sent += more;
                    // A ready socket takes the next try at once; otherwise its task is woken.
                    if socket.poll_writable(cx).is_pending() {
                        return;
                    }
                }
            }
        }
    }

    /// Sets the timer; returns whether it is due already.
    fn arm(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let deadline = [
            self.endpoint.poll_timeout().map(|(at, _)| at),
            self.table.poll_timeout(),
            self.watch_at,
            self.held.iter().flatten().filter_map(Held::deadline).min(),
            self.closing.as_ref().map(|closing| closing.deadline),
        ]
        .into_iter()
        .flatten()
        .min();
        let Some(deadline) = deadline else {
            self.armed = None;
            return false;
        };
        if deadline <= now {
            return true;
        }
        if self.armed != Some(deadline) {
            self.armed = Some(deadline);
            self.timer.as_mut().reset(deadline.into());
        }
        let due = self.timer.as_mut().poll(cx).is_ready();
        if due {
            self.armed = None;
        }
        due
    }
}

/// Datagrams taken from one socket per turn, after which others get theirs.
const MAX_DATAGRAMS: usize = 256;

/// Commands, bells and outcomes of jobs taken per turn, each.
const MAX_MESSAGES: usize = 128;

/// Trains sent per turn.
const MAX_TRAINS: usize = 16;
