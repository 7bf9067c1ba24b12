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
const fn by_number(number: i32) -> Option<Fault> {
    Some(match number {
        libc::ENOBUFS => Fault::Passing,
        libc::EMSGSIZE => Fault::TooLong,
        libc::EHOSTDOWN => Fault::Destination,
        // Of a train whose route has no offload; of the options that come with a datagram.
        libc::EIO | libc::EOPNOTSUPP | libc::ENOPROTOOPT => Fault::Request,
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
    use super::*;

    #[test]
    fn each_error_of_sending_has_its_sort() {
        let table = [
            (Fault::Full, &[libc::EAGAIN, libc::EWOULDBLOCK][..]),
            (
                Fault::Passing,
                &[libc::ENOBUFS, libc::ENOMEM, libc::EINTR, libc::ECONNREFUSED, libc::ECONNRESET],
            ),
            (Fault::TooLong, &[libc::EMSGSIZE]),
            (
                Fault::Destination,
                &[
                    libc::ENETUNREACH,
                    libc::EHOSTUNREACH,
                    libc::EHOSTDOWN,
                    libc::ENETDOWN,
                    libc::EACCES,
                    libc::EPERM,
                ],
            ),
            (
                Fault::Request,
                &[libc::EINVAL, libc::EIO, libc::EADDRNOTAVAIL, libc::EOPNOTSUPP, libc::ENOPROTOOPT],
            ),
            (
                Fault::Socket,
                &[
                    libc::EBADF,
                    libc::ENOTSOCK,
                    libc::EFAULT,
                    libc::EPIPE,
                    libc::ENOTCONN,
                    libc::EISCONN,
                    libc::EDESTADDRREQ,
                    libc::EAFNOSUPPORT,
                ],
            ),
        ];
        for (fault, numbers) in table {
            for number in numbers {
                let error = io::Error::from_raw_os_error(*number);
                assert_eq!(Fault::of(&error), fault, "{error}");
            }
        }
        assert_eq!(Fault::of(&ErrorKind::WouldBlock.into()), Fault::Full, "without a number");
    }
}
