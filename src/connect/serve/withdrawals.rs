//! Takes announcements back: asks each node for a token, then sends the signed withdrawal.

use std::time::Instant;

use super::announcement::signed;
use crate::connect::context::{Asker, Context};
use crate::dht::{Answer, Outgoing, RequestId};
use crate::keys::KeyPair;
use crate::wire::records::AnnounceKind;
use crate::wire::rpc::FIND_PEER;

#[derive(Debug, Default)]
pub(super) struct Withdrawals {
    under_way: Vec<(RequestId, Step)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Token,
    Withdrawal,
}

impl Withdrawals {
    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    pub(super) fn owns(&self, request: RequestId) -> bool {
        self.under_way.iter().any(|(own, _)| *own == request)
    }

    pub(super) fn begin(
        &mut self,
        now: Instant,
        cx: &mut Context,
        asker: Asker,
        key_pair: &KeyPair,
        node: std::net::SocketAddrV4,
    ) {
        let target = key_pair.public_key().target();
        let outgoing = Outgoing {
            retries: RETRIES,
            ..Outgoing::application(node, FIND_PEER, target)
        };
        let request = cx.request(now, asker, outgoing);
        self.under_way.push((request, Step::Token));
    }

    /// Handles the answer to one of the requests.
    pub(super) fn handle_answer(
        &mut self,
        now: Instant,
        cx: &mut Context,
        asker: Asker,
        key_pair: &KeyPair,
        request: RequestId,
        answer: Option<Answer>,
    ) {
        let Some(index) = self.under_way.iter().position(|(own, _)| *own == request) else {
            return;
        };
        let (_, step) = self.under_way.swap_remove(index);
        if let (Step::Token, Some(answer)) = (step, answer)
            // Without a record there is nothing to withdraw.
            && let (Some(id), Some(token), Some(_)) = (answer.id, answer.token, &answer.value)
        {
            let outgoing = Outgoing {
                retries: RETRIES,
                ..signed(key_pair, answer.from, id, token, AnnounceKind::Unannounce)
            };
            let request = cx.request(now, asker, outgoing);
            self.under_way.push((request, Step::Withdrawal));
        }
    }

    pub(super) fn cancel(&mut self, now: Instant, cx: &mut Context) {
        for (request, _) in self.under_way.drain(..) {
            cx.cancel_request(now, request);
        }
    }
}

/// Retransmissions of a request: an announcement that is not withdrawn expires by itself.
const RETRIES: u32 = 1;
