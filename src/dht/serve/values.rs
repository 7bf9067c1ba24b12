//! Values under their own hash, and signed values under the key that signs them (hyperdht-rpc.md §5).

use super::service::Service;
use crate::dht::types::{Incoming, Reply};
use crate::wire::compact::{Decode, Encode, Reader};
use crate::wire::hash;
use crate::wire::records::{MutablePut, MutableValue, mutable_signable};
use crate::wire::rpc::{ERROR_SEQ_REUSED, ERROR_SEQ_TOO_LOW, Token};

impl Service {
    /// Serves IMMUTABLE_PUT.
    pub(in crate::dht) fn put_immutable(
        &mut self,
        incoming: &Incoming,
        token: Option<Token>,
    ) -> Option<Reply> {
        let (target, _, value) = (incoming.target?, token?, incoming.value.as_ref()?);
        if hash::hash(&[value]) != target {
            return None;
        }
        let store = self.store.as_mut()?;
        let stored = store.set_immutable(*incoming.from.ip(), target, value.clone());
        stored.is_ok().then(|| Reply::with_value(None))
    }

    /// Serves IMMUTABLE_GET.
    pub(in crate::dht) fn get_immutable(&mut self, incoming: &Incoming) -> Option<Reply> {
        let target = &incoming.target?;
        let store = self.store.as_mut();
        let value = store.and_then(|store| store.immutable(target).cloned());
        Some(Reply::with_value(value))
    }

    /// Serves MUTABLE_PUT.
    pub(in crate::dht) fn put_mutable(&mut self, incoming: &Incoming, token: Option<Token>) -> Option<Reply> {
        let (target, _, value) = (incoming.target?, token?, incoming.value.as_ref()?);
        let put = MutablePut::from_bytes(value).ok()?;
        let signable = mutable_signable(put.seq, &put.value);
        if put.public_key.target() != target || !put.public_key.verify(&signable, &put.signature) {
            return None;
        }
        let store = self.store.as_mut()?;
        let known = store.mutable(&target).map(|stored| MutableValue::from_bytes(stored));
        if let Some(Ok(known)) = known {
            if known.seq == put.seq && known.value != put.value {
                return Some(Reply::with_error(ERROR_SEQ_REUSED));
            }
            if put.seq < known.seq {
                return Some(Reply::with_error(ERROR_SEQ_TOO_LOW));
            }
        }
        let record = MutableValue { seq: put.seq, value: put.value, signature: put.signature };
        let stored = store.set_mutable(*incoming.from.ip(), target, record.to_bytes());
        stored.is_ok().then(|| Reply::with_value(None))
    }

    /// Serves MUTABLE_GET.
    pub(in crate::dht) fn get_mutable(&mut self, incoming: &Incoming) -> Option<Reply> {
        let (target, value) = (&incoming.target?, incoming.value.as_ref()?);
        let least = Reader::new(value).varuint().ok()?;
        let store = self.store.as_mut();
        let record = store.and_then(|store| store.mutable(target));
        let new_enough = record.filter(|record| Reader::new(record).varuint().is_ok_and(|seq| seq >= least));
        Some(Reply::with_value(new_enough.cloned()))
    }
}
