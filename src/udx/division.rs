//! Whether packets that have become too large for the path can be divided anew.
//!
//! Numbers count packets (`udx.md` §4), so a packet keeps its borders as long as the peer may have it. If the
//! peer is known to have none of those that are out, and to get none of them any more, their bytes can go in
//! smaller packets under the same first number. That is found out so:
//!
//! 1. A time-out finds a packet as the first one out that is larger than the path seems to carry, and none
//!    behind it is acknowledged. From now on only the first one is sent again, and routers may divide it.
//! 2. A usual and half a shortest round trip after the last transmission a heartbeat leaves. Its answer
//!    reports everything that the peer has (`udx.md` §9), packets before gaps included.
//! 3. A plain acknowledgement that comes after that and acknowledges nothing is that answer, or was sent when
//!    the peer would have had every packet as well.
//!
//! **Why no copy of an old packet comes later.** Let a packet take `f` at most to the peer, and one of the
//! peer's `r` to here. The last transmission, at `t`, arrives by `t + f`. What comes at
//! `t + usual + minimum / 2` or later was sent by the peer at `t + usual + minimum / 2 - r` or later. That is
//! later than `t + f` if `f + r <= usual + minimum / 2`: on a path that keeps the order the round
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
    /// A heartbeat has left that asks, and none of the packets since.
    asked: bool,
}

impl Question {
    /// Notes that one of the packets is sent.
    pub(super) const fn sent(&mut self) {
        self.asked = false;
    }

    /// Notes that a heartbeat leaves, `since` the last of the packets, on a path where nothing comes later
    /// than after `latest`.
    pub(super) fn ask(&mut self, now: Instant, since: Instant, latest: Duration) {
        self.asked |= now >= since + latest;
    }

    /// Returns whether what comes from the peer now was sent after it could have had all the packets.
    pub(super) const fn is_answered(&self) -> bool {
        self.asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_if_the_question_left_late_enough_after_the_last_packet() {
        let latest = Duration::from_millis(60);
        let (sent, instant) = (Instant::now(), Duration::from_nanos(1));
        let mut question = Question::default();
        assert!(!question.is_answered(), "nobody has asked");
        question.ask(sent + latest - instant, sent, latest);
        assert!(!question.is_answered(), "asked too early");
        question.ask(sent + latest, sent, latest);
        question.ask(sent + latest * 2, sent, latest);
        assert!(question.is_answered());
        question.sent();
        assert!(!question.is_answered(), "a packet left after the question");
    }
}
