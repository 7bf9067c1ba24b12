//! Servers in our own network.
//!
//! Both sides tell their local addresses. Somebody else may have that of the server, in a network that is not
//! the server's, so the client says message 1 once more there, to which nobody else has the answer. (The
//! reference pings, and takes whoever answers for the server.)

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::client::{Attempt, Outcome, Phase};
use super::reply::{Reply, first_message};
use super::shared::{Core, Owner};
use super::types::Path;
use crate::dht::{Answer, Outgoing, RequestError, RequestId};
use crate::wire::address::best_match;
use crate::wire::rpc::PING;
use crate::wire::transmit::SocketId;

/// An address in our own network that may be the server's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Neighbour {
    pub(super) request: RequestId,
    address: SocketAddrV4,
    /// Whether the question is a mere ping.
    pinged: bool,
}

impl Attempt {
    /// Looks for the server at that of its addresses which looks most like ours: says message 1 once more, to
    /// which nobody else has the answer.
    pub(super) fn try_neighbours(&mut self, now: Instant, core: &mut Core, addresses: &[SocketAddrV4]) {
        let local = core.local_addresses();
        let own: Vec<_> = local.iter().map(|a| *a.ip()).collect();
        // Another home may use the very addresses of ours, and we would be who answers.
        let others = addresses.iter().filter(|address| !local.contains(address));
        let others: Vec<SocketAddrV4> = others.copied().collect();
        let address = best_match(&own, &others).or_else(|| others.first().copied());
        let target = self.remote().target();
        if let (Some(node), Phase::Choosing(choosing)) = (address, &mut self.phase) {
            let outgoing = Outgoing {
                socket: Some(SocketId::SERVER),
                ..first_message(node, target, choosing.messages[0].clone())
            };
            let request = core.request(now, Owner::Attempt(self.id), outgoing);
            choosing.lan = Some(Neighbour {
                request,
                address: node,
                pinged: false,
            });
            self.note_asked(now, node);
        }
    }

    /// Takes what came of looking for the server at an address of our own network.
    pub(super) fn handle_neighbour(
        &mut self,
        now: Instant,
        core: &mut Core,
        neighbour: Neighbour,
        result: Result<Answer, RequestError>,
    ) -> Outcome {
        let address = neighbour.address;
        let Phase::Choosing(choosing) = &mut self.phase else {
            return Outcome::Pending;
        };
        if !neighbour.pinged && result.is_err() {
            // A server of the reference whose network is not quite ours answers from another socket, which is
            // lost on us. Every other node says that it does not know the server.
            let outgoing = Outgoing::internal(address, PING);
            let request = core.request(now, Owner::Attempt(self.id), outgoing);
            choosing.lan = Some(Neighbour {
                request,
                address,
                pinged: true,
            });
            return Outcome::Pending;
        }
        // Somebody else may be at that address, who may even pass messages on to the server.
        let server = match result {
            Ok(answer) if neighbour.pinged => Some(answer.from),
            Ok(answer) => Reply::accept(answer)
                .filter(|reply| reply.peer_address.is_none() && reply.noise == choosing.messages[1])
                .map(|reply| reply.asked),
            Err(_) => None,
        };
        if let Some(server) = server {
            self.note_answered(now, address);
            return self.connect_to(now, core, SocketId::SERVER, server, Path::Lan);
        }
        if let Some((_, socket, address)) = choosing.otherwise.take() {
            return self.go_straight(now, core, socket, address);
        }
        self.unless_hopeless(now, core)
    }
}

/// How long the local network is tried alone.
pub(super) const NEIGHBOUR_FIRST: Duration = Duration::from_millis(500);
