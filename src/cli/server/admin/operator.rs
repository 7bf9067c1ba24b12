//! Carries out what an operator asks for.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::super::super::exit::{Exit, Failure};
use super::super::super::store::ServerStore;
use super::super::place::Place;
use super::audit::Audit;
use super::entries;
use super::lists::{Lists, Which};
use super::live::Live;
use super::request::{Answer, MAX_PAGE, Reason, Request, Target};

/// Carries out requests about the profiles in a place: those of a server that runs in this process, or of a
/// stopped one.
#[derive(Debug)]
pub(in super::super) struct Operator {
    place: Place,
    lists: Mutex<Lists>,
    /// Opened when it is needed first, and a folder is locked from then on.
    store: OnceCell<Arc<ServerStore>>,
    live: Option<Live>,
}

impl Operator {
    /// Makes one for a server that runs.
    pub(in super::super) fn running(place: Place, lists: Lists, live: Live) -> Self {
        let store = OnceCell::new_with(Some(Arc::clone(live.service().store())));
        Self { place, lists: Mutex::new(lists), store, live: Some(live) }
    }

    /// Makes one for a stopped server.
    pub(super) fn stopped(place: Place, lists: Lists) -> Self {
        Self { place, lists: Mutex::new(lists), store: OnceCell::new(), live: None }
    }

    /// Returns the store, and opens it if that was not done yet.
    pub(in super::super) async fn store(&self) -> Result<&Arc<ServerStore>, Failure> {
        let open = || async { Ok(Arc::new(self.place.open_stopped().await?)) };
        self.store.get_or_try_init(open).await
    }

    fn lists(&self) -> Lists {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Applies the lists when they change, for ever.
    pub(in super::super) async fn watch_lists(&self) {
        match &self.live {
            Some(live) => live.watch(|| self.lists()).await,
            None => std::future::pending().await,
        }
    }

    /// Carries out a request of a user, and notes what it has changed. Blocks on files.
    pub(in super::super) async fn carry_out(
        &self,
        user: Option<u32>,
        request: &Request,
    ) -> Result<Answer, Failure> {
        if !request.is_act() {
            return self.look(request).await;
        }
        let audit = Audit::begin(&self.place.data)?;
        let done = self.act(request).await;
        let outcome = match &done {
            Ok(done) if done["changed"] == false => "unchanged".to_owned(),
            Ok(_) => "done".to_owned(),
            Err(failure) => format!("failed: {}", failure.error),
        };
        let noted = audit.note(user, request, &outcome);
        let done = done?;
        noted?;
        Ok(Answer::of(done))
    }

    async fn look(&self, request: &Request) -> Result<Answer, Failure> {
        match request {
            Request::List { after, since, limit } => {
                entries::list(self.store().await?, *after, *since, *limit).await
            }
            Request::Show { key } => entries::show(self.store().await?, key).await,
            Request::Banned { after } => self.listed(Which::Banned, *after),
            Request::Allowed { after } => self.listed(Which::Allowed, *after),
            Request::Stats => self.stats().await,
            Request::Connections { after } => Ok(self.live()?.connections(*after)),
            _ => Err(Failure::new(Exit::Internal, "an act was taken for a question")),
        }
    }

    async fn act(&self, request: &Request) -> Result<Value, Failure> {
        match request {
            Request::Delete { key } => entries::delete(self.store().await?, key).await,
            Request::Ban { target, reason } => self.add(Which::Banned, *target, reason.as_ref()),
            Request::Unban { target } => self.remove(Which::Banned, *target),
            Request::Allow { key, reason } => self.add(Which::Allowed, Target::Key(*key), reason.as_ref()),
            Request::Disallow { key } => self.remove(Which::Allowed, Target::Key(*key)),
            Request::Disconnect { key } => {
                let ended = self.live()?.service().disconnect(key);
                Ok(json!({"changed": ended > 0, "connections": ended}))
            }
            Request::Reload => {
                let (lists, done) = self.live()?.reload(&self.place.data)?;
                *self.lists.lock().unwrap_or_else(PoisonError::into_inner) = lists;
                Ok(done)
            }
            _ => Err(Failure::new(Exit::Internal, "a question was taken for an act")),
        }
    }

    fn add(&self, which: Which, target: Target, reason: Option<&Reason>) -> Result<Value, Failure> {
        let changed = self.lists().add(which, target, reason)?;
        self.changed(which, changed)
    }

    fn remove(&self, which: Which, target: Target) -> Result<Value, Failure> {
        let changed = self.lists().remove(which, target)?;
        self.changed(which, changed)
    }

    /// Applies a list that was changed, if a server runs.
    fn changed(&self, which: Which, changed: bool) -> Result<Value, Failure> {
        match &self.live {
            // An earlier change may not have been applied yet.
            Some(live) => {
                let ended = live.apply(&self.lists(), which)?;
                Ok(json!({"changed": changed, "connections": ended}))
            }
            None => Ok(json!({"changed": changed})),
        }
    }

    fn listed(&self, which: Which, after: usize) -> Result<Answer, Failure> {
        let lines = self.lists().lines(which)?;
        let page = lines.iter().skip(after).take(MAX_PAGE);
        let shown: Vec<_> =
            page.map(|line| json!({"target": line.target.to_string(), "note": line.note})).collect();
        let end = after.saturating_add(shown.len());
        let next = if end < lines.len() { json!(end) } else { Value::Null };
        Ok(Answer { lines: shown, next })
    }

    async fn stats(&self) -> Result<Answer, Failure> {
        let (listed, store) = (self.lists().read()?, self.store().await?);
        let mut stats = json!({
            "running": self.live.is_some(),
            "store": self.place.to_string(),
            "store_kind": store.kind(),
            "profiles": store.profiles().await?,
            "banned_keys": listed.banned_keys.len(),
            "banned_networks": listed.banned_networks.len(),
            "allowed_keys": listed.allowed_keys.len(),
        });
        if let Some(live) = &self.live {
            if let Some(others) = store.others() {
                stats["other_servers"] = json!(others);
            }
            live.add_stats(&mut stats);
        }
        Ok(Answer::of(stats))
    }

    pub(in super::super) fn live(&self) -> Result<&Live, Failure> {
        self.live.as_ref().ok_or_else(|| not_running(&self.place.data))
    }
}

/// Makes the failure for what only a server that runs can do.
pub(super) fn not_running(data: &Path) -> Failure {
    Failure::new(Exit::NotFound, format!("no server runs in {}", data.display()))
        .kind("not_running")
        .hint("start it, or name the folder of the one that runs with --data-dir")
}
