//! What a running server shows its operator, and what is changed while it runs.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use tracing::{info, warn};

use super::super::super::exit::Failure;
use super::super::super::store::ServerStore;
use super::super::schedule::Schedule;
use super::lists::{Lists, Stamp, Which};
use super::reload::Reloader;
use super::request::{Answer, MAX_PAGE};
use crate::profile::{Access, Admission, Service};

/// A server that runs.
#[derive(Debug)]
pub(in super::super) struct Live {
    service: Service<Arc<ServerStore>>,
    started: Instant,
    reloader: Reloader,
    /// The lists in force.
    admission: Mutex<Admission>,
    /// What the files of the lists looked like before they were read.
    stamps: [Stamp; 2],
}

impl Live {
    /// Takes the lists over, which have to be whole: a server does not start without its bans.
    pub(in super::super) fn begin(
        service: Service<Arc<ServerStore>>,
        lists: &Lists,
        reloader: Reloader,
    ) -> Result<Self, Failure> {
        let stamps = BOTH.map(|which| lists.stamp(which));
        let admission = lists.read()?;
        service.set_admission(admission.clone());
        let admission = Mutex::new(admission);
        Ok(Self { service, started: Instant::now(), reloader, admission, stamps })
    }

    /// Returns when backups are written.
    pub(in super::super) fn schedules(&self) -> watch::Receiver<Option<Schedule>> {
        self.reloader.schedules()
    }

    pub(in super::super) const fn service(&self) -> &Service<Arc<ServerStore>> {
        &self.service
    }

    /// Reads one of the lists again and puts it in force; returns how many connections that has ended. Where
    /// it cannot be read, the one before stays in force. Blocks.
    pub(super) fn apply(&self, lists: &Lists, which: Which) -> Result<usize, Failure> {
        let mut admission = self.admission();
        lists.read_into(which, &mut admission)?;
        Ok(self.service.set_admission(admission.clone()))
    }

    /// Reads the configuration and the lists again and puts in force what can be; returns the files of the
    /// lists, and what has changed. Where something cannot be read, all stays as it is.
    pub(super) fn reload(&self, data: &Path) -> Result<(Lists, Value), Failure> {
        let read = self.reloader.read()?;
        let lists = Lists::of(data, read.allow_list());
        let listed = lists.read()?;
        let mut admission = self.admission();
        let are_other_lists = *admission != listed;
        *admission = listed;
        let ended = self.service.set_admission(admission.clone());
        let (mut changed, restart) = self.reloader.apply(read, &self.service);
        if are_other_lists {
            changed.push("lists".into());
        }
        info!(changed = changed.join(" "), restart = restart.join(" "), "configuration read again");
        Ok((lists, json!({"in_force": changed, "restart": restart, "connections": ended})))
    }

    /// Applies lists that others have changed, for ever.
    pub(super) async fn watch(&self, lists: impl Fn() -> Lists) {
        let stamps = || BOTH.map(|which| lists().stamp(which));
        let (mut applied, mut seen) = (self.stamps.clone(), stamps());
        loop {
            tokio::time::sleep(WATCH).await;
            let (lists, now) = (lists(), stamps());
            for (place, which) in BOTH.into_iter().enumerate() {
                // A file that is still being written is left until it stays the same.
                if now[place] == applied[place] || now[place] != seen[place] {
                    continue;
                }
                applied[place] = now[place].clone();
                let file = lists.path(which).display();
                let before = self.admission().clone();
                // It blocks for as long as a small file takes.
                match self.apply(&lists, which) {
                    // A command has applied what it has changed.
                    Ok(_) if *self.admission() == before => {}
                    Ok(ended) => info!(%file, connections = ended, "list read"),
                    Err(failure) => {
                        let error = failure.error;
                        warn!(%error, "a list was not read again: the one before stays in force");
                    }
                }
            }
            seen = now;
        }
    }

    pub(super) fn connections(&self, after: u64) -> Answer {
        let open = self.service.open_connections(after, MAX_PAGE);
        let next = match open.last() {
            Some(last) if open.len() == MAX_PAGE => json!(last.id),
            _ => Value::Null,
        };
        let shown = open.iter().map(|open| {
            json!({
                "key": open.key,
                "address": open.address.ip,
                "path": if open.address.is_relay { "relay" } else { "direct" },
                "age_s": open.age.as_secs(),
                "requests": open.requests,
            })
        });
        Answer { lines: shown.collect(), next }
    }

    pub(super) fn add_stats(&self, stats: &mut Value) {
        let config = self.service.config();
        stats["version"] = json!(env!("CARGO_PKG_VERSION"));
        stats["uptime_s"] = json!(self.started.elapsed().as_secs());
        stats["connections"] = json!(self.service.connections());
        stats["most_connections"] = json!(config.limits.connections);
        stats["registration"] = json!(name(config.registration));
        stats["lookup"] = json!(name(config.lookup));
    }

    fn admission(&self) -> MutexGuard<'_, Admission> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the value of the argument that sets an access.
const fn name(access: Access) -> &'static str {
    match access {
        Access::Closed => "closed",
        Access::Allowed => "allow-list",
        Access::Open => "open",
    }
}

const BOTH: [Which; 2] = [Which::Banned, Which::Allowed];
/// How often the files are looked at.
const WATCH: Duration = Duration::from_millis(500);
