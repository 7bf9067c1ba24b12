//! What a server has lost of what it acknowledged, and the commands that bring it back.

use super::super::exit::{Exit, Failure};
use super::super::key_access::quoted;
use super::args::Arguments;
use crate::profile::entry::KeyEntry;
use crate::profile::{Record, is_newer};

/// What a server has lost of what it acknowledged to this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Nothing, as far as is remembered here.
    Nothing,
    /// All of it, or another program with this identity has deleted it.
    Profile {
        /// The version that was acknowledged.
        acknowledged: u64,
    },
    /// The last versions.
    Versions {
        /// The version that the server has.
        stored: u64,
        /// The version that was acknowledged.
        acknowledged: u64,
    },
    /// That the profile was deleted.
    Deletion,
}

impl Loss {
    /// Compares what a server has with what it has acknowledged.
    pub(super) fn of(record: Option<&Record>, acknowledged: &KeyEntry) -> Self {
        let stored = record.map_or(KeyEntry::Unknown, |record| KeyEntry::Present(record.clone()));
        match (record, acknowledged) {
            _ if !is_newer(acknowledged, &stored) => Self::Nothing,
            (_, KeyEntry::Unknown) | (None, KeyEntry::Deleted { .. }) => Self::Nothing,
            // The new key's owner repeats the rotation.
            (_, KeyEntry::Moved { .. }) => Self::Nothing,
            (Some(_), KeyEntry::Deleted { .. }) => Self::Deletion,
            (None, KeyEntry::Present(kept)) => Self::Profile { acknowledged: kept.version() },
            (Some(record), KeyEntry::Present(kept)) => {
                Self::Versions { stored: record.version(), acknowledged: kept.version() }
            }
        }
    }

    /// Returns what happened and what to do next; `None` if nothing was lost.
    pub(super) fn explain(self, arguments: &Arguments) -> Option<(String, String)> {
        let again = command(arguments, "register --again");
        let delete = command(arguments, "delete");
        Some(match self {
            Self::Nothing => return None,
            Self::Profile { acknowledged } => (
                format!(
                    "the server does not know you, though it has acknowledged version {acknowledged} of your \
                     profile: it has lost it, or another program with your identity has deleted it"
                ),
                format!("bring it back with: {again} (or, if it is to stay deleted: {delete})"),
            ),
            Self::Versions { stored, acknowledged } => (
                format!(
                    "the server has version {stored} of your profile, though it has acknowledged version \
                     {acknowledged}: it was restored from an older backup"
                ),
                format!("bring your last profile back with: {again}"),
            ),
            Self::Deletion => (
                "the server has your profile, though it has acknowledged that it is deleted: it was restored \
                 from an older backup"
                    .into(),
                format!("delete it once more with: {delete}"),
            ),
        })
    }

    /// Fails if an update would build on a version that the server has fallen back to.
    pub(super) fn forbid_update(self, arguments: &Arguments) -> Result<(), Failure> {
        let exit = match self {
            Self::Nothing | Self::Deletion => return Ok(()),
            Self::Profile { .. } => Exit::NotRegistered,
            Self::Versions { .. } => Exit::Invalid,
        };
        self.failure(exit, arguments).map_or(Ok(()), Err)
    }

    /// Returns the loss as a failure; `None` if nothing was lost.
    pub(super) fn failure(self, exit: Exit, arguments: &Arguments) -> Option<Failure> {
        let (what, next) = self.explain(arguments)?;
        Some(Failure::new(exit, what).hint(next))
    }
}

/// Returns the command line of this visit with another command.
pub(super) fn command(arguments: &Arguments, what: &str) -> String {
    let mut line = "profile-client".to_owned();
    match (arguments.server_addr, arguments.network.local) {
        (Some(address), _) => line.push_str(&format!(" --server-addr {address}")),
        (None, Some(49737)) => line.push_str(" --local"),
        (None, Some(port)) => line.push_str(&format!(" --local={port}")),
        (None, None) => line.push_str(&arguments.network.network().arguments()),
    }
    if let Some(identity) = &arguments.identity {
        line.push_str(&format!(" --identity {}", quoted(identity)));
    }
    if let Some(server) = arguments.server.as_ref().filter(|server| !server.is_default) {
        line.push_str(&format!(" --server {server}"));
    }
    format!("{line} {what}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyPair;
    use crate::profile::ProfileDraft;
    use clap::Parser as _;

    fn record(version: u64) -> Record {
        let draft = ProfileDraft { name: "Ada".into(), ..ProfileDraft::default() };
        Record::sign(&KeyPair::from_seed(&[1; 32]), version, draft.check().unwrap())
    }

    #[test]
    fn only_what_was_acknowledged_can_be_lost() {
        let (two, four) = (record(2), record(4));
        let deleted = KeyEntry::Deleted { version: 3 };
        let versions = Loss::Versions { stored: 2, acknowledged: 4 };
        for (stored, acknowledged, loss) in [
            (None, KeyEntry::Unknown, Loss::Nothing),
            (None, deleted.clone(), Loss::Nothing),
            (None, KeyEntry::Present(four.clone()), Loss::Profile { acknowledged: 4 }),
            (Some(&two), KeyEntry::Unknown, Loss::Nothing),
            (Some(&two), KeyEntry::Present(two.clone()), Loss::Nothing),
            (Some(&two), KeyEntry::Present(four.clone()), versions),
            (Some(&two), deleted.clone(), Loss::Deletion),
            (Some(&four), deleted, Loss::Nothing),
            (Some(&four), KeyEntry::Present(two.clone()), Loss::Nothing),
        ] {
            assert_eq!(Loss::of(stored, &acknowledged), loss, "{stored:?} {acknowledged:?}");
        }
    }

    #[test]
    fn the_command_reaches_the_same_server_as_the_same_person() {
        let key = "y".repeat(52);
        let line = format!("c --identity /a'b --bootstrap h:1 --server {key} show");
        let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
        assert_eq!(
            command(&arguments, "delete"),
            format!("profile-client --bootstrap h:1 --identity '/a'\\''b' --server {key} delete")
        );
    }
}
