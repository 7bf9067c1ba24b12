//! The IPv4 addresses of this host.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::time::timeout;
use tracing::debug;

use super::task_event::{self, TaskEvent, TaskEvents};

/// What a node knows of the addresses of its host.
#[derive(Debug)]
pub(super) struct Interfaces {
    /// Whether the sockets are bound to all addresses. Otherwise there is nothing to find out.
    are_needed: bool,
    /// When the interfaces were last examined.
    examined: Option<Instant>,
    /// The addresses at the last look.
    listed: Option<Vec<Ipv4Addr>>,
    /// When the next look is due.
    next_look: Option<Instant>,
    tasks: TaskEvents,
}

impl Interfaces {
    /// `bound` is the address that the sockets are bound to.
    pub(super) const fn new(bound: Ipv4Addr, tasks: TaskEvents) -> Self {
        Self { are_needed: bound.is_unspecified(), examined: None, listed: None, next_look: None, tasks }
    }

    /// Returns whether the sockets are bound to all addresses of the host.
    pub(super) const fn are_needed(&self) -> bool {
        self.are_needed
    }

    /// Examines the interfaces beside the driver, unless that was done a moment ago;
    /// [`TaskEvent::Interfaces`] follows.
    pub(super) fn refresh(&mut self, now: Instant) {
        if !self.are_needed || self.examined.is_some_and(|at| now < at + LIFETIME) {
            return;
        }
        self.examined = Some(now);
        let tasks = self.tasks.clone();
        task_event::spawn(&self.tasks, async move {
            match usable().await {
                Ok(usable) => {
                    // Without a driver no address is needed.
                    let _ = tasks.send(TaskEvent::Interfaces(usable));
                }
                Err(error) => debug!(%error, "the addresses of this host cannot be examined"),
            }
        });
    }

    /// Looks whether the host has other addresses than before, if that is due, and plans the next look while
    /// the node `has_servers`, which depend on them. Returns whether the addresses have changed.
    pub(super) fn handle_timeout(&mut self, now: Instant, has_servers: bool) -> bool {
        let is_due = self.next_look.is_some_and(|at| at <= now);
        if is_due {
            self.next_look = None;
        }
        if self.are_needed && has_servers {
            self.next_look.get_or_insert(now + LOOK_INTERVAL);
        }
        is_due && self.compare(now, listed())
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.next_look
    }

    /// Compares the addresses of the host with those of the last look, and examines them if they differ.
    fn compare(&mut self, now: Instant, listed: io::Result<Vec<Ipv4Addr>>) -> bool {
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => {
                debug!(%error, "the addresses of this host cannot be listed");
                return false;
            }
        };
        let has_changed = self.listed.as_ref().is_some_and(|before| *before != listed);
        self.listed = Some(listed);
        if has_changed {
            debug!("the addresses of this host have changed");
            self.examined = None;
            self.refresh(now);
        }
        has_changed
    }
}

/// Returns the addresses of this host's interfaces, loopback left out.
pub(super) fn listed() -> io::Result<Vec<Ipv4Addr>> {
    let listed = if_addrs::get_if_addrs()?;
    let mut addresses: Vec<Ipv4Addr> = listed
        .iter()
        .filter(|interface| !interface.is_loopback())
        .filter_map(|interface| match interface.ip() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        })
        .take(MAX_INTERFACES)
        .collect();
    addresses.dedup();
    Ok(addresses)
}

/// Returns whether an address is one of this host's, loopback included.
pub(super) fn is_own(address: Ipv4Addr) -> bool {
    std::net::UdpSocket::bind(SocketAddrV4::new(address, 0)).is_ok()
}

/// Returns those of them on which a datagram to itself arrives.
///
/// An interface may be up and yet carry nothing, in some containers and with some tunnels.
async fn usable() -> io::Result<Vec<Ipv4Addr>> {
    let addresses = listed()?;
    let mut usable = Vec::with_capacity(addresses.len());
    for address in addresses {
        if matches!(timeout(SELF_TIMEOUT, carries(address)).await, Ok(Ok(()))) {
            usable.push(address);
        }
    }
    Ok(usable)
}

async fn carries(address: Ipv4Addr) -> io::Result<()> {
    let socket = UdpSocket::bind(SocketAddrV4::new(address, 0)).await?;
    let local = socket.local_addr()?;
    socket.send_to(&[0], local).await?;
    let mut byte = [0];
    while socket.recv_from(&mut byte).await?.1 != local {}
    Ok(())
}

/// How long the datagram may take (`hyperdht index.js`, `validateLocalAddresses`).
const SELF_TIMEOUT: Duration = Duration::from_millis(500);

/// Of a host with more addresses the first ones count.
const MAX_INTERFACES: usize = 32;

/// How often the addresses of the host are compared with those before.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// How long the outcome of an examination is good for.
const LIFETIME: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn loopback_carries_and_a_foreign_address_does_not() {
        assert!(carries(Ipv4Addr::LOCALHOST).await.is_ok());
        assert!(carries(Ipv4Addr::new(192, 0, 2, 1)).await.is_err());
    }

    #[test]
    fn this_hosts_addresses_are_its_own_and_others_are_not() {
        assert!(is_own(Ipv4Addr::LOCALHOST));
        assert!(listed().expect("it has some").into_iter().all(is_own));
        assert!(!is_own(Ipv4Addr::new(192, 0, 2, 77)));
    }

    #[tokio::test]
    async fn other_addresses_of_this_host_are_noticed_and_the_same_are_not() {
        let (tasks, _events) = tokio::sync::mpsc::unbounded_channel();
        let mut interfaces = Interfaces::new(Ipv4Addr::UNSPECIFIED, tasks);
        let (now, home) = (Instant::now(), vec![Ipv4Addr::new(192, 168, 1, 2)]);
        assert!(!interfaces.compare(now, Ok(home.clone())));
        assert!(!interfaces.compare(now, Ok(home.clone())));
        assert!(!interfaces.compare(now, Err(io::ErrorKind::OutOfMemory.into())), "nothing is known");
        assert!(!interfaces.compare(now, Ok(home)));
        assert_eq!(interfaces.examined, None, "nothing has changed");
        assert!(interfaces.compare(now, Ok(vec![Ipv4Addr::new(10, 0, 0, 2)])));
        assert_eq!(interfaces.examined, Some(now), "they are examined");
    }

    #[tokio::test]
    async fn looks_are_planned_only_while_there_are_servers() {
        let (tasks, _events) = tokio::sync::mpsc::unbounded_channel();
        let mut interfaces = Interfaces::new(Ipv4Addr::UNSPECIFIED, tasks);
        let now = Instant::now();
        interfaces.handle_timeout(now, false);
        assert_eq!(interfaces.poll_timeout(), None);
        interfaces.handle_timeout(now, true);
        assert_eq!(interfaces.poll_timeout(), Some(now + LOOK_INTERVAL));
        interfaces.handle_timeout(now + LOOK_INTERVAL, false);
        assert_eq!(interfaces.poll_timeout(), None);
    }

    #[test]
    fn loopback_is_not_listed() {
        assert!(!listed().expect("it has some").iter().any(Ipv4Addr::is_loopback));
    }

    #[tokio::test]
    async fn what_carries_is_among_what_is_listed() {
        let listed = listed().expect("it has some");
        assert!(usable().await.expect("it has some").iter().all(|address| listed.contains(address)));
    }
}
