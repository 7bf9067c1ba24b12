//! The one timer of the driver.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// Wakes the driver at the next deadline.
#[derive(Debug)]
pub(super) struct Timer {
    sleep: Pin<Box<Sleep>>,
    /// What the timer is set to.
    armed: Option<Instant>,
}

impl Timer {
    /// Makes a timer that is not armed. Must be called on a tokio runtime.
    pub(super) fn new() -> Self {
        Self { sleep: Box::pin(tokio::time::sleep(Duration::ZERO)), armed: None }
    }

    /// Arms the timer for a deadline, or for none; returns whether that is due already.
    pub(super) fn arm(&mut self, cx: &mut Context<'_>, now: Instant, deadline: Option<Instant>) -> bool {
        let Some(deadline) = deadline else {
            self.armed = None;
            return false;
        };
        if deadline <= now {
            return true;
        }
        if self.armed != Some(deadline) {
            self.armed = Some(deadline);
            self.sleep.as_mut().reset(deadline.into());
        }
        let due = self.sleep.as_mut().poll(cx).is_ready();
        if due {
            self.armed = None;
        }
        due
    }
}
