//! Runs the commands.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory as _;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use tracing_subscriber::filter::LevelFilter;

use super::super::exit::{Exit, Failure};
use super::super::network::Network;
use super::super::output::Output;
use super::super::routes::RoutesFile;
use super::super::versions::VersionsFile;
use super::super::{demo, runtime};
use super::args::{Arguments, Command, IdentityCommand};
use super::dial::{DhtDial, LastReport};
use super::edit::{Edit, first_profile};
use super::loss::{Loss, command};
use super::{doctor, explain, identity, prompt, show};
use crate::api::DhtBuilder;
use crate::profile::{ClientError, Denied, Profile, ProfileClient, Record};
use crate::{ConnectAddress, Dht};

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments: Arguments = match runtime::arguments() {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    let output = Output { json: arguments.json, quiet: false, verbose: arguments.verbose > 0 };
    runtime::log(LevelFilter::WARN, arguments.verbose);
    arguments.secrecy.apply();
    match &arguments.command {
        Some(Command::Whoami) => runtime::report(&output, identity::show(&arguments, &output)),
        Some(Command::Identity { command }) => {
            let command = command.as_ref().unwrap_or(&IdentityCommand::Show);
            runtime::report(&output, identity::run(command, &arguments, &output))
        }
        Some(Command::Demo) => runtime::run(output, None, runtime::interruptible(demo::run(&output))),
        _ => runtime::run(output, Some(1), runtime::interruptible(run(&arguments, &output))),
    }
}

type Client = ProfileClient<DhtDial, VersionsFile>;

async fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    if matches!(arguments.command, Some(Command::Doctor)) {
        let dht = node(arguments).spawn().await?;
        return doctor::run(arguments, output, dht).await;
    }
    let Some(server) = &arguments.server else {
        usage("a server is needed: --server KEY, the key that profile-server prints");
    };
    let ask = prompt::may_ask(arguments);
    // Arguments are checked and questions asked before connecting.
    let visit = || Visit::start(arguments, output, server);
    match &arguments.command {
        None => greet(visit().await?, arguments, ask).await,
        Some(Command::Show) => {
            let visit = visit().await?;
            let Some(record) = visit.client.record().cloned() else {
                return Err(visit.not_registered(arguments));
            };
            visit.end_with(&record).await
        }
        Some(Command::Register { again: true, .. }) => again(visit().await?, arguments).await,
        Some(Command::Register { profile, again: false }) => {
            let given = first_profile(profile).await?;
            if given.is_none() && !ask {
                usage("a profile is needed: --name NAME, or --from-file FILE");
            }
            output.note(READABLE);
            let profile = match given {
                Some(profile) => profile,
                None => prompt::profile(*output).await?,
            };
            register(visit().await?, profile).await
        }
        Some(Command::Update { profile, unset }) => {
            let edit = Edit::from_args(profile.clone(), unset.clone()).await?;
            if edit.is_empty() {
                usage("nothing to change: name a part of the profile, see --help");
            }
            let mut visit = visit().await?;
            if !edit.is_whole() {
                visit.loss.forbid_update(arguments)?;
            }
            let update = visit.client.update(|profile| edit.apply(profile));
            let record = visit.deadline.bound(update).await?;
            visit.end_with(&record).await
        }
        Some(Command::Delete { yes }) => {
            let sure = *yes
                || match ask {
                    true => prompt::sure("Remove your profile from the server?").await?,
                    false => usage("deleting needs --yes"),
                };
            match sure {
                true => delete(visit().await?).await,
                false => Ok(()),
            }
        }
        Some(Command::Lookup { key }) => {
            let mut visit = visit().await?;
            let record = visit.deadline.bound(visit.client.lookup(*key)).await?;
            visit.end_with(&record).await
        }
        Some(Command::Whoami | Command::Identity { .. } | Command::Demo | Command::Doctor) => Ok(()),
    }
}

/// Shows the profile, or asks for one and registers it.
async fn greet(visit: Visit<'_>, arguments: &Arguments, ask: bool) -> Result<(), Failure> {
    if let Some(record) = visit.client.record().cloned() {
        let name = record.profile().name().to_owned();
        visit.output.note_about("the server knows you: welcome back, ", &name);
        return visit.end_with(&record).await;
    }
    if !ask {
        return Err(visit.not_registered(arguments));
    }
    let (output, server, loss) = (visit.output, visit.server, visit.loss);
    // The server does not wait for an answer at the terminal: connect again afterwards.
    if let Some((what, next)) = loss.explain(arguments) {
        output.note(&what);
        visit.leave().await;
        return match prompt::sure("Bring your last profile back?").await? {
            true => again(Visit::start(arguments, output, server).await?, arguments).await,
            false => {
                output.note(&next);
                Ok(())
            }
        };
    }
    output.note("the server does not know you yet");
    output.note(READABLE);
    visit.leave().await;
    let profile = prompt::profile(*output).await?;
    let visit = Visit::start(arguments, output, server).await?;
    register(visit, profile).await
}

/// Brings back what the server has lost.
async fn again(mut visit: Visit<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let before = visit.client.record().cloned();
    let record = async {
        visit.client.bring_back().await.map_err(|error| match error {
            error @ ClientError::NothingAcknowledged => {
                let first = command(arguments, "register --name NAME");
                Failure::from(error).hint(format!("store a profile with: {first}"))
            }
            error => error.into(),
        })
    };
    let record = visit.deadline.bound(record).await?;
    let what = match before.as_ref() == Some(&record) {
        true => "the server has your last profile, nothing was lost",
        false => "your last profile is back",
    };
    visit.output.note(what);
    visit.end_with(&record).await
}

async fn register(mut visit: Visit<'_>, profile: Profile) -> Result<(), Failure> {
    let known = visit.client.record().is_some();
    let record = visit.deadline.bound(visit.client.register(profile)).await?;
    let what = if known { "registered already, with this profile" } else { "registered" };
    visit.output.note(what);
    visit.end_with(&record).await
}

async fn delete(mut visit: Visit<'_>) -> Result<(), Failure> {
    let version = visit.deadline.bound(visit.client.delete()).await?;
    let key = visit.key.clone();
    visit.output.line("your profile is deleted");
    visit.end(json!({"public_key": key, "version": version, "deleted": true})).await
}

/// When a visit has to be over, its good-byes left out. No question is asked during a visit.
#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    timeout: Duration,
}

impl Deadline {
    fn after(timeout: Duration) -> Self {
        // A connection attempt ends by itself at the time-out, and reports more than that it is over.
        Self { at: Instant::now() + timeout + GRACE, timeout }
    }

    /// Gives work up at the deadline.
    async fn bound<T, E>(self, work: impl Future<Output = Result<T, E>>) -> Result<T, Failure>
    where
        Failure: From<E>,
    {
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
struct Visit<'a> {
    output: &'a Output,
    server: &'a ConnectAddress,
    dht: Dht,
    client: Client,
    deadline: Deadline,
    /// The client's own key.
    key: String,
    /// The report of the connection attempt, if it is printed.
    report: Option<Value>,
    /// What the server has lost.
    loss: Loss,
    /// The file with the last profile.
    profiles: PathBuf,
}

impl<'a> Visit<'a> {
    async fn start(
        arguments: &Arguments,
        output: &'a Output,
        server: &'a ConnectAddress,
    ) -> Result<Self, Failure> {
        let (path, key_pair) = identity::load(arguments, output)?;
        let dht = node(arguments).spawn().await?;
        let deadline = Deadline::after(arguments.timeout);
        let spinner = output.spinner(&format!("connecting to {}", server.public_key().short()));
        let last = LastReport::default();
        let dial = DhtDial {
            dht: dht.clone(),
            server: server.clone(),
            at: arguments.server_addr,
            relay: arguments.relay,
            identity: key_pair.clone(),
            timeout: arguments.timeout,
            routes: RoutesFile::of_user(&arguments.network.network()),
            last: last.clone(),
        };
        let versions = VersionsFile::beside(&path, *key_pair.public_key(), *server.public_key());
        let profiles = versions.profiles().to_owned();
        let key = key_pair.public_key().to_z32();
        let outcome = deadline.bound(ProfileClient::connect(key_pair, dial, versions)).await;
        drop(spinner);
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
        let acknowledged = client.acknowledged()?;
        let loss = Loss::of(client.record(), &acknowledged);
        let is_again = matches!(arguments.command, Some(Command::Register { again: true, .. }));
        if let (Some(_), Some((what, next))) = (client.record(), loss.explain(arguments))
            && !is_again
        {
            output.note(&format!("careful: {what}"));
            output.note(&next);
        }
        Ok(Self { output, server, dht, client, deadline, key, report, loss, profiles })
    }

    /// Prints a profile, then ends the connection in order.
    async fn end_with(self, record: &Record) -> Result<(), Failure> {
        show::profile(self.output, record);
        self.end(show::as_json(record)).await
    }

    /// Prints the outcome as JSON, then ends the connection in order.
    async fn end(self, mut outcome: Value) -> Result<(), Failure> {
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
    fn not_registered(&self, arguments: &Arguments) -> Failure {
        let lost = self.loss.failure(Exit::NotRegistered, arguments);
        lost.unwrap_or_else(|| Failure::from(Denied::NotRegistered).hint(REGISTER))
    }

    async fn leave(mut self) {
        if let Some(error) = self.client.take_memory_error() {
            let file = self.profiles.display();
            self.output.note(&format!("careful: your last profile cannot be kept in {file}: {error}"));
        }
        self.client.close().await;
        self.dht.close().await;
    }
}

/// Returns a builder for a node of the named network, or of none if the server's address was named.
fn node(arguments: &Arguments) -> DhtBuilder {
    let bind = arguments.bind.as_deref();
    let Some(server) = arguments.server_addr else {
        return arguments.network.network().node(bind);
    };
    let alone = Network { bootstrap: Vec::new() };
    let default = if server.ip().is_loopback() { "127.0.0.1:0" } else { "0.0.0.0:0" };
    alone.node(Some(bind.unwrap_or(default)))
}

/// Ends the program as clap does for arguments that it finds wrong itself.
fn usage(message: &str) -> ! {
    Arguments::command().error(clap::error::ErrorKind::MissingRequiredArgument, message).exit()
}

/// By how much the work of a visit may outlast the time-out.
const GRACE: Duration = Duration::from_millis(500);
const READABLE: &str = "note: anyone who knows your public key can read your profile at this server, unless \
                        its operator prevents it";
const REGISTER: &str = "register with: profile-client --server KEY register --name NAME";
