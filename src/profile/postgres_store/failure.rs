//! Which failures of the database may pass, and how long they are waited for.

use std::error::Error as _;
use std::time::Duration;

use rand::Rng as _;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;

use super::super::store::StoreError;

/// Why a statement failed.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// Another try may succeed. Whether a change was made is unknown.
    Passing(Cause, String),
    /// Another try fails in the same way.
    Lasting(StoreError),
}

/// What may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Another transaction, or another process.
    Conflict,
    /// The session has ended, and others may have as well.
    Lost,
    /// The server does not answer.
    Silent,
}

impl Failure {
    pub(super) fn into_error(self) -> StoreError {
        match self {
            Self::Passing(_, why) => StoreError::Unavailable(why),
            Self::Lasting(error) => error,
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(reported) = error.as_db_error() else {
            let why = error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
            return Self::Passing(Cause::Lost, why);
        };
        // Without its details, which hold parts of rows.
        let (why, code) = (reported.message().to_owned(), reported.code());
        let is_conflict = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::QUERY_CANCELED,
            // Two processes create a table at once: which of its parts is there first decides the code.
            SqlState::DUPLICATE_TABLE,
            SqlState::DUPLICATE_OBJECT,
            SqlState::UNIQUE_VIOLATION,
        ]
        .contains(code);
        // A connection failed, the outcome is unknown, resources are missing, the server ends or starts, it
        // has become a standby.
        let is_loss = ["08", "40", "53", "57P", "25006"].iter().any(|class| code.code().starts_with(class));
        match (is_conflict, is_loss) {
            (true, _) => Self::Passing(Cause::Conflict, why),
            (_, true) => Self::Passing(Cause::Lost, why),
            _ => Self::Lasting(StoreError::Engine(format!("{why} (SQLSTATE {})", code.code()))),
        }
    }
}

/// Waits between tries.
#[derive(Debug)]
pub(super) struct Patience {
    pub(super) deadline: Instant,
    pause: Duration,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { deadline: Instant::now() + PATIENCE, pause: SHORTEST_PAUSE }
    }

    /// Waits before another try; returns `false` if the time is up.
    pub(super) async fn pause(&mut self) -> bool {
        // Random, so that transactions in conflict do not meet again.
        let pause = self.pause.mul_f64(rand::thread_rng().gen_range(0.5..1.0));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        if Instant::now() + pause >= self.deadline {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }
}

/// Longest time for a call. A client waits longer for its answer.
const PATIENCE: Duration = Duration::from_secs(5);
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
