//! Changes of entries, each as one try.

use std::collections::BTreeMap;

use tokio::time::Instant;
use tokio_postgres::types::ToSql;

use super::super::entry::{Change, Dated, Decision, KeyEntry, decide_rotation};
use super::super::limits::{Use, Verdict};
use super::super::message::Refusal;
use super::super::record::Record;
use super::super::rotation::Rotation;
use super::super::store::{ApplyError, unix_time};
use super::failure::{Cause, Failure};
use super::rows::{self, Expected, Values, expected, number, outcome};
use super::session::Session;
use super::shared::Shared;
use crate::PublicKey;

type Outcome = Result<KeyEntry, Refusal>;

impl Shared {
    pub(super) async fn change(&self, key: &PublicKey, change: &Change) -> Result<KeyEntry, ApplyError> {
        let made = self.retry(|| self.try_change(key, change)).await;
        // After a failure it may have been made.
        if !matches!(made, Ok(Err(_))) {
            self.changed(key);
        }
        Ok(made??)
    }

    pub(super) async fn try_change(&self, key: &PublicKey, change: &Change) -> Result<Outcome, Failure> {
        let mut session = self.session().await?;
        let began = Instant::now();
        let next = outcome(change);
        let made = match (expected(change), Values::of(&next)) {
            (Some(expected), Some(values)) => write(&mut session, key, &values, expected).await?,
            _ => 0,
        };
        if made > 0 {
            self.durable(key, &next, began);
            return Ok(Ok(next));
        }
        let entry = load(&mut session, key).await?;
        match entry.decide(change) {
            Decision::Refuse(refusal) => Ok(Err(refusal)),
            Decision::Repeated => self.confirm(&mut session, key, &entry).await.map(|()| Ok(entry)),
            Decision::Write(_) => Err(contended()),
        }
    }

    pub(super) async fn try_rotate(&self, rotation: &Rotation, record: &Record) -> Result<Outcome, Failure> {
        let mut session = self.session().await?;
        let began = Instant::now();
        let taken = KeyEntry::Present(record.clone());
        if record.key() == rotation.to() {
            session.begin("BEGIN").await?;
            let moved = KeyEntry::Moved { rotation: rotation.clone(), version: 0 };
            let proof = Values::of(&moved).and_then(|values| values.proof);
            let (from, now) = (rotation.from().as_bytes().as_slice(), number(unix_time()));
            let mut made = session.execute(MOVE, &[&from, &now, &proof]).await?;
            if made > 0 {
                let values = Values::of(&taken).ok_or_else(contended)?;
                made = write(&mut session, rotation.to(), &values, Expected::Nothing).await?;
            }
            session.end(if made > 0 { "COMMIT" } else { "ROLLBACK" }).await?;
            if made > 0 {
                self.durable(rotation.to(), &taken, began);
                return Ok(Ok(taken));
            }
        }
        let from = load(&mut session, rotation.from()).await?;
        let to = load(&mut session, rotation.to()).await?;
        match decide_rotation(&from, &to, rotation, record) {
            Decision::Refuse(refusal) => Ok(Err(refusal)),
            Decision::Repeated => self.confirm(&mut session, rotation.from(), &from).await.map(|()| Ok(to)),
            Decision::Write(_) => Err(contended()),
        }
    }

    pub(super) async fn try_restore(
        &self,
        entries: &BTreeMap<PublicKey, Dated>,
    ) -> Result<Vec<PublicKey>, Failure> {
        let mut session = self.session().await?;
        let began = Instant::now();
        let rows = entries.iter().filter_map(|(key, held)| Some((key, held, Values::of(&held.entry)?)));
        let rows: Vec<_> = rows.collect();
        let keys: Vec<_> = rows.iter().map(|(key, ..)| key.as_bytes().as_slice()).collect();
        let states: Vec<_> = rows.iter().map(|(.., values)| values.state).collect();
        let versions: Vec<_> = rows.iter().map(|(.., values)| values.version).collect();
        let times: Vec<_> = rows.iter().map(|(_, held, _)| number(held.changed)).collect();
        let profiles: Vec<_> = rows.iter().map(|(.., values)| values.profile.as_deref()).collect();
        let proofs: Vec<_> = rows.iter().map(|(.., values)| values.proof.as_deref()).collect();
        let values: [&(dyn ToSql + Sync); 6] = [&keys, &states, &versions, &times, &profiles, &proofs];
        let stored = session.query(RESTORE, &values).await?;
        self.meter.count(stored.len(), began.elapsed());
        stored
            .iter()
            .map(|row| PublicKey::try_from(row.get::<_, &[u8]>(0)).map_err(|_| contended()))
            .collect()
    }

    pub(super) async fn try_take(&self, uses: &[Use]) -> Result<Verdict, Failure> {
        let mut session = self.relaxed().await?;
        let ids: Vec<_> = uses.iter().map(|counted| counted.id.as_slice()).collect();
        let shares: Vec<_> = uses.iter().map(|counted| i64::from(counted.share)).collect();
        let lengths: Vec<_> = uses.iter().map(|counted| number(counted.length.as_secs())).collect();
        if session.execute(TAKE, &[&ids, &shares, &lengths]).await? == uses.len() as u64 {
            return Ok(Ok(()));
        }
        let rows = session.query(FULL, &[&ids, &shares]).await?;
        let seconds = rows.iter().map(|row| row.get::<_, i64>(0)).max();
        Ok(Err(seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0).max(1)))
    }

    /// Makes sure that an entry is durable which may be there without being so.
    async fn confirm(&self, session: &mut Session, key: &PublicKey, entry: &KeyEntry) -> Result<(), Failure> {
        let Some(Values { state, version, .. }) = Values::of(entry) else { return Ok(()) };
        if self.confirmed().get(key) == Some(&(state, version)) {
            return Ok(());
        }
        let began = Instant::now();
        match session.execute(CONFIRM, &[&key.as_bytes().as_slice(), &state, &version]).await? {
            0 => Err(contended()),
            _ => {
                self.durable(key, entry, began);
                Ok(())
            }
        }
    }
}

pub(super) async fn load(session: &mut Session, key: &PublicKey) -> Result<KeyEntry, Failure> {
    let rows = session.query(LOAD, &[&key.as_bytes().as_slice()]).await?;
    match rows.first().map(rows::read) {
        Some(read) => Ok(read.map_err(Failure::Lasting)?.1.entry),
        None => Ok(KeyEntry::Unknown),
    }
}

/// Writes an entry where the expected one is; returns how many rows that were.
async fn write(
    session: &mut Session,
    key: &PublicKey,
    values: &Values,
    expected: Expected,
) -> Result<u64, Failure> {
    let Values { state, version, profile, proof } = values;
    let (key, now) = (key.as_bytes().as_slice(), number(unix_time()));
    let values: [&(dyn ToSql + Sync); 6] = [&key, state, version, &now, profile, proof];
    match &expected {
        Expected::Nothing => session.execute(INSERT, &values).await,
        Expected::Row(state, version) => {
            session.execute(REPLACE, &[&values[..], &[state, version]].concat()).await
        }
    }
}

/// What is there has changed between two statements.
fn contended() -> Failure {
    Failure::Passing(Cause::Conflict, "the profile is changed all the time".into())
}

const LOAD: &str = "SELECT key, state, version, changed, profile, proof FROM profiles WHERE key = $1";
const INSERT: &str = "INSERT INTO profiles (key, state, version, changed, profile, proof)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (key) DO NOTHING";
const REPLACE: &str = "UPDATE profiles SET state = $2, version = $3, changed = $4, profile = $5, proof = $6
    WHERE key = $1 AND state = $7 AND version = $8";
/// The version stays: no later one of this key can be stored.
const MOVE: &str = "UPDATE profiles SET state = 3, changed = $2, profile = NULL, proof = $3
    WHERE key = $1 AND state = 1";
const CONFIRM: &str = "UPDATE profiles SET version = version WHERE key = $1 AND state = $2 AND version = $3";
/// Compares as `entry::is_newer` does.
const RESTORE: &str = "INSERT INTO profiles (key, state, version, changed, profile, proof)
    SELECT * FROM unnest($1::bytea[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bytea[])
    ON CONFLICT (key) DO UPDATE SET state = excluded.state, version = excluded.version,
        changed = excluded.changed, profile = excluded.profile, proof = excluded.proof
    WHERE profiles.state <> 3 AND (excluded.state = 3 OR excluded.version > profiles.version
        OR (excluded.version = profiles.version AND excluded.state = 2 AND profiles.state = 1))
    RETURNING key";
/// Counts each use whose window has ended or has room.
const TAKE: &str = "INSERT INTO profile_windows AS counted (id, ends, used, share)
    SELECT id, now() + length * INTERVAL '1 second', 1, share
    FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) AS uses (id, share, length) ORDER BY id
    ON CONFLICT (id) DO UPDATE SET share = excluded.share,
        ends = CASE WHEN counted.ends > now() THEN counted.ends ELSE excluded.ends END,
        used = CASE WHEN counted.ends > now() THEN counted.used + 1 ELSE 1 END
    WHERE counted.ends <= now() OR counted.used < excluded.share";
/// The time until the windows end that have no room.
const FULL: &str = "SELECT CAST(ceil(extract(epoch FROM ends - now())) AS bigint) FROM profile_windows
    JOIN unnest($1::bytea[], $2::bigint[]) AS uses (id, share) USING (id)
    WHERE used >= uses.share AND ends > now()";
