//! Calls that wait for something that the core reports.

use tokio::sync::oneshot;

use super::core::{Core, FlushId};

/// Calls that wait for refreshes, for the end of topics, and for flushes.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    refreshes: Vec<([u8; 32], oneshot::Sender<bool>)>,
    ends: Vec<([u8; 32], oneshot::Sender<()>)>,
    flushes: Vec<(FlushId, oneshot::Sender<()>)>,
    last_flush: u64,
}

impl Waiters {
    /// Answers once no refresh of a topic is under way, with whether the last one has succeeded.
    pub(super) fn await_refresh(&mut self, topic: [u8; 32], waiter: oneshot::Sender<bool>, core: &Core) {
        if core.is_refreshed(&topic) {
            answer(waiter, core.has_refreshed(&topic));
        } else {
            self.refreshes.push((topic, waiter));
        }
    }

    /// Answers once what a session had announced is withdrawn, or another session still wants it.
    pub(super) fn await_end(&mut self, topic: [u8; 32], waiter: oneshot::Sender<()>, core: &Core) {
        if core.is_withdrawing(&topic) {
            self.ends.push((topic, waiter));
        } else {
            answer(waiter, ());
        }
    }

    pub(super) fn await_flush(&mut self, waiter: oneshot::Sender<()>) -> FlushId {
        self.last_flush += 1;
        let id = FlushId(self.last_flush);
        self.flushes.push((id, waiter));
        id
    }

    pub(super) fn refreshed(&mut self, topic: [u8; 32], succeeded: bool) {
        for (_, waiter) in self.refreshes.extract_if(.., |(of, _)| *of == topic) {
            answer(waiter, succeeded);
        }
    }

    pub(super) fn ended(&mut self, topic: [u8; 32]) {
        for (_, waiter) in self.ends.extract_if(.., |(of, _)| *of == topic) {
            answer(waiter, ());
        }
    }

    pub(super) fn flushed(&mut self, id: FlushId) {
        for (_, waiter) in self.flushes.extract_if(.., |(of, _)| *of == id) {
            answer(waiter, ());
        }
    }
}

/// Answers a call. Its caller may have left.
pub(super) fn answer<T>(waiter: oneshot::Sender<T>, value: T) {
    let _ = waiter.send(value);
}
