//! The last part of an attempt: both sides have shaken hands, and stream packets need a way.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::client::{Attempt, Outcome, Phase, Reply};
use super::noise::Session;
use super::report::Failure;
use super::shared::{Core, Owner};
use super::types::{Established, Event, Origin, Path};
use crate::dht::{Outgoing, RequestId};
use crate::udx::Admission;
use crate::wire::address::{best_match, is_bogon, is_reserved};
use crate::wire::handshake::{FIREWALL_OPEN, NoisePayload};
use crate::wire::rpc::PING;
use crate::wire::transmit::SocketId;

#[derive(Debug)]
pub(super) struct Choosing {
    pub(super) session: Session,
    pub(super) remote_id: u32,
    pub(super) routes: Vec<SocketAddrV4>,
    pub(super) lan: Option<RequestId>,
    pub(super) lan_address: Option<SocketAddrV4>,
    pub(super) deadline: Instant,
}

impl Attempt {
    /// Chooses how stream packets travel, by the first row of the reference's table that fits.
    pub(super) fn settle(
        &mut self,
        now: Instant,
        core: &mut Core,
        reply: &Reply,
        payload: &NoisePayload,
        remote_id: u32,
        session: Session,
    ) -> Outcome {
        self.cancel(now, core);
        core.streams
            .expect_prefix(self.stream, session.keys.remote_prefix().to_vec());
        core.streams.set_remote_id(self.stream, remote_id);
        let relays = payload.relay_addresses.clone().unwrap_or_default();
        let routes = if relays.is_empty() {
            self.tried.clone()
        } else {
            relays
        };
        self.phase = Phase::Choosing(Box::new(Choosing {
            session,
            remote_id,
            routes,
            lan: None,
            lan_address: None,
            deadline: now + WAIT_FOR_SERVER,
        }));
        // Packets that came before the handshake's answer already show the way.
        if let Some((socket, address)) = core.streams.held_path(self.stream) {
            return self.connect_to(now, core, socket, address, Path::Direct);
        }
        let Some(server) = reply.peer_address else {
            return self.connect_to(now, core, reply.socket, reply.asked, Path::Direct);
        };
        let punchable = payload
            .holepunch
            .as_ref()
            .is_some_and(|holepunch| !holepunch.relays.is_empty());
        let behind_itself = server == reply.asked;
        if payload.firewall == FIREWALL_OPEN || (!behind_itself && !punchable) {
            let public = payload
                .addresses4
                .iter()
                .find(|address| !is_bogon(*address.ip()) && address.port() != 0);
            let address = public.copied().unwrap_or(server);
            let socket = core.node.request_socket();
            return self.connect_to(now, core, socket, address, Path::Direct);
        }
        // From here on the server, or a packet of its, may reach us first.
        core.streams
            .set_admission(self.stream, Admission::LearnPath);
        if self.told_open {
            return Outcome::Pending;
        }
        let usable: Vec<SocketAddrV4> = payload
            .addresses4
            .iter()
            .filter(|address| !is_reserved(*address.ip()) && address.port() != 0)
            .copied()
            .collect();
        let one_host = reply.client_address.ip() == server.ip();
        if core.lan && one_host && !behind_itself && !usable.is_empty() {
            let own: Vec<_> = core.local_addresses().iter().map(|a| *a.ip()).collect();
            let address = best_match(&own, &usable).unwrap_or(usable[0]);
            let outgoing = Outgoing::internal(address, PING);
            let request = core.request(now, Owner::Attempt(self.id), outgoing);
            if let Phase::Choosing(choosing) = &mut self.phase {
                choosing.lan = Some(request);
                choosing.lan_address = Some(address);
            }
            return Outcome::Pending;
        }
        Outcome::Failed(Failure::NoPath)
    }

    pub(super) fn connect_to(
        &mut self,
        now: Instant,
        core: &mut Core,
        socket: SocketId,
        address: SocketAddrV4,
        path: Path,
    ) -> Outcome {
        let Phase::Choosing(choosing) = &self.phase else {
            return Outcome::Pending;
        };
        core.streams
            .connect(now, self.stream, socket, address, choosing.remote_id);
        self.established(now, core, address, path)
    }

    pub(super) fn established(
        &mut self,
        now: Instant,
        core: &mut Core,
        remote: SocketAddrV4,
        path: Path,
    ) -> Outcome {
        let report = self.report(now);
        let Phase::Choosing(choosing) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return Outcome::Pending;
        };
        if let Some(request) = choosing.lan {
            core.cancel_request(now, request);
        }
        core.events
            .push_back(Event::Established(Box::new(Established {
                origin: Origin::Attempt(self.id),
                stream: self.stream,
                session: choosing.session,
                path,
                remote,
                report,
            })));
        Outcome::Connected {
            routes: choosing.routes,
        }
    }
}

/// How long a server that has to reach us gets for it, as the reference.
const WAIT_FOR_SERVER: Duration = Duration::from_secs(10);
