//! Connections that wait to be accepted.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::slots::{Slots, Source};

/// A bounded queue of connections that its driver fills and its user empties. Its bound is shared by source.
#[derive(Debug)]
pub(crate) struct Backlog<T> {
    state: Mutex<State<T>>,
    arrived: Notify,
}

#[derive(Debug)]
struct State<T> {
    waiting: BTreeMap<u64, T>,
    slots: Slots<u64>,
    limit: usize,
    next: u64,
    is_closed: bool,
}

impl<T> Backlog<T> {
    pub(super) fn new(limit: usize) -> Self {
        let state = State {
            waiting: BTreeMap::new(),
            slots: Slots::default(),
            limit: limit.max(1),
            next: 0,
            is_closed: false,
        };
        Self { state: Mutex::new(state), arrived: Notify::new() }
    }

    /// Appends a connection; returns what there is no room for any more: the newest one from the busiest
    /// source, which is the new one where no source is busier than its own.
    pub(super) fn push(&self, source: Source, connection: T) -> Option<T> {
        let mut state = self.state();
        if state.is_closed {
            return Some(connection);
        }
        let mut displaced = None;
        if state.waiting.len() >= state.limit {
            let Some(rival) = state.slots.rival(source) else {
                return Some(connection);
            };
            state.slots.remove(&rival);
            displaced = state.waiting.remove(&rival);
        }
        state.next += 1;
        let number = state.next;
        state.slots.insert(number, source);
        state.waiting.insert(number, connection);
        drop(state);
        self.arrived.notify_one();
        displaced
    }

    /// Takes no more connections. Those that wait can still be accepted.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.arrived.notify_waiters();
    }

    /// Takes no more connections and drops those that wait.
    pub(crate) fn clear(&self) {
        self.close();
        let waiting = std::mem::take(&mut self.state().waiting);
        drop(waiting);
    }

    /// Waits for the next connection, the oldest first; `None` once the backlog is closed and empty.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(crate) async fn next(&self) -> Option<T> {
        loop {
            let mut arrived = std::pin::pin!(self.arrived.notified());
            // From here on nothing is missed.
            arrived.as_mut().enable();
            {
                let mut state = self.state();
                if let Some((number, connection)) = state.waiting.pop_first() {
                    state.slots.remove(&number);
                    if !state.waiting.is_empty() {
                        // Another task may have been woken for this one.
                        self.arrived.notify_one();
                    }
                    return Some(connection);
                }
                if state.is_closed {
                    return None;
                }
            }
            arrived.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // A panic elsewhere leaves these values consistent: each change is a single step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn from(address: [u8; 4]) -> Source {
        Source::direct(address.into())
    }

    #[tokio::test]
    async fn connections_are_accepted_in_order_until_it_is_closed() {
        let backlog = Backlog::new(9);
        for number in 0..3 {
            assert_eq!(backlog.push(from([9, 9, 9, 9]), number), None);
        }
        backlog.close();
        assert_eq!(backlog.push(from([9, 9, 9, 9]), 3), Some(3));
        for number in 0..3 {
            assert_eq!(backlog.next().await, Some(number));
        }
        assert_eq!(backlog.next().await, None);
    }

    #[tokio::test]
    async fn one_source_that_fills_it_gives_way_to_others() {
        let backlog = Backlog::new(4);
        for number in 0..4 {
            assert_eq!(backlog.push(from([9, 9, 9, 9]), number), None);
        }
        assert_eq!(backlog.push(from([9, 9, 9, 9]), 4), Some(4), "its own source is the busiest");
        assert_eq!(backlog.push(from([8, 8, 8, 8]), 5), Some(3), "the newest of the busiest");
        assert_eq!(backlog.next().await, Some(0));
        assert_eq!(backlog.push(from([9, 9, 9, 9]), 6), None, "there is room again");
    }

    #[tokio::test]
    async fn each_of_several_tasks_gets_one() {
        let backlog = Arc::new(Backlog::new(9));
        let tasks: Vec<_> = (0..5)
            .map(|_| {
                let backlog = Arc::clone(&backlog);
                tokio::spawn(async move { backlog.next().await })
            })
            .collect();
        tokio::task::yield_now().await;
        for number in 0..5 {
            assert_eq!(backlog.push(from([9, 9, 9, 9]), number), None);
        }
        let mut taken = Vec::new();
        for task in tasks {
            taken.extend(task.await.expect("it does not panic"));
        }
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2, 3, 4]);
    }
}
