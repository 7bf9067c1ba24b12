//! Whether packets that have become too large for the path can be divided anew.
//!
//! Numbers count packets (`udx.md` §4), so a packet keeps its borders as long as the peer may have it. If the
//! peer is known to have none of those that are out, and to get none of them any more, their bytes can go in
//! smaller packets under the same first number. That is found out so:
//!
//! 1. A time-out finds a packet as the first one out that is larger than the path seems to carry, and none
//!    behind it is acknowledged. From now on only the first one is sent again, and routers may divide it.
//! 2. A usual round trip after the last transmission a heartbeat leaves. Its answer reports everything that
//!    the peer has (`udx.md` §9), packets before gaps included.
//! 3. A plain acknowledgement that comes at least half a shortest round trip later (a heartbeat is faster
//!    than the large packets by which that was measured) and acknowledges nothing is that answer, or was sent
//!    when the peer would have had every packet as well.
//!
//! **Why no copy of an old packet comes later.** Let a packet take `f` at most to the peer, and one of the
//! peer's `r` to here. The last transmission, at `t`, arrives by `t + f`. The heartbeat leaves at `t + usual`
//! or later, and what comes half of `minimum` later was sent by the peer after `t + usual + minimum / 2 - r`.
//! That is later than `t + f` if `f + r <= usual + minimum / 2`: on a path that keeps the order the round
//! trip would have to grow by half at once. An acknowledgement that was sent later than any copy can arrive,
//! and knows of none, says that all of them are lost.
//!
//! Where a packet is later than that, the peer takes both divisions for parts of one stream, and its bytes
//! are wrong from there on. So only streams are divided whose owner has said that it notices
//! ([`Config::is_protected`](super::Config::is_protected)): an encrypted one ends with a frame that does not
//! decrypt.
//!
//! If the peer has a packet behind a lost one, the numbers up to it are taken, and nothing but routers can
//! divide those before it.

use std::time::{Duration, Instant};

/// The question whether the peer has any of the packets that are out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Question {
    /// When the heartbeat left that asks, if none of the packets was sent since.
    asked: Option<Instant>,
}

impl Question {
    /// Notes that one of the packets is sent.
    pub(super) const fn sent(&mut self) {
        self.asked = None;
    }

    /// Notes that a heartbeat leaves, `since` the last of the packets, of which any answer takes `usual`.
    pub(super) fn ask(&mut self, now: Instant, since: Instant, usual: Duration) {
        if now >= since + usual {
            self.asked.get_or_insert(now);
        }
    }

    /// Returns whether what comes from the peer now was sent after it could have had all the packets.
    pub(super) fn is_answered(&self, now: Instant, minimum: Duration) -> bool {
        self.asked.is_some_and(|asked| now >= asked + minimum / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_if_the_question_left_late_enough_after_the_last_packet() {
        let [rtt, usual] = [50, 60].map(Duration::from_millis);
        let (sent, instant) = (Instant::now(), Duration::from_nanos(1));
        let mut question = Question::default();
        assert!(!question.is_answered(sent + usual * 9, rtt), "nobody has asked");
        question.ask(sent + usual - instant, sent, usual);
        assert!(!question.is_answered(sent + usual * 9, rtt), "asked too early");
        question.ask(sent + usual, sent, usual);
        question.ask(sent + usual * 2, sent, usual);
        assert!(!question.is_answered(sent + usual + rtt / 2 - instant, rtt), "older than the question");
        assert!(question.is_answered(sent + usual + rtt / 2, rtt));
        question.sent();
        assert!(!question.is_answered(sent + usual * 9, rtt), "a packet left after the question");
    }
}
