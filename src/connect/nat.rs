//! What a NAT makes of one socket, judged by how DHT nodes see it.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::wire::handshake::{FIREWALL_CONSISTENT, FIREWALL_OPEN, FIREWALL_RANDOM, FIREWALL_UNKNOWN};

/// What stands between a socket and the internet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Firewall {
    /// Not known yet, or the samples contradict each other.
    #[default]
    Unknown,
    /// Nothing: any host can send to the socket's own address.
    Open,
    /// A NAT that gives the socket the same port towards all hosts.
    Consistent,
    /// A NAT that gives it another port towards each destination.
    Random,
}

impl Firewall {
    pub(super) const fn from_wire(number: u64) -> Self {
        match number {
            FIREWALL_UNKNOWN => Self::Unknown,
            FIREWALL_OPEN => Self::Open,
            FIREWALL_CONSISTENT => Self::Consistent,
            // Larger numbers count as random (`connect.md` §3.1).
            _ => Self::Random,
        }
    }

    pub(super) const fn to_wire(self) -> u64 {
        match self {
            Self::Unknown => FIREWALL_UNKNOWN,
            Self::Open => FIREWALL_OPEN,
            Self::Consistent => FIREWALL_CONSISTENT,
            Self::Random => FIREWALL_RANDOM,
        }
    }

    /// Returns whether all hosts see the same address.
    pub(super) const fn is_consistent(self) -> bool {
        matches!(self, Self::Open | Self::Consistent)
    }
}

impl fmt::Display for Firewall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Open => "open",
            Self::Consistent => "consistent",
            Self::Random => "random",
        })
    }
}

/// Judges the NAT in front of one socket. Every node counts once.
#[derive(Clone, Debug, Default)]
pub(super) struct Nat {
    firewall: Firewall,
    addresses: Option<Vec<SocketAddrV4>>,
    /// Nodes, and how each sees the socket.
    samples: Vec<(SocketAddrV4, SocketAddrV4)>,
    /// Most hits first, among equals the one that was there first.
    hosts: Vec<(Ipv4Addr, u32)>,
    full: Vec<(SocketAddrV4, u32)>,
    /// Whether the judgement rests on fewer samples than it takes.
    is_guess: bool,
}

impl Nat {
    /// Counts how `from` sees the socket. Without a firewall that is all there is to know.
    pub(super) fn add(&mut self, seen_as: SocketAddrV4, from: SocketAddrV4, firewalled: bool) {
        if self.samples.len() >= MAX_SAMPLES || self.sample_of(from).is_some() {
            return;
        }
        self.samples.push((from, seen_as));
        hit(&mut self.hosts, *seen_as.ip());
        hit(&mut self.full, seen_as);
        if firewalled && (self.firewall == Firewall::Open || self.is_guess) {
            self.firewall = Firewall::Unknown;
            self.is_guess = false;
        }
        self.firewall = self.judge(firewalled);
        self.set_addresses();
    }

    /// Guesses by one or two samples, as no other node is left to ask: equal ones mean the same port
    /// for all hosts, others a random one.
    ///
    /// The reference gives up then (`connect.md` §9.2). A wrong guess costs no more: nothing comes through
    /// either way.
    pub(super) fn guess(&mut self) {
        if self.firewall != Firewall::Unknown || !self.is_scarce() || self.samples.is_empty() {
            return;
        }
        self.is_guess = true;
        self.firewall = match self.full.len() {
            1 => Firewall::Consistent,
            _ => Firewall::Random,
        };
        self.set_addresses();
    }

    /// Returns whether there are fewer samples than a judgement takes.
    pub(super) const fn is_scarce(&self) -> bool {
        self.samples.len() < NEEDED_SAMPLES
    }

    fn set_addresses(&mut self) {
        self.addresses = match self.firewall {
            Firewall::Unknown => None,
            // An open peer is reached at the address in its noise payload (`connect.md` pitfall 16).
            Firewall::Open => self.addresses.take(),
            Firewall::Random => Some(vec![SocketAddrV4::new(self.hosts[0].0, 0)]),
            Firewall::Consistent => Some(self.consistent_addresses()),
        };
    }

    pub(super) const fn firewall(&self) -> Firewall {
        self.firewall
    }

    /// Returns where the socket can be reached: without a port if that is another one for each destination.
    pub(super) fn addresses(&self) -> Option<&[SocketAddrV4]> {
        self.addresses.as_deref()
    }

    /// Returns whether there are enough samples.
    pub(super) const fn is_complete(&self) -> bool {
        self.firewall.is_consistent() || self.samples.len() >= WANTED_SAMPLES
    }

    /// Returns how `from` has seen the socket, if it has answered.
    pub(super) fn sample_of(&self, from: SocketAddrV4) -> Option<SocketAddrV4> {
        let mut samples = self.samples.iter();
        samples.find(|(node, _)| *node == from).map(|(_, to)| *to)
    }

    /// Returns nodes, and how each sees the socket.
    pub(super) fn samples(&self) -> &[(SocketAddrV4, SocketAddrV4)] {
        &self.samples
    }

    fn judge(&self, firewalled: bool) -> Firewall {
        if !firewalled {
            return Firewall::Open;
        }
        let count = self.samples.len();
        if self.is_scarce() {
            return self.firewall;
        }
        let best = self.full[0].1;
        let second = self.full.get(1).map_or(0, |(_, hits)| *hits);
        match best {
            3.. => Firewall::Consistent,
            1 => Firewall::Random,
            _ if self.hosts.len() == 1 && count > 3 => Firewall::Random,
            _ if self.hosts.len() > 1 && second > 1 => Firewall::Consistent,
            _ if count > 4 => Firewall::Random,
            _ => self.firewall,
        }
    }

    fn consistent_addresses(&self) -> Vec<SocketAddrV4> {
        let mut addresses = Vec::new();
        for (address, hits) in &self.full {
            if *hits >= 2 || addresses.len() < 2 {
                addresses.push(*address);
            }
        }
        addresses
    }
}

/// Counts a value in a list sorted by hits.
fn hit<T: Copy + PartialEq>(counts: &mut Vec<(T, u32)>, value: T) {
    let Some(mut index) = counts.iter().position(|(known, _)| *known == value) else {
        counts.push((value, 1));
        return;
    };
    counts[index].1 += 1;
    while index > 0 && counts[index - 1].1 < counts[index].1 {
        counts.swap(index - 1, index);
        index -= 1;
    }
}

/// Samples below which a NAT is not judged (`connect.md` §7).
const NEEDED_SAMPLES: usize = 3;
/// Samples that are asked for (`connect.md` §7, §13.1).
pub(super) const WANTED_SAMPLES: usize = 4;
/// Samples that are kept; more would change nothing.
const MAX_SAMPLES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::vectors::{list, load, number, text};

    #[test]
    fn judges_like_the_reference() {
        for case in list(&load("nat.json")["classification"]) {
            let firewalled = case["localFirewalled"].as_bool().unwrap();
            let mut nat = Nat::default();
            let mut frozen = None;
            for step in list(&case["steps"]) {
                if step.get("frozen").is_some() {
                    frozen = Some((nat.firewall(), nat.addresses().map(<[_]>::to_vec)));
                    continue;
                }
                let from = SocketAddrV4::new([9, 9, 9, 9].into(), number(&step["from"]) as u16);
                nat.add(text(&step["sample"]).parse().unwrap(), from, firewalled);
                assert_eq!(nat.samples().len() as u64, number(&step["sampled"]), "{case}");
                let (firewall, addresses) =
                    frozen.clone().unwrap_or_else(|| (nat.firewall(), nat.addresses().map(<[_]>::to_vec)));
                let named = text(&step["firewall"]);
                assert_eq!(firewall.to_string().to_uppercase(), named, "{step}");
                let expected = step["addresses"].as_array().map(|all| {
                    let parse = |address| text(address).parse().unwrap();
                    all.iter().map(parse).collect::<Vec<SocketAddrV4>>()
                });
                assert_eq!(addresses, expected, "{step}");
                assert_eq!(nat.is_complete(), step["analysisDone"].as_bool().unwrap(), "{step}");
            }
        }
    }

    #[test]
    fn firewall_numbers_survive_the_wire() {
        for number in 0..4 {
            assert_eq!(Firewall::from_wire(number).to_wire(), number);
        }
        assert_eq!(Firewall::from_wire(77), Firewall::Random);
    }

    #[test]
    fn samples_are_bounded() {
        let mut nat = Nat::default();
        for port in 1..1000 {
            let from = SocketAddrV4::new([9, 9, 9, 9].into(), port);
            nat.add(SocketAddrV4::new([1, 1, 1, 1].into(), port), from, true);
        }
        assert_eq!((nat.samples().len(), nat.full.len()), (MAX_SAMPLES, MAX_SAMPLES));
    }

    #[test]
    fn one_or_two_samples_are_guessed_from_only_when_nobody_is_left_to_ask() {
        let at = |port| SocketAddrV4::new([9, 9, 9, 9].into(), port);
        let guess = |ports: &[u16]| {
            let mut nat = Nat::default();
            for (number, port) in (100..).zip(ports) {
                nat.add(at(*port), at(number), true);
            }
            let before = nat.firewall();
            nat.guess();
            (before, nat)
        };
        for (ports, guessed) in [
            (&[][..], Firewall::Unknown),
            (&[1], Firewall::Consistent),
            (&[1, 1], Firewall::Consistent),
            (&[1, 2], Firewall::Random),
        ] {
            let (before, nat) = guess(ports);
            assert_eq!(before, Firewall::Unknown);
            assert_eq!(nat.firewall(), guessed, "{ports:?}");
            let named = nat.addresses().map(|addresses| addresses[0].port());
            let port = match guessed {
                Firewall::Consistent => Some(1),
                Firewall::Random => Some(0),
                _ => None,
            };
            assert_eq!(named, port, "{ports:?}");
        }
        // More samples decide, whatever was guessed.
        let (_, mut nat) = guess(&[1]);
        nat.add(at(2), at(200), true);
        assert_eq!(nat.firewall(), Firewall::Unknown);
        nat.guess();
        assert_eq!(nat.firewall(), Firewall::Random);
        nat.add(at(1), at(201), true);
        nat.add(at(1), at(202), true);
        assert_eq!(nat.firewall(), Firewall::Consistent);
        nat.guess();
        assert_eq!(nat.firewall(), Firewall::Consistent);
    }

    #[test]
    fn who_was_open_and_is_not_any_more_is_judged_anew() {
        let mut nat = Nat::default();
        let at = |port| SocketAddrV4::new([9, 9, 9, 9].into(), port);
        nat.add(at(1), at(100), false);
        assert_eq!(nat.firewall(), Firewall::Open);
        nat.add(at(1), at(101), true);
        assert_eq!(nat.firewall(), Firewall::Unknown);
        nat.add(at(1), at(102), true);
        assert_eq!(nat.firewall(), Firewall::Consistent);
    }
}
