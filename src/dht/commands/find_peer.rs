//! FIND_PEER: where is the server with this key?

use std::time::Instant;

use crate::dht::node::Node;
use crate::dht::types::Incoming;

impl Node {
    pub(in crate::dht) fn serve_find_peer(&mut self, now: Instant, incoming: &Incoming) {
        let Some(target) = &incoming.target else {
            return;
        };
        let record = self.server_record(target);
        self.reply_value(now, incoming, record);
    }

    /// Returns the record of the server with this target, whether it runs here or announced itself here.
    pub(super) fn server_record(&mut self, target: &[u8; 32]) -> Option<Vec<u8>> {
        if let Some(own) = self.servers.get(target) {
            return Some(own.clone());
        }
        let forward = self.store.as_mut()?.forwards.get(target)?;
        Some(forward.record.clone())
    }
}
