//! What a peer claims of itself while both punch, and what of it is proven.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::step::Target;
use crate::connect::nat::Firewall;
use crate::connect::report::Report;
use crate::wire::handshake::HolepunchPayload;

/// The other side of a punch.
#[derive(Debug, Default)]
pub(in crate::connect) struct Remote {
    firewall: Firewall,
    targets: Vec<Target>,
    is_punching: bool,
    /// Hosts at which the peer has received a token.
    verified: Vec<Ipv4Addr>,
}

impl Remote {
    /// Takes over what the peer claims. `seen_at` is where the node in between sees it; if the peer has
    /// proven to be there, it counts as an address whether listed or not. Addresses that `may_follow` refuses
    /// are left out.
    pub(in crate::connect) fn update(
        &mut self,
        payload: &HolepunchPayload,
        seen_at: SocketAddrV4,
        is_proven: bool,
        may_follow: impl Fn(Ipv4Addr) -> bool,
    ) {
        self.firewall = Firewall::from_wire(payload.firewall);
        self.is_punching = payload.punching;
        if is_proven && !self.verified.contains(seen_at.ip()) {
            if self.verified.len() >= MAX_ADDRESSES {
                self.verified.remove(0);
            }
            self.verified.push(*seen_at.ip());
        }
        let random = self.firewall == Firewall::Random;
        let listed = payload.addresses.iter().flatten().copied();
        let also = self.verified.contains(seen_at.ip()).then_some(seen_at);
        self.targets.clear();
        for mut address in listed.chain(also) {
            if random {
                address.set_port(0);
            }
            let known = self.targets.iter().any(|target| target.address == address);
            if known
                || !may_follow(*address.ip())
                || (!random && address.port() == 0)
                || self.targets.len() >= MAX_ADDRESSES
            {
                continue;
            }
            self.targets.push(Target { address, verified: self.verified.contains(address.ip()) });
        }
    }

    pub(in crate::connect) const fn firewall(&self) -> Firewall {
        self.firewall
    }

    /// Adds what is known to a report.
    pub(in crate::connect) fn describe(&self, report: &mut Report) {
        report.remote_nat = Some(self.firewall);
        let addresses = self.targets.iter().map(|target| target.address);
        report.remote_addresses = addresses.collect();
    }

    pub(in crate::connect) const fn is_punching(&self) -> bool {
        self.is_punching
    }

    pub(in crate::connect) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Returns whether the peer has named this host as its own or proven to be there.
    pub(in crate::connect) fn names(&self, host: Ipv4Addr) -> bool {
        self.verified.contains(&host) || self.targets.iter().any(|target| *target.address.ip() == host)
    }

    pub(in crate::connect) fn is_verified(&self, host: Ipv4Addr) -> bool {
        self.verified.contains(&host)
    }
}

/// Addresses of one peer that are probed, and hosts that are remembered as its own.
const MAX_ADDRESSES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::handshake::{FIREWALL_CONSISTENT, FIREWALL_RANDOM};

    #[test]
    fn at_most_four_addresses_are_taken_and_none_that_may_not_be_followed() {
        let mut remote = Remote::default();
        let addresses = (1..100).map(|last| at(&format!("8.8.{}.{last}:7", last % 2)));
        remote.update(&payload(addresses.collect()), at("9.9.9.9:1"), false, |host| host.octets()[2] == 1);
        assert_eq!(remote.targets().len(), MAX_ADDRESSES);
        assert!(
            remote.targets().iter().all(|target| target.address.ip().octets()[2] == 1 && !target.verified)
        );
    }

    #[test]
    fn a_proven_host_stays_proven_and_counts_though_it_is_not_listed() {
        let mut remote = Remote::default();
        let (proven, listed) = (at("9.9.9.9:1"), at("8.8.8.8:7"));
        remote.update(&payload(vec![listed]), proven, true, |_| true);
        let expected = [(listed, false), (proven, true)];
        assert_eq!(targets(&remote), expected);
        remote.update(&payload(vec![listed]), at("9.9.9.9:2"), false, |_| true);
        assert_eq!(targets(&remote), [(listed, false), (at("9.9.9.9:2"), true)]);
        assert!(remote.names(*proven.ip()) && !remote.names([1, 1, 1, 1].into()));
    }

    #[test]
    fn a_random_peer_has_hosts_without_ports_and_others_ports() {
        let mut remote = Remote::default();
        let mut said = payload(vec![at("8.8.8.8:7"), at("8.8.8.8:8")]);
        said.firewall = FIREWALL_RANDOM;
        remote.update(&said, at("8.8.8.8:9"), true, |_| true);
        assert_eq!(targets(&remote), [(at("8.8.8.8:0"), true)]);
        remote.update(&payload(vec![at("8.8.8.8:0")]), at("1.1.1.1:1"), false, |_| true);
        assert_eq!(targets(&remote), []);
    }

    #[test]
    fn proven_hosts_are_bounded() {
        let mut remote = Remote::default();
        for last in 0..100 {
            let seen = at(&format!("9.9.9.{last}:1"));
            remote.update(&payload(Vec::new()), seen, true, |_| true);
        }
        assert_eq!(remote.verified.len(), MAX_ADDRESSES);
        assert!(remote.is_verified([9, 9, 9, 99].into()));
    }

    fn targets(remote: &Remote) -> Vec<(SocketAddrV4, bool)> {
        let targets = remote.targets().iter();
        targets.map(|one| (one.address, one.verified)).collect()
    }

    fn payload(addresses: Vec<SocketAddrV4>) -> HolepunchPayload {
        HolepunchPayload {
            firewall: FIREWALL_CONSISTENT,
            addresses: Some(addresses),
            ..HolepunchPayload::default()
        }
    }

    fn at(text: &str) -> SocketAddrV4 {
        text.parse().unwrap()
    }
}
