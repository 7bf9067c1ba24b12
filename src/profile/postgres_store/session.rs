//! Sessions with the database: how they begin, and when one is of no use any more.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;
use tokio_postgres::error::Severity;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use super::super::store::StoreError;
use super::failure::{Cause, Failure};
use super::url::PostgresUrl;

/// Begins sessions.
pub(super) struct Sessions {
    url: PostgresUrl,
    tls: MakeRustlsConnect,
    /// Whether a commit waits until it is durable.
    is_durable: bool,
    /// The host to begin with: the one that was reached last.
    first: AtomicUsize,
}

/// A session, which one call uses at a time.
pub(super) struct Session {
    client: Client,
    statements: HashMap<&'static str, Statement>,
    has_warned: Arc<AtomicBool>,
    /// No statement is under way and no transaction is open.
    is_idle: bool,
    pub(super) answer_timeout: Duration,
    /// Ends the connection at once, whatever the server is doing for it.
    connection: AbortOnDropHandle<()>,
}

impl Sessions {
    pub(super) fn new(url: &PostgresUrl, is_durable: bool) -> Result<Self, StoreError> {
        Ok(Self { url: url.clone(), tls: tls(url)?, is_durable, first: AtomicUsize::new(0) })
    }

    /// Begins a session with the first host that accepts writes. `notified` is called with the payload of
    /// each notification.
    pub(super) async fn begin(
        &self,
        notified: impl Fn(&str) + Send + 'static + Clone,
    ) -> Result<Session, Failure> {
        let hosts = &self.url.hosts;
        let first = self.first.load(Ordering::Relaxed);
        let mut failure = Failure::Passing(Cause::Lost, "there is no host".into());
        for number in (first..first + hosts.len()).map(|number| number % hosts.len()) {
            // A call that gives up here begins with the next one.
            self.first.store((number + 1) % hosts.len(), Ordering::Relaxed);
            match self.begin_with(&hosts[number], notified.clone()).await {
                Ok(session) => {
                    self.first.store(number, Ordering::Relaxed);
                    return Ok(session);
                }
                Err(failed) => {
                    debug!(host = number, error = ?failed, "no session");
                    failure = failed;
                }
            }
        }
        Err(failure)
    }

    async fn begin_with(
        &self,
        host: &Config,
        notified: impl Fn(&str) + Send + 'static,
    ) -> Result<Session, Failure> {
        let within = host.get_connect_timeout().copied().unwrap_or(ANSWER_TIMEOUT);
        let connected = timeout(within, host.connect(self.tls.clone())).await;
        let (client, mut connection) = connected.map_err(|_| silent())??;
        let has_warned = Arc::new(AtomicBool::new(false));
        let warned = Arc::clone(&has_warned);
        let connection = tokio::spawn(async move {
            // An error is what the statement under way fails with as well.
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                match message {
                    AsyncMessage::Notice(notice) if notice.parsed_severity() == Some(Severity::Warning) => {
                        warned.store(true, Ordering::SeqCst);
                        warn!(warning = notice.message(), "the database warns");
                    }
                    AsyncMessage::Notification(notification) => notified(notification.payload()),
                    _ => {}
                }
            }
        });
        let mut session = Session {
            client,
            statements: HashMap::new(),
            has_warned,
            is_idle: true,
            answer_timeout: ANSWER_TIMEOUT,
            connection: AbortOnDropHandle::new(connection),
        };
        session.set_durability(self.is_durable).await?;
        Ok(session)
    }

    /// Begins with another host the next time: this one does not answer.
    pub(super) fn suspect(&self) {
        let next = |first| Some((first + 1) % self.url.hosts.len());
        // It always returns a value.
        let _ = self.first.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }
}

impl Session {
    /// Returns the rows of a statement.
    pub(super) async fn query(
        &mut self,
        sql: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        let statement = self.statement(sql).await?;
        self.ask(|client| async move { client.query(&statement, values).await }).await
    }

    /// Runs a statement and returns how many rows it has changed.
    pub(super) async fn execute(
        &mut self,
        sql: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Failure> {
        let statement = self.statement(sql).await?;
        self.ask(|client| async move { client.execute(&statement, values).await }).await
    }

    /// Runs statements without values.
    pub(super) async fn run(&mut self, sql: &str) -> Result<(), Failure> {
        self.ask(|client| client.batch_execute(sql)).await
    }

    /// Begins a transaction. The session is of no use for others until [`Self::end`].
    pub(super) async fn begin(&mut self, sql: &str) -> Result<(), Failure> {
        self.run(sql).await?;
        self.is_idle = false;
        Ok(())
    }

    /// Commits a transaction or rolls it back.
    pub(super) async fn end(&mut self, sql: &str) -> Result<(), Failure> {
        self.run(sql).await?;
        self.is_idle = true;
        Ok(())
    }

    /// Has every commit wait until it is on disk, and with a synchronous standby there as well; or none.
    async fn set_durability(&mut self, is_durable: bool) -> Result<(), Failure> {
        // Engines that are no PostgreSQL know one of them or neither.
        let settings = self
            .query("SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit')", &[])
            .await?;
        for setting in &settings {
            match (setting.get(0), setting.get(1)) {
                ("fsync", "off") => return Err(Failure::Lasting(StoreError::NotDurable)),
                ("synchronous_commit", "remote_apply") if is_durable => {}
                ("synchronous_commit", _) if is_durable => self.run("SET synchronous_commit = on").await?,
                ("synchronous_commit", _) => self.run("SET synchronous_commit = off").await?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Waits until the session has ended.
    pub(super) async fn ended(&mut self) {
        // It is aborted by nobody else.
        let _ = (&mut self.connection).await;
    }

    async fn statement(&mut self, sql: &'static str) -> Result<Statement, Failure> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.ask(|client| client.prepare(sql)).await?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    /// Waits for an answer. If it does not come, or nobody waits for it any more, the session stays in use.
    async fn ask<'a, T, F>(&'a mut self, ask: impl FnOnce(&'a Client) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, tokio_postgres::Error>>,
    {
        self.has_warned.store(false, Ordering::SeqCst);
        let was_idle = std::mem::replace(&mut self.is_idle, false);
        let answer = timeout(self.answer_timeout, ask(&self.client)).await.map_err(|_| silent())?;
        self.is_idle = was_idle;
        let answer = answer?;
        match self.has_warned.load(Ordering::SeqCst) {
            true => {
                let why = "the database warns that a commit may not be on its standby";
                Err(Failure::Passing(Cause::Conflict, why.into()))
            }
            false => Ok(answer),
        }
    }
}

fn silent() -> Failure {
    Failure::Passing(Cause::Silent, "the database does not answer".into())
}

impl Manager for Sessions {
    type Type = Session;
    type Error = Failure;

    async fn create(&self) -> Result<Session, Failure> {
        self.begin(|_: &str| ()).await
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<Failure> {
        match session.is_idle && !session.client.is_closed() {
            true => Ok(()),
            false => Err(RecycleError::message("it is in use or closed")),
        }
    }
}

fn tls(url: &PostgresUrl) -> Result<MakeRustlsConnect, StoreError> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = &url.root_certificates {
        let unreadable = |error: &dyn std::fmt::Display| StoreError::Io {
            what: format!("read the certificates in {}", file.display()),
            cause: Arc::new(std::io::Error::other(error.to_string())),
        };
        for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))? {
            let certificate = certificate.map_err(|error| unreadable(&error))?;
            roots.add(certificate).map_err(|error| unreadable(&error))?;
        }
    } else if url.uses_tls() {
        // Those that cannot be read sign nothing; without any, each server is refused.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Engine(error.to_string()))?;
    Ok(MakeRustlsConnect::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// Longest time for the answer to a statement; then the session ends.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
