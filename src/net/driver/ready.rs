//! Which of the sockets beside the main ones have something to read.
//!
//! There may be hundreds of them, nearly all silent. Each has a waker of its own, so that only those are
//! looked at on which something has happened, and the silent ones cost nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use crate::wire::transmit::SocketId;

/// The wakers, and the sockets that were woken since they were last looked at.
#[derive(Debug, Default)]
pub(super) struct Ready {
    flags: BTreeMap<SocketId, Arc<Flag>>,
    woken: Arc<Mutex<Woken>>,
}

#[derive(Debug, Default)]
struct Woken {
    sockets: Vec<SocketId>,
    driver: Option<Waker>,
}

#[derive(Debug)]
struct Flag {
    socket: SocketId,
    is_set: AtomicBool,
    woken: Arc<Mutex<Woken>>,
}

impl Ready {
    /// Adds a socket, to be looked at soon.
    pub(super) fn add(&mut self, socket: SocketId) {
        let flag = Arc::new(Flag { socket, is_set: AtomicBool::new(false), woken: self.woken.clone() });
        flag.clone().wake();
        self.flags.insert(socket, flag);
    }

    pub(super) fn remove(&mut self, socket: SocketId) {
        self.flags.remove(&socket);
    }

    /// Returns the sockets that were woken, each with its waker, which wakes the driver from now on.
    pub(super) fn take(&mut self, driver: &Waker) -> Vec<(SocketId, Waker)> {
        let mut woken = lock(&self.woken);
        if !woken.driver.as_ref().is_some_and(|own| own.will_wake(driver)) {
            woken.driver = Some(driver.clone());
        }
        let sockets = std::mem::take(&mut woken.sockets);
        drop(woken);
        let flags = sockets.iter().filter_map(|socket| self.flags.get(socket));
        flags
            .map(|flag| {
                flag.is_set.store(false, Ordering::Release);
                (flag.socket, Waker::from(flag.clone()))
            })
            .collect()
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_set.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut woken = lock(&self.woken);
        woken.sockets.push(self.socket);
        if let Some(driver) = &woken.driver {
            driver.wake_by_ref();
        }
    }
}

fn lock(woken: &Mutex<Woken>) -> std::sync::MutexGuard<'_, Woken> {
    // Nothing that holds it can leave it half done.
    woken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_looked_at_once_however_often_it_is_woken() {
        let mut ready = Ready::default();
        let (one, other) = (SocketId(2), SocketId(3));
        ready.add(one);
        ready.add(other);
        let woken = ready.take(Waker::noop());
        assert_eq!(woken.len(), 2);
        assert!(ready.take(Waker::noop()).is_empty());
        for (_, waker) in &woken {
            waker.wake_by_ref();
            waker.wake_by_ref();
        }
        ready.remove(one);
        let again: Vec<_> = ready.take(Waker::noop()).iter().map(|each| each.0).collect();
        assert_eq!(again, [other]);
    }

    #[test]
    fn the_driver_is_woken_with_a_socket() {
        struct Count(AtomicBool);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let (count, mut ready) = (Arc::new(Count(AtomicBool::new(false))), Ready::default());
        ready.take(&Waker::from(count.clone()));
        ready.add(SocketId(2));
        assert!(count.0.load(Ordering::Relaxed));
    }
}
