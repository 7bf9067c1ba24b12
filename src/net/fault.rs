//! What an error of sending is about: sorted here, once, for every error that a system has.

use std::io::{self, ErrorKind};

/// What the system refuses a datagram or a train for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The buffer of the socket is full: what waits goes once there is room.
    Full,
    /// Something that passes, such as a lack of memory, or that belongs to an earlier datagram.
    Passing,
    /// The datagram is longer than the route takes.
    TooLong,
    /// The route or the filter for this destination.
    Destination,
    /// This destination, or what was asked for with it: a train where the route has no segmentation offload,
    /// a source address that this host has lost. The system has one error for all of them.
    Request,
    /// The socket itself, or its use: no destination can be reached.
    Socket,
}

impl Fault {
    pub(super) fn of(error: &io::Error) -> Self {
        if let Some(fault) = error.raw_os_error().and_then(by_number) {
            return fault;
        }
        match error.kind() {
            ErrorKind::WouldBlock => Self::Full,
            ErrorKind::OutOfMemory
            | ErrorKind::Interrupted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset => Self::Passing,
            ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::PermissionDenied => Self::Destination,
            ErrorKind::InvalidInput | ErrorKind::AddrNotAvailable | ErrorKind::Unsupported => Self::Request,
            _ => Self::Socket,
        }
    }
}

/// Sorts the numbers for which the standard library has no kind.
#[cfg(unix)]
fn by_number(number: i32) -> Option<Fault> {
    use rustix::io::Errno;

    Some(match Errno::from_raw_os_error(number) {
        Errno::NOBUFS => Fault::Passing,
        Errno::MSGSIZE => Fault::TooLong,
        Errno::HOSTDOWN => Fault::Destination,
        // Of a train whose route has no offload; of the options that come with a datagram.
        Errno::IO | Errno::OPNOTSUPP | Errno::NOPROTOOPT => Fault::Request,
        _ => return None,
    })
}

/// `WSAENOBUFS` and `WSAEMSGSIZE`.
#[cfg(not(unix))]
const fn by_number(number: i32) -> Option<Fault> {
    match number {
        10055 => Some(Fault::Passing),
        10040 => Some(Fault::TooLong),
        _ => None,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn each_error_of_sending_has_its_sort() {
        let table = [
            (Fault::Full, &[Errno::AGAIN, Errno::WOULDBLOCK][..]),
            (
                Fault::Passing,
                &[Errno::NOBUFS, Errno::NOMEM, Errno::INTR, Errno::CONNREFUSED, Errno::CONNRESET],
            ),
            (Fault::TooLong, &[Errno::MSGSIZE]),
            (
                Fault::Destination,
                &[
                    Errno::NETUNREACH,
                    Errno::HOSTUNREACH,
                    Errno::HOSTDOWN,
                    Errno::NETDOWN,
                    Errno::ACCESS,
                    Errno::PERM,
                ],
            ),
            (
                Fault::Request,
                &[Errno::INVAL, Errno::IO, Errno::ADDRNOTAVAIL, Errno::OPNOTSUPP, Errno::NOPROTOOPT],
            ),
            (
                Fault::Socket,
                &[
                    Errno::BADF,
                    Errno::NOTSOCK,
                    Errno::FAULT,
                    Errno::PIPE,
                    Errno::NOTCONN,
                    Errno::ISCONN,
                    Errno::DESTADDRREQ,
                    Errno::AFNOSUPPORT,
                ],
            ),
        ];
        for (fault, errors) in table {
            for number in errors {
                let error = io::Error::from(*number);
                assert_eq!(Fault::of(&error), fault, "{error}");
            }
        }
        assert_eq!(Fault::of(&ErrorKind::WouldBlock.into()), Fault::Full, "without a number");
    }
}
