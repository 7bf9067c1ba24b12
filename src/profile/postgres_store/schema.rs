//! The tables, and how they come to be.

use super::super::store::StoreError;
use super::failure::Failure;
use super::session::Session;

/// The statements that lead from each version of the tables to the next. A version that was released stays as
/// it is.
const MIGRATIONS: &[&str] = &[
    // 1: `rows.rs` describes the columns of an entry. Each row of `profile_windows` counts the uses of a
    // limit until its end; each row of `profile_members` is a process that serves a key.
    "CREATE TABLE profiles (key bytea PRIMARY KEY, state smallint NOT NULL, version bigint NOT NULL,
        changed bigint NOT NULL, profile bytea, proof bytea);
    CREATE TABLE profile_windows (id bytea PRIMARY KEY, ends timestamptz NOT NULL, used bigint NOT NULL,
        share bigint NOT NULL);
    CREATE TABLE profile_members (server bytea, member bytea, seen timestamptz NOT NULL,
        PRIMARY KEY (server, member));",
];

/// Brings the tables to the newest version. Of several processes one does it, and the others wait for it.
pub(super) async fn migrate(session: &mut Session) -> Result<(), Failure> {
    let newest = MIGRATIONS.len();
    // A user that may create no table can use those that are there.
    match session.query("SELECT to_regclass('profile_schema') IS NOT NULL", &[]).await?.first() {
        Some(row) if row.get(0) => {
            if version(session, "SELECT version FROM profile_schema").await? == newest {
                return Ok(());
            }
        }
        _ => {
            let create = "CREATE TABLE IF NOT EXISTS profile_schema
                (id smallint PRIMARY KEY, version integer NOT NULL)";
            session.run(create).await?;
        }
    }
    session.execute("INSERT INTO profile_schema VALUES (1, 0) ON CONFLICT DO NOTHING", &[]).await?;
    session.begin("BEGIN").await?;
    let found = version(session, "SELECT version FROM profile_schema FOR UPDATE").await?;
    for (number, statements) in MIGRATIONS.iter().enumerate().skip(found) {
        session.run(statements).await?;
        let number = i32::try_from(number + 1).expect("there are few");
        session.execute("UPDATE profile_schema SET version = $1", &[&number]).await?;
    }
    session.end("COMMIT").await
}

async fn version(session: &mut Session, select: &'static str) -> Result<usize, Failure> {
    let rows = session.query(select, &[]).await?;
    let found: i32 = rows.first().map_or(0, |row| row.get(0));
    let newest = MIGRATIONS.len();
    match usize::try_from(found) {
        Ok(found) if found <= newest => Ok(found),
        _ => {
            let expected = u32::try_from(newest).expect("there are few");
            Err(Failure::Lasting(StoreError::Schema { found: found.to_string(), expected }))
        }
    }
}
