//! Which keys and networks the operator of a service lets in. Pure.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use super::Access;
use crate::PublicKey;
use crate::profile::peers::PeerAddress;

/// The lists of an operator: who may not connect, and who may register where registration is not open to all.
///
/// They are asked for proven keys only: a claimed key may be another one's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// Keys that may not connect.
    pub banned_keys: BTreeSet<PublicKey>,
    /// Networks that may not connect. A connection through a relay counts for the address of the relay.
    pub banned_networks: BTreeSet<Ipv4Network>,
    /// Keys that may use what [`Access::Allowed`] leaves to them.
    pub allowed_keys: BTreeSet<PublicKey>,
}

impl Admission {
    /// Returns whether a key at an address is banned, by its key or by its network.
    pub fn is_banned(&self, key: &PublicKey, address: PeerAddress) -> bool {
        self.banned_keys.contains(key) || self.is_banned_network(address.ip)
    }

    /// Returns whether a key may use what an access is set for.
    pub fn may_use(&self, access: Access, key: &PublicKey) -> bool {
        match access {
            Access::Closed => false,
            Access::Allowed => self.allowed_keys.contains(key),
            Access::Open => true,
        }
    }

    fn is_banned_network(&self, ip: Ipv4Addr) -> bool {
        // A look-up per length of a prefix, however many networks there are.
        !self.banned_networks.is_empty()
            && (0..=32).any(|prefix| self.banned_networks.contains(&Ipv4Network::around(ip, prefix)))
    }
}

/// The IPv4 addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ipv4Network {
    first: Ipv4Addr,
    prefix: u8,
}

impl Ipv4Network {
    /// Returns the network of an address that has so many bits in common, at most 32.
    pub fn around(ip: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        Self { first: Ipv4Addr::from_bits(ip.to_bits() & mask), prefix }
    }
}

impl fmt::Display for Ipv4Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

/// Reads `203.0.113.0/24`, or an address alone, which is a network of one.
impl FromStr for Ipv4Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, ParseNetworkError> {
        let (ip, prefix) = text.split_once('/').unwrap_or((text, "32"));
        let ip: Ipv4Addr = ip.parse().map_err(|_| ParseNetworkError::Form)?;
        let prefix = match prefix.parse() {
            Ok(prefix @ 0..=32) if !text.contains('+') => prefix,
            _ => return Err(ParseNetworkError::Form),
        };
        let network = Self::around(ip, prefix);
        match network.first == ip {
            true => Ok(network),
            false => Err(ParseNetworkError::Beyond { ip, network }),
        }
    }
}

/// Why a text names no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseNetworkError {
    /// It has another form.
    #[error("expected an IPv4 address or a network like 203.0.113.0/24")]
    Form,
    /// The address has bits beyond the prefix, so it is unclear which network is meant.
    #[error("{ip} is inside of the network {network}: write that, or the address alone")]
    Beyond {
        /// The address.
        ip: Ipv4Addr,
        /// The network that the address is in.
        network: Ipv4Network,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(n: u8) -> PublicKey {
        PublicKey::from_bytes([n; 32])
    }

    fn at(ip: &str) -> PeerAddress {
        PeerAddress::direct(ip.parse().unwrap())
    }

    #[test]
    fn a_ban_is_of_a_key_or_of_a_network() {
        let banned_networks = ["203.0.113.0/24", "198.51.100.7"].map(|text| text.parse().unwrap()).into();
        let admission = Admission { banned_keys: [key(1)].into(), banned_networks, ..Admission::default() };
        assert!(admission.is_banned(&key(1), at("192.0.2.1")));
        for (ip, banned) in
            [("203.0.113.255", true), ("203.0.114.0", false), ("198.51.100.7", true), ("198.51.100.8", false)]
        {
            assert_eq!(admission.is_banned(&key(2), at(ip)), banned, "{ip}");
            let relay = PeerAddress { is_relay: true, ..at(ip) };
            assert_eq!(admission.is_banned(&key(2), relay), banned, "{ip}");
        }
    }

    #[test]
    fn the_allowed_keys_matter_where_the_access_leaves_it_to_them() {
        let admission = Admission { allowed_keys: [key(1)].into(), ..Admission::default() };
        for (access, listed, other) in
            [(Access::Open, true, true), (Access::Allowed, true, false), (Access::Closed, false, false)]
        {
            assert_eq!(admission.may_use(access, &key(1)), listed);
            assert_eq!(admission.may_use(access, &key(2)), other);
        }
    }

    #[test]
    fn what_names_no_network_is_refused() {
        for text in
            ["", "a", "1.2.3", "1.2.3.4/", "1.2.3.4/33", "1.2.3.0/+24", "1.2.3.0/-1", "::1", "1.2.3.4/8/8"]
        {
            assert_eq!(text.parse::<Ipv4Network>(), Err(ParseNetworkError::Form), "{text}");
        }
        let beyond = "10.1.2.3/8".parse::<Ipv4Network>().unwrap_err();
        let expected = "10.1.2.3 is inside of the network 10.0.0.0/8: write that, or the address alone";
        assert_eq!(beyond.to_string(), expected);
    }

    proptest! {
        #[test]
        fn a_network_bans_the_addresses_that_begin_as_it_does(ip: u32, other: u32, prefix in 0_u8..=32) {
            let network = Ipv4Network::around(ip.into(), prefix);
            prop_assert_eq!(network.to_string().parse(), Ok(network));
            let admission = Admission { banned_networks: [network].into(), ..Admission::default() };
            // With addresses that have many bits in common, too.
            for other in [other, ip, ip ^ 1, ip ^ (other & 0xff), ip ^ (1 << (other % 32))] {
                let same = (0..u32::from(prefix)).all(|bit| (ip ^ other) >> (31 - bit) & 1 == 0);
                let address = PeerAddress::direct(other.into());
                prop_assert_eq!(admission.is_banned(&key(9), address), same);
            }
        }
    }
}
