//! Joining the network through the bootstrap nodes, and the commands that wait for their addresses.

use std::time::{Duration, Instant};

use tracing::debug;

use crate::connect::{Failure, Report, Stage};
use crate::net::bootstrap::{self, Entry};
use crate::net::command::{Command, Token, reply};
use crate::net::node_state::Joined;
use crate::net::task_event::{self, TaskEvent, TaskEvents};

/// How far joining has come.
pub(super) struct Joining {
    bootstrap: Vec<Entry>,
    joined: Joined,
    is_closed: bool,
    /// Tries in a row in which no bootstrap node answered.
    failures: u32,
    /// Commands that wait for the addresses of the bootstrap nodes; `None` once these are known.
    held: Option<Vec<Held>>,
    tasks: TaskEvents,
}

/// A command that waits, and since when.
struct Held {
    command: Command,
    since: Instant,
}

impl Joining {
    pub(super) const fn new(bootstrap: Vec<Entry>, tasks: TaskEvents) -> Self {
        let held = Some(Vec::new());
        Self { bootstrap, joined: Joined::Pending, is_closed: false, failures: 0, held, tasks }
    }

    pub(super) const fn joined(&self) -> Joined {
        self.joined
    }

    /// Returns whether the addresses of all bootstrap nodes are known. If not, their names are resolved and
    /// [`TaskEvent::Bootstrap`] follows.
    pub(super) fn start(&self) -> bool {
        let is_known = self.bootstrap.iter().all(|entry| entry.address().is_some());
        if !is_known {
            self.resolve(Duration::ZERO, false);
        }
        is_known
    }

    /// Holds a command back while no node is known that could serve it; otherwise returns it.
    pub(super) fn hold(&mut self, now: Instant, command: Command) -> Option<Command> {
        match &mut self.held {
            Some(held) if command.needs_nodes() => {
                held.push(Held { command, since: now });
                None
            }
            _ => Some(command),
        }
    }

    /// Returns the commands that were held back, now that the bootstrap nodes are known. Further ones are
    /// not held.
    pub(super) fn release(&mut self, now: Instant) -> Vec<Command> {
        let held = self.held.take().into_iter().flatten();
        held.map(|Held { mut command, since }| {
            if let Command::Connect { dial, .. } = &mut command {
                dial.timeout = dial.timeout.saturating_sub(now - since);
            }
            command
        })
        .collect()
    }

    /// Returns whether the addresses of the bootstrap nodes are known, or the node is closing.
    pub(super) const fn knows_nodes(&self) -> bool {
        self.held.is_none()
    }

    /// Drops the command with this token, if it is held.
    pub(super) fn give_up(&mut self, token: Token) {
        if let Some(held) = &mut self.held {
            held.retain(|held| held.command.token() != Some(token));
        }
    }

    /// Drops all commands that are held, and tries no more.
    pub(super) fn close(&mut self) {
        self.held = None;
        self.is_closed = true;
    }

    /// Ends the attempts whose time is over before the bootstrap nodes are known.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let Some(held) = &mut self.held else {
            return;
        };
        let due = |held: &mut Held| held.deadline().is_some_and(|at| at <= now);
        for Held { command, since } in held.extract_if(.., due) {
            if let Command::Connect { answer, .. } = command {
                let report = Report { total: now - since, ..Report::default() };
                reply(answer, Err((Failure::TimedOut(Stage::Bootstrap), Box::new(report))));
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.held.iter().flatten().filter_map(Held::deadline).min()
    }

    /// Notes how many nodes the first query reached. After none, the next try follows a pause.
    pub(super) fn handle_bootstrapped(&mut self, reached: usize) {
        if self.is_closed {
            return;
        }
        if reached > 0 || self.bootstrap.is_empty() {
            self.failures = 0;
            self.joined = Joined::Done { nodes: reached };
            return;
        }
        self.joined = Joined::Unreachable;
        let pause = PAUSE * 2_u32.pow(self.failures.min(5));
        debug!(after_ms = pause.as_millis() as u64, "no bootstrap node answered");
        self.failures += 1;
        self.resolve(pause, true);
    }

    /// Resolves the bootstrap nodes after a pause, beside the driver.
    fn resolve(&self, pause: Duration, names: bool) {
        let entries = self.bootstrap.clone();
        let tasks = self.tasks.clone();
        task_event::spawn(&self.tasks, async move {
            tokio::select! {
                () = tasks.closed() => {}
                addresses = async {
                    tokio::time::sleep(pause).await;
                    bootstrap::resolve(&entries, names).await
                } => {
                    // Without a driver no address is needed.
                    let _ = tasks.send(TaskEvent::Bootstrap(addresses));
                }
            }
        });
    }
}

impl Held {
    /// Returns when the time that the user gave the attempt is over.
    fn deadline(&self) -> Option<Instant> {
        match &self.command {
            Command::Connect { dial, .. } => Some(self.since + dial.timeout),
            _ => None,
        }
    }
}

/// The pause after the first failure to join; it doubles with each, up to 32 times.
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, oneshot};

    use super::*;
    use crate::connect::Dial;
    use crate::keys::KeyPair;

    #[test]
    fn an_attempt_ends_in_time_though_the_bootstrap_nodes_are_not_known() {
        let (tasks, _events) = mpsc::unbounded_channel();
        let bootstrap = Entry::parse("name.invalid:1").into_iter().collect();
        let mut joining = Joining::new(bootstrap, tasks);
        let now = Instant::now();
        let (answer, mut answered) = oneshot::channel();
        let held = joining.hold(
            now,
            Command::Connect {
                token: Token(1),
                dial: Box::new(Dial {
                    timeout: Duration::from_secs(5),
                    ..Dial::new(*KeyPair::from_seed(&[1; 32]).public_key(), KeyPair::from_seed(&[2; 32]))
                }),
                answer,
            },
        );
        assert!(held.is_none(), "it waits");
        assert_eq!(joining.poll_timeout(), Some(now + Duration::from_secs(5)));
        joining.handle_timeout(now + Duration::from_secs(4));
        assert!(answered.try_recv().is_err(), "there is time left");
        joining.handle_timeout(now + Duration::from_secs(5));
        let outcome = answered.try_recv().expect("the time is over");
        let (failure, report) = outcome.expect_err("no node was asked");
        assert_eq!(failure, Failure::TimedOut(Stage::Bootstrap));
        assert_eq!(report.total, Duration::from_secs(5));
    }
}
