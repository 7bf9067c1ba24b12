//! The IPv4 addresses of this host.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Returns the addresses of this host's interfaces, loopback left out.
pub(super) fn listed() -> Vec<Ipv4Addr> {
    let listed = if_addrs::get_if_addrs().unwrap_or_default();
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
    addresses
}

/// Returns whether an address is one of this host's, loopback included.
pub(super) fn is_own(address: Ipv4Addr) -> bool {
    std::net::UdpSocket::bind(SocketAddrV4::new(address, 0)).is_ok()
}

/// Returns those of them on which a datagram to itself arrives.
///
/// An interface may be up and yet carry nothing, in some containers and with some tunnels.
pub(super) async fn usable() -> Vec<Ipv4Addr> {
    let addresses = listed();
    let mut usable = Vec::with_capacity(addresses.len());
    for address in addresses {
        if matches!(timeout(PATIENCE, carries(address)).await, Ok(Ok(()))) {
            usable.push(address);
        }
    }
    usable
}

async fn carries(address: Ipv4Addr) -> std::io::Result<()> {
    let socket = UdpSocket::bind(SocketAddrV4::new(address, 0)).await?;
    let local = socket.local_addr()?;
    socket.send_to(&[0], local).await?;
    let mut byte = [0];
    while socket.recv_from(&mut byte).await?.1 != local {}
    Ok(())
}

/// How long the datagram may take, as the reference.
const PATIENCE: Duration = Duration::from_millis(500);

/// A host with more addresses than this tells the first ones.
const MAX_INTERFACES: usize = 32;

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
        assert!(listed().into_iter().all(is_own));
        assert!(!is_own(Ipv4Addr::new(192, 0, 2, 77)));
    }

    #[test]
    fn loopback_is_not_listed() {
        assert!(!listed().iter().any(Ipv4Addr::is_loopback));
    }

    #[tokio::test]
    async fn what_carries_is_among_what_is_listed() {
        let listed = listed();
        assert!(usable().await.iter().all(|address| listed.contains(address)));
    }
}
