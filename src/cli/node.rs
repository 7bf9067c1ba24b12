//! `dht-node`: nodes for a network of one's own, or for an existing one.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::ExitCode;

use clap::Parser;
use serde_json::json;
use tracing_subscriber::filter::LevelFilter;

use super::exit::{EXIT_CODES, Exit, Failure};
use super::network::{Network, NetworkArgs, bind_address, no_network};
use super::output::Output;
use super::runtime;
use crate::Dht;
use crate::api::Mode;

/// Run nodes of a HyperDHT: the first ones of a new network, or more for an existing one
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
    let started = tokio::select! {
        biased;
        () = runtime::stop_signal() => return Ok(()),
        started = start(&arguments) => started?,
    };
    for node in &started {
        let address = seen_from_outside(&arguments, node.local_addr());
        output.line(&address.to_string());
        output.json(&json!({"event": "listening", "address": address.to_string()}));
    }
    output.note("press Ctrl-C to end");
    runtime::stop_signal().await;
    for node in started.iter().rev() {
        node.close().await;
    }
    Ok(())
}

async fn start(arguments: &Arguments) -> Result<Vec<Dht>, Failure> {
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
