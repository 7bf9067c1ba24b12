//! The shortest round trip of a path, as far as it is known.
//!
//! The draft (§5.3.4) keeps two values: the shortest of the last seconds, which asks for a probe when it is
//! old, and the one that counts, which is kept for a longer time. So a crowd that keeps a queue full for some
//! seconds does not forget what the empty path was like.

use std::time::{Duration, Instant};

/// The shortest round trips, each with the time until which it counts.
#[derive(Debug)]
pub(super) struct ShortestRtt {
    recent: Option<(Duration, Instant)>,
    minimum: Option<(Duration, Instant)>,
    /// A queue has been seen since `recent` was renewed.
    risen: bool,
    /// The shortest round trip before others began to keep a queue of more than that.
    before_others: Option<Duration>,
}

/// What a round trip shows beside its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// The shortest of the last seconds is old: it has to be measured anew.
    pub(super) expired: bool,
    /// The path is emptier than it was known to be: others send little, to measure it.
    pub(super) emptied: bool,
    /// Others keep a queue of more than a round trip from now on.
    pub(super) taken: bool,
}

impl ShortestRtt {
    pub(super) const fn new() -> Self {
        Self { recent: None, minimum: None, risen: false, before_others: None }
    }

    pub(super) fn get(&self) -> Option<Duration> {
        self.minimum.map(|(rtt, _)| rtt)
    }

    /// Returns whether others keep a queue of more than a round trip, and take what is left to them.
    pub(super) const fn is_occupied(&self) -> bool {
        self.before_others.is_some()
    }

    /// Takes a round trip, of a path whose queue is seen or not at the moment.
    pub(super) fn update(&mut self, now: Instant, rtt: Option<Duration>, inflated: bool) -> Shown {
        self.risen |= inflated;
        let expired = self.recent.is_some_and(|(_, until)| now > until);
        let Some(rtt) = rtt else {
            return Shown { expired, ..Shown::default() };
        };
        let recent = match self.recent {
            Some((recent, _)) if rtt > recent && !expired => {
                // A path that is nearly empty now and then shows its round trip without being asked. A queue
                // that is always full looks the same, but for that nothing is ever longer.
                if self.risen && is_near(rtt, recent) {
                    self.renew(now);
                }
                recent
            }
            _ => {
                self.recent = Some((rtt, now + LIFETIME));
                rtt
            }
        };
        match self.minimum {
            // A queue of more than a round trip that does not drain is not one of streams like this. Where
            // others keep it, a sender that measures itself by the empty path gets nothing.
            Some((minimum, until)) if recent > minimum && now <= until && recent < OCCUPIED * minimum => {
                if is_near(recent, minimum) {
                    self.minimum = Some((minimum, now + 2 * LIFETIME));
                }
                Shown { expired, ..Shown::default() }
            }
            before => {
                self.minimum = Some((recent, now + 2 * LIFETIME));
                let before = before.map(|(minimum, _)| minimum);
                let emptied = before.is_some_and(|minimum| recent + HOST.max(minimum / 16) < minimum);
                let was_occupied = self.is_occupied();
                let empty = self.before_others.or(before);
                self.before_others = empty.filter(|empty| recent >= OCCUPIED * *empty);
                Shown { expired, emptied, taken: self.is_occupied() && !was_occupied }
            }
        }
    }

    /// Lets the shortest of the last seconds count as measured now.
    pub(super) fn renew(&mut self, now: Instant) {
        self.recent = self.recent.map(|(rtt, _)| (rtt, now + LIFETIME));
        self.risen = false;
    }

    /// Takes it for one of a path that was not empty: it has to be measured anew soon.
    pub(super) fn doubt(&mut self, now: Instant) {
        self.recent = self.recent.map(|(rtt, until)| (rtt, until.min(now + SUSPICION)));
    }
}

/// How late hosts answer: a difference that is not longer shows nothing of the path.
pub(super) const HOST: Duration = Duration::from_millis(1);

fn is_near(rtt: Duration, shortest: Duration) -> bool {
    rtt <= shortest + shortest / 32
}

/// `ProbeRTTInterval` of §2.14.2. The minimum is kept for twice that after it was last the shortest.
const LIFETIME: Duration = Duration::from_secs(5);
/// How many times the shortest round trip a queue makes of it that others keep.
const OCCUPIED: u32 = 2;
/// `LIFETIME` of one that was measured before a crowded STARTUP.
const SUSPICION: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn the_empty_path_is_remembered_while_a_queue_stands() {
        let (mut shortest, start) = (ShortestRtt::new(), Instant::now());
        shortest.update(start, Some(ms(40)), false);
        let mut asked = Vec::new();
        for second in 1..=16 {
            let shown = shortest.update(start + ms(second * 1000), Some(ms(70)), true);
            if shown.expired {
                asked.push(second);
            }
            let known = if second <= 15 { ms(40) } else { ms(70) };
            assert_eq!(shortest.get(), Some(known), "after {second} s");
        }
        assert_eq!(asked, [6], "seconds after which a probe is due");
    }

    #[test]
    fn a_queue_of_more_than_a_round_trip_belongs_to_the_path_once_it_has_stood_for_seconds() {
        let (mut shortest, start) = (ShortestRtt::new(), Instant::now());
        shortest.update(start, Some(ms(40)), false);
        shortest.update(start + ms(5000), Some(ms(90)), true);
        assert_eq!(shortest.get(), Some(ms(40)));
        assert!(!shortest.is_occupied());
        let shown = shortest.update(start + ms(5001), Some(ms(90)), true);
        assert!(shown.expired && shown.taken);
        assert_eq!(shortest.get(), Some(ms(90)));
        assert!(shortest.is_occupied());
        for (rtt, is_occupied) in [(90, true), (82, true), (75, false), (41, false)] {
            assert!(!shortest.update(start + ms(6000), Some(ms(rtt)), true).taken);
            assert_eq!(shortest.is_occupied(), is_occupied, "{rtt} ms");
        }
    }

    #[test]
    fn only_a_path_that_is_empty_now_and_then_renews_its_round_trip() {
        for rises in [true, false] {
            let (mut shortest, start) = (ShortestRtt::new(), Instant::now());
            shortest.update(start, Some(ms(40)), false);
            let mut expired = false;
            for tick in 1..80 {
                let at = start + ms(tick * 100);
                expired |= shortest.update(at, Some(ms(41)), rises).expired;
            }
            assert_eq!(expired, !rises);
        }
    }

    #[test]
    fn how_fast_hosts_answer_shows_nothing_of_the_path() {
        let (mut shortest, start) = (ShortestRtt::new(), Instant::now());
        for micros in [1200, 900, 300, 60, 30] {
            let shown = shortest.update(start, Some(Duration::from_micros(micros)), true);
            assert!(!shown.emptied, "{micros} µs");
        }
    }

    #[test]
    fn a_path_that_is_emptier_than_known_shows_that_others_measure_it() {
        let (mut shortest, start) = (ShortestRtt::new(), Instant::now());
        for (rtt, emptied) in [(80, false), (76, false), (71, true), (80, false), (71, false)] {
            assert_eq!(shortest.update(start, Some(ms(rtt)), false).emptied, emptied, "{rtt} ms");
        }
    }
}
