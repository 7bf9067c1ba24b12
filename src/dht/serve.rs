//! Answering requests: what holds for every command, and the two ways out, a reply or a relayed request.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Instant;

use super::budget::AMPLIFICATION;
use super::node::Node;
use super::requests::valid_id;
use super::table::K;
use super::types::{Event, Incoming, Reply};
use crate::wire::address::Scope;
use crate::wire::compact::{Decode, Encode, Reader};
use crate::wire::rpc::{
    self, ERROR_INVALID_TOKEN, ERROR_UNKNOWN_COMMAND, MAX_DATAGRAM, Packet, Request, Response, Target, Token,
};
use crate::wire::transmit::SocketId;

impl Node {
    /// Takes a request.
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
        self.stats.requests_received += 1;
        let (token, internal) = (request.token, request.internal);
        let mut incoming = Incoming {
            socket,
            from,
            tid: request.tid,
            to: request.to,
            id: valid_id(request.id, from),
            command: request.command,
            target: request.target,
            value: request.value,
            length: datagram.len(),
            proven: false,
        };
        self.count(internal, incoming.command);
        if let Some(token) = &token
            && !self.tokens.accepts(now, *from.ip(), token)
        {
            let reply = Reply {
                token: true,
                closer: true,
                error: ERROR_INVALID_TOKEN,
                ..Reply::default()
            };
            self.reply(now, &incoming, reply);
            return;
        }
        incoming.proven = token.is_some();
        self.silence.note_heard(&from);
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
            id: self.told_id(socket),
            token: reply.token.then(|| self.tokens.issue(now, *to.ip())),
            closer: closer.map_or_else(Vec::new, |target| self.closest_for(&target, incoming)),
            error: reply.error,
            value: reply.value,
        };
        if response.encoded_len() > MAX_DATAGRAM {
            // A large value is what was asked for; nodes nearby the asker learns elsewhere.
            response.closer.clear();
        }
        if !self.may_answer(now, incoming, to, &mut response) {
            self.stats.drops.budget += 1;
            return;
        }
        self.stats.replies_sent += 1;
        self.send_bounded(socket, to, response.to_bytes());
    }

    /// Returns the nodes that are named to who asks: those that it can reach.
    fn closest_for(&self, target: &Target, incoming: &Incoming) -> Vec<SocketAddrV4> {
        if self.config.is_reference() {
            return self.closest(target);
        }
        // One that comes from outside and yet has reached us at a private address reaches others there as
        // well.
        let reach = Scope::of(*incoming.from.ip()).min(Scope::of(*incoming.to.ip()));
        let mut closest = self.table.closest_within(target, reach);
        // Who asks at another address of this host cannot check the id that we tell, and so not use us,
        // before it has asked at the one that it stands for.
        let own = self
            .remote_address()
            .filter(|own| self.persistent && *own != incoming.to && Scope::of(*own.ip()) >= reach);
        if let Some(own) = own {
            closest.truncate(K - 1);
            closest.insert(0, own);
        }
        closest
    }

    /// Passes a request on to another node: the same transaction, target and command with another value.
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

    /// Does the same at `at`, or at once if that has passed or too much is put off.
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
            id: self.told_id(socket),
            token: None,
            internal: false,
            command: incoming.command,
            target: incoming.target,
            value: Some(value),
        };
        // What goes back to the sender reaches nobody else.
        if to != incoming.from && !self.relays.spend(now, *incoming.from.ip(), 1) {
            self.stats.drops.budget += 1;
            return;
        }
        self.note_relayed(incoming.command);
        let datagram = request.to_bytes();
        if at > now && self.delayed.has_room() {
            self.delayed.add(at, Later::Send(socket, to, datagram));
        } else {
            self.send_bounded(socket, to, datagram);
        }
    }

    /// Cuts a response to what its receiver may get, and returns whether that is anything at all.
    ///
    /// A request without token proves nothing about its source address, so somebody else may get the answer.
    fn may_answer(
        &mut self,
        now: Instant,
        incoming: &Incoming,
        to: SocketAddrV4,
        response: &mut Response,
    ) -> bool {
        let source = *incoming.from.ip();
        if *to.ip() != source {
            self.note_relayed(incoming.command);
            return self.relays.spend(now, source, 1);
        }
        let most = AMPLIFICATION * incoming.length;
        let excess = response.encoded_len().saturating_sub(most);
        if excess == 0 || incoming.proven || self.unproven.spend(now, source, excess) {
            return true;
        }
        self.stats.trimmed += 1;
        let nodes = response.closer.len();
        let left = nodes.saturating_sub(excess.div_ceil(ADDRESS_LENGTH));
        response.closer.truncate(left);
        if response.encoded_len() > most {
            response.value = None;
        }
        response.encoded_len() <= most
    }

    const fn note_relayed(&mut self, command: u64) {
        match command {
            rpc::PEER_HANDSHAKE => self.stats.relayed_handshakes += 1,
            rpc::PEER_HOLEPUNCH => self.stats.relayed_holepunches += 1,
            _ => {}
        }
    }

    fn count(&mut self, internal: bool, command: u64) {
        let counters: &mut [u64] = if internal {
            &mut self.stats.internal_received
        } else {
            &mut self.stats.application_received
        };
        let command = usize::try_from(command).unwrap_or(usize::MAX);
        let command = command.min(counters.len() - 1);
        counters[command] += 1;
    }

    /// Answers with an error code and, if the request has a target, nodes near it.
    pub(super) fn reply_error(&mut self, now: Instant, incoming: &Incoming, error: u64) {
        let reply = Reply {
            closer: true,
            error,
            ..Reply::default()
        };
        self.reply(now, incoming, reply);
    }

    /// Answers with a value, if there is one, a token, and nodes near the target.
    pub(super) fn reply_value(&mut self, now: Instant, incoming: &Incoming, value: Option<Vec<u8>>) {
        let reply = Reply {
            value,
            token: true,
            closer: true,
            ..Reply::default()
        };
        self.reply(now, incoming, reply);
    }

    /// Answers that what was asked is done.
    pub(super) fn reply_done(&mut self, now: Instant, incoming: &Incoming) {
        self.reply(now, incoming, Reply::default());
    }

    /// Answers the same at `at`, or at once if too much is put off.
    pub(super) fn reply_done_at(&mut self, now: Instant, at: Instant, incoming: &Incoming) {
        if self.delayed.has_room() {
            let incoming = Incoming {
                value: None,
                ..incoming.clone()
            };
            self.delayed.add(at, Later::Done(incoming));
        } else {
            self.reply_done(now, incoming);
        }
    }

    fn serve_application(&mut self, now: Instant, incoming: Incoming, token: Option<Token>) {
        match incoming.command {
            rpc::PEER_HANDSHAKE | rpc::PEER_HOLEPUNCH => self.emit(Event::Incoming(incoming)),
            _ if !self.persistent => self.reply_error(now, &incoming, ERROR_UNKNOWN_COMMAND),
            rpc::FIND_PEER => self.serve_find_peer(now, &incoming),
            rpc::LOOKUP => self.serve_lookup(now, &incoming),
            rpc::ANNOUNCE => self.serve_announce(now, &incoming, token),
            rpc::UNANNOUNCE => self.serve_unannounce(now, &incoming, token),
            rpc::MUTABLE_PUT => self.serve_mutable_put(now, &incoming, token),
            rpc::MUTABLE_GET => self.serve_mutable_get(now, &incoming),
            rpc::IMMUTABLE_PUT => self.serve_immutable_put(now, &incoming, token),
            rpc::IMMUTABLE_GET => self.serve_immutable_get(now, &incoming),
            // A plugin that a node does not have is not an unknown command: the reference stays silent.
            rpc::PLUGIN => {}
            _ => self.reply_error(now, &incoming, ERROR_UNKNOWN_COMMAND),
        }
    }

    /// Sends, unless others could not receive it whole.
    fn send_bounded(&mut self, socket: SocketId, to: SocketAddrV4, datagram: Vec<u8>) {
        if datagram.len() > MAX_DATAGRAM || to.port() == 0 {
            self.stats.drops.oversized += 1;
        } else {
            self.transmit(socket, to, datagram);
        }
    }

    /// Does what was put off until now.
    pub(super) fn send_delayed(&mut self, now: Instant) {
        while let Some(later) = self.delayed.due(now) {
            match later {
                Later::Done(incoming) => self.reply_done(now, &incoming),
                Later::Nodes(incoming) => self.serve_find_node(now, &incoming),
                Later::Send(socket, to, datagram) => self.send_bounded(socket, to, datagram),
            }
        }
    }
}

/// What a node does later.
pub(super) enum Later {
    /// Answers that what was asked is done.
    Done(Incoming),
    /// Answers with nodes near the target.
    Nodes(Incoming),
    /// Sends a datagram.
    Send(SocketId, SocketAddrV4, Vec<u8>),
}

/// What is put off, in the order of time.
#[derive(Default)]
pub(super) struct Delayed {
    waiting: BTreeMap<(Instant, u64), Later>,
    count: u64,
}

impl Delayed {
    pub(super) fn has_room(&self) -> bool {
        self.len() < MAX_DELAYED
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Puts something off until `at`. There must be room.
    pub(super) fn add(&mut self, at: Instant, later: Later) {
        self.count += 1;
        self.waiting.insert((at, self.count), later);
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|first| first.0.0)
    }

    fn due(&mut self, now: Instant) -> Option<Later> {
        let first = self.waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

/// Bytes of a node in the list of closer nodes.
const ADDRESS_LENGTH: usize = 6;
/// What may be put off at once. Each takes a datagram's worth of memory at most.
pub(super) const MAX_DELAYED: usize = 1024;
