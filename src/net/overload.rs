//! Which connections end when the memory for received data runs out.
//!
//! Shares and windows keep the memory from being used up (`udx` `memory`), but what has been acknowledged
//! can't be asked for again: a connection that holds it and gets no further holds it for as long as it lives.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use crate::udx::StreamId;

/// Looks at the connections now and then while much of the memory is used.
#[derive(Debug)]
pub(super) struct Overload {
    /// Bytes of the memory.
    limit: usize,
    look_at: Option<Instant>,
}

/// How far a connection has got, when it was last looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Packets that have come in order, and bytes that were moved on to the reader.
    counts: (u64, u64),
    /// Since when it holds something there, and when that was last seen.
    since: Option<(Instant, Instant)>,
}

/// What a connection holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holding {
    pub(super) stream: StreamId,
    pub(super) memory: usize,
    /// Whether it has got no further for a while.
    pub(super) is_stuck: bool,
    /// Whether packets wait for one before them.
    pub(super) has_gaps: bool,
}

impl Overload {
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, look_at: None }
    }

    /// Notes how much is held, once in a turn.
    pub(super) fn note(&mut self, now: Instant, held: usize) {
        if held <= self.limit / 4 {
            self.look_at = None;
        } else if self.look_at.is_none() {
            self.look_at = Some(now + INTERVAL);
        }
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.look_at
    }

    /// Returns whether it is time to look at the connections, once.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        self.look_at.take_if(|at| *at <= now).is_some()
    }

    /// Returns the connections to end, of all that hold `held` bytes together.
    ///
    /// First those whose gap does not close, the largest first, until a quarter of the memory is used: their
    /// peers have stopped to repeat what was lost. Readers may pause for as long as they like; only if the
    /// memory is used up, the largest of those that wait for their readers end, and then the largest of all.
    pub(super) fn victims(&self, mut held: usize, mut holdings: Vec<Holding>) -> Vec<StreamId> {
        holdings.retain(|holding| holding.memory > 0);
        holdings.sort_unstable_by_key(|holding| {
            let gap = holding.is_stuck && holding.has_gaps;
            (Reverse((gap, holding.is_stuck, holding.memory)), holding.stream)
        });
        let used_up = held > self.limit / 16 * 15;
        let mut victims = Vec::new();
        for holding in holdings {
            let enough = match (holding.is_stuck && holding.has_gaps, used_up) {
                (true, _) => self.limit / 4,
                (false, true) => self.limit / 4 * 3,
                (false, false) => break,
            };
            if held <= enough {
                break;
            }
            held = held.saturating_sub(holding.memory);
            victims.push(holding.stream);
        }
        victims
    }
}

impl Progress {
    /// Notes how far the connection is and what it holds; returns whether it has got no further for a while.
    pub(super) fn is_stuck(&mut self, now: Instant, counts: (u64, u64), memory: usize) -> bool {
        let seen = self.since.filter(|(_, seen)| now - *seen <= 2 * INTERVAL);
        let since = match seen {
            Some((since, _)) if self.counts == counts && memory > 0 => since,
            _ => now,
        };
        *self = Self { counts, since: (memory > 0).then_some((since, now)) };
        now - since >= PATIENCE
    }
}

/// Between two looks at the connections.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a connection may get no further: several repetitions of a lost packet on a slow path.
const PATIENCE: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_with_gaps_go_first_and_the_largest_of_them() {
        let overload = Overload::new(1000);
        let holdings = vec![
            holding(1, 300, false, false),
            holding(2, 100, true, true),
            holding(3, 200, true, true),
            holding(4, 200, true, false),
            holding(5, 100, false, true),
        ];
        assert_eq!(overload.victims(900, holdings.clone()), [3, 2].map(StreamId));
        assert_eq!(overload.victims(400, holdings.clone()), [StreamId(3)]);
        assert_eq!(overload.victims(250, holdings), []);
    }

    #[test]
    fn readers_that_pause_are_left_alone_until_the_memory_is_used_up() {
        let overload = Overload::new(1000);
        let holdings =
            vec![holding(1, 100, true, false), holding(2, 300, true, false), holding(3, 500, false, false)];
        assert_eq!(overload.victims(900, holdings.clone()), []);
        assert_eq!(overload.victims(980, holdings), [StreamId(2)]);
        let all_go_on = vec![holding(1, 100, false, false), holding(2, 880, false, false)];
        assert_eq!(overload.victims(980, all_go_on), [StreamId(2)]);
    }

    #[test]
    fn only_much_memory_is_looked_at() {
        let (now, mut overload) = (Instant::now(), Overload::new(1000));
        overload.note(now, 250);
        assert_eq!(overload.poll_timeout(), None);
        overload.note(now, 251);
        overload.note(now + INTERVAL / 2, 800);
        assert_eq!(overload.poll_timeout(), Some(now + INTERVAL));
        assert!(!overload.is_due(now));
        assert!(overload.is_due(now + INTERVAL));
        assert!(!overload.is_due(now + INTERVAL));
    }

    #[test]
    fn a_connection_is_stuck_once_it_has_held_something_at_the_same_place_for_a_while() {
        let (now, mut progress) = (Instant::now(), Progress::default());
        let mut looks = |from: u32, counts, memory| {
            let times = (from..from + 5).map(|number| now + number * INTERVAL);
            times.map(|at| progress.is_stuck(at, counts, memory)).collect::<Vec<_>>()
        };
        let late = [false, false, false, false, true];
        assert_eq!(looks(0, (1, 1), 10), late);
        assert_eq!(looks(5, (1, 1), 10), [true; 5]);
        assert_eq!(looks(10, (1, 1), 0), [false; 5], "it holds nothing");
        assert_eq!(looks(15, (1, 1), 10), late);
        assert_eq!(looks(20, (2, 1), 10), late, "it has got further");
        assert_eq!(looks(60, (2, 1), 10), late, "what it holds is not what it held then");
    }

    const fn holding(stream: u32, memory: usize, is_stuck: bool, has_gaps: bool) -> Holding {
        Holding { stream: StreamId(stream), memory, is_stuck, has_gaps }
    }
}
