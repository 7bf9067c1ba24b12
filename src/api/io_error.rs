//! The errors of this module as errors of [`std::io`].

use std::io;

use super::{
    BootstrapError, ConnectError, ListenError, NodeError, ParseAnnouncementError, ParseConnectAddressError,
    PutError, QueryError, RequestError, SpawnError, StreamError, TestnetError,
};
use crate::keys::ParseKeyError;

impl From<SpawnError> for io::Error {
    fn from(error: SpawnError) -> Self {
        let kind = match &error {
            SpawnError::Address { .. } | SpawnError::Bootstrap { .. } => io::ErrorKind::InvalidInput,
            SpawnError::Bind { source, .. } => source.kind(),
            SpawnError::NoRuntime => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl From<NodeError> for io::Error {
    fn from(error: NodeError) -> Self {
        Self::other(error)
    }
}

impl From<BootstrapError> for io::Error {
    fn from(error: BootstrapError) -> Self {
        let kind = match error {
            BootstrapError::NoNetwork => io::ErrorKind::NetworkUnreachable,
            BootstrapError::Closed => io::ErrorKind::NotConnected,
        };
        Self::new(kind, error)
    }
}

impl From<TestnetError> for io::Error {
    fn from(error: TestnetError) -> Self {
        match error {
            TestnetError::Spawn(error) => error.into(),
            TestnetError::Bootstrap(error) => error.into(),
        }
    }
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> Self {
        let kind = match &error {
            ConnectError::NotFound { .. } => io::ErrorKind::NotFound,
            ConnectError::NoNetwork { .. } => io::ErrorKind::NetworkUnreachable,
            ConnectError::NoAnswer { .. } | ConnectError::Silent { .. } | ConnectError::Refused { .. } => {
                io::ErrorKind::ConnectionRefused
            }
            ConnectError::BadKey { .. } => io::ErrorKind::InvalidInput,
            ConnectError::Signer { .. } => io::ErrorKind::PermissionDenied,
            ConnectError::Incompatible { .. } => io::ErrorKind::Unsupported,
            ConnectError::Protocol { .. } => io::ErrorKind::InvalidData,
            ConnectError::Unreachable { .. } => io::ErrorKind::HostUnreachable,
            ConnectError::TimedOut { .. } => io::ErrorKind::TimedOut,
            ConnectError::TooMany { .. } => io::ErrorKind::QuotaExceeded,
            ConnectError::Closed => io::ErrorKind::NotConnected,
        };
        Self::new(kind, error)
    }
}

impl From<ListenError> for io::Error {
    fn from(error: ListenError) -> Self {
        let kind = match error {
            ListenError::KeyInUse => io::ErrorKind::AddrInUse,
            ListenError::TooMany => io::ErrorKind::QuotaExceeded,
            ListenError::Closed => io::ErrorKind::NotConnected,
        };
        Self::new(kind, error)
    }
}

impl From<QueryError> for io::Error {
    fn from(error: QueryError) -> Self {
        Self::new(query_kind(error), error)
    }
}

const fn query_kind(error: QueryError) -> io::ErrorKind {
    match error {
        QueryError::NoNetwork => io::ErrorKind::NetworkUnreachable,
        QueryError::NotStored => io::ErrorKind::Other,
        QueryError::TooMany => io::ErrorKind::QuotaExceeded,
        QueryError::Closed => io::ErrorKind::NotConnected,
    }
}

impl From<PutError> for io::Error {
    fn from(error: PutError) -> Self {
        let kind = match error {
            PutError::TooLarge { .. } | PutError::SeqTooLarge | PutError::BadSignature => {
                io::ErrorKind::InvalidInput
            }
            PutError::Signer => io::ErrorKind::PermissionDenied,
            PutError::SeqTooLow { .. } | PutError::SeqReused => io::ErrorKind::AlreadyExists,
            PutError::Query(error) => query_kind(error),
        };
        Self::new(kind, error)
    }
}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        let kind = match error {
            StreamError::Reset => io::ErrorKind::ConnectionReset,
            StreamError::TimedOut { .. } | StreamError::Stalled | StreamError::Narrow => {
                io::ErrorKind::TimedOut
            }
            StreamError::Overloaded => io::ErrorKind::OutOfMemory,
            StreamError::RelayGone => io::ErrorKind::ConnectionAborted,
            StreamError::Unreachable { .. } => io::ErrorKind::HostUnreachable,
            StreamError::Corrupt => io::ErrorKind::InvalidData,
            StreamError::Unproven => io::ErrorKind::UnexpectedEof,
            StreamError::TooLarge { .. } => io::ErrorKind::InvalidInput,
            StreamError::Closed => io::ErrorKind::BrokenPipe,
        };
        Self::new(kind, error)
    }
}

impl From<RequestError> for io::Error {
    fn from(error: RequestError) -> Self {
        let kind = match error {
            RequestError::NoAnswer => io::ErrorKind::TimedOut,
            RequestError::TooLarge { .. } | RequestError::Reserved { .. } => io::ErrorKind::InvalidInput,
            RequestError::TooMany => io::ErrorKind::QuotaExceeded,
            RequestError::Closed => io::ErrorKind::NotConnected,
        };
        Self::new(kind, error)
    }
}

impl From<ParseConnectAddressError> for io::Error {
    fn from(error: ParseConnectAddressError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

impl From<ParseAnnouncementError> for io::Error {
    fn from(error: ParseAnnouncementError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

impl From<ParseKeyError> for io::Error {
    fn from(error: ParseKeyError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PublicKey;
    use crate::connect::{Failure, Stage};
    use crate::net::End;

    #[test]
    fn conversions_to_io_errors_keep_the_kind() {
        let kinds = [
            (Failure::NotFound, io::ErrorKind::NotFound),
            (Failure::NoNetwork, io::ErrorKind::NetworkUnreachable),
            (Failure::NoAnswer, io::ErrorKind::ConnectionRefused),
            (Failure::Silent, io::ErrorKind::ConnectionRefused),
            (Failure::NoPath, io::ErrorKind::HostUnreachable),
            (Failure::TimedOut(Stage::Lookup), io::ErrorKind::TimedOut),
        ];
        let key = PublicKey::from_bytes([7; 32]);
        for (failure, kind) in kinds {
            let error = ConnectError::new(&key, failure, Box::default());
            assert!(error.report().is_some());
            assert_eq!(io::Error::from(error).kind(), kind);
        }
        let reset = io::Error::from(StreamError::from(End::Reset));
        assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
        let relay = io::Error::from(StreamError::from(End::RelayGone));
        assert_eq!(relay.kind(), io::ErrorKind::ConnectionAborted);
        let corrupt = io::Error::from(StreamError::from(End::Corrupt));
        assert_eq!(corrupt.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn an_error_keeps_its_kind_and_its_message() {
        #[track_caller]
        fn check(error: impl Into<io::Error> + ToString, kind: io::ErrorKind) {
            let message = error.to_string();
            let error: io::Error = error.into();
            assert_eq!((error.kind(), error.to_string()), (kind, message));
        }
        let taken = io::Error::from(io::ErrorKind::AddrInUse);
        let address = "127.0.0.1:5".parse().expect("valid");
        check(SpawnError::Bind { address, source: taken }, io::ErrorKind::AddrInUse);
        check(SpawnError::Address { given: "x".into() }, io::ErrorKind::InvalidInput);
        check(NodeError::Panicked { message: "x".into() }, io::ErrorKind::Other);
        check(TestnetError::Bootstrap(BootstrapError::NoNetwork), io::ErrorKind::NetworkUnreachable);
        check(ListenError::KeyInUse, io::ErrorKind::AddrInUse);
        check(QueryError::TooMany, io::ErrorKind::QuotaExceeded);
        check(PutError::Query(QueryError::Closed), io::ErrorKind::NotConnected);
        check(PutError::SeqReused, io::ErrorKind::AlreadyExists);
        check(RequestError::NoAnswer, io::ErrorKind::TimedOut);
        check(ParseKeyError::Length(3), io::ErrorKind::InvalidInput);
        check(ParseAnnouncementError, io::ErrorKind::InvalidInput);
    }
}
