//! Exit codes, and the failures that lead to them.

use std::process::ExitCode;

use super::key_access::hint;
use crate::api::{
    BootstrapError, ConnectError, KeyFileError, ListenError, NodeError, PutError, QueryError, RequestError,
    SpawnError, StreamError, TestnetError,
};
use crate::mux::MuxError;
use crate::profile::{ClientError, Denied, StoreError};

/// The exit code of a program, the same in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok,
    /// A fault of the program or of the machine it runs on.
    Internal,
    /// The arguments are wrong.
    Usage,
    /// No node knows the server, or it does not answer.
    NotFound,
    /// The server was found, but no path to it carries packets.
    NoPath,
    /// The timeout expired.
    TimedOut,
    /// The server refused.
    Refused,
    /// The identity file cannot be used.
    Identity,
    /// The key has no profile.
    NotRegistered,
    /// The profile breaks a rule, or another version is in its place.
    Invalid,
    /// Profiles cannot be stored or read.
    Storage,
    /// The other side breaks the protocol, or speaks another version of it.
    Protocol,
    /// There is no network, or no bootstrap node answers.
    NoNetwork,
    /// The user interrupted the program.
    Interrupted,
}

impl Exit {
    #[cfg(any(unix, test))]
    const ALL: [Self; 14] = [
        Self::Ok,
        Self::Internal,
        Self::Usage,
        Self::NotFound,
        Self::NoPath,
        Self::TimedOut,
        Self::Refused,
        Self::Identity,
        Self::NotRegistered,
        Self::Invalid,
        Self::Storage,
        Self::Protocol,
        Self::NoNetwork,
        Self::Interrupted,
    ];

    /// Returns the number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::NoPath => 4,
            Self::TimedOut => 5,
            Self::Refused => 6,
            Self::Identity => 7,
            Self::NotRegistered => 8,
            Self::Invalid => 9,
            Self::Storage => 10,
            Self::Protocol => 11,
            Self::NoNetwork => 12,
            Self::Interrupted => 130,
        }
    }

    /// Returns the exit code of a number, as a running server answers with.
    #[cfg(any(unix, test))]
    pub(super) fn of(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| exit.code() == code)
    }

    /// Returns the name under which `--json` reports a failure that has no closer name.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::NotFound => "server_not_found",
            Self::NoPath => "no_path",
            Self::TimedOut => "timed_out",
            Self::Refused => "refused",
            Self::Identity => "identity",
            Self::NotRegistered => "not_registered",
            Self::Invalid => "invalid",
            Self::Storage => "storage",
            Self::Protocol => "protocol",
            Self::NoNetwork => "no_network",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The end of every `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    internal error
  2    wrong usage
  3    server not found
  4    no path to the server
  5    timed out
  6    refused by the server
  7    identity file cannot be used
  8    not registered
  9    invalid profile, or a conflict with what is stored
  10   storage
  11   the other side breaks the protocol, or speaks another version of it
  12   no network, or no bootstrap node answers
  130  interrupted";

/// Why a program failed, and what to do about it.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// The name for `--json`.
    pub kind: &'static str,
    /// The error with its causes, which only `-v` shows.
    pub error: anyhow::Error,
    /// What to do about it.
    pub hint: Option<String>,
    /// The report of the connection attempt, for `--json`.
    pub report: Option<serde_json::Value>,
    /// Whether the failure has been printed already.
    pub is_printed: bool,
}

impl Failure {
    /// Makes a failure from a sentence.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self::from_error(exit, anyhow::Error::msg(message.into()))
    }

    /// Makes a failure from an error.
    pub fn from_error(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, kind: exit.kind(), error: error.into(), hint: None, report: None, is_printed: false }
    }

    /// Adds what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Marks the failure as printed: only the exit code is left.
    pub const fn printed(mut self) -> Self {
        self.is_printed = true;
        self
    }

    pub(super) const fn kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let exit = match &error {
            ConnectError::NotFound { .. } | ConnectError::NoAnswer { .. } => Exit::NotFound,
            ConnectError::NoNetwork { .. } => Exit::NoNetwork,
            ConnectError::Refused { .. } => Exit::Refused,
            ConnectError::BadKey { .. } => Exit::Usage,
            ConnectError::Incompatible { .. } | ConnectError::Protocol { .. } => Exit::Protocol,
            ConnectError::Silent { .. } | ConnectError::Unreachable { .. } => Exit::NoPath,
            ConnectError::TimedOut { .. } => Exit::TimedOut,
            ConnectError::Closed | ConnectError::TooMany { .. } | ConnectError::Signer { .. } => {
                Exit::Internal
            }
        };
        let incompatible = matches!(error, ConnectError::Incompatible { .. });
        let silent = matches!(error, ConnectError::Silent { .. });
        let hint = match exit {
            Exit::Protocol if incompatible => Some(UPDATE),
            Exit::NotFound => Some(
                "is the server running, and on the same network? compare --bootstrap or --local of both \
                 sides",
            ),
            Exit::NoNetwork => Some(
                "check the internet connection, or name nodes with --bootstrap; --local is for a server on \
                 this computer",
            ),
            Exit::TimedOut => Some("try again, with a longer --timeout if the network is slow"),
            Exit::NoPath if silent => Some(CHECK_ADDRESS),
            Exit::NoPath => Some(NAME_A_RELAY),
            Exit::Refused => Some("ask its operator whether it accepts your key: profile-client whoami"),
            _ => None,
        };
        let failure = Self { hint: hint.map(Into::into), ..Self::from_error(exit, error) };
        if incompatible {
            return failure.kind(INCOMPATIBLE);
        }
        failure
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match error {
            ClientError::Dial(error) => {
                let error = match error.downcast::<ConnectError>() {
                    Ok(error) => return (*error).into(),
                    Err(error) => error,
                };
                return match error.downcast::<StreamError>() {
                    Ok(error) => Self::from_error(Exit::NoPath, *error).hint(LET_THROUGH),
                    Err(error) => Self::new(Exit::Internal, error.to_string()),
                };
            }
            ClientError::Denied(denied) => return denied.into(),
            ClientError::InvalidProfile(_) => {
                return Self::from_error(Exit::Invalid, error).kind("invalid_profile");
            }
            ClientError::Incompatible => {
                let failure = Self::from_error(Exit::Protocol, error);
                return failure.kind(INCOMPATIBLE).hint(UPDATE);
            }
            ClientError::OldServer => {
                return Self::from_error(Exit::Protocol, error).kind(INCOMPATIBLE);
            }
            ClientError::Lost(_) => Exit::NoPath,
            ClientError::Protocol(_) => Exit::Protocol,
            ClientError::TimedOut => Exit::TimedOut,
            ClientError::NothingAcknowledged => Exit::NotRegistered,
            ClientError::Versions(_) => Exit::Storage,
            ClientError::NoVersionLeft => Exit::Invalid,
        };
        Self::from_error(exit, error)
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        let (exit, kind) = match &denied {
            Denied::AlreadyRegistered { .. } => (Exit::Invalid, "already_registered"),
            Denied::BadSignature => (Exit::Invalid, "bad_signature"),
            Denied::Closed => (Exit::Refused, "closed"),
            Denied::Full => (Exit::Refused, "full"),
            Denied::InvalidProfile { .. } => (Exit::Invalid, "invalid_profile"),
            Denied::Moved { .. } => (Exit::Identity, "moved"),
            Denied::MovedTooOften => (Exit::NotRegistered, "moved_too_often"),
            Denied::NotRegistered => (Exit::NotRegistered, "not_registered"),
            Denied::DiskFull => (Exit::Storage, "disk_full"),
            Denied::Storage => (Exit::Storage, "storage"),
            Denied::TooMany { .. } => (Exit::Refused, "too_many"),
            Denied::Unknown { .. } => (Exit::Protocol, "protocol"),
            Denied::VersionConflict { .. } => (Exit::Invalid, "version_conflict"),
        };
        let hint = match &denied {
            Denied::Closed => Some("ask the operator to open it to your key: profile-client whoami"),
            Denied::Full => Some("try again in a minute"),
            _ => None,
        };
        Self { hint: hint.map(Into::into), ..Self::from_error(exit, denied).kind(kind) }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let hint = match &error {
            StoreError::Locked(_) => {
                Some("stop the other server, or give this one a folder of its own with --data-dir".into())
            }
            StoreError::Full { .. } => Some("make room on the disk, then start the server again".into()),
            _ => None,
        };
        Self { hint, ..Self::from_error(Exit::Storage, error) }
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        let failure = Self::from_error(Exit::NoPath, error);
        match error {
            StreamError::Unreachable { .. } => failure.hint(LET_THROUGH),
            _ => failure,
        }
    }
}

impl From<MuxError> for Failure {
    fn from(error: MuxError) -> Self {
        match error {
            MuxError::Connection(error) => error.into(),
            _ => Self::from_error(Exit::Protocol, error),
        }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        let exit = match error {
            RequestError::NoAnswer => Exit::NotFound,
            _ => Exit::Internal,
        };
        Self::from_error(exit, error)
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let exit = match error {
            QueryError::NoNetwork => Exit::NoNetwork,
            QueryError::NotStored => Exit::Storage,
            QueryError::TooMany | QueryError::Closed => Exit::Internal,
        };
        Self::from_error(exit, error)
    }
}

impl From<PutError> for Failure {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Query(error) => error.into(),
            _ => Self::from_error(Exit::Invalid, error),
        }
    }
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        Self { hint: hint(&error), ..Self::from_error(Exit::Identity, error) }
    }
}

impl From<SpawnError> for Failure {
    fn from(error: SpawnError) -> Self {
        let exit = match &error {
            SpawnError::Address { .. } | SpawnError::Bootstrap { .. } => Exit::Usage,
            SpawnError::Bind { .. } => Exit::NoNetwork,
            _ => Exit::Internal,
        };
        use std::io::ErrorKind;
        let hint = match &error {
            SpawnError::Bind { source, .. } => match source.kind() {
                ErrorKind::AddrInUse => Some("name a free port with --bind IP:PORT"),
                ErrorKind::AddrNotAvailable => Some("name an address of this host with --bind IP:PORT"),
                ErrorKind::PermissionDenied => Some("name a port above 1023 with --bind IP:PORT"),
                _ => None,
            },
            _ => None,
        };
        Self { hint: hint.map(Into::into), ..Self::from_error(exit, error) }
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        Self::from_error(Exit::Internal, error).hint("start the program again, and report the bug")
    }
}

impl From<BootstrapError> for Failure {
    fn from(error: BootstrapError) -> Self {
        let exit = match &error {
            BootstrapError::NoNetwork => Exit::NoNetwork,
            BootstrapError::Closed => Exit::Internal,
        };
        Self::from_error(exit, error)
    }
}

impl From<TestnetError> for Failure {
    fn from(error: TestnetError) -> Self {
        match error {
            TestnetError::Spawn(error) => error.into(),
            TestnetError::Bootstrap(error) => error.into(),
        }
    }
}

impl From<ListenError> for Failure {
    fn from(error: ListenError) -> Self {
        Self::from_error(Exit::Internal, error)
    }
}

/// The name of a version mismatch, in any layer.
const INCOMPATIBLE: &str = "incompatible";
/// What to do about two homes without a path between them.
pub(super) const NAME_A_RELAY: &str = "name a relay that both sides reach with --relay KEY";
/// What to do about a server that does not answer at the address that it claims.
pub(super) const LET_THROUGH: &str = "the server's firewall and router have to let its UDP port through, or \
                                      either side name a relay with --relay KEY";
/// What to do about an address where nothing answers.
pub(super) const CHECK_ADDRESS: &str = "compare the address and its UDP port with the server's, or leave it \
                                        out to ask the DHT; a server that refuses your key does not answer \
                                        either";
/// What to do about another version.
pub(super) const UPDATE: &str = "update the older of the two programs";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_every_code() {
        for exit in Exit::ALL {
            let line = format!("\n  {:<5}", exit.code());
            assert!(EXIT_CODES.contains(&line), "{exit:?}");
            assert_eq!(Exit::of(exit.code()), Some(exit));
        }
    }

    #[test]
    fn the_advice_for_a_socket_depends_on_what_the_system_reports() {
        use std::io::ErrorKind;
        let hint = |kind: ErrorKind| {
            let address = "127.0.0.1:7".parse().unwrap();
            Failure::from(SpawnError::Bind { address, source: kind.into() }).hint.unwrap_or_default()
        };
        assert!(hint(ErrorKind::AddrInUse).contains("a free port"));
        assert!(hint(ErrorKind::AddrNotAvailable).contains("an address of this host"));
        assert!(hint(ErrorKind::PermissionDenied).contains("above 1023"));
        assert_eq!(hint(ErrorKind::Other), "");
    }

    #[test]
    fn a_failure_to_dial_keeps_its_reason() {
        let error = ConnectError::NotFound { key: "00".into(), report: Box::default() };
        let failure = Failure::from(ClientError::Dial(error.into()));
        assert_eq!((failure.exit, failure.kind), (Exit::NotFound, "server_not_found"));
        let refused = Failure::from(ClientError::Denied(Denied::TooMany { retry_after: 3 }));
        assert_eq!((refused.exit, refused.kind), (Exit::Refused, "too_many"));
        let full = Failure::from(ClientError::Denied(Denied::Full));
        assert_eq!((full.exit, full.kind, full.hint.is_some()), (Exit::Refused, "full", true));
    }
}
