//! Takes announcements back: asks each node for a token, then sends the signed withdrawal.

use std::net::SocketAddrV4;
use std::time::Instant;

use crate::connect::context::{Asker, Context};
use crate::dht::sign::Announcement;
use crate::dht::{Answer, Outgoing, RequestId};
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
        announcement: &Announcement<'_>,
        node: SocketAddrV4,
    ) {
        let outgoing =
            Outgoing { retries: RETRIES, ..Outgoing::application(node, FIND_PEER, announcement.target) };
        let request = cx.request(now, asker, outgoing);
        self.under_way.push((request, Step::Token));
    }

    /// Handles the answer to one of the requests.
    pub(super) fn handle_answer(
        &mut self,
        now: Instant,
        cx: &mut Context,
        asker: Asker,
        announcement: &Announcement<'_>,
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
                ..announcement.request(AnnounceKind::Unannounce, answer.from, &id, token)
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
