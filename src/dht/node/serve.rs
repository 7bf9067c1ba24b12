//! Serving requests: what holds for every command, and the two ways out, a response or a forwarded request.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use tracing::trace;

use super::verbs::Node;
use crate::dht::serve::Later;
use crate::dht::types::{Event, Incoming, Reply};
use crate::wire::address::Scope;
use crate::wire::compact::{Decode, Encode, Reader};
use crate::wire::rpc::{
    self, ERROR_INVALID_TOKEN, MAX_DATAGRAM, NodeId, Packet, Request, Response, Target, Token,
};
use crate::wire::transmit::SocketId;

impl Node {
    /// Handles a request.
    pub(super) fn handle_request(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddrV4,
        datagram: &[u8],
    ) {
        let Ok(Packet::Request(request)) = Packet::decode(&mut Reader::new(datagram)) else {
            self.stats.drops.malformed += 1;
            return;
        };
        trace!(%from, command = request.command, tid = request.tid, "request received");
        let (token, internal) = (request.token, request.internal);
        let mut incoming = Incoming {
            socket,
            from,
            tid: request.tid,
            to: request.to,
            id: request.id.filter(|id| *id == NodeId::of(from)),
            command: request.command,
            target: request.target,
            value: request.value,
            length: datagram.len(),
            proven: false,
        };
        self.stats.count_request(internal, incoming.command);
        if let Some(token) = &token
            && !self.service.accepts_token(now, *from.ip(), token)
        {
            trace!(%from, command = incoming.command, "token refused");
            let reply = Reply { token: true, ..Reply::with_error(ERROR_INVALID_TOKEN) };
            self.reply(now, &incoming, reply);
            return;
        }
        incoming.proven = token.is_some();
        self.responses.note_request(&from);
        self.hear(now, socket, from, incoming.to, incoming.id);
        if internal {
            self.serve_internal(now, &incoming);
        } else {
            self.serve_application(now, incoming, token);
        }
    }

    /// Answers a request.
    pub fn reply(&mut self, now: Instant, incoming: &Incoming, reply: Reply) {
        let socket = reply.socket.unwrap_or(incoming.socket);
        let to = reply.to.unwrap_or(incoming.from);
        let closer = incoming.target.filter(|_| reply.closer);
        let mut response = Response {
            tid: incoming.tid,
            to,
            id: self.shown_id(socket),
            token: reply.token.then(|| self.service.issue_token(now, *to.ip())),
            closer: closer.map_or_else(Vec::new, |target| self.closest_for(&target, incoming)),
            error: reply.error,
            value: reply.value,
        };
        if response.encoded_len() > MAX_DATAGRAM {
            // A large value is what was requested; nodes near the target are learned elsewhere.
            response.closer.clear();
        }
        let stats = &mut self.stats;
        if !self.service.bound(now, incoming, to, &mut response, stats) {
            stats.drops.budget += 1;
            return;
        }
        stats.replies_sent += 1;
        trace!(%to, command = incoming.command, tid = incoming.tid, "response sent");
        self.send_bounded(socket, to, response.to_bytes());
    }

    /// Forwards a request to another node: the same transaction, target and command with another value.
    pub fn relay(
        &mut self,
        now: Instant,
        incoming: &Incoming,
        to: SocketAddrV4,
        value: Vec<u8>,
        socket: Option<SocketId>,
    ) {
        self.relay_at(now, now, incoming, to, value, socket);
    }

    /// Does the same at `at`, or at once if that has passed or too much is delayed.
    pub fn relay_at(
        &mut self,
        now: Instant,
        at: Instant,
        incoming: &Incoming,
        to: SocketAddrV4,
        value: Vec<u8>,
        socket: Option<SocketId>,
    ) {
        let socket = socket.unwrap_or(incoming.socket);
        let request = Request {
            tid: incoming.tid,
            to,
            id: self.shown_id(socket),
            token: None,
            internal: false,
            command: incoming.command,
            target: incoming.target,
            value: Some(value),
        };
        let datagram = request.to_bytes();
        // What goes back to the sender reaches no third party.
        if to != incoming.from && !self.service.may_forward(now, incoming, to, datagram.len()) {
            self.stats.drops.budget += 1;
            return;
        }
        self.stats.count_forwarded(incoming.command);
        trace!(%to, command = incoming.command, tid = incoming.tid, "request forwarded");
        let later = Later::Send(socket, to, datagram);
        if at > now {
            self.delay(now, at, later);
        } else {
            self.catch_up(now, later);
        }
    }

    /// Does what is delayed until now.
    pub(super) fn send_delayed(&mut self, now: Instant) {
        while let Some(later) = self.delayed.due(now) {
            self.catch_up(now, later);
        }
    }

    /// Delays something until `at`, or does it at once if too much is delayed.
    fn delay(&mut self, now: Instant, at: Instant, later: Later) {
        if let Some(later) = self.delayed.add(at, later) {
            self.catch_up(now, later);
        }
    }

    fn catch_up(&mut self, now: Instant, later: Later) {
        match later {
            Later::Done(incoming) => self.reply(now, &incoming, Reply::default()),
            Later::Nodes(incoming) => self.serve_find_node(now, &incoming),
            Later::Send(socket, to, datagram) => self.send_bounded(socket, to, datagram),
        }
    }

    /// Returns the id to show in a packet that leaves from `socket`: only the address of the server socket is
    /// what the id stands for.
    fn shown_id(&self, socket: SocketId) -> Option<NodeId> {
        self.members.shown_id().filter(|_| socket == SocketId::SERVER)
    }

    /// Returns the nodes that a response to `incoming` names: those that its sender can reach.
    fn closest_for(&self, target: &Target, incoming: &Incoming) -> Vec<SocketAddrV4> {
        // A sender from outside that has reached this node at a private address reaches others there as well.
        let reach = Scope::of(*incoming.from.ip()).min(Scope::of(*incoming.to.ip()));
        let home = self.remote_address();
        // A sender that knows another address of this host cannot check the id that this node shows, and so
        // not use it, before it has sent a request to the address that the id stands for.
        let own = home.filter(|own| {
            self.members.names_itself() && *own != incoming.to && Scope::of(*own.ip()) >= reach
        });
        self.members.closest_for(target, reach, home, own)
    }

    fn serve_application(&mut self, now: Instant, incoming: Incoming, token: Option<Token>) {
        if matches!(incoming.command, rpc::PEER_HANDSHAKE | rpc::PEER_HOLEPUNCH) {
            return self.outbox.emit(Event::Incoming(incoming));
        }
        if self.serves_free_commands && incoming.command >= rpc::FIRST_FREE_COMMAND {
            return self.outbox.emit(Event::Incoming(incoming));
        }
        if !self.is_persistent() {
            return self.reply(now, &incoming, Reply::unknown_command());
        }
        let (service, id) = (&mut self.service, self.members.id());
        let reply = match incoming.command {
            rpc::FIND_PEER => service.find_peer(&incoming),
            rpc::LOOKUP => service.lookup(&incoming, &mut self.rng),
            rpc::ANNOUNCE => service.announce(now, &incoming, token, id),
            rpc::UNANNOUNCE => {
                // The server may end when it gets the response. Clients that this node has just sent to it
                // are still coming, and one of the reference that finds it gone waits for 4 s per pair of
                // nodes (connect.md §13.2, hyperdht-rpc.md §6.1 "Stop").
                if service.unannounce(&incoming, token, id).is_some() {
                    self.delay(now, now + FAREWELL, Later::Done(without_value(&incoming)));
                }
                return;
            }
            rpc::MUTABLE_PUT => service.put_mutable(&incoming, token),
            rpc::MUTABLE_GET => service.get_mutable(&incoming),
            rpc::IMMUTABLE_PUT => service.put_immutable(&incoming, token),
            rpc::IMMUTABLE_GET => service.get_immutable(&incoming),
            // A plugin that a node does not have is not an unknown command (hyperdht-rpc.md §8).
            rpc::PLUGIN => None,
            _ => Some(Reply::unknown_command()),
        };
        if let Some(reply) = reply {
            self.reply(now, &incoming, reply);
        }
    }

    /// Serves the commands of the RPC layer (dht-rpc.md §7).
    fn serve_internal(&mut self, now: Instant, incoming: &Incoming) {
        let value = incoming.value.as_deref().unwrap_or_default();
        match incoming.command {
            rpc::PING => self.reply(now, incoming, Reply::default()),
            rpc::PING_NAT => self.serve_ping_nat(now, incoming, value),
            // A node joins by this command. One of the reference asks the first node that responds whether
            // its firewall is open, and believes the answer only if its walk is not over by then (dht-rpc.md
            // §13.2; dht-rpc index.js `_bootstrap`). Nodes that are quicker than its own would make it take
            // itself for firewalled. A node that serves many has no time for that.
            rpc::FIND_NODE if incoming.id.is_none() && self.delayed.len() < MAX_HELD => {
                self.delay(now, now + HOLD, Later::Nodes(incoming.clone()));
            }
            rpc::FIND_NODE => self.serve_find_node(now, incoming),
            rpc::DOWN_HINT => {
                if let Ok(node) = Reader::new(value).addr4() {
                    self.on_down_hint(now, &NodeId::of(node));
                    self.reply(now, incoming, Reply::default());
                }
            }
            rpc::DELAYED_PING => self.serve_delayed_ping(now, incoming, value),
            _ => self.reply(now, incoming, Reply::unknown_command()),
        }
    }

    fn serve_find_node(&mut self, now: Instant, incoming: &Incoming) {
        if incoming.target.is_some() {
            let reply = Reply { closer: true, ..Reply::default() };
            self.reply(now, incoming, reply);
        }
    }

    /// Answers to another port of the same host, so that the sender learns what its NAT lets through.
    fn serve_ping_nat(&mut self, now: Instant, incoming: &Incoming, value: &[u8]) {
        let Some(port) = Reader::new(value).u16().ok().filter(|port| *port != 0) else {
            return;
        };
        let reply = Reply { to: Some(SocketAddrV4::new(*incoming.from.ip(), port)), ..Reply::default() };
        self.reply(now, incoming, reply);
    }

    fn serve_delayed_ping(&mut self, now: Instant, incoming: &Incoming, value: &[u8]) {
        let Ok(delay) = Reader::new(value).u32() else {
            return;
        };
        let delay = Duration::from_millis(u64::from(delay));
        if delay > self.config.max_ping_delay {
            return;
        }
        let later = Later::Done(without_value(incoming));
        let may_add = self.delayed.may_add_ping(*incoming.from.ip());
        if !may_add || self.delayed.add(now + delay, later).is_some() {
            self.stats.drops.full += 1;
        }
    }

    /// Sends a datagram, unless its receiver could not receive it whole.
    fn send_bounded(&mut self, socket: SocketId, to: SocketAddrV4, datagram: Vec<u8>) {
        if datagram.len() > MAX_DATAGRAM || to.port() == 0 {
            self.stats.drops.oversized += 1;
        } else {
            self.transmit(socket, to, datagram);
        }
    }
}

/// Returns what is kept of a request that gets an empty response later.
fn without_value(incoming: &Incoming) -> Incoming {
    Incoming { value: None, ..incoming.clone() }
}

/// For how long a FIND_NODE is held: about as long as a node of the reference takes to respond (dht-rpc.md
/// §13.2, the race).
const HOLD: Duration = Duration::from_micros(300);
/// With so much delayed, no FIND_NODE is held.
pub(in crate::dht) const MAX_HELD: usize = 4;
/// How long an announcement that is taken back is not acknowledged: a few round trips in a local network.
const FAREWELL: Duration = Duration::from_micros(300);
