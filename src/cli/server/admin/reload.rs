//! The options of a running server, read again.

use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::super::super::config::{self, Effective, Refused, Setting};
use super::super::super::exit::{Exit, Failure};
use super::super::super::runtime;
use super::super::super::store::ServerStore;
use super::super::args::Arguments;
use super::super::schedule::Schedule;
use crate::PublicKey;
use crate::profile::Service;

/// What of the options is in force, and what applies others.
#[derive(Debug)]
pub(in super::super) struct Reloader {
    typed: Vec<OsString>,
    server: PublicKey,
    in_force: Mutex<Vec<Setting>>,
    schedule: watch::Sender<Option<Schedule>>,
}

/// Options that were read and are not in force yet.
pub(super) struct Read(Effective<Arguments>);

impl Read {
    pub(super) fn allow_list(&self) -> Option<&Path> {
        self.0.arguments.allow_list.as_deref()
    }
}

impl Reloader {
    pub(in super::super) fn new(in_force: Vec<Setting>, arguments: &Arguments, server: &PublicKey) -> Self {
        Self {
            // The configuration file may change, what was typed does not.
            typed: std::env::args_os().collect(),
            server: *server,
            in_force: Mutex::new(in_force),
            schedule: watch::Sender::new(Schedule::from_args(arguments, server)),
        }
    }

    pub(super) fn schedules(&self) -> watch::Receiver<Option<Schedule>> {
        self.schedule.subscribe()
    }

    /// Reads the options again.
    pub(super) fn read(&self) -> Result<Read, Failure> {
        config::load(&self.typed).map(Read).map_err(|refused| match refused {
            Refused::File { failure, .. } => *failure,
            Refused::Typed(error) => Failure::new(Exit::Usage, error.to_string()),
            // A server that prints a page ends at its start.
            Refused::Page(_) => Failure::new(Exit::Internal, "the arguments ask for a page of the manual"),
        })
    }

    /// Puts options in force; returns the names of those that have changed, and of those that have changed
    /// since the start and need another one.
    pub(super) fn apply(
        &self,
        read: Read,
        service: &Service<Arc<ServerStore>>,
    ) -> (Vec<String>, Vec<String>) {
        let Read(effective) = read;
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut changed, mut restart) = (Vec::new(), Vec::new());
        for (old, new) in in_force.iter_mut().zip(effective.settings()) {
            let is_live = LIVE.contains(&new.name.as_str());
            match (old.values == new.values, is_live) {
                (true, _) => {}
                (false, true) => changed.push(new.name.clone()),
                (false, false) => restart.push(new.name.clone()),
            }
            if is_live {
                *old = new;
            }
        }
        let arguments = effective.arguments;
        service.configure(arguments.service());
        if changed.iter().any(|name| name.starts_with("backup-")) {
            self.schedule.send_replace(Schedule::from_args(&arguments, &self.server));
        }
        if changed.iter().any(|name| LOG.contains(&name.as_str())) {
            runtime::change_log(arguments.least_log(), arguments.verbose);
        }
        (changed, restart)
    }
}

/// Options that say how much is logged.
const LOG: [&str; 2] = ["quiet", "verbose"];
/// Options that can be changed while a server runs.
const LIVE: [&str; 13] = [
    "allow-list",
    "backup-dir",
    "backup-every",
    "backup-keep",
    "connections",
    "lookup",
    "lookups-per-minute",
    "quiet",
    "refusals-per-minute",
    "registration",
    "registrations-per-hour",
    "verbose",
    "writes-per-minute",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_that_can_be_changed_is_one_of_the_program() {
        let typed = ["profile-server", "--config", "/dev/null"].map(OsString::from);
        let names: Vec<_> =
            config::load::<Arguments>(&typed).unwrap().settings().into_iter().map(|s| s.name).collect();
        for name in LIVE {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
    }
}
