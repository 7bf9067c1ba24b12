//! IMMUTABLE_PUT and IMMUTABLE_GET: values under their own hash.

use std::time::Instant;

use crate::dht::node::Node;
use crate::dht::types::Incoming;
use crate::wire::hash;
use crate::wire::rpc::Token;

impl Node {
    pub(in crate::dht) fn serve_immutable_put(
        &mut self,
        now: Instant,
        incoming: &Incoming,
        token: Option<Token>,
    ) {
        let (Some(target), Some(_), Some(value)) = (incoming.target, token, &incoming.value) else {
            return;
        };
        if hash::hash(&[value]) != target {
            return;
        }
        let Some(store) = &mut self.store else {
            return;
        };
        if store.immutables.set(*incoming.from.ip(), target, value.clone()) {
            self.reply_value(now, incoming, None);
        }
    }

    pub(in crate::dht) fn serve_immutable_get(&mut self, now: Instant, incoming: &Incoming) {
        let Some(target) = &incoming.target else {
            return;
        };
        let store = self.store.as_mut();
        let value = store.and_then(|store| store.immutables.get(target).cloned());
        self.reply_value(now, incoming, value);
    }
}
