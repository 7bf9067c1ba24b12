//! `dht-node`: nodes for a network of one's own, or for an existing one.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde_json::json;
use tracing::warn;
use tracing_subscriber::filter::LevelFilter;

use super::exit::{EXIT_CODES, Exit, Failure};
use super::keyfile::{self, Loaded};
use super::known_nodes::KnownNodes;
use super::metrics::Metrics;
use super::network::{Network, NetworkArgs, bind_address, no_network};
use super::output::Output;
use super::runtime;
use super::server::default_folder;
use crate::Dht;
use crate::api::{Mode, Relay, RelayLimits};

/// Run nodes of a HyperDHT: for the public one, for another existing one, or the first ones of a new network
#[derive(Debug, Parser)]
#[command(name = "dht-node", version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(flatten)]
    network: NetworkArgs,

    /// Address of the first node's socket; further nodes take any port
    #[arg(long, value_name = "IP[:PORT]", value_parser = bind_address)]
    bind: Option<String>,

    /// Port of the first node's socket, if --bind names none
    #[arg(long)]
    port: Option<u16>,

    /// The address that others see, for hosts behind a one-to-one NAT
    #[arg(long, value_name = "IP")]
    public: Option<Ipv4Addr>,

    /// How many nodes to run
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    nodes: u16,

    /// Start a network of one's own: the first node knows nobody, the others join through it
    #[arg(long, conflicts_with_all = ["bootstrap", "local"])]
    new_network: bool,

    /// Keep here what the first node knows, so that it finds back into the network by itself
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Serve numbers for Prometheus at http://IP:PORT/metrics
    #[arg(long, value_name = "IP:PORT")]
    metrics: Option<SocketAddrV4>,

    /// Serve as a blind relay as well: print its key, and carry packets for peers that have no path between them
    #[arg(long)]
    relay: bool,

    /// File that holds the relay's identity [default: $XDG_DATA_HOME/dht-node/relay]
    #[arg(long, value_name = "FILE", requires = "relay")]
    relay_key: Option<PathBuf>,

    /// Pairs that the relay serves at once
    #[arg(long, value_name = "N", default_value_t = 1024, requires = "relay")]
    relay_pairs: usize,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Log more; twice for everything
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output {
        json: arguments.json,
        verbose: arguments.verbose > 0,
        ..Output::default()
    };
    runtime::log(match arguments.verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    });
    runtime::run(output, None, run(arguments, output))
}

async fn run(arguments: Arguments, output: Output) -> Result<(), Failure> {
    let known = arguments.data_dir.as_deref().map(KnownNodes::in_directory);
    let known = known.transpose().map_err(cannot_keep)?;
    let earlier = known.as_ref().map(KnownNodes::load).transpose();
    let earlier = earlier.map_err(cannot_keep)?.unwrap_or_default();
    // One for the whole run: a signal that comes while nobody listens is lost.
    let mut stop = pin!(runtime::stop_signal());
    let started = tokio::select! {
        biased;
        () = &mut stop => return Ok(()),
        started = start(&arguments, earlier) => started?,
    };
    let metrics = match arguments.metrics {
        Some(address) => Some(Metrics::serve(address, started.clone()).await?),
        None => None,
    };
    if let Some(metrics) = &metrics {
        let url = format!("http://{}/metrics", metrics.local());
        output.note(&format!("metrics at {url}"));
        output.json(&json!({"event": "metrics", "url": url}));
    }
    for node in &started {
        let address = seen_from_outside(&arguments, node.local_addr());
        output.line(&address.to_string());
        output.json(&json!({"event": "listening", "address": address.to_string()}));
    }
    let relay = match (arguments.relay, started.first()) {
        (true, Some(node)) => Some(serve_relay(&arguments, node, output).await?),
        _ => None,
    };
    output.note("press Ctrl-C to end");
    let keep = known.as_ref().zip(started.first());
    tokio::select! {
        () = &mut stop => {}
        () = keep_saving(keep) => {}
    }
    if let Some((known, first)) = keep {
        known
            .save(&first.known_nodes().await)
            .map_err(cannot_keep)?;
    }
    drop(relay);
    for node in started.iter().rev() {
        node.close().await;
    }
    Ok(())
}

/// Saves from time to time what a node knows, for the case that the end comes without warning. Never returns.
async fn keep_saving(keep: Option<(&KnownNodes, &Dht)>) {
    let Some((known, node)) = keep else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(SAVE_PERIOD).await;
        if let Err(error) = known.save(&node.known_nodes().await) {
            warn!(%error, "what the node knows was not saved");
        }
    }
}

fn cannot_keep(error: std::io::Error) -> Failure {
    let error = anyhow::Error::new(error);
    Failure::from_error(
        Exit::Storage,
        error.context("cannot use the data directory"),
    )
}

async fn serve_relay(arguments: &Arguments, node: &Dht, output: Output) -> Result<Relay, Failure> {
    let path = match &arguments.relay_key {
        Some(path) => path.clone(),
        None => default_folder("dht-node")?.join("relay"),
    };
    let Loaded { key_pair, created } = keyfile::load_or_create(&path)?;
    if created {
        output.note(&format!(
            "made a new identity for this relay in {}",
            path.display()
        ));
    }
    let limits = RelayLimits {
        links: arguments.relay_pairs,
        ..RelayLimits::default()
    };
    let relay = node.relay(&key_pair).limits(limits).await?;
    let key = relay.public_key().to_z32();
    output.line(&format!("relay {key}"));
    output.json(&json!({"event": "relay", "public_key": key}));
    output.note("name the relay to either side: --relay KEY of profile-server or profile-client");
    Ok(relay)
}

async fn start(arguments: &Arguments, earlier: Vec<SocketAddrV4>) -> Result<Vec<Dht>, Failure> {
    let mut network = if arguments.new_network {
        Network {
            bootstrap: Vec::new(),
        }
    } else {
        arguments.network.network()
    };
    let first = first_address(arguments, &network);
    // In a network of one's own everybody is reachable; elsewhere a node finds out.
    let open = arguments.new_network || arguments.public.is_some() || network.is_local();
    let mut nodes: Vec<Dht> = Vec::new();
    for number in 0..arguments.nodes {
        let bind = match number {
            0 => first.clone(),
            _ => format!("{}:0", first.split(':').next().unwrap_or("0.0.0.0")),
        };
        let mut builder = Dht::builder()
            .bootstrap(network.bootstrap.iter().cloned())
            .bind(bind)
            .known_nodes(earlier.iter().copied())
            .mode(Mode::Persistent)
            .firewalled(!open);
        if number == 0 && !first.ends_with(":0") {
            builder = builder.exact_port();
        }
        if let Some(ip) = arguments.public {
            builder = builder.public_ip(ip);
        }
        let node = builder.spawn().await?;
        let joined = node.bootstrapped().await;
        if let Err(error) = joined {
            return Err(if network.bootstrap.is_empty() {
                error.into()
            } else {
                no_network(&network)
            });
        }
        if network.bootstrap.is_empty() {
            let address = node.local_addr();
            // Through the loopback interface if the first node listens on all of them.
            let ip = match *address.ip() {
                Ipv4Addr::UNSPECIFIED => Ipv4Addr::LOCALHOST,
                ip => ip,
            };
            network.bootstrap = vec![SocketAddrV4::new(ip, address.port()).to_string()];
        }
        nodes.push(node);
    }
    if nodes.is_empty() {
        return Err(Failure::new(Exit::Usage, "no nodes to run"));
    }
    Ok(nodes)
}

fn first_address(arguments: &Arguments, network: &Network) -> String {
    let ip = match &arguments.bind {
        Some(bind) if !bind.ends_with(":0") || arguments.port.is_none() => return bind.clone(),
        Some(bind) => bind.split(':').next().unwrap_or("0.0.0.0").to_owned(),
        None if !network.bootstrap.is_empty() && network.is_local() => "127.0.0.1".into(),
        None => "0.0.0.0".into(),
    };
    let port = arguments.port.unwrap_or(match ip.as_str() {
        "127.0.0.1" => 0,
        _ => 49737,
    });
    format!("{ip}:{port}")
}

fn seen_from_outside(arguments: &Arguments, local: SocketAddrV4) -> SocketAddrV4 {
    let ip = arguments.public.unwrap_or_else(|| *local.ip());
    SocketAddrV4::new(ip, local.port())
}

/// How often what a node knows is saved.
const SAVE_PERIOD: Duration = Duration::from_secs(300);

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
            first_address(&arguments, &network)
        };
        assert_eq!(address("n --new-network"), "0.0.0.0:49737");
        assert_eq!(address("n --bind 127.0.0.1"), "127.0.0.1:0");
        assert_eq!(address("n --bind 127.0.0.1:7"), "127.0.0.1:7");
        assert_eq!(address("n --bind 127.0.0.1 --port 8"), "127.0.0.1:8");
        assert_eq!(address("n --port 8"), "0.0.0.0:8");
        assert_eq!(address("n --bootstrap 127.0.0.1:5"), "127.0.0.1:0");
    }
}
