//! Looking for datagrams for a moment before sleeping, where the user has chosen low latency.
//!
//! A task that sleeps until a socket is readable runs tens of microseconds after the datagram has come: the
//! system wakes a thread, which asks which socket it was. A driver that looks itself saves that, and keeps
//! the thread that it runs on busy meanwhile.

use std::time::{Duration, Instant};

/// Until when the driver looks instead of sleeping.
#[derive(Debug)]
pub(super) struct Spin {
    is_on: bool,
    until: Option<Instant>,
}

impl Spin {
    pub(super) const fn new(is_on: bool) -> Self {
        Self { is_on, until: None }
    }

    /// Notes that a datagram has come or gone; returns whether the driver should look for the next one.
    pub(super) fn note(&mut self, now: Instant) -> bool {
        self.until = self.is_on.then(|| now + LONGEST);
        self.is_on
    }

    /// Returns whether it should go on to look, though another deadline may come first.
    pub(super) fn goes_on(&mut self, now: Instant, deadline: Option<Instant>) -> bool {
        let goes_on = self.until.is_some_and(|until| now < until);
        if !goes_on {
            self.until = None;
        }
        goes_on && deadline.is_none_or(|at| now < at)
    }
}

/// How long the driver looks after the last datagram. A round trip in a local network is shorter.
const LONGEST: Duration = Duration::from_micros(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_looks_for_a_bounded_time_after_each_datagram_and_only_if_asked() {
        let start = Instant::now();
        let at = |micros| start + Duration::from_micros(micros);
        let mut off = Spin::new(false);
        assert!(!off.note(start) && !off.goes_on(start, None));

        let mut spin = Spin::new(true);
        assert!(!spin.goes_on(start, None), "nothing has come yet");
        assert!(spin.note(start));
        assert!(spin.goes_on(at(99), None));
        assert!(!spin.goes_on(at(10), Some(at(10))), "a timer is due");
        assert!(spin.goes_on(at(11), Some(at(300))));
        assert!(spin.note(at(50)));
        assert!(spin.goes_on(at(149), None));
        assert!(!spin.goes_on(at(150), None));
        assert!(!spin.goes_on(at(140), None), "it is over");
    }
}
