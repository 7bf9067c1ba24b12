//! What punching takes: sockets, the puncher socket and its NAT, and the bounds that keep remote hosts from
//! aiming probes at others.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use super::bounds::{Budget, Throttle};
use super::puncher::Puncher;
use super::sockets::Sockets;
use crate::connect::context::Context;
use crate::connect::options::Config;
use crate::wire::transmit::{SocketId, Transmit};

#[derive(Debug)]
pub(in crate::connect) struct Kit {
    pub(in crate::connect) sockets: Sockets,
    pub(in crate::connect) puncher: Puncher,
    pub(in crate::connect) throttle: Throttle,
    /// Whether the first message of a punch comes with a probe.
    pub(in crate::connect) fast_open: bool,
    pub(super) probes: Probes,
}

/// Probes that are about to leave, and how many may.
#[derive(Debug, Default)]
pub(super) struct Probes {
    waiting: VecDeque<Transmit>,
    /// Probes to hosts that have proven nothing.
    unverified: Budget,
    /// Answers to probes.
    echoes: Budget,
}

/// A datagram that opens the own NAT, or comes through the remote one.
#[derive(Clone, Copy, Debug)]
pub(in crate::connect) struct Probe {
    pub(in crate::connect) socket: SocketId,
    pub(in crate::connect) to: SocketAddrV4,
    /// Whether it must not reach the remote NAT.
    pub(in crate::connect) low_ttl: bool,
    /// Whether the host has proven to be the peer's.
    pub(in crate::connect) verified: bool,
}

impl Kit {
    pub(in crate::connect) fn new(config: &Config) -> Self {
        Self {
            sockets: Sockets::default(),
            puncher: Puncher::default(),
            throttle: Throttle::new(&config.limits),
            fast_open: config.fast_open,
            probes: Probes::default(),
        }
    }

    /// Opens the puncher socket and examines its NAT, unless that has been done; keeps it for a while.
    pub(in crate::connect) fn want_puncher(&mut self, now: Instant, cx: &mut Context) {
        self.puncher.want(now, cx, &mut self.sockets);
    }

    pub(in crate::connect) fn handle_puncher_socket(&mut self, now: Instant, cx: &mut Context, opened: bool) {
        self.puncher.handle_socket(now, cx, &mut self.sockets, opened);
    }

    pub(in crate::connect) fn close_puncher(&mut self, now: Instant, cx: &mut Context) {
        self.puncher.close(now, cx, &mut self.sockets);
    }

    pub(in crate::connect) fn handle_timeout(&mut self, now: Instant, cx: &mut Context, in_use: bool) {
        self.puncher.handle_timeout(now, cx, &mut self.sockets, in_use);
        self.sockets.handle_timeout(now, cx);
    }

    pub(in crate::connect) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.probes.waiting.pop_front()
    }

    /// Sends a probe, unless it would go where packets must not lead the node, or to a host that has had
    /// enough and proven nothing. Returns whether it leaves.
    pub(in crate::connect) fn probe(&mut self, now: Instant, cx: &Context, probe: Probe) -> bool {
        let Probe { socket, to, low_ttl, verified } = probe;
        let allowed = cx.may_send_to(to)
            && self.probes.waiting.len() < MAX_WAITING
            && (verified || self.probes.unverified.spend(now, *to.ip()));
        if allowed {
            self.probes.waiting.push_back(Transmit {
                socket,
                destination: to,
                ttl: low_ttl.then_some(LOW_TTL),
                may_fragment: true,
                payload: PROBE.to_vec(),
            });
        }
        allowed
    }

    /// Allows some answers to probes from a host.
    pub(in crate::connect) fn expect_probes(&mut self, now: Instant, host: Ipv4Addr, count: u32) {
        self.probes.echoes.grant(now, host, count);
    }

    /// Answers a probe, if it is expected.
    pub(in crate::connect) fn echo(
        &mut self,
        now: Instant,
        cx: &Context,
        socket: SocketId,
        to: SocketAddrV4,
    ) {
        if self.probes.echoes.take(now, *to.ip()) {
            let (low_ttl, verified) = (false, true);
            self.probe(now, cx, Probe { socket, to, low_ttl, verified });
        }
    }
}

/// What a probe consists of. No receiver looks at it.
const PROBE: [u8; 1] = [0];
/// The time to live of a probe that must not reach the remote NAT (`connect.md` §13.1).
const LOW_TTL: u8 = 5;
/// Probes that may wait to be sent.
const MAX_WAITING: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_that_wait_are_bounded() {
        let now = Instant::now();
        let (mut kit, cx) = (Kit::new(&Config::default()), Context::for_tests(now));
        let to = SocketAddrV4::new(Ipv4Addr::new(25, 1, 1, 1), 5000);
        let probe = Probe { socket: SocketId::CLIENT, to, low_ttl: false, verified: true };
        let left = (0..MAX_WAITING + 10).filter(|_| kit.probe(now, &cx, probe));
        assert_eq!(left.count(), MAX_WAITING);
        assert!(kit.poll_transmit().is_some());
        assert!(kit.probe(now, &cx, probe), "there is room again");
    }
}
