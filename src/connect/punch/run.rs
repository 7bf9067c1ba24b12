//! A plan under way on real sockets.

use std::net::SocketAddrV4;
use std::time::Instant;

use tracing::debug;

use super::kit::{Kit, Probe};
use super::plan::{Pace, Plan, Strategy};
use super::remote::Remote;
use super::sockets::Purpose;
use super::step::{Step, Target};
use crate::connect::context::Context;
use crate::connect::nat::Firewall;
use crate::wire::transmit::SocketId;

/// A plan, its sockets, and how many probes have left so far.
#[derive(Debug)]
pub(in crate::connect) struct Run {
    plan: Plan,
    purpose: Purpose,
    /// By their number in the plan; `None` where there is none.
    sockets: Vec<Option<SocketId>>,
    probes: u32,
}

impl Run {
    /// Starts, if that can work with what is known and proven of the remote NAT.
    pub(in crate::connect) fn start(
        now: Instant,
        cx: &mut Context,
        kit: &mut Kit,
        purpose: Purpose,
        own: Firewall,
        remote: &Remote,
    ) -> Option<Self> {
        let socket = kit.puncher.socket()?;
        let is_client = matches!(purpose, Purpose::Attempt(_));
        let (firewall, targets) = (remote.firewall(), remote.targets());
        let plan = Plan::new(now, is_client, own, firewall, targets, Pace::FAST)?;
        let mut run = Self { plan, purpose, sockets: vec![Some(socket)], probes: 0 };
        if run.is_random() {
            kit.throttle.begin();
        }
        debug!(strategy = ?run.strategy(), own = %own, remote = %firewall, "punching");
        run.advance(now, cx, kit, targets);
        Some(run)
    }

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

    /// Sends the probes that are due.
    pub(in crate::connect) fn advance(
        &mut self,
        now: Instant,
        cx: &mut Context,
        kit: &mut Kit,
        targets: &[Target],
    ) {
        let mut steps = Vec::new();
        self.plan.advance(now, targets, &mut cx.rng, &mut steps);
        for step in steps {
            match step {
                Step::Open => {
                    let number = self.sockets.len();
                    let socket = kit.sockets.open(cx, self.purpose);
                    self.sockets.push(socket);
                    if socket.is_none() {
                        self.plan.handle_socket(number, false);
                    }
                }
                Step::Probe { socket, to, low_ttl } => {
                    if let Some(socket) = self.sockets.get(socket).copied().flatten() {
                        let verified = is_verified(targets, to);
                        let probe = Probe { socket, to, low_ttl, verified };
                        self.probes += u32::from(kit.probe(now, cx, probe));
                    }
                }
            }
        }
    }

    /// Handles the outcome of opening one of the sockets.
    pub(in crate::connect) fn handle_socket(
        &mut self,
        now: Instant,
        cx: &mut Context,
        kit: &mut Kit,
        targets: &[Target],
        socket: SocketId,
        opened: bool,
    ) {
        let Some(number) = self.sockets.iter().position(|own| *own == Some(socket)) else {
            return;
        };
        if !opened {
            self.sockets[number] = None;
            kit.sockets.forget(socket);
        }
        self.plan.handle_socket(number, opened);
        self.advance(now, cx, kit, targets);
    }

    /// Ends, with a path or without. The sockets close, but for those that carry a stream.
    pub(in crate::connect) fn stop(&self, now: Instant, cx: &mut Context, kit: &mut Kit, won: bool) {
        debug!(probes = self.probes, won, "punching ended");
        if self.is_random() {
            kit.throttle.end(now, won);
        }
        for socket in self.sockets.iter().skip(1).flatten() {
            kit.sockets.release(cx, *socket);
        }
    }

    const fn is_random(&self) -> bool {
        !matches!(self.plan.strategy(), Strategy::Consistent)
    }
}

fn is_verified(targets: &[Target], to: SocketAddrV4) -> bool {
    let mut targets = targets.iter();
    targets.any(|target| target.verified && target.address.ip() == to.ip())
}
