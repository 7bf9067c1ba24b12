//! The commands of an operator.

use clap::Subcommand;

use super::super::super::duration;
use super::request::{Reason, Target};
use crate::PublicKey;

/// Every command is for the server that runs in --data-dir, or for the files of a stopped one.
#[derive(Debug, Subcommand)]
pub(in super::super) enum AdminCommand {
    /// List what is stored for each key: key, version, time of the last change, name
    List {
        /// Only what was changed since then: 2026-01-31, 2026-01-31T12:00:00Z, or 2h for two hours ago
        #[arg(long, value_name = "TIME", value_parser = duration::moment)]
        since: Option<u64>,

        /// Stop after so many
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,

        /// Begin behind this key
        #[arg(long, value_name = "KEY")]
        after: Option<PublicKey>,
    },
    /// Show the profile of a key
    Show { key: PublicKey },
    /// Remove the profile of a key; its owner may register again
    Delete {
        key: PublicKey,

        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Refuse connections of a key or a network, and end those that are open
    Ban {
        /// A public key, an IPv4 address, or a network like 203.0.113.0/24
        #[arg(value_name = "KEY|NETWORK")]
        target: Target,

        /// Why, for people who read the list
        #[arg(long, value_name = "TEXT")]
        reason: Option<Reason>,
    },
    /// Lift a ban
    Unban {
        /// What was banned
        #[arg(value_name = "KEY|NETWORK")]
        target: Target,
    },
    /// List who is banned
    Banned,
    /// Let a key register where --registration is allow-list
    Allow {
        key: PublicKey,

        /// Why, for people who read the list
        #[arg(long, value_name = "TEXT")]
        reason: Option<Reason>,
    },
    /// Take a key from the list of those that may register; its profile stays
    Disallow { key: PublicKey },
    /// List the keys that may register
    Allowed,
    /// Print numbers: keys, connections, lists
    Stats,
    /// List the open connections of a server that runs
    Connections,
    /// End the open connections of a key, which may connect again
    Disconnect { key: PublicKey },
    /// Make a server that runs read its configuration and its lists again, as SIGHUP does
    Reload,
}
