//! Handshake and holepunch messages that reach this node: for one of its servers, or to be passed on.

use std::time::{Duration, Instant};

use tracing::trace;

use super::verbs::Endpoint;
use crate::connect::context::Context;
use crate::connect::ids::ServerId;
use crate::connect::router::{self, Forward};
use crate::connect::serve::Server;
use crate::dht;
use crate::wire::compact::{Decode, Encode};
use crate::wire::handshake::{HandshakeMessage, HolepunchMessage, Mode};
use crate::wire::rpc::{PEER_HANDSHAKE, PEER_HOLEPUNCH};

impl Endpoint {
    pub(super) fn handle_incoming(&mut self, now: Instant, incoming: dht::Incoming) {
        let (Some(target), Some(value)) = (incoming.target, incoming.value.as_deref()) else {
            return;
        };
        let open = |id: &&ServerId| self.servers.get(*id).is_some_and(Server::is_open);
        let own = self.by_target.get(&target).filter(open).copied();
        let entry = self.core.cx.node.forward(&target);
        let private = self.core.cx.private;
        match incoming.command {
            PEER_HANDSHAKE => {
                let Ok(message) = HandshakeMessage::from_bytes(value) else {
                    return;
                };
                if let Some(id) = own {
                    self.with_server(id, |server, core| {
                        server.handle_handshake(now, core, incoming, message);
                        None
                    });
                    return;
                }
                let forward = router::handshake(&message, incoming.from, entry, private);
                pass_on(now, &mut self.core.cx, &incoming, forward);
            }
            PEER_HOLEPUNCH => {
                let Ok(message) = HolepunchMessage::from_bytes(value) else {
                    return;
                };
                // A message from a client is passed on even if the server is the own one: it names a node in
                // between.
                if let Some(id) = own.filter(|_| message.mode == Mode::FromRelay) {
                    self.with_server(id, |server, core| {
                        server.handle_holepunch(now, core, incoming, message);
                        None
                    });
                    return;
                }
                let forward = router::holepunch(&message, incoming.from, entry, private);
                pass_on(now, &mut self.core.cx, &incoming, forward);
            }
            _ => {}
        }
    }
}

fn pass_on<M: Encode>(now: Instant, cx: &mut Context, incoming: &dht::Incoming, forward: Forward<M>) {
    match forward {
        Forward::Relay { to, message } => {
            trace!(from = %incoming.from, %to, command = incoming.command, "message forwarded");
            // Two peers of one address most likely find each other in their own network, which a punch must
            // not overtake: where a client of the reference turns out to be reachable in the middle of
            // connecting, the punch makes its server end what has just begun (`connect.md` pitfall 23).
            let one_host = incoming.command == PEER_HOLEPUNCH && incoming.from.ip() == to.ip();
            let at = if one_host { now + DELAY_OF_ONE_HOST } else { now };
            cx.node.relay_at(now, at, incoming, to, message.to_bytes(), None);
        }
        Forward::Reply { to, message } => {
            trace!(from = %incoming.from, %to, command = incoming.command, "answer forwarded");
            let reply = dht::Reply { value: Some(message.to_bytes()), to: Some(to), ..dht::Reply::default() };
            cx.node.reply(now, incoming, reply);
        }
        Forward::Unknown => {
            let reply = dht::Reply { closer: true, ..dht::Reply::default() };
            cx.node.reply(now, incoming, reply);
        }
        Forward::Drop => {}
    }
}

/// By how much a holepunch message to a peer of the sender's own address is delayed: a few round trips in a
/// local network, and the time that a Node process takes to answer.
const DELAY_OF_ONE_HOST: Duration = Duration::from_millis(10);
