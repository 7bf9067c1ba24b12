//! Deadlines by what they are for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// At most one deadline for each `Id`, and which of them comes first.
#[derive(Debug)]
pub(super) struct Timers<Id> {
    by_id: BTreeMap<Id, Instant>,
    by_time: BTreeSet<(Instant, Id)>,
}

impl<Id> Default for Timers<Id> {
    fn default() -> Self {
        Self { by_id: BTreeMap::new(), by_time: BTreeSet::new() }
    }
}

impl<Id: Copy + Ord> Timers<Id> {
    /// Arms the timer of `id` in place of the one before; `None` disarms it.
    pub(super) fn set(&mut self, id: Id, at: Option<Instant>) {
        let before = match at {
            Some(at) => self.by_id.insert(id, at),
            None => self.by_id.remove(&id),
        };
        if before != at {
            if let Some(before) = before {
                self.by_time.remove(&(before, id));
            }
            self.by_time.extend(at.map(|at| (at, id)));
        }
    }

    /// Returns the first timer that is due. It stays due until it is set anew.
    pub(super) fn due(&self, now: Instant) -> Option<Id> {
        let (at, id) = self.by_time.first()?;
        (*at <= now).then_some(*id)
    }

    /// Returns when the first timer is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_first_deadline_is_due_until_it_is_set_anew() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        timers.set('b', Some(at(2)));
        timers.set('a', Some(at(3)));
        timers.set('a', Some(at(1)));
        assert_eq!((timers.next(), timers.due(now)), (Some(at(1)), None));
        assert_eq!(timers.due(at(9)), Some('a'));
        timers.set('a', None);
        assert_eq!(timers.due(at(9)), Some('b'));
        timers.set('b', None);
        assert_eq!((timers.next(), timers.due(at(9))), (None, None));
        assert!(timers.by_id.is_empty() && timers.by_time.is_empty());
    }
}
