//! A connection to the server, with what belongs to it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::super::exit::{Exit, Failure};
use super::super::network::Network;
use super::super::output::Output;
use super::super::routes::RoutesFile;
use super::super::show;
use super::super::versions::VersionsFile;
use super::args::{Arguments, Command};
use super::dial::{DhtDial, LastReport};
use super::loss::{Loss, command};
use super::servers::Server;
use super::{explain, identity, names};
use crate::api::DhtBuilder;
use crate::profile::{Denied, Profile, ProfileClient, Record};
use crate::{ConnectAddress, Dht, KeyPair};

type Client = ProfileClient<DhtDial, VersionsFile>;

/// When a visit has to be over, its good-byes left out. No question is asked during a visit.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    timeout: Duration,
    /// Where a spinner shows that the server is waited for.
    output: Option<Output>,
}

impl Deadline {
    pub(super) fn after(timeout: Duration) -> Self {
        // A connection attempt ends by itself at the time-out, and reports more than that it is over.
        Self { at: Instant::now() + timeout + GRACE, timeout, output: None }
    }

    /// Gives a request up at the deadline.
    pub(super) async fn bound<T, E>(self, request: impl Future<Output = Result<T, E>>) -> Result<T, Failure>
    where
        Failure: From<E>,
    {
        self.bound_work("waiting for the server", request).await
    }

    /// Gives work up at the deadline, and shows what it is.
    async fn bound_work<T, E>(
        self,
        what: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure>
    where
        Failure: From<E>,
    {
        let _spinner = self.output.map(|output| output.spinner(what));
        match timeout_at(self.at, work).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => {
                let what = format!("the server has not answered within {:?}", self.timeout);
                let hint = "allow more time with --timeout; --explain shows each step of the connection";
                Err(Failure::new(Exit::TimedOut, what).hint(hint))
            }
        }
    }
}

/// A connection to the server and what belongs to it.
pub(super) struct Visit<'a> {
    pub(super) output: &'a Output,
    pub(super) server: &'a Server,
    pub(super) dht: Dht,
    pub(super) client: Client,
    pub(super) deadline: Deadline,
    /// The identity and its file, for another visit.
    identity: (PathBuf, KeyPair),
    /// The client's own key.
    pub(super) key: String,
    /// The report of the connection attempt, if it is printed.
    pub(super) report: Option<Value>,
    /// What the server has lost.
    pub(super) loss: Loss,
    /// The file with the last profile.
    pub(super) profiles: PathBuf,
}

impl<'a> Visit<'a> {
    pub(super) async fn start(
        arguments: &Arguments,
        output: &'a Output,
        server: &'a Server,
    ) -> Result<Self, Failure> {
        let identity = identity::load(arguments, output)?;
        Self::start_as(identity, arguments, output, server).await
    }

    /// Does the same with the identity of a visit before, which is not asked for again.
    pub(super) async fn start_as(
        identity: (PathBuf, KeyPair),
        arguments: &Arguments,
        output: &'a Output,
        server: &'a Server,
    ) -> Result<Self, Failure> {
        let (path, key_pair) = identity.clone();
        let dht = node(arguments).spawn().await?;
        let deadline = Deadline { output: Some(*output), ..Deadline::after(arguments.timeout) };
        let last = LastReport::default();
        let dial = dial(arguments, server, &dht, &key_pair, last.clone());
        let versions = VersionsFile::beside(&path, *key_pair.public_key(), *server.public_key());
        let profiles = versions.profiles().to_owned();
        let key = key_pair.public_key().to_z32();
        let connecting = format!("connecting to {server}");
        let outcome =
            deadline.bound_work(&connecting, ProfileClient::connect(key_pair, dial, versions)).await;
        let report = last.take().filter(|_| arguments.explain);
        let timeline = report.as_ref().map(ToString::to_string);
        for line in timeline.iter().flat_map(|timeline| timeline.lines()) {
            output.note(line);
        }
        let report = report.as_ref().map(explain::as_json);
        let mut client = match outcome {
            Ok(client) => client,
            Err(failure) => return Err(Failure { report, ..failure }),
        };
        if !client.moved().is_empty() {
            return Err(Failure { report, ..names::replaced(client.moved(), &path) });
        }
        let acknowledged = client.acknowledged()?;
        let loss = Loss::of(client.record(), &acknowledged);
        let is_again = matches!(arguments.command, Some(Command::Register { again: true, .. }));
        if let (Some(_), Some((what, next))) = (client.record(), loss.explain(arguments))
            && !is_again
        {
            output.note(&format!("careful: {what}"));
            output.note(&next);
        }
        Ok(Self { output, server, dht, client, deadline, identity, key, report, loss, profiles })
    }

    /// Stores a first profile, and prints it.
    pub(super) async fn register(mut self, profile: Profile) -> Result<(), Failure> {
        let known = self.client.record().is_some();
        let record = self.deadline.bound(self.client.register(profile)).await?;
        let what = if known { "registered already, with this profile" } else { "registered" };
        self.output.note(what);
        if let (false, Some(naming)) = (known, self.server.naming()) {
            self.output.note(&format!("to leave --server out from now on: {naming}"));
        }
        self.end_with(&record).await
    }

    /// Prints a profile, then ends the connection in order.
    pub(super) async fn end_with(self, record: &Record) -> Result<(), Failure> {
        show::profile(self.output, record);
        self.end(show::as_json(record)).await
    }

    /// Prints the outcome as JSON, then ends the connection in order.
    pub(super) async fn end(self, mut outcome: Value) -> Result<(), Failure> {
        if let Some(report) = &self.report {
            outcome["report"] = report.clone();
            if let Some(connection) = self.client.stream() {
                let stats = connection.stats().await;
                self.output.note(&explain::measured(&stats));
                outcome["report"]["connection"] = explain::measured_as_json(&stats);
            }
        }
        self.output.json(&outcome);
        self.leave().await;
        Ok(())
    }

    /// Returns the failure of a server that has no profile of this client.
    pub(super) fn not_registered(&self, arguments: &Arguments) -> Failure {
        let lost = self.loss.failure(Exit::NotRegistered, arguments);
        lost.unwrap_or_else(|| {
            let register = command(arguments, "register --name NAME");
            Failure::from(Denied::NotRegistered).hint(format!("register with: {register}"))
        })
    }

    /// Ends the connection; returns the identity, for another visit.
    pub(super) async fn leave(mut self) -> (PathBuf, KeyPair) {
        if let Some(error) = self.client.take_memory_error() {
            let file = self.profiles.display();
            self.output.note(&format!("careful: your last profile cannot be kept in {file}: {error}"));
        }
        self.client.close().await;
        self.dht.close().await;
        self.identity
    }
}

/// Returns what dials the server under an identity.
pub(super) fn dial(
    arguments: &Arguments,
    server: &ConnectAddress,
    dht: &Dht,
    identity: &KeyPair,
    last: LastReport,
) -> DhtDial {
    DhtDial {
        dht: dht.clone(),
        server: server.clone(),
        at: arguments.server_addr,
        relay: arguments.relay,
        identity: identity.clone(),
        timeout: arguments.timeout,
        routes: RoutesFile::of_user(&arguments.network.network()),
        last,
    }
}

/// Returns a builder for a node of the named network, or of none if the server's address was named.
pub(super) fn node(arguments: &Arguments) -> DhtBuilder {
    let bind = arguments.bind.as_deref();
    let Some(server) = arguments.server_addr else {
        return arguments.network.network().node(bind);
    };
    let alone = Network { bootstrap: Vec::new() };
    let default = if server.ip().is_loopback() { "127.0.0.1:0" } else { "0.0.0.0:0" };
    alone.node(Some(bind.unwrap_or(default)))
}

/// What to know before a profile is stored.
pub(super) const READABLE: &str = "note: anyone who knows your public key can read your profile at this \
                                   server, unless its operator prevents it";
/// By how much the work of a visit may outlast the time-out.
const GRACE: Duration = Duration::from_millis(500);
