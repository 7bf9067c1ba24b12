//! `dht-node`: nodes of a new network, or of an existing one.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde_json::json;
use tracing::warn;
use tracing_subscriber::filter::LevelFilter;

use super::config::ConfigArgs;
use super::exit::{EXIT_CODES, Exit, Failure};
use super::files;
use super::key_access::{ModesArgs, quoted};
use super::network::{Network, NetworkArgs, bind_address, no_network};
use super::new_network::{Site, check_public};
use super::node_state::NodeState;
use super::output::Output;
use super::runtime;
use super::server::default_folder;
use super::stderr::Queued;
use super::supervisor::Supervisor;
use super::web::{MetricsArgs, View, Web, WebArgs};
use crate::Dht;
use crate::api::{BootstrapError, LoadedKey, Mode, Relay, RelayLimits};

/// Run nodes of a HyperDHT: for the public one, for another existing one, or the first ones of a new network
#[derive(Debug, Parser)]
#[command(name = "dht-node", version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(flatten)]
    network: NetworkArgs,

    /// Address of the first node's socket; further nodes take the ports that follow
    #[arg(long, value_name = "IP[:PORT]", value_parser = bind_address)]
    bind: Option<String>,

    /// Port of the first node's socket, if --bind names none
    #[arg(long)]
    port: Option<u16>,

    /// The address that others see, for hosts behind a one-to-one NAT or with several addresses
    #[arg(long, value_name = "IP")]
    public: Option<Ipv4Addr>,

    /// How many nodes to run
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    nodes: u16,

    /// Start a new network, and print the commands by which others join it
    #[arg(long, conflicts_with_all = ["bootstrap", "local"])]
    new_network: bool,

    /// Keep known nodes and announcements here, so that after a restart the nodes find back into the network
    /// and still know its servers
    #[arg(long, value_name = "DIR", value_parser = files::argument())]
    data_dir: Option<PathBuf>,

    #[command(flatten)]
    metrics: MetricsArgs,

    #[command(flatten)]
    web: WebArgs,

    /// Serve as a blind relay as well: print its key, and carry packets for peers that have no path between
    /// them
    #[arg(long)]
    relay: bool,

    /// File that holds the relay's identity [default: $XDG_DATA_HOME/dht-node/relay]
    #[arg(long, value_name = "FILE", value_parser = files::argument(), requires = "relay")]
    relay_key: Option<PathBuf>,

    /// Pairs that the relay serves at once
    #[arg(long, value_name = "N", default_value_t = 1024, requires = "relay")]
    relay_pairs: usize,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG
    /// selects by module
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,

    #[command(flatten)]
    secrecy: runtime::Secrecy,

    #[command(flatten)]
    modes: ModesArgs,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments: Arguments = match runtime::arguments() {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    let output = Output { json: arguments.json, verbose: arguments.verbose > 0, ..Output::default() };
    // A node runs for long and must not wait for its standard error.
    let _queued = Queued::start();
    runtime::log(LevelFilter::WARN, arguments.verbose);
    arguments.secrecy.apply();
    runtime::run(output, None, run(arguments, output))
}

async fn run(arguments: Arguments, output: Output) -> Result<(), Failure> {
    let state = arguments.data_dir.as_deref().map(NodeState::in_directory);
    let state = state.transpose().map_err(|error| cannot_keep(&arguments, error))?;
    let supervisor = Supervisor::from_environment();
    // One for the whole run: a signal that arrives between two listeners would be lost.
    let mut stop = pin!(runtime::stop_signal());
    let network = match arguments.new_network {
        true => Network { bootstrap: Vec::new() },
        false => arguments.network.network(),
    };
    let bind = first_address(&arguments, &network)?;
    if let Some(ip) = arguments.public {
        check_public(ip)?;
    }
    let site = match arguments.new_network {
        true => Some(Site::choose(*bind.ip(), arguments.public)?),
        false => None,
    };
    let view = View::new("dht-node");
    let mut web = Web::start(&arguments.web, &arguments.metrics, &view, &output).await?;
    let started = tokio::select! {
        biased;
        () = &mut stop => return Ok(()),
        started = start(&arguments, network, bind, site.as_ref(), state.as_ref(), &view) => started?,
    };
    let seen = site.as_ref().map(|site| site.ip).or(arguments.public);
    let addresses: Vec<_> = started.iter().map(|node| seen_from_outside(node, seen, &output)).collect();
    for address in &addresses {
        output.line(&address.to_string());
        output.json(&json!({"event": "listening", "address": address}));
    }
    output.delivered()?;
    if let (Some(site), Some(first)) = (&site, addresses.first()) {
        site.explain(*first, &output);
        site.check(&started, &output).await?;
    }
    let status = || {
        let persistent = started.iter().filter(|node| node.state().persistent).count();
        format!("nodes: {}; reachable by others: {persistent}", started.len())
    };
    supervisor.ready(&status());
    let ended = tokio::select! {
        () = &mut stop => Ok(()),
        () = supervisor.keep_alive(&started, status) => Ok(()),
        failure = serve(&arguments, &started, output) => Err(failure),
        () = keep_saving(state.as_ref(), &started) => Ok(()),
        ended = runtime::ended(&started) => ended,
        failure = web.ended() => Err(failure),
    };
    supervisor.stopping();
    // What the other nodes know is kept in any case.
    if let Some(state) = &state {
        state.save(&started).await.map_err(|error| cannot_keep(&arguments, error))?;
    }
    for node in started.iter().rev() {
        node.close().await;
    }
    ended
}

/// Saves the state of the nodes every [`SAVE_PERIOD`], in case the program is killed. Never returns.
async fn keep_saving(state: Option<&NodeState>, nodes: &[Dht]) {
    let Some(state) = state else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(SAVE_PERIOD).await;
        if let Err(error) = state.save(nodes).await {
            warn!(%error, "the state of the nodes was not saved");
        }
    }
}

fn cannot_keep(arguments: &Arguments, error: std::io::Error) -> Failure {
    let directory = arguments.data_dir.as_deref().map(quoted).unwrap_or_default();
    let what = format!("cannot use the data directory {directory}: {error}");
    let error = anyhow::Error::new(error).context(what);
    Failure::from_error(Exit::Storage, error).hint("look at it, or name another one with --data-dir")
}

/// Serves as a relay if that is asked for, as long as this is awaited: the relay may be announced only once
/// there is a network. Returns what went wrong.
async fn serve(arguments: &Arguments, nodes: &[Dht], output: Output) -> Failure {
    let started = async {
        let relay = match (arguments.relay, nodes.first()) {
            (true, Some(node)) => Some(serve_relay(arguments, node, output).await?),
            _ => None,
        };
        output.delivered()?;
        output.note("press Ctrl-C to end");
        Ok(relay)
    };
    match started.await {
        Ok(_relay) => std::future::pending().await,
        Err(failure) => failure,
    }
}

async fn serve_relay(arguments: &Arguments, node: &Dht, output: Output) -> Result<Relay, Failure> {
    let path = match &arguments.relay_key {
        Some(path) => path.clone(),
        None => default_folder("dht-node")?.join("relay"),
    };
    let LoadedKey { key_pair, created } = arguments.modes.file(&path).load_or_create()?;
    if created {
        output.note(&format!("made a new identity for this relay in {}", path.display()));
    }
    let limits = RelayLimits { links: arguments.relay_pairs, ..RelayLimits::default() };
    let relay = node.relay(&key_pair).limits(limits).await?;
    let key = relay.public_key().to_z32();
    output.line(&format!("relay {key}"));
    output.json(&json!({"event": "relay", "public_key": key}));
    output.note("name the relay to either side: --relay KEY of profile-server or profile-client");
    Ok(relay)
}

async fn start(
    arguments: &Arguments,
    mut network: Network,
    bind: SocketAddrV4,
    site: Option<&Site>,
    state: Option<&NodeState>,
    view: &View,
) -> Result<Vec<Dht>, Failure> {
    // In a new network every node is reachable; elsewhere a node finds out.
    let open = site.is_some() || arguments.public.is_some() || network.is_local();
    let public = site.map(|site| site.ip).or(arguments.public);
    let known = state.map(NodeState::known_nodes).transpose();
    // Without a data directory none are known.
    let mut known = known.map_err(|error| cannot_keep(arguments, error))?.unwrap_or_default();
    // Nodes of this host are about to start; waiting for their answers would take seconds.
    known.retain(|node| Some(*node.ip()) != public);
    let mut nodes: Vec<Dht> = Vec::new();
    for number in 0..arguments.nodes {
        // Ports that can be named in a firewall, and are the same next time.
        let port = match bind.port() {
            0 => 0,
            // Behind the last port the system chooses.
            first => first.checked_add(number).unwrap_or(0),
        };
        let mut builder = Dht::builder()
            .bootstrap(network.bootstrap.iter().cloned())
            .bind(SocketAddrV4::new(*bind.ip(), port).to_string())
            .known_nodes(known.iter().copied())
            .mode(Mode::Persistent)
            .firewalled(!open);
        if number == 0 && port != 0 {
            builder = builder.exact_port();
        }
        if let Some(ip) = public {
            builder = builder.public_ip(ip);
        }
        if let Some(state) = state {
            let earlier = state.announcements(number).map_err(|error| cannot_keep(arguments, error))?;
            builder = builder.keep_announcements(earlier);
        }
        let node = builder.spawn().await?;
        view.add_node(&node);
        let first = nodes.first().unwrap_or(&node).local_addr();
        if let Err(error) = node.bootstrapped().await {
            return Err(match site {
                _ if error == BootstrapError::Closed => error.into(),
                Some(site) if number > 0 => site.unreachable(SocketAddrV4::new(site.ip, first.port())),
                Some(_) => error.into(),
                None => no_network(&network),
            });
        }
        if let Some(site) = site {
            network.bootstrap = vec![SocketAddrV4::new(site.ip, first.port()).to_string()];
        }
        nodes.push(node);
    }
    if nodes.is_empty() {
        return Err(Failure::new(Exit::Usage, "no nodes to run"));
    }
    Ok(nodes)
}

/// Returns the address at which others see a node, if known, else the local one. Prints a warning if others
/// do not reach the node.
fn seen_from_outside(node: &Dht, named: Option<Ipv4Addr>, output: &Output) -> SocketAddrV4 {
    let local = node.local_addr();
    if let Some(ip) = named {
        return SocketAddrV4::new(ip, local.port());
    }
    let state = node.state();
    if !state.persistent {
        output.json(&json!({
            "event": "warning", "kind": "unreachable", "address": local,
        }));
        output.note(&format!(
            "other nodes do not reach this one, so it serves none: open UDP port {} to it, or name the \
             address that others see with --public IP",
            local.port()
        ));
    }
    state.public_address.unwrap_or(local)
}

/// Returns what the socket of the first node is bound to.
fn first_address(arguments: &Arguments, network: &Network) -> Result<SocketAddrV4, Failure> {
    let local = !network.bootstrap.is_empty() && network.is_local();
    let bind = match &arguments.bind {
        Some(bind) => bind
            .parse()
            .map_err(|error| Failure::from_error(Exit::Usage, error).hint("--bind takes IP or IP:PORT"))?,
        None if local => SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0),
        None => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
    };
    let port = match (bind.port(), arguments.port) {
        (0, Some(port)) => port,
        (0, None) if !bind.ip().is_loopback() => DEFAULT_PORT,
        (port, _) => port,
    };
    Ok(SocketAddrV4::new(*bind.ip(), port))
}

/// The port of the reference's nodes (`hyperdht index.js`).
const DEFAULT_PORT: u16 = 49737;
/// How often the state of the nodes is saved.
const SAVE_PERIOD: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }

    #[test]
    fn bind_and_port_make_one_address() {
        let address = |line: &str| {
            let arguments = Arguments::parse_from(line.split(' '));
            let network = arguments.network.network_with("");
            first_address(&arguments, &network).unwrap().to_string()
        };
        assert_eq!(address("n --new-network"), "0.0.0.0:49737");
        assert_eq!(address("n --bind 127.0.0.1"), "127.0.0.1:0");
        assert_eq!(address("n --bind 127.0.0.1:7"), "127.0.0.1:7");
        assert_eq!(address("n --bind 127.0.0.1 --port 8"), "127.0.0.1:8");
        assert_eq!(address("n --port 8"), "0.0.0.0:8");
        assert_eq!(address("n --bootstrap 127.0.0.1:5"), "127.0.0.1:0");
    }
}
