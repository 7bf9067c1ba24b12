//! The commands of the RPC layer: pings, FIND_NODE and DOWN_HINT.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use crate::dht::node::Node;
use crate::dht::types::{Incoming, Reply};
use crate::wire::compact::Reader;
use crate::wire::rpc::{self, ERROR_UNKNOWN_COMMAND, NodeId};

impl Node {
    pub(in crate::dht) fn serve_internal(&mut self, now: Instant, incoming: &Incoming) {
        let value = incoming.value.as_deref().unwrap_or_default();
        match incoming.command {
            rpc::PING => self.reply_done(now, incoming),
            rpc::PING_NAT => self.serve_ping_nat(now, incoming, value),
            rpc::FIND_NODE if incoming.target.is_some() => {
                let reply = Reply {
                    closer: true,
                    ..Reply::default()
                };
                self.reply(now, incoming, reply);
            }
            rpc::FIND_NODE => {}
            rpc::DOWN_HINT => self.serve_down_hint(now, incoming, value),
            rpc::DELAYED_PING => self.serve_delayed_ping(now, incoming, value),
            _ => self.reply_error(now, incoming, ERROR_UNKNOWN_COMMAND),
        }
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
        if !self.delayed.add(now + delay, waiting) {
            self.stats.drops.full += 1;
        }
    }
}
