//! The arguments of `profile-client`.

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::super::config::ConfigArgs;
use super::super::duration;
use super::super::exit::EXIT_CODES;
use super::super::files;
use super::super::key_access::ModesArgs;
use super::super::network::{NetworkArgs, bind_address};
use super::super::prompt;
use super::super::runtime::Secrecy;
use super::servers::{Server, ServersCommand};
use crate::PublicKey;
use crate::profile::message::MAX_WATCHED;

/// Keep your profile at a profile server, which is reached by its public key
///
/// Your identity is a key pair in a file of yours, made at the first use. There is no password and no
/// account: the file is your identity.
#[derive(Debug, Parser)]
#[command(name = "profile-client", version, after_help = EXIT_CODES)]
pub(super) struct Arguments {
    /// The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits),
    /// with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]
    #[arg(long, value_name = "NAME|KEY", value_parser = Server::parse, global = true)]
    pub(super) server: Option<Server>,

    /// File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]
    #[arg(long, value_name = "FILE", value_parser = files::argument(), global = true)]
    pub(super) identity: Option<PathBuf>,

    #[command(flatten)]
    pub(super) network: NetworkArgs,

    /// Connect to the server at this address, or through the node there, without asking the DHT
    #[arg(long, value_name = "IP:PORT", conflicts_with_all = ["bootstrap", "local"], global = true)]
    pub(super) server_addr: Option<SocketAddrV4>,

    /// Blind relay to meet the server at until a direct path is found
    #[arg(long, value_name = "KEY", global = true)]
    pub(super) relay: Option<PublicKey>,

    /// Address of the socket [default: any; 127.0.0.1 in a network on this computer]
    #[arg(long, value_name = "IP[:PORT]", value_parser = bind_address, global = true)]
    pub(super) bind: Option<String>,

    /// File whose first line is the passphrase of my identity, if it has one; nobody else may read it
    #[arg(long, value_name = "FILE", value_parser = files::argument(), global = true)]
    pub(super) passphrase_file: Option<PathBuf>,

    /// How long each visit to the server may take, from the first packet to the last answer
    #[arg(long, value_name = "TIME", value_parser = duration::timeout, default_value = "30s", global = true)]
    pub(super) timeout: Duration,

    /// Print one JSON object
    #[arg(long, global = true)]
    pub(super) json: bool,

    /// Print each step of the connection attempt
    #[arg(long, global = true)]
    pub(super) explain: bool,

    /// Never ask for anything
    #[arg(long, global = true)]
    pub(super) no_input: bool,

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
    pub(super) command: Option<Command>,
}

impl Arguments {
    /// Returns whether a person can be asked.
    pub(super) fn may_ask(&self) -> bool {
        !self.no_input && !self.json && prompt::may_ask()
    }
}

/// What to do; without a command, show the profile or ask for one and register it.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Store a first profile
    Register {
        #[command(flatten)]
        profile: ProfileArgs,

        /// Bring back my last profile, which is kept beside my identity, if the server has lost it
        #[arg(long, conflicts_with_all = ["name", "bio", "links", "fields", "from_file"])]
        again: bool,
    },
    /// Print my profile
    Show,
    /// Change my profile; what is not named stays
    Update {
        #[command(flatten)]
        profile: ProfileArgs,

        /// Remove the bio, the links, or a field
        #[arg(long, value_name = "FIELD")]
        unset: Vec<String>,
    },
    /// Change my profile in the editor that VISUAL or EDITOR names, or write a first one
    Edit,
    /// Remove my profile from the server
    ///
    /// What I have published in the DHT stays there until publish --withdraw.
    Delete {
        /// Do not ask whether I am sure
        #[arg(long)]
        yes: bool,
    },
    /// Print the profile of another key, its signature verified here
    ///
    /// The server is asked first. If it has no profile of the key, or cannot be reached, the DHT is: owners
    /// can publish their profiles there.
    Lookup {
        /// Public key of its owner
        #[arg(value_name = "KEY")]
        key: PublicKey,

        /// Look in the DHT only; no server is needed
        #[arg(long, conflicts_with = "no_dht")]
        dht: bool,

        /// Ask the server only
        #[arg(long)]
        no_dht: bool,
    },
    /// Print the profiles of other keys, and each of them again whenever it changes, until Ctrl-C
    Watch {
        /// Public keys of their owners
        #[arg(value_name = "KEY", required = true, num_args = 1..=MAX_WATCHED)]
        keys: Vec<PublicKey>,
    },
    /// Put my profile into the DHT as well, where it is found while the server is off
    ///
    /// Nodes keep it for 32 hours at least, and longer while it is asked for: publish it once a day. Anyone
    /// who knows my key can read it there, whatever the operator of the server allows.
    Publish {
        /// Take back what I have published
        #[arg(long)]
        withdraw: bool,

        /// Replace a value of another program under my key
        #[arg(long)]
        replace: bool,
    },
    /// Write my profile, with its signature, to a file that proves itself without a server
    Export {
        /// Where to; - is standard output
        #[arg(value_name = "FILE")]
        file: PathBuf,

        /// The profile of another key
        #[arg(long, value_name = "KEY")]
        key: Option<PublicKey>,
    },
    /// Check and print an exported profile; needs no network
    Verify {
        /// The file; - is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,

        /// Fail unless it is of this key
        #[arg(long, value_name = "KEY")]
        key: Option<PublicKey>,
    },
    /// Check what works between this computer, the network and, with --server, the server, and advise on what
    /// does not
    Doctor,
    /// Print my public key and where it is kept; needs no network
    Whoami,
    /// Keep my identity as words on paper, protect it with a passphrase, replace it, or make one
    Identity {
        #[command(subcommand)]
        command: Option<IdentityCommand>,
    },
    /// Show my public key, or the server's ticket, as a QR code; needs no network
    Qr {
        /// Which one
        #[arg(value_name = "WHAT", value_enum, default_value_t = QrOf::Me)]
        what: QrOf,

        /// Write a PNG picture to this file
        #[arg(long, value_name = "FILE", value_parser = files::argument())]
        png: Option<PathBuf>,
    },
    /// Give names to servers, and choose the one that is used where --server names none; needs no network
    Servers {
        #[command(subcommand)]
        command: Option<ServersCommand>,
    },
    /// Show a network, a server and its clients at work inside this process; needs no server
    Demo,
}

/// What to do with the identity; without a command, show it.
#[derive(Debug, Subcommand)]
pub(super) enum IdentityCommand {
    /// Print my public key and where it is kept, as whoami
    Show,
    /// Show my identity as 24 words, to write down; on a terminal only
    Words,
    /// Make the identity file from 24 words, asked for or from a pipe
    Restore,
    /// Encrypt the identity file with a passphrase, which every command then asks for
    ///
    /// Without the passphrase the identity is lost: write it down with identity words before. A disk, and
    /// its backups, may hold the content of the file from before.
    Protect,
    /// Remove the passphrase
    Unprotect,
    /// Replace my identity by a new one: at the server my profile moves to the new key, and the old one,
    /// which may be in the wrong hands, can do nothing any more
    Rotate {
        /// Do not ask whether I am sure
        #[arg(long)]
        yes: bool,

        /// At a further server: the old identity, which was replaced at another one before
        #[arg(long, value_name = "FILE", value_parser = files::argument())]
        from: Option<PathBuf>,
    },
    /// Make a new identity where there is none
    New,
}

/// What a QR code shows.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum QrOf {
    /// My public key
    Me,
    /// The server's public key, with the nodes that were named with it
    Server,
}

/// The parts of a profile.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct ProfileArgs {
    /// What you are called
    #[arg(long)]
    pub(super) name: Option<String>,

    /// A few sentences about you
    #[arg(long, value_name = "TEXT")]
    pub(super) bio: Option<String>,

    /// A link, http, https or mailto; may be given several times and then replaces all links
    #[arg(long = "link", value_name = "URL")]
    pub(super) links: Vec<String>,

    /// Anything else; may be given several times
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = field)]
    pub(super) fields: Vec<(String, String)>,

    /// Take the whole profile from a JSON file or a pipe, - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "bio", "links", "fields"])]
    pub(super) from_file: Option<PathBuf>,
}

impl ProfileArgs {
    /// Whether nothing was given.
    pub(super) fn is_empty(&self) -> bool {
        self.name.is_none()
            && self.bio.is_none()
            && self.links.is_empty()
            && self.fields.is_empty()
            && self.from_file.is_none()
    }
}

fn field(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("expected NAME=VALUE".into()),
    }
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
    fn local_takes_its_port_only_with_an_equals_sign() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
        assert_eq!(parse("c --local show").unwrap().network.local, Some(49737));
        assert_eq!(parse("c show --local=7").unwrap().network.local, Some(7));
        assert!(parse("c --local --bootstrap a:1 show").is_err());
        assert!(parse("c register --name a --from-file b").is_err());
    }
}
