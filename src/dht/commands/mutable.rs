//! MUTABLE_PUT and MUTABLE_GET: signed values under the key that signs them.

use std::time::Instant;

use crate::dht::node::Node;
use crate::dht::types::Incoming;
use crate::wire::compact::{Decode, Encode, Reader};
use crate::wire::records::{MutablePut, MutableValue, mutable_signable};
use crate::wire::rpc::{ERROR_SEQ_REUSED, ERROR_SEQ_TOO_LOW, Token};

impl Node {
    pub(in crate::dht) fn serve_mutable_put(
        &mut self,
        now: Instant,
        incoming: &Incoming,
        token: Option<Token>,
    ) {
        let (Some(target), Some(_), Some(value)) = (incoming.target, token, &incoming.value) else {
            return;
        };
        let Ok(put) = MutablePut::from_bytes(value) else {
            return;
        };
        let signable = mutable_signable(put.seq, &put.value);
        if put.public_key.target() != target || !put.public_key.verify(&signable, &put.signature) {
            return;
        }
        let Some(store) = &mut self.store else {
            return;
        };
        let known = store
            .mutables
            .get(&target)
            .map(|stored| MutableValue::from_bytes(stored));
        if let Some(Ok(known)) = known {
            if known.seq == put.seq && known.value != put.value {
                return self.reply_error(now, incoming, ERROR_SEQ_REUSED);
            }
            if put.seq < known.seq {
                return self.reply_error(now, incoming, ERROR_SEQ_TOO_LOW);
            }
        }
        let record = MutableValue {
            seq: put.seq,
            value: put.value,
            signature: put.signature,
        };
        if store.mutables.set(*incoming.from.ip(), target, record.to_bytes()) {
            self.reply_value(now, incoming, None);
        }
    }

    pub(in crate::dht) fn serve_mutable_get(&mut self, now: Instant, incoming: &Incoming) {
        let (Some(target), Some(value)) = (&incoming.target, &incoming.value) else {
            return;
        };
        let Ok(least) = Reader::new(value).varuint() else {
            return;
        };
        let store = self.store.as_mut();
        let record = store.and_then(|store| store.mutables.get(target));
        let new_enough = record.filter(|record| Reader::new(record).varuint().is_ok_and(|seq| seq >= least));
        let value = new_enough.cloned();
        self.reply_value(now, incoming, value);
    }
}
