//! The own address: the sockets of this node, and how other nodes see them.

use std::net::{Ipv4Addr, SocketAddrV4};

use tracing::{Level, debug, enabled};

use super::nat::Sampler;
use crate::wire::transmit::SocketId;

/// Where this node can be reached, as far as it knows.
pub(super) struct OwnAddress {
    /// The local addresses of the server and the client socket, once they are bound.
    sockets: Option<(SocketAddrV4, SocketAddrV4)>,
    suspended: bool,
    firewalled: bool,
    sampler: Sampler,
    /// Nodes without id that have contributed a sample.
    strangers: Vec<SocketAddrV4>,
    /// [`Self::remote`] when a change was last reported.
    reported: Option<SocketAddrV4>,
}

impl OwnAddress {
    pub(super) fn new(firewalled: bool) -> Self {
        Self {
            sockets: None,
            suspended: false,
            firewalled,
            sampler: Sampler::default(),
            strangers: Vec::new(),
            reported: None,
        }
    }

    /// Sets the local addresses of the sockets; returns whether the node was suspended.
    pub(super) fn bind(&mut self, server: SocketAddrV4, client: SocketAddrV4) -> bool {
        self.sockets = Some((server, client));
        std::mem::take(&mut self.suspended)
    }

    /// Forgets the sockets until they are bound again.
    pub(super) const fn suspend(&mut self) {
        self.sockets = None;
        self.suspended = true;
    }

    pub(super) const fn is_bound(&self) -> bool {
        self.sockets.is_some()
    }

    pub(super) const fn is_suspended(&self) -> bool {
        self.suspended
    }

    pub(super) const fn is_firewalled(&self) -> bool {
        self.firewalled
    }

    /// Sends requests from the server socket from now on, because it can be reached.
    pub(super) fn open_firewall(&mut self) {
        if self.firewalled {
            debug!("server socket is reachable");
        }
        self.firewalled = false;
    }

    /// Returns the local port of the server socket, 0 before it is bound.
    pub(super) fn server_port(&self) -> u16 {
        self.sockets.map_or(0, |(server, _)| server.port())
    }

    /// Returns the socket that requests leave from.
    pub(super) const fn request_socket(&self) -> SocketId {
        if self.firewalled { SocketId::CLIENT } else { SocketId::SERVER }
    }

    /// Returns the address at which every host can reach this node, if it has one and knows it.
    pub(super) fn remote(&self) -> Option<SocketAddrV4> {
        let (server, _) = self.sockets?;
        let address = self.sampler.address()?;
        (!self.firewalled && address.port() == server.port()).then_some(address)
    }

    /// Returns what the samples agree on: how the socket that requests leave from is seen.
    pub(super) const fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// Replaces the samples by those of the server socket.
    pub(super) fn set_sampler(&mut self, sampler: Sampler) {
        self.sampler = sampler;
    }

    /// Returns the host that the samples agree on.
    pub(super) fn host(&self) -> Option<Ipv4Addr> {
        self.sampler.host()
    }

    /// Counts a sample of how a node sees this one.
    pub(super) fn sample(&mut self, to: SocketAddrV4) {
        if !enabled!(Level::DEBUG) {
            self.sampler.add(to);
            return;
        }
        let before = self.sampler.sampled();
        self.sampler.add(to);
        let after = self.sampler.sampled();
        if after != before {
            debug!(?before, ?after, "NAT classification changed");
        }
    }

    /// Counts a sample of a node without id, of `max` nodes at most: any host can be one. Returns whether it
    /// counted.
    pub(super) fn sample_of_stranger(&mut self, from: SocketAddrV4, to: SocketAddrV4, max: usize) -> bool {
        let counts = self.strangers.len() < max && !self.strangers.contains(&from);
        if counts {
            self.strangers.push(from);
            self.sample(to);
        }
        counts
    }

    /// Returns whether the remote address has changed since the last call.
    pub(super) fn take_change(&mut self) -> bool {
        let address = self.remote();
        let changed = address != self.reported;
        if changed {
            debug!(address = ?address, "remote address changed");
        }
        self.reported = address;
        changed
    }
}
