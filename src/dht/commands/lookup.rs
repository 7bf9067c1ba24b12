//! LOOKUP: who announced to this topic?

use std::time::Instant;

use crate::dht::node::Node;
use crate::dht::table::K;
use crate::dht::types::Incoming;
use crate::wire::compact::Put;

impl Node {
    pub(in crate::dht) fn serve_lookup(&mut self, now: Instant, incoming: &Incoming) {
        let Some(target) = &incoming.target else {
            return;
        };
        let value = self.lookup_reply(target);
        self.reply_value(now, incoming, value);
    }

    /// Returns the encoded list of up to twenty records and the latest time stamp, or `None` if there is no
    /// record.
    fn lookup_reply(&mut self, target: &[u8; 32]) -> Option<Vec<u8>> {
        let server = self.server_record(target);
        let store = self.store.as_mut()?;
        let mut records = store.topics.sample(target, K, &mut self.rng);
        if records.len() < K {
            records.extend(server.as_deref());
        }
        if records.is_empty() {
            return None;
        }
        let size: usize = records.iter().map(|record| record.len()).sum();
        let mut reply = Vec::with_capacity(1 + size + 9);
        reply.put_varuint(records.len() as u64);
        for record in records {
            reply.extend_from_slice(record);
        }
        reply.put_varuint(store.bumps.get(target).copied().unwrap_or(0));
        Some(reply)
    }
}
