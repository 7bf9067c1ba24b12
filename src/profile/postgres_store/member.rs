//! Which processes serve one key.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng as _;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::super::store::StoreError;
use super::failure::Failure;
use super::shared::Shared;
use super::store::PostgresStore;
use crate::PublicKey;

/// A process among those that serve one key with one database. Each has a lease of three seconds by the clock
/// of the database, which it renews each second.
#[derive(Debug)]
pub struct Membership {
    state: watch::Receiver<State>,
    seen: u64,
    leaving: CancellationToken,
    task: AbortOnDropHandle<()>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    others: usize,
    /// How many others have gone.
    gone: u64,
}

impl PostgresStore {
    /// Joins the processes that serve a key. A database that is away is tried again.
    ///
    /// # Cancel safety
    ///
    /// The process has joined or not when the future is dropped; if it has, its lease ends.
    pub async fn join(self: &Arc<Self>, server: PublicKey) -> Membership {
        let (sender, mut state) = watch::channel(State::default());
        let leaving = CancellationToken::new();
        let beats = beat(Arc::clone(self.shared()), server, sender, leaving.clone());
        let task = AbortOnDropHandle::new(tokio::spawn(beats));
        // The first beat; it ends early only if the runtime does.
        let _ = state.changed().await;
        Membership { state, seen: 0, leaving, task }
    }
}

impl Membership {
    /// Waits until another process has gone: it has left, or its lease has ended. Several that go while
    /// nobody waits are one.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a process that has gone is noticed by this call or the next one.
    pub async fn lost(&mut self) {
        let seen = self.seen;
        match self.state.wait_for(|state| state.gone > seen).await {
            Ok(state) => self.seen = state.gone,
            // The store was closed: nothing is known about others any more.
            Err(_) => std::future::pending().await,
        }
    }

    /// Returns how many other processes serve the key, as of the last second.
    pub fn others(&self) -> usize {
        self.state.borrow().others
    }

    /// Leaves: the others notice at their next beat.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the others notice at the end of the lease at the latest.
    pub async fn leave(self) {
        self.leaving.cancel();
        // It panics nowhere, and nobody else aborts it.
        let _ = self.task.await;
    }
}

/// Renews the lease each second, until it is told to leave.
async fn beat(
    shared: Arc<Shared>,
    server: PublicKey,
    state: watch::Sender<State>,
    leaving: CancellationToken,
) {
    let own: [u8; 16] = rand::thread_rng().r#gen();
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Those that have gone and were counted; at first those that had gone before.
    let mut counted: Option<BTreeSet<Vec<u8>>> = None;
    let (mut steady_since, mut last) = (Instant::now(), Instant::now());
    loop {
        tokio::select! {
            () = leaving.cancelled() => break,
            _ = beats.tick() => {}
        }
        let there = shared.retry(|| try_beat(&shared, &server, &own)).await;
        if last.elapsed() > LEASE - BEAT {
            // While this process was cut off, so may others have been.
            steady_since = Instant::now();
        }
        last = Instant::now();
        match there {
            Ok(Others { serving, ended }) => {
                let is_steady = steady_since.elapsed() > LEASE;
                let counted = counted.get_or_insert_with(|| ended.clone());
                let gone = is_steady && !ended.is_subset(counted);
                if gone {
                    // It may have made changes that it has not notified others of.
                    shared.changes.notify_all();
                }
                if is_steady {
                    *counted = ended;
                }
                state.send_modify(|state| {
                    state.others = serving;
                    state.gone += u64::from(gone);
                });
            }
            Err(StoreError::Unavailable(_)) => {}
            Err(error) => tracing::debug!(%error, "the other servers are unknown"),
        }
    }
    if let Ok(mut session) = shared.relaxed().await {
        // Otherwise the lease ends by itself.
        let _ = session.execute(LEAVE, &[&server.as_bytes().as_slice(), &own.as_slice()]).await;
    }
}

/// The other processes of a key.
struct Others {
    /// How many have a lease.
    serving: usize,
    /// Those whose lease has ended, for about an hour.
    ended: BTreeSet<Vec<u8>>,
}

/// Renews the lease, and returns who else has one or had one.
async fn try_beat(shared: &Shared, server: &PublicKey, own: &[u8]) -> Result<Others, Failure> {
    let mut session = shared.relaxed().await?;
    let server = server.as_bytes().as_slice();
    session.execute(RENEW, &[&server, &own]).await?;
    let rows = session.query(OTHERS, &[&server, &own]).await?;
    let ended: BTreeSet<_> = rows.iter().filter(|row| !row.get::<_, bool>(1)).map(|row| row.get(0)).collect();
    Ok(Others { serving: rows.len() - ended.len(), ended })
}

const RENEW: &str = "INSERT INTO profile_members (server, member, seen) VALUES ($1, $2, now())
    ON CONFLICT (server, member) DO UPDATE SET seen = now()";
const OTHERS: &str = "SELECT member, seen > now() - INTERVAL '3 seconds' FROM profile_members
    WHERE server = $1 AND member <> $2";
/// Ends the lease. The row stays, so that others notice one as well that was there between two of their
/// beats.
const LEAVE: &str = "UPDATE profile_members SET seen = seen - INTERVAL '3 seconds'
    WHERE server = $1 AND member = $2";

/// Time between two renewals.
const BEAT: Duration = Duration::from_secs(1);
/// How long a process counts as serving; `OTHERS` has the same.
const LEASE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::super::tests::{connect, shared};
    use super::*;

    /// Waits until so many others serve the key.
    async fn see(membership: &mut Membership, others: usize) {
        membership.state.wait_for(|state| state.others == others).await.unwrap();
    }

    #[tokio::test]
    async fn a_process_that_leaves_and_one_that_dies_are_missed() {
        let Some(cluster) = shared() else { return };
        let url = cluster.url(&cluster.database());
        let key = PublicKey::from_bytes([7; 32]);
        let store = || async { Arc::new(connect(&url).await.unwrap()) };
        let mut one = store().await.join(key).await;
        let other = store().await.join(PublicKey::from_bytes([8; 32])).await;
        for dies in [false, true] {
            let mut two = store().await.join(key).await;
            assert_eq!(two.others(), 1);
            see(&mut one, 1).await;
            // So long it is unknown whether it is just this one that was cut off.
            see(&mut two, 1).await;
            match dies {
                true => drop(two),
                false => two.leave().await,
            }
            one.lost().await;
            see(&mut one, 0).await;
        }
        assert_eq!(other.others(), 0);
    }
}
