//! How far a node has come in joining the network, and the check of its firewall (dht-rpc.md §13).

use std::net::{Ipv4Addr, SocketAddrV4};

use super::nat::Sampler;
use super::types::{Answer, RequestError};
use crate::wire::transmit::SocketId;

/// How far bootstrapping has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Idle,
    /// Walking towards the own id: `again` under the id of the own address, after a check that found it.
    Walking {
        again: bool,
        reached: usize,
    },
    /// Checking whether the server socket can be reached.
    Checking {
        reached: usize,
    },
    Done,
}

/// The first firewall check: one node responds to the server socket (dht-rpc.md §13.2 step 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QuickCheck {
    Unasked,
    Asked,
    Answered,
}

/// How a node joins the network, and whether its server socket can be reached.
pub(super) struct Joining {
    stage: Stage,
    quick: QuickCheck,
    check: Option<NetworkCheck>,
}

/// A network check: several nodes respond to the server socket (dht-rpc.md §13.3).
pub(super) struct NetworkCheck {
    /// Whether the node stays ephemeral whatever the result.
    firewall_only: bool,
    /// The host of this node when the check began.
    host: Ipv4Addr,
    asked: usize,
    outstanding: usize,
    /// Responses that arrived at the server socket.
    reached: usize,
    /// How the nodes saw the server socket.
    sampler: Sampler,
}

impl Default for Joining {
    fn default() -> Self {
        Self { stage: Stage::Idle, quick: QuickCheck::Unasked, check: None }
    }
}

impl Joining {
    pub(super) const fn stage(&self) -> Stage {
        self.stage
    }

    pub(super) const fn set_stage(&mut self, stage: Stage) {
        self.stage = stage;
    }

    pub(super) const fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// Returns whether a bootstrap may begin, which forgets the first check of the one before.
    pub(super) fn begin(&mut self) -> bool {
        let may_begin = matches!(self.stage, Stage::Idle | Stage::Done);
        if may_begin {
            self.quick = QuickCheck::Unasked;
        }
        may_begin
    }

    /// Forgets what is under way.
    pub(super) fn suspend(&mut self) {
        if self.stage != Stage::Done {
            self.stage = Stage::Idle;
        }
        self.check = None;
    }

    /// Begins the first firewall check, if it has not begun.
    pub(super) fn begin_quick_check(&mut self) -> bool {
        let begins = self.quick == QuickCheck::Unasked;
        if begins {
            self.quick = QuickCheck::Asked;
        }
        begins
    }

    /// Handles the end of the first firewall check; returns whether it shows an open firewall.
    pub(super) fn end_quick_check(&mut self, result: &Result<Answer, RequestError>) -> bool {
        let is_open = result.as_ref().is_ok_and(|answer| answer.socket == SocketId::SERVER);
        if is_open {
            self.quick = QuickCheck::Answered;
        }
        is_open
    }

    /// Returns whether the first firewall check has shown an open firewall.
    pub(super) fn seems_open(&self) -> bool {
        self.quick == QuickCheck::Answered
    }

    pub(super) const fn is_checking(&self) -> bool {
        self.check.is_some()
    }

    /// Waits for the probes of a check.
    pub(super) fn begin_check(&mut self, check: NetworkCheck) {
        self.check = Some(check);
    }

    /// Handles the end of a probe, where the server socket has this local `port`. Returns the check if that
    /// decides it: `Some(None)` if the firewall is not open.
    pub(super) fn on_probe(
        &mut self,
        port: u16,
        result: &Result<Answer, RequestError>,
    ) -> Option<Option<NetworkCheck>> {
        let check = self.check.as_mut()?;
        check.outstanding -= 1;
        if let Ok(answer) = result
            && answer.socket == SocketId::SERVER
        {
            check.reached += 1;
            check.sampler.add(answer.to);
        }
        let is_open = check.is_open(port);
        (is_open || check.outstanding == 0).then(|| self.check.take().filter(|_| is_open))
    }
}

impl NetworkCheck {
    /// Makes a check of a node that its samples place on `host`.
    pub(super) fn new(firewall_only: bool, host: Ipv4Addr) -> Self {
        Self { firewall_only, host, asked: 0, outstanding: 0, reached: 0, sampler: Sampler::default() }
    }

    /// Replaces the probes, where the samples are of the server socket already.
    pub(super) fn with_samples(mut self, sampler: Sampler) -> Self {
        self.sampler = sampler;
        self
    }

    pub(super) const fn note_probe(&mut self) {
        self.asked += 1;
        self.outstanding += 1;
    }

    pub(super) const fn has_probes(&self) -> bool {
        self.asked > 0
    }

    pub(super) const fn is_firewall_only(&self) -> bool {
        self.firewall_only
    }

    /// Returns the address of the server socket and how it is seen, if the samples still place this node on
    /// `host` and agree that the NAT keeps the local `port`. The id would stand for a wrong address
    /// otherwise.
    pub(super) fn proven(self, host: Option<Ipv4Addr>, port: u16) -> Option<(SocketAddrV4, Sampler)> {
        let address = SocketAddrV4::new(self.host, port);
        let holds = host == Some(self.host) && self.sampler.address() == Some(address);
        holds.then_some((address, self.sampler))
    }

    fn is_open(&self, port: u16) -> bool {
        let enough = if self.asked < PROBES { 1 } else { PROBES_NEEDED };
        self.reached >= enough && self.sampler.address() == Some(SocketAddrV4::new(self.host, port))
    }
}

/// Nodes that a network check probes (dht-rpc.md §13.3, §15).
pub(super) const PROBES: usize = 5;
/// How many of them must reach the server socket.
const PROBES_NEEDED: usize = 3;
