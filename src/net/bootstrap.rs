//! Names of bootstrap nodes.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use crate::wire::address::is_bogon;

/// A bootstrap node as the user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// An address to try before the name is resolved.
    address: Option<SocketAddrV4>,
    /// A name to resolve.
    name: Option<(String, u16)>,
}

impl Entry {
    /// Reads `HOST:PORT` or `IP@HOST:PORT`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, text) = match text.split_once('@') {
            Some((address, rest)) => (Some(address.parse::<Ipv4Addr>().ok()?), rest),
            None => (None, text),
        };
        let (host, port) = text.rsplit_once(':')?;
        let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
        if host.is_empty() || host.contains([':', '@', '/', ' ']) {
            return None;
        }
        Some(match host.parse::<Ipv4Addr>() {
            Ok(host) => Self { address: Some(SocketAddrV4::new(address.unwrap_or(host), port)), name: None },
            Err(_) => Self {
                address: address.map(|address| SocketAddrV4::new(address, port)),
                name: Some((host.to_owned(), port)),
            },
        })
    }

    /// Returns whether the node is known to be no part of the public network: at an address of a private
    /// network, a carrier's or a reserved one, or on this computer. Other names may lead anywhere, and a
    /// resolver must not decide what is trusted.
    pub(crate) fn is_private(&self) -> bool {
        match (self.address, &self.name) {
            (Some(address), _) => is_bogon(*address.ip()),
            (None, Some((host, _))) => host.eq_ignore_ascii_case("localhost"),
            (None, None) => false,
        }
    }

    /// Returns the address that is known without a resolver.
    pub(crate) const fn address(&self) -> Option<SocketAddrV4> {
        self.address
    }
}

/// Resolves the entries: the given addresses, or with `names` what the names resolve to now beside them.
pub(super) async fn resolve(entries: &[Entry], names: bool) -> Vec<SocketAddrV4> {
    let mut addresses: Vec<SocketAddrV4> = Vec::new();
    let mut add = |address| {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    };
    for entry in entries {
        if let Some(address) = entry.address {
            add(address);
            if !names {
                continue;
            }
        }
        let Some((host, port)) = &entry.name else {
            continue;
        };
        match tokio::net::lookup_host((host.as_str(), *port)).await {
            Ok(found) => {
                let first = found.into_iter().find_map(|address| match address {
                    SocketAddr::V4(address) => Some(address),
                    SocketAddr::V6(_) => None,
                });
                first.into_iter().for_each(&mut add);
            }
            Err(error) => {
                tracing::debug!(host, %error, "bootstrap node not resolved");
            }
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_three_forms() {
        let entry = Entry::parse("10.1.2.3:49737").expect("an address");
        assert_eq!(entry.address(), "10.1.2.3:49737".parse().ok());
        assert_eq!(entry.name, None);
        let entry = Entry::parse("node.example:1").expect("a name");
        assert_eq!(entry.address(), None);
        assert_eq!(entry.name, Some(("node.example".into(), 1)));
        let entry = Entry::parse("10.1.2.3@node.example:1").expect("both");
        assert_eq!(entry.address(), "10.1.2.3:1".parse().ok());
        assert_eq!(entry.name, Some(("node.example".into(), 1)));
    }

    #[test]
    fn refuses_what_is_no_entry() {
        for text in ["", "host", "host:", ":1", "host:0", "host:70000", "x@host:1", "::1:5", "http://a:1"] {
            assert_eq!(Entry::parse(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn names_are_resolved_only_where_needed_and_failures_skipped() {
        let entries: Vec<_> = ["127.0.0.9@localhost:5", "no-such-name.invalid:5", "127.0.0.8:5"]
            .iter()
            .filter_map(|text| Entry::parse(text))
            .collect();
        let fast = resolve(&entries[..1], false).await;
        assert_eq!(fast, ["127.0.0.9:5".parse().expect("valid")]);
        let all = resolve(&entries, true).await;
        assert_eq!(
            all,
            ["127.0.0.9:5", "127.0.0.1:5", "127.0.0.8:5"].map(|text| text.parse().expect("valid"))
        );
    }
}
