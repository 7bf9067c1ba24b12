//! Waiting until all that is known has been tried once.

use std::collections::BTreeSet;

use super::state::{Action, Core, Flush, FlushId};

impl Core {
    /// Answers with [`Action::Flushed`] once the refreshes under way are over and each peer that waits then
    /// has been dialled once, or no more connections may be dialled.
    pub(in crate::swarm) fn flush(&mut self, id: FlushId) {
        let running = self.topics.iter().filter(|(_, topic)| !topic.is_refreshed());
        let topics = running.map(|(topic, _)| *topic).collect();
        self.flushes.push(Flush { id, topics, peers: None });
        self.flush_tried();
    }

    /// A topic has been refreshed.
    pub(super) fn flush_refreshed(&mut self, topic: &[u8; 32]) {
        for flush in &mut self.flushes {
            flush.topics.remove(topic);
        }
        self.flush_tried();
    }

    /// Ends those for which all peers have been tried.
    pub(super) fn flush_tried(&mut self) {
        if self.flushes.is_empty() {
            return;
        }
        let mut pending: BTreeSet<_> = self.peers.queued().copied().collect();
        let is_full = self.counts.dialling == 0 && self.is_full();
        let dialled = self.peers.iter().filter(|(_, peer)| peer.rivals.dial().is_some());
        pending.extend(dialled.map(|(key, _)| *key));
        let mut over = Vec::new();
        self.flushes.retain_mut(|flush| {
            if !flush.topics.is_empty() {
                return true;
            }
            let peers = flush.peers.get_or_insert_with(|| pending.clone());
            peers.retain(|key| pending.contains(key));
            let is_over = peers.is_empty() || is_full;
            if is_over {
                over.push(flush.id);
            }
            !is_over
        });
        for id in over {
            self.push(Action::Flushed(id));
        }
    }

    /// Ends all.
    pub(super) fn flush_all(&mut self) {
        for flush in std::mem::take(&mut self.flushes) {
            self.push(Action::Flushed(flush.id));
        }
    }
}
