//! The commands of the RPC layer: pings, FIND_NODE and DOWN_HINT.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use crate::dht::node::Node;
use crate::dht::serve::Later;
use crate::dht::types::{Incoming, Reply};
use crate::wire::compact::Reader;
use crate::wire::rpc::{self, ERROR_UNKNOWN_COMMAND, NodeId};

impl Node {
    pub(in crate::dht) fn serve_internal(&mut self, now: Instant, incoming: &Incoming) {
        let value = incoming.value.as_deref().unwrap_or_default();
        match incoming.command {
            rpc::PING => self.reply_done(now, incoming),
            rpc::PING_NAT => self.serve_ping_nat(now, incoming, value),
            // The reference joins by this command. It asks the first node that answers whether its firewall
            // is open, and believes the answer only if its walk is not over by then. So nodes that are
            // quicker than its own let it take itself for firewalled.
            rpc::FIND_NODE if incoming.id.is_none() && self.hold(now, incoming) => {}
            rpc::FIND_NODE => self.serve_find_node(now, incoming),
            rpc::DOWN_HINT => self.serve_down_hint(now, incoming, value),
            rpc::DELAYED_PING => self.serve_delayed_ping(now, incoming, value),
            _ => self.reply_error(now, incoming, ERROR_UNKNOWN_COMMAND),
        }
    }

    pub(in crate::dht) fn serve_find_node(&mut self, now: Instant, incoming: &Incoming) {
        if incoming.target.is_some() {
            let reply = Reply {
                closer: true,
                ..Reply::default()
            };
            self.reply(now, incoming, reply);
        }
    }

    /// Puts a FIND_NODE off for a moment; returns whether it did. A node that many ask has no time for that.
    fn hold(&mut self, now: Instant, incoming: &Incoming) -> bool {
        let holds = self.delayed.len() < MAX_HELD;
        if holds {
            let incoming = incoming.clone();
            self.delayed.add(now + HOLD, Later::Nodes(incoming));
        }
        holds
    }

    /// Answers to another port of the same host, so that the sender learns what its NAT lets through.
    fn serve_ping_nat(&mut self, now: Instant, incoming: &Incoming, value: &[u8]) {
        let Some(port) = Reader::new(value).u16().ok().filter(|port| *port != 0) else {
            return;
        };
        let reply = Reply {
            to: Some(SocketAddrV4::new(*incoming.from.ip(), port)),
            ..Reply::default()
        };
        self.reply(now, incoming, reply);
    }

    fn serve_down_hint(&mut self, now: Instant, incoming: &Incoming, value: &[u8]) {
        let Ok(node) = Reader::new(value).addr4() else {
            return;
        };
        self.on_down_hint(now, &NodeId::of(node));
        self.reply_done(now, incoming);
    }

    fn serve_delayed_ping(&mut self, now: Instant, incoming: &Incoming, value: &[u8]) {
        let Ok(delay) = Reader::new(value).u32() else {
            return;
        };
        let delay = Duration::from_millis(u64::from(delay));
        if delay > self.config.max_ping_delay {
            return;
        }
        let waiting = Incoming {
            value: None,
            ..incoming.clone()
        };
        if self.delayed.has_room() {
            self.delayed.add(now + delay, Later::Done(waiting));
        } else {
            self.stats.drops.full += 1;
        }
    }
}

/// For how long a FIND_NODE is put off: about as long as a node of the reference takes to answer.
const HOLD: Duration = Duration::from_micros(300);
/// With so much put off, none is.
pub(in crate::dht) const MAX_HELD: usize = 4;
