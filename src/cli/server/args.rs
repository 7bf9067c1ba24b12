//! The arguments of `profile-server`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::filter::LevelFilter;

use super::super::config::ConfigArgs;
use super::super::duration;
use super::super::exit::EXIT_CODES;
use super::super::files;
use super::super::key_access::ModesArgs;
use super::super::network::{NetworkArgs, bind_address};
use super::super::room;
use super::super::runtime::Secrecy;
use super::super::web::WebArgs;
use super::admin::AdminCommand;
use super::place::StoreArgs;
use crate::PublicKey;
use crate::profile::{Access, Limits, ServiceConfig};

/// Keep profiles for clients that reach this server by its public key, from anywhere
///
/// Prints its public key on standard output once clients can reach it. Ctrl-C or SIGTERM end it in order,
/// with exit code 0; SIGHUP makes it read its configuration again.
#[derive(Debug, Parser)]
#[command(name = "profile-server", version, after_help = EXIT_CODES)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) network: NetworkArgs,

    /// Folder of the server's identity and its profiles [default: $XDG_DATA_HOME/profile-server]
    #[arg(long, alias = "data", value_name = "DIR", value_parser = files::argument(), global = true)]
    pub(super) data_dir: Option<PathBuf>,

    #[command(flatten)]
    pub(super) store: StoreArgs,

    /// Address of the socket [default: any address and port; 127.0.0.1 in a network on this computer]
    #[arg(long, value_name = "IP[:PORT]", value_parser = bind_address)]
    pub(super) bind: Option<String>,

    /// Blind relay at which clients may meet this server until a direct path is found
    #[arg(long, value_name = "KEY")]
    pub(super) relay: Option<PublicKey>,

    /// Whether new clients may register; allow-list is for those that the command allow names
    #[arg(long, value_enum, default_value_t = Door::Open)]
    pub(super) registration: Door,

    /// Whether clients may read the profiles of others
    #[arg(long, value_enum, default_value_t = Door::Open)]
    pub(super) lookup: Door,

    /// File of the keys on the allow-list [default: allowed in --data-dir]
    #[arg(long, value_name = "FILE", value_parser = files::argument(), global = true)]
    pub(super) allow_list: Option<PathBuf>,

    /// Stored writes a minute and key
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(super) writes_per_minute: u32,

    /// Registrations an hour and network (public IPv4 /24)
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(super) registrations_per_hour: u32,

    /// Lookups a minute and key
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub(super) lookups_per_minute: u32,

    /// Open connections of all clients
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(super) connections: usize,

    /// Refused requests a minute and key
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub(super) refusals_per_minute: u32,

    /// Write a backup into this folder from time to time
    #[arg(long, value_name = "DIR", value_parser = files::argument(), global = true)]
    pub(super) backup_dir: Option<PathBuf>,

    /// Time between two backups
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "1d")]
    pub(super) backup_every: Duration,

    /// Backups to keep in the folder; older ones of this server are removed
    #[arg(long, value_name = "N", default_value = "7", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) backup_keep: u32,

    #[command(flatten)]
    pub(super) web: WebArgs,

    /// Print JSON, one object per event
    #[arg(long, global = true)]
    pub(super) json: bool,

    /// Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by
    /// module
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(super) verbose: u8,

    /// Print nothing but the key and failures
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,

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
    /// Returns the settings of the service.
    pub(super) fn service(&self) -> ServiceConfig {
        let connections = room::connections(self.connections);
        if connections < self.connections {
            tracing::info!(connections, "memory is limited: fewer connections fit");
        }
        ServiceConfig {
            registration: self.registration.into(),
            lookup: self.lookup.into(),
            limits: Limits {
                writes_per_minute: self.writes_per_minute,
                registrations_per_hour: self.registrations_per_hour,
                lookups_per_minute: self.lookups_per_minute,
                refusals_per_minute: self.refusals_per_minute,
                connections,
                ..Limits::default()
            },
        }
    }

    /// Returns the level of the log without `-v`.
    pub(super) const fn least_log(&self) -> LevelFilter {
        match (self.quiet, &self.command) {
            (true, _) => LevelFilter::ERROR,
            // It prints what it has done.
            (false, Some(Command::Admin(_))) => LevelFilter::WARN,
            (false, _) => LevelFilter::INFO,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the server's public key, which is made if there is none yet
    Key,
    /// Write all profiles to a file, also while the server runs
    Backup {
        /// Where to; compressed if the name ends in .gz; - is standard output
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Take profiles over from a backup; the server has to be stopped, unless they are in a database
    ///
    /// A newer version is never replaced by an older one. Damaged profiles are set aside, and what can be
    /// read of them is taken over as well.
    Restore {
        /// The backup, - for standard input; without one, only what can be read of damaged profiles
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,

        /// Take nothing over from damaged profiles
        #[arg(long, requires = "file")]
        only_backup: bool,
    },
    /// Carry all profiles from one place to another, as --store names them; the server has to be stopped
    ///
    /// Folders and databases, in either direction. A newer version is never replaced by an older one. It can
    /// be interrupted and run again, and compares both places when it is done.
    MoveStore {
        /// Where they are
        #[arg(value_parser = files::argument())]
        from: PathBuf,
        /// Where they go
        #[arg(value_parser = files::argument())]
        to: PathBuf,
    },
    /// Compare the profiles with what was acknowledged, and with a backup; changes nothing
    Check {
        /// The backup, - for standard input [default: the newest one in --backup-dir]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Print the options in force as a configuration file, and where each comes from
    Config,
    #[command(flatten)]
    Admin(AdminCommand),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Door {
    Open,
    Closed,
    AllowList,
}

impl From<Door> for Access {
    fn from(door: Door) -> Self {
        match door {
            Door::Open => Self::Open,
            Door::Closed => Self::Closed,
            Door::AllowList => Self::Allowed,
        }
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
}
