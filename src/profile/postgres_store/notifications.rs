//! What other processes have changed, by LISTEN and NOTIFY.
//!
//! The notifications have transactions of their own, one for many changes, after those of the changes:
//! commits that notify wait for each other, and so would not share a flush of the log.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use super::super::store::StoreError;
use super::failure::{Cause, Failure};
use super::shared::Shared;

/// Notifies the other processes, until it is aborted.
pub(super) async fn send(shared: Arc<Shared>) {
    loop {
        shared.outbox.wake.notified().await;
        while let Err(error) = send_now(&shared).await {
            debug!(%error, "others are not notified");
            sleep(if matches!(error, StoreError::Unavailable(_)) { RETRY } else { ASK_AGAIN }).await;
        }
    }
}

/// Notifies the other processes of what they have not been notified of.
pub(super) async fn send_now(shared: &Shared) -> Result<(), StoreError> {
    let payloads = shared.outbox.take();
    if payloads.is_empty() {
        return Ok(());
    }
    let notify = "SELECT pg_notify('profiles', payload) FROM unnest($1::text[]) AS payload";
    let sent = shared.retry(|| async { shared.relaxed().await?.query(notify, &[&payloads]).await }).await;
    if sent.is_err() {
        shared.outbox.add_all();
    }
    sent.map(drop)
}

/// Notifies those who watch keys here of what others have changed, until it is aborted.
pub(super) async fn listen(shared: Arc<Shared>) {
    loop {
        match listen_once(&shared).await {
            Failure::Passing(_, why) => debug!(reason = why, "notifications are interrupted"),
            Failure::Lasting(error) => {
                // The engine has no LISTEN, or does not let us use it now.
                debug!(%error, "no notifications: watched keys are read again and again");
                let until = Instant::now() + ASK_AGAIN;
                while Instant::now() < until {
                    sleep(POLL).await;
                    shared.changes.notify_all();
                }
            }
        }
        sleep(RETRY).await;
    }
}

async fn listen_once(shared: &Arc<Shared>) -> Failure {
    let heard = Arc::clone(shared);
    let hear = move |payload: &str| match heard.outbox.read(payload) {
        Some(Some(key)) => heard.changes.notify(&key),
        Some(None) => heard.changes.notify_all(),
        None => {}
    };
    let listened = async {
        let mut session = shared.sessions().begin(hear).await?;
        session.run(LISTEN).await?;
        // What came before is unknown.
        shared.changes.notify_all();
        while timeout(PING, session.ended()).await.is_err() {
            // It listens already: this shows whether the server is there.
            session.run(LISTEN).await?;
        }
        Ok::<_, Failure>(())
    };
    match listened.await {
        Ok(()) => Failure::Passing(Cause::Lost, "the session has ended".into()),
        Err(failure) => failure,
    }
}

/// Removes what has ended, until it is aborted.
pub(super) async fn sweep(shared: Arc<Shared>) {
    loop {
        sleep(SWEEP).await;
        if let Err(error) = sweep_now(&shared).await {
            debug!(%error, "what has ended is not removed");
        }
    }
}

async fn sweep_now(shared: &Shared) -> Result<(), StoreError> {
    for remove in [REMOVE_WINDOWS, REMOVE_MEMBERS] {
        shared.retry(|| async { shared.relaxed().await?.execute(remove, &[]).await }).await?;
    }
    Ok(())
}

const LISTEN: &str = "LISTEN profiles";
const REMOVE_WINDOWS: &str = "DELETE FROM profile_windows WHERE ends < now()";
const REMOVE_MEMBERS: &str = "DELETE FROM profile_members WHERE seen < now() - INTERVAL '1 hour'";

/// Time between two tries.
const RETRY: Duration = Duration::from_millis(200);
/// Longest time until the loss of the server is noticed.
const PING: Duration = Duration::from_secs(5);
/// Where there are no notifications, the time after which watched keys are read again.
const POLL: Duration = Duration::from_secs(2);
/// The time after which such an engine is asked for notifications again.
const ASK_AGAIN: Duration = Duration::from_secs(60);
/// Time between two removals of what has ended.
const SWEEP: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::super::tests::{connect, shared};
    use super::*;

    #[tokio::test]
    async fn what_has_ended_is_removed() {
        let Some(cluster) = shared() else { return };
        let database = cluster.database();
        let store = connect(&cluster.url(&database)).await.unwrap();
        let fill =
            "INSERT INTO profile_windows VALUES ('ended', now(), 1, 1), ('not', now() + '1 hour', 1, 1);
            INSERT INTO profile_members VALUES ('', 'ended', now() - interval '2 hours'), ('', 'not', now())";
        cluster.sql(&database, fill);
        sweep_now(store.shared()).await.unwrap();
        let left = "SELECT encode(id, 'escape') FROM profile_windows
            UNION ALL SELECT encode(member, 'escape') FROM profile_members";
        assert_eq!(cluster.sql(&database, left), "not\nnot");
    }
}
