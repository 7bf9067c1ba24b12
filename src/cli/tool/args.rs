//! The arguments of `hyperdht`.

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use data_encoding::HEXLOWER_PERMISSIVE;

use super::super::config::ConfigArgs;
use super::super::exit::EXIT_CODES;
use super::super::key_access::ModesArgs;
use super::super::network::{NetworkArgs, bind_address};
use super::super::runtime::Secrecy;
use super::super::{duration, files};
use crate::{ConnectAddress, PublicKey, crypto};

/// Reach any server, topic and value of a HyperDHT
///
/// A KEY is a public key of 52 characters, or of 64 hexadecimal digits. A TOPIC is 64 hexadecimal digits, or
/// another text, which is hashed (BLAKE2b-256): peers that name the same text meet.
#[derive(Debug, Parser)]
#[command(name = "hyperdht", version, after_help = EXIT_CODES)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) network: NetworkArgs,

    /// File that holds your key pair, made at the first use [default: a new key pair for each run]
    #[arg(long, value_name = "FILE", value_parser = files::argument(), global = true)]
    pub(super) identity: Option<PathBuf>,

    /// Blind relay to meet the other side at until a direct path is found
    #[arg(long, value_name = "KEY", global = true)]
    pub(super) relay: Option<PublicKey>,

    /// Address of the socket [default: any; 127.0.0.1 in a network on this computer]
    #[arg(long, value_name = "IP[:PORT]", value_parser = bind_address, global = true)]
    pub(super) bind: Option<String>,

    /// How long joining the network, a query and a connection attempt may take, each
    #[arg(long, value_name = "TIME", value_parser = duration::timeout, default_value = "30s", global = true)]
    pub(super) timeout: Duration,

    /// Print a JSON object on each line; pipe prints them on standard error
    #[arg(long, global = true)]
    pub(super) json: bool,

    /// Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG
    /// selects by module
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(super) verbose: u8,

    #[command(flatten)]
    pub(super) secrecy: Secrecy,

    #[command(flatten)]
    pub(super) modes: ModesArgs,

    #[command(flatten)]
    pub(super) config: ConfigArgs,

    #[command(subcommand)]
    pub(super) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Measure the round trip to a DHT node, to a server, or to the peers of a topic
    Ping {
        /// A node by its address, or a server by its key
        #[arg(value_name = "IP:PORT|KEY", value_parser = target, required_unless_present = "topic")]
        target: Option<Target>,

        /// All peers of a topic that listen
        #[arg(long, value_name = "TOPIC", value_parser = topic, conflicts_with = "target")]
        topic: Option<[u8; 32]>,
    },
    /// Print the peers of a topic, or the nodes that know a server
    Lookup {
        /// The topic
        #[arg(value_name = "TOPIC", value_parser = topic, required_unless_present = "key")]
        topic: Option<[u8; 32]>,

        /// A server
        #[arg(long, value_name = "KEY", conflicts_with = "topic")]
        key: Option<PublicKey>,
    },
    /// Announce your key under a topic until Ctrl-C
    Announce {
        /// The topic
        #[arg(value_name = "TOPIC", value_parser = topic)]
        topic: [u8; 32],

        /// Announce once and leave it there; nodes forget it after 20 minutes
        #[arg(long)]
        once: bool,
    },
    /// Print the value with a hash, or the latest value that a key has signed
    Get {
        /// The hash, 64 hexadecimal digits; with --mutable a key
        #[arg(value_name = "HASH|KEY")]
        target: PublicKey,

        /// Get what a key has signed
        #[arg(long)]
        mutable: bool,
    },
    /// Store a value under its hash, or signed under your key, and print the hash or the key
    Put {
        /// The value, - for standard input; at most 1850 bytes
        #[arg(value_name = "TEXT")]
        value: String,

        /// Sign it and store it under your key, in place of the value that is there; needs --identity
        #[arg(long, requires = "identity")]
        mutable: bool,

        /// The number of the value, which has to be above that of the one before [default: one more]
        #[arg(long, value_name = "N", requires = "mutable")]
        seq: Option<u64>,
    },
    /// Join standard input and output to those of a peer
    Pipe {
        /// The peer's key
        #[arg(value_name = "KEY", required_unless_present = "listen")]
        key: Option<ConnectAddress>,

        /// Wait for one peer
        #[arg(long, conflicts_with = "key")]
        listen: bool,

        /// Let this key in and no other; may be given several times [default: everyone who knows yours]
        #[arg(long, value_name = "KEY", conflicts_with = "key")]
        allow: Vec<PublicKey>,
    },
    /// Talk with all peers of a topic: lines of standard input go to all of them, and theirs are printed
    ///
    /// A peer that takes lines more slowly than they come misses those beyond the 64 that wait for it.
    Swarm {
        /// The topic
        #[arg(value_name = "TOPIC", value_parser = topic)]
        topic: [u8; 32],
    },
    /// Reach a TCP or UDP port of another computer
    ///
    /// There: hyperdht tunnel --listen --to 127.0.0.1:22 --allow KEY. Here: hyperdht tunnel KEY --at
    /// 127.0.0.1:2222
    Tunnel(TunnelArgs),
    /// Print the public key of --identity; needs no network
    #[command(alias = "key")]
    Whoami,
}

/// The two ends of a tunnel.
#[derive(Args, Clone, Debug)]
pub(super) struct TunnelArgs {
    /// The other end's key
    #[arg(value_name = "KEY", required_unless_present = "listen", requires = "at")]
    pub(super) key: Option<ConnectAddress>,

    /// Where programs of this computer connect to; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT", conflicts_with = "listen")]
    pub(super) at: Option<SocketAddrV4>,

    /// Be the end that others reach
    #[arg(long, conflicts_with = "key", requires = "to")]
    pub(super) listen: bool,

    /// What they reach, as seen from this computer
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "key")]
    pub(super) to: Option<String>,

    /// Carry UDP in place of TCP; both ends have to agree
    #[arg(long)]
    pub(super) udp: bool,

    /// Peers that are let in at once, and sources of UDP datagrams of each
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = connections)]
    pub(super) connections: usize,

    /// Let this key in; may be given several times
    #[arg(long, value_name = "KEY", conflicts_with = "key")]
    pub(super) allow: Vec<PublicKey>,

    /// Let everyone in who knows your key
    #[arg(long, conflicts_with_all = ["key", "allow"])]
    #[arg(required_unless_present_any = ["key", "allow"])]
    pub(super) allow_anyone: bool,
}

/// What can be pinged by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Node(SocketAddrV4),
    Server(ConnectAddress),
}

fn target(text: &str) -> Result<Target, String> {
    if let Ok(node) = text.parse() {
        return Ok(Target::Node(node));
    }
    text.parse().map(Target::Server).map_err(|error| format!("no address of a node, and no key: {error}"))
}

fn connections(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(connections @ 1..=65_536) => Ok(connections),
        _ => Err("expected a number from 1 to 65536".into()),
    }
}

/// Reads a topic, or makes one from a text.
fn topic(text: &str) -> Result<[u8; 32], String> {
    if text.is_empty() {
        return Err("a topic has at least one character".into());
    }
    let digits = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
    Ok(digits.and_then(|bytes| bytes.try_into().ok()).unwrap_or_else(|| crypto::hash(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(format!("hyperdht {line}").split(' '))
    }

    #[test]
    fn arguments_are_consistent() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_topic_is_64_digits_or_a_text_that_is_hashed() {
        assert_eq!(topic(&"0A".repeat(32)), Ok([10; 32]));
        assert_eq!(topic("a room"), Ok(crypto::hash("a room")));
        assert_eq!(topic(&"0a".repeat(31)), Ok(crypto::hash("0a".repeat(31))));
        assert!(topic("").is_err());
    }

    #[test]
    fn each_command_takes_what_belongs_to_it() {
        let key = crate::KeyPair::from_seed(&[1; 32]).public_key().to_z32();
        for line in [
            format!("ping {key}"),
            "ping 127.0.0.1:7".into(),
            "ping --topic room".into(),
            format!("lookup --key {key}"),
            format!("pipe {key}@127.0.0.1:7"),
            format!("pipe --listen --allow {key} --allow {key}"),
            format!("tunnel {key} --at 127.0.0.1:0"),
            format!("tunnel --listen --to localhost:22 --allow {key} --udp"),
            "tunnel --listen --to localhost:22 --allow-anyone".into(),
            "put - --mutable --identity file".into(),
        ] {
            parse(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        for line in [
            "ping".into(),
            "ping localhost:7".into(),
            format!("ping {key} --topic room"),
            "lookup".into(),
            "put text --mutable".into(),
            "put text --seq 1".into(),
            "pipe".into(),
            format!("pipe {key} --listen"),
            format!("pipe {key} --allow {key}"),
            format!("tunnel {key}"),
            format!("tunnel {key} --to localhost:22"),
            "tunnel --listen --allow-anyone".into(),
            "tunnel --listen --to localhost:22".into(),
            format!("tunnel --listen --to localhost:22 --allow-anyone --allow {key}"),
        ] {
            assert!(parse(&line).is_err(), "{line}");
        }
    }
}
