//! A plan under way on real sockets.

use std::net::SocketAddrV4;
use std::time::Instant;

use super::remote::Remote;
use super::sockets::Purpose;
use super::strategy::{Pace, Plan, Step, Strategy, Target};
use crate::connect::nat::Firewall;
use crate::connect::shared::Core;
use crate::wire::transmit::{SocketId, Transmit};

/// A plan, its sockets, and how many probes it took so far.
#[derive(Debug)]
pub(in crate::connect) struct Running {
    plan: Plan,
    purpose: Purpose,
    /// By their number in the plan; `None` where there is none.
    sockets: Vec<Option<SocketId>>,
    probes: u32,
}

impl Running {
    pub(in crate::connect) const fn strategy(&self) -> Strategy {
        self.plan.strategy()
    }

    pub(in crate::connect) const fn probes(&self) -> u32 {
        self.probes
    }

    pub(in crate::connect) const fn is_over(&self) -> bool {
        self.plan.is_over()
    }

    pub(in crate::connect) fn poll_timeout(&self) -> Option<Instant> {
        self.plan.next_deadline()
    }

    pub(in crate::connect) fn uses(&self, socket: SocketId) -> bool {
        self.sockets.contains(&Some(socket))
    }

    const fn is_random(&self) -> bool {
        !matches!(self.plan.strategy(), Strategy::Consistent)
    }
}

impl Core {
    /// Begins to punch, if that can work with what is known and proven.
    pub(in crate::connect) fn punch(
        &mut self,
        now: Instant,
        purpose: Purpose,
        own: Firewall,
        remote: &Remote,
    ) -> Option<Running> {
        let socket = self.puncher.socket()?;
        let is_client = matches!(purpose, Purpose::Attempt(_));
        let (firewall, targets) = (remote.firewall(), remote.targets());
        let plan = Plan::new(now, is_client, own, firewall, targets, Pace::FAST)?;
        let mut running = Running {
            plan,
            purpose,
            sockets: vec![Some(socket)],
            probes: 0,
        };
        if running.is_random() {
            self.throttle.begin();
        }
        self.go_on_punching(now, &mut running, targets);
        Some(running)
    }

    /// Sends the probes that are due.
    pub(in crate::connect) fn go_on_punching(
        &mut self,
        now: Instant,
        running: &mut Running,
        targets: &[Target],
    ) {
        let mut steps = Vec::new();
        running.plan.advance(now, targets, &mut self.rng, &mut steps);
        for step in steps {
            match step {
                Step::Open => {
                    let number = running.sockets.len();
                    let socket = self.sockets.open(&mut self.events, running.purpose);
                    running.sockets.push(socket);
                    if socket.is_none() {
                        running.plan.handle_socket(number, false);
                    }
                }
                Step::Probe { socket, to, low_ttl } => {
                    let socket = running.sockets.get(socket).copied().flatten();
                    let verified = targets
                        .iter()
                        .any(|target| target.verified && target.address.ip() == to.ip());
                    if let Some(socket) = socket
                        && self.probe(now, socket, to, low_ttl, verified)
                    {
                        running.probes += 1;
                    }
                }
            }
        }
    }

    /// Tells a plan that one of its sockets is open, or can't be had.
    pub(in crate::connect) fn handle_punch_socket(
        &mut self,
        now: Instant,
        running: &mut Running,
        targets: &[Target],
        socket: SocketId,
        opened: bool,
    ) {
        let Some(number) = running.sockets.iter().position(|own| *own == Some(socket)) else {
            return;
        };
        if !opened {
            running.sockets[number] = None;
            self.sockets.forget(socket);
        }
        running.plan.handle_socket(number, opened);
        self.go_on_punching(now, running, targets);
    }

    /// Ends a plan that has `won` or not. Its sockets close, but for those that carry a stream.
    pub(in crate::connect) fn stop_punching(&mut self, now: Instant, running: &Running, won: bool) {
        if running.is_random() {
            self.throttle.end(now, won);
        }
        for socket in running.sockets.iter().skip(1).flatten() {
            self.sockets.release(&mut self.events, *socket);
        }
    }

    /// Sends a probe, unless it would go where strangers must not send us, or to a host that wants none and
    /// has had enough.
    pub(in crate::connect) fn probe(
        &mut self,
        now: Instant,
        socket: SocketId,
        to: SocketAddrV4,
        low_ttl: bool,
        verified: bool,
    ) -> bool {
        let allowed = self.may_send_to(to)
            && self.probes.len() < MAX_WAITING
            && (verified || self.unverified.spend(now, *to.ip()));
        if allowed {
            self.probes.push_back(Transmit {
                socket,
                destination: to,
                ttl: low_ttl.then_some(LOW_TTL),
                payload: PROBE.to_vec(),
            });
        }
        allowed
    }
}

/// What a probe consists of. Nobody looks at it.
const PROBE: [u8; 1] = [0];
/// Routers that a probe passes at most which must not reach the other NAT, as the reference.
const LOW_TTL: u8 = 5;
/// Probes that may wait to be sent.
const MAX_WAITING: usize = 4096;
