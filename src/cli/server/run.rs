//! Runs the commands.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use etcetera::BaseStrategy as _;
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use super::super::config::Effective;
use super::super::exit::{Exit, Failure};
use super::super::network::Network;
use super::super::output::{self, Output};
use super::super::runtime;
use super::super::stderr::Queued;
use super::super::store::{Membership, ServerStore};
use super::super::supervisor::Supervisor;
use super::super::web::{MetricsArgs, View, Web};
use super::admin::{self, Lists, Live, Operator, Reloader, Request};
use super::args::{Arguments, Command};
use super::ask;
use super::backup::{self, Source};
use super::control::{Control, Name};
use super::place::{self, Place};
use super::schedule;
use super::snapshot::BackupError;
use super::{check, move_store, restore};
use crate::api::{BootstrapError, LoadedKey, SpawnError, TestnetError};
use crate::profile::backup::Closing;
use crate::profile::{Service, StoreError};
use crate::{ConnectAddress, Dht, KeyPair, Server, Testnet};

/// Runs the program.
pub fn main() -> ExitCode {
    let mut effective: Effective<Arguments> = match runtime::effective() {
        Ok(effective) => effective,
        Err(exit) => return exit,
    };
    let arguments = &mut effective.arguments;
    let output = Output { json: arguments.json, quiet: arguments.quiet, verbose: arguments.verbose > 0 };
    // A server runs for long and must not wait for its standard error.
    let _queued = arguments.command.is_none().then(Queued::start);
    runtime::log(arguments.least_log(), arguments.verbose);
    arguments.secrecy.apply();
    match arguments.command.take() {
        Some(Command::Key) => runtime::report(&output, print_key(arguments, &output)),
        Some(Command::Check { file }) => {
            let checked = async {
                let (backups, modes) = (arguments.backup_dir.as_deref(), arguments.modes);
                check::run(&place(arguments)?, file, backups, modes, &output).await
            };
            runtime::run(output, None, checked)
        }
        Some(Command::Config) => {
            effective.print(&output);
            runtime::report(&output, Ok(()))
        }
        Some(Command::Backup { file }) => {
            let written = async { write_backup(&place(arguments)?, file, &output).await };
            runtime::run(output, None, written)
        }
        Some(Command::Restore { file, only_backup }) => {
            let restored = async { restore::run(&place(arguments)?, file, only_backup, &output).await };
            runtime::run(output, None, restored)
        }
        Some(Command::MoveStore { from, to }) => {
            let moved = async {
                let (data, modes) = (data_dir(arguments)?, arguments.modes);
                let place = |named: &Path| arguments.store.named(named, &data, modes);
                move_store::run(&place(&from)?, &place(&to)?, &output).await
            };
            runtime::run(output, None, moved)
        }
        Some(Command::Admin(command)) => {
            let done = async {
                let place = place(arguments)?;
                admin::run(command, &place, lists(arguments, &place.data), &output).await
            };
            runtime::run(output, None, runtime::interruptible(done))
        }
        None => runtime::run(output, None, run(effective, output)),
    }
}

async fn write_backup(place: &Place, file: PathBuf, output: &Output) -> Result<(), Failure> {
    let source = Source::open(place).await?;
    let is_output = file == Path::new("-");
    if is_output {
        output::check_writable().map_err(BackupError::Output)?;
    }
    let name = file.display().to_string();
    let spinner = output.spinner(&format!("writing {name}"));
    let written = tokio::task::spawn_blocking(move || backup::write_to(source, &file));
    let closing = written.await.map_err(|error| Failure::from_error(Exit::Internal, error))??;
    drop(spinner);
    output.note(&format!("wrote {closing} to {name}"));
    if !is_output {
        let Closing { records, deleted, moved, .. } = closing;
        output.json(&json!({
            "event": "backup", "file": name, "profiles": records, "deleted": deleted, "moved": moved,
        }));
    }
    Ok(())
}

fn print_key(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let key_pair = identity(&data_dir(arguments)?, arguments, output)?;
    let key = key_pair.public_key();
    output.line(&key.to_z32());
    output.json(&json!({"public_key": key, "public_key_hex": key.to_hex()}));
    Ok(())
}

async fn run(effective: Effective<Arguments>, output: Output) -> Result<(), Failure> {
    let settings = effective.settings();
    let arguments = effective.arguments;
    let place = place(&arguments)?;
    let folder = place.data.clone();
    let supervisor = Arc::new(Supervisor::from_environment());
    // One for the whole run: a signal that arrives between two listeners would be lost.
    let mut stop = pin!(stop());
    // The store first: a second server on the same folder ends here, before it has changed anything.
    let store = tokio::select! {
        biased;
        () = &mut stop => return Ok(()),
        store = open_store(&place, &output) => Arc::new(store?),
    };
    let _lock = place.lock_data()?;
    let key_pair = identity(&folder, &arguments, &output)?;
    let service = Service::new(store, arguments.service());
    let lists = lists(&arguments, &folder);
    let reloader = Reloader::new(settings, &arguments, key_pair.public_key());
    let live = Live::begin(service.clone(), &lists, reloader)?;
    let operator = Arc::new(Operator::running(place, lists, live));
    let (control, _name) = listen_for_commands(&folder).unzip();
    let view = View::new("profile-server");
    view.set_service(&service);
    let mut web = Web::start(&arguments.web, &MetricsArgs::default(), &view, &output).await?;
    // Ends when this function does.
    let operator = AbortOnDropHandle::new(tokio::spawn(serve_operator(
        operator,
        control,
        Arc::clone(&supervisor),
        output,
    )));
    let mut operator =
        pin!(runtime::task_ended("the task that answers commands and writes backups", operator));
    let started = tokio::select! {
        biased;
        () = &mut stop => return Ok(()),
        failure = &mut operator => return Err(failure),
        started = start(&arguments, &key_pair, &view, service.store(), &output) => started?,
    };
    let Started { dht, server, local, network, mut member } = started;
    announce(&server.connect_address().await, &network, &arguments, &output);
    // Without its key a server is of no use to anybody.
    output.delivered()?;
    let stats = dht.stats().await;
    tracing::info!(nodes = stats.nodes, firewalled = stats.firewalled, "listening");
    let store = Arc::clone(service.store());
    supervisor.ready(&status(&service));
    tokio::select! {
        () = service.run(&server) => {}
        () = supervisor.keep_alive(std::slice::from_ref(&dht), || status(&service)) => {}
        () = serve_together(&store, &server, member.as_mut()) => {}
        () = count_profiles(&store) => {}
        () = &mut stop => {}
        ended = runtime::ended(local.as_ref().map_or(&[], Testnet::nodes)) => ended?,
        failure = &mut operator => return Err(failure),
        failure = web.ended() => return Err(failure),
        error = store.failed() => {
            // Those who wait for an answer get it; the supervisor of this program starts it again.
            let _ = tokio::time::timeout(LAST_ANSWERS, service.close()).await;
            return Err(failed(error));
        }
    }
    supervisor.stopping();
    output.note("ending: finishing requests");
    output.json(&json!({"event": "closing"}));
    end(&dht, &server, &service, member).await;
    // A bug may have ended the node, and so the service.
    dht.closed().await?;
    if let Some(local) = local {
        local.close().await;
    }
    Ok(())
}

/// Takes no new clients, ends the lease, finishes requests, and closes the node.
async fn end(dht: &Dht, server: &Server, service: &Service<Arc<ServerStore>>, member: Option<Membership>) {
    let is_followed = service.store().others().is_some_and(|others| others > 0);
    if !is_followed {
        server.close().await;
    }
    if let Some(member) = member {
        member.leave().await;
    }
    service.close().await;
    if is_followed {
        // The announcement stays until that of another server replaces it, which the end of the lease asks
        // for: a withdrawal would remove whichever is there.
        dht.suspend().await;
    }
    dht.close().await;
}

/// Waits for the end of the run.
async fn stop() {
    tokio::select! {
        () = runtime::stop_signal() => {}
        () = runtime::terminal_gone() => {}
    }
}

/// Returns the line that a supervisor shows.
fn status(service: &Service<Arc<ServerStore>>) -> String {
    let store = service.store();
    let others = store.others().map(|others| format!("; other servers: {others}")).unwrap_or_default();
    format!("connections: {}; profiles: {}{others}", service.connections(), store.stats().profiles)
}

/// Makes the failure for a store that has failed while it was used.
fn failed(error: StoreError) -> Failure {
    let failure = Failure::from(error);
    match failure.hint {
        Some(_) => failure,
        None => failure.hint("examine the disk, then start the server again: it verifies the store"),
    }
}

/// Opens the store. A database that is away is tried again until it is there.
async fn open_store(place: &Place, output: &Output) -> Result<ServerStore, Failure> {
    loop {
        match place.open().await {
            Err(failure) if place::is_away(&failure) => {
                output.note(&format!("{}; trying again", failure.error));
                output.json(&json!({"event": "no_database"}));
                tokio::time::sleep(RECONNECT).await;
            }
            Ok(store) => {
                if place.folder().is_none() {
                    output.note(&format!("profiles are in {place}"));
                }
                return Ok(store);
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Announces the server again whenever another one of its key has gone: clients find what was announced
/// last. For ever.
async fn serve_together(store: &ServerStore, server: &Server, member: Option<&mut Membership>) {
    let Some(member) = member else {
        return std::future::pending().await;
    };
    loop {
        store.lost(member).await;
        tracing::info!("another server of this key has gone: announcing again");
        server.refresh().await;
    }
}

/// Counts the profiles in a database from time to time, for ever.
async fn count_profiles(store: &ServerStore) {
    loop {
        // Where the database is away, the number stays as it was; the store has logged that.
        let _ = store.profiles().await;
        tokio::time::sleep(COUNT_AGAIN).await;
    }
}

/// Listens for commands such as `backup`. Without them the server still serves its clients, so a failure is
/// logged.
fn listen_for_commands(data: &Path) -> Option<(Control, Name)> {
    Control::listen(data)
        .inspect_err(|error| tracing::warn!(%error, "a backup needs the server stopped: no control socket"))
        .ok()
}

/// Answers the commands of the operator, applies what has changed, and writes backups, for ever.
async fn serve_operator(
    operator: Arc<Operator>,
    control: Option<Control>,
    supervisor: Arc<Supervisor>,
    output: Output,
) {
    let commands = async {
        match &control {
            Some(control) => control.serve(&operator).await,
            None => std::future::pending().await,
        }
    };
    let backups = async {
        match operator.live() {
            Ok(live) => schedule::run(live.schedules(), live.service().store(), output).await,
            Err(_) => unreachable!("the operator of this process is one of a server that runs"),
        }
    };
    tokio::join!(commands, backups, operator.watch_lists(), reload_at_signals(&operator, &supervisor));
}

/// Reads the configuration again whenever SIGHUP comes, for ever.
async fn reload_at_signals(operator: &Arc<Operator>, supervisor: &Supervisor) {
    let mut signals = runtime::Hangups::listen();
    loop {
        signals.next().await;
        let was_ready = supervisor.reloading();
        let operator = Arc::clone(operator);
        let reloaded = tokio::task::spawn_blocking(move || {
            let reload = operator.carry_out(ask::own_user(), &Request::Reload);
            tokio::runtime::Handle::current().block_on(reload)
        });
        let status = match reloaded.await {
            Ok(Ok(_)) => "configuration read again",
            Ok(Err(Failure { error, .. })) => {
                tracing::warn!(%error, "the configuration was not read again: nothing has changed");
                "configuration not read again, see the log"
            }
            // It has panicked, or the program ends.
            Err(error) => {
                tracing::warn!(%error, "the configuration was not read again");
                "configuration not read again, see the log"
            }
        };
        if was_ready {
            supervisor.ready(status);
        }
    }
}

/// Returns where the profiles are.
fn place(arguments: &Arguments) -> Result<Place, Failure> {
    arguments.store.place(&data_dir(arguments)?, arguments.modes)
}

/// Names the files of the lists.
fn lists(arguments: &Arguments, data: &Path) -> Lists {
    Lists::of(data, arguments.allow_list.as_deref())
}

struct Started {
    dht: Dht,
    server: Server,
    /// The private network, if this program started it.
    local: Option<Testnet>,
    network: Network,
    /// The place among the servers of the key.
    member: Option<Membership>,
}

async fn start(
    arguments: &Arguments,
    key_pair: &KeyPair,
    view: &View,
    store: &ServerStore,
    output: &Output,
) -> Result<Started, Failure> {
    let network = arguments.network.network();
    let local = match arguments.network.local {
        Some(port) => private_network(port, output).await?,
        None => None,
    };
    let dht = network.node(arguments.bind.as_deref()).spawn().await?;
    view.add_node(&dht);
    let joined = output.spinner("joining the DHT");
    join(&dht, &network, arguments, output).await?;
    drop(joined);
    // Before clients can find this server: the others have to notice when it goes.
    let member = store.join(key_pair.public_key()).await;
    let announced = output.spinner("announcing the server");
    let listen = dht.listen(key_pair).reusable_socket().receive_window(RECEIVE_WINDOW);
    let listen = match &arguments.relay {
        Some(relay) => listen.relay_through(relay),
        None => listen,
    };
    let server = listen.await?;
    drop(announced);
    Ok(Started { dht, server, local, network, member })
}

/// Starts a private network with its first node on a port, unless a node answers there already.
async fn private_network(port: u16, output: &Output) -> Result<Option<Testnet>, Failure> {
    match Testnet::on_port(LOCAL_NODES, port).await {
        Ok(network) => {
            output.note(&format!("started a private DHT of {LOCAL_NODES} nodes on 127.0.0.1:{port}"));
            Ok(Some(network))
        }
        Err(error) if is_taken(&error, port) => {
            let probe =
                Dht::builder().bootstrap([format!("127.0.0.1:{port}")]).bind("127.0.0.1:0").spawn().await?;
            let answered = tokio::time::timeout(PROBE, probe.bootstrapped()).await;
            probe.close().await;
            match answered {
                Ok(Ok(_)) => {
                    output.note(&format!("joining the private DHT on 127.0.0.1:{port}"));
                    Ok(None)
                }
                Ok(Err(error @ BootstrapError::Closed)) => Err(error.into()),
                Ok(Err(BootstrapError::NoNetwork)) | Err(_) => Err(Failure::new(
                    Exit::NoNetwork,
                    format!(
                        "port {port} of 127.0.0.1 is taken, and what has it does not answer as a DHT node"
                    ),
                )
                .hint("choose another port for both programs with --local=PORT")),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns whether another program has the port; a network can fail to start for other reasons.
fn is_taken(error: &TestnetError, port: u16) -> bool {
    match error {
        TestnetError::Spawn(SpawnError::Bind { address, source }) => {
            address.port() == port && source.kind() == io::ErrorKind::AddrInUse
        }
        _ => false,
    }
}

/// Waits until the node has joined; prints every [`AGAIN`] that it has not.
async fn join(dht: &Dht, network: &Network, arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    loop {
        match dht.bootstrapped().await {
            Ok(_) => return Ok(()),
            Err(BootstrapError::NoNetwork) => {
                if let Some(port) = arguments.network.local {
                    let what = format!("the private DHT on port {port} has stopped");
                    return Err(Failure::new(Exit::NoNetwork, what));
                }
                output.note(&format!(
                    "no bootstrap node answers, trying again (asked {})",
                    network.bootstrap.join(", ")
                ));
                output.json(&json!({"event": "no_network"}));
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn announce(server: &ConnectAddress, network: &Network, arguments: &Arguments, output: &Output) {
    let key = server.public_key();
    output.line(&key.to_z32());
    output.json(&json!({
        "event": "listening",
        "public_key": key,
        "public_key_hex": key.to_hex(),
        "connect_address": server.to_string(),
    }));
    let who = match network.is_local() {
        true => "clients on this computer",
        false => "clients",
    };
    let network = match arguments.network.local {
        Some(49737) => " --local".to_owned(),
        Some(port) => format!(" --local={port}"),
        None => network.arguments(),
    };
    output.note(&format!("{who} can reach this server now:"));
    output.note(&format!("  profile-client{network} --server {key}"));
}

fn identity(folder: &Path, arguments: &Arguments, output: &Output) -> Result<KeyPair, Failure> {
    let path = folder.join("identity");
    let LoadedKey { key_pair, created } = arguments.modes.file(&path).load_or_create()?;
    if created {
        output.note(&format!("made a new identity for this server in {}", path.display()));
    }
    Ok(key_pair)
}

fn data_dir(arguments: &Arguments) -> Result<PathBuf, Failure> {
    match &arguments.data_dir {
        Some(folder) => Ok(folder.clone()),
        None => default_folder("profile-server"),
    }
}

/// Returns the folder of a program's data.
pub(in super::super) fn default_folder(program: &str) -> Result<PathBuf, Failure> {
    let strategy = etcetera::choose_base_strategy().map_err(|error| {
        Failure::from_error(Exit::Identity, error)
            .hint("there is no home folder: name a place for the identity with an argument, see --help")
    })?;
    Ok(strategy.data_dir().join(program))
}

/// What a client may send ahead: several of the longest lines.
const RECEIVE_WINDOW: u32 = 256 << 10;
/// Nodes of a private network: enough for a record to be on several of them.
const LOCAL_NODES: usize = 5;
/// Longest time for a node on this computer to answer.
const PROBE: Duration = Duration::from_secs(5);
/// Longest time for answers to reach clients after the store has failed.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
/// Time between two counts of the profiles in a database.
const COUNT_AGAIN: Duration = Duration::from_secs(600);
/// Time between two attempts to reach the database.
const RECONNECT: Duration = Duration::from_secs(5);
/// Time between two attempts to join.
const AGAIN: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_taken_only_if_the_system_reports_that_of_it() {
        let bind = |port, kind: io::ErrorKind| {
            let address = std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port);
            TestnetError::Spawn(SpawnError::Bind { address, source: kind.into() })
        };
        assert!(is_taken(&bind(7, io::ErrorKind::AddrInUse), 7));
        for error in [
            bind(0, io::ErrorKind::AddrInUse),
            bind(7, io::ErrorKind::PermissionDenied),
            bind(7, io::ErrorKind::AddrNotAvailable),
            TestnetError::Bootstrap(BootstrapError::NoNetwork),
        ] {
            assert!(!is_taken(&error, 7), "{error:?}");
        }
    }
}
