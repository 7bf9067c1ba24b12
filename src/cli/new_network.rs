//! The address of a new network: its first nodes know each other by it, and others join through it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, UdpSocket};

use serde_json::json;

use super::exit::{Exit, Failure};
use super::output::Output;
use crate::Dht;
use crate::api::Mode;
use crate::wire::address::Scope;

/// The address of the first nodes of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) ip: Ipv4Addr,
    /// Whether the user has named it as the address that others see.
    is_mapped: bool,
    /// Other addresses of this host, where none was named.
    others: Vec<Ipv4Addr>,
}

impl Site {
    /// Chooses the address that others see, if the user has named it, else the one to bind to, else one of
    /// this host.
    pub(super) fn choose(bind: Ipv4Addr, public: Option<Ipv4Addr>) -> Result<Self, Failure> {
        if let Some(ip) = public {
            check_public(ip)?;
            return Ok(Self { ip, is_mapped: true, others: Vec::new() });
        }
        let mut addresses = if bind.is_unspecified() { host_addresses()? } else { vec![bind] };
        // Without any other address a host can still try things out on loopback.
        let ip = match addresses.is_empty() {
            true => Ipv4Addr::LOCALHOST,
            false => addresses.remove(0),
        };
        Ok(Self { ip, is_mapped: false, others: addresses })
    }

    /// Prints the commands by which others join, and which hosts can.
    pub(super) fn explain(&self, first: SocketAddrV4, output: &Output) {
        output.json(&json!({"event": "joinable", "bootstrap": first}));
        output.note("others join this network with");
        output.note(&format!("  dht-node --bootstrap {first}"));
        output.note(&format!("  profile-server --bootstrap {first}"));
        match Scope::of(self.ip) {
            Scope::Host => output.note(&format!("only programs on this computer reach {}", self.ip)),
            Scope::Private => output.note(&format!(
                "{} is a private address: only hosts of the same network reach it; where a one-to-one NAT \
                 gives this host a public address, name that with --public IP",
                self.ip
            )),
            Scope::Public => {}
        }
        if !self.others.is_empty() {
            let others: Vec<_> = self.others.iter().map(ToString::to_string).collect();
            output.note(&format!(
                "this host has other addresses too ({}); to be known by one of them, name it with --public",
                others.join(", ")
            ));
        }
    }

    /// Pings every node at the address that others use, from another socket.
    pub(super) async fn check(&self, nodes: &[Dht], output: &Output) -> Result<(), Failure> {
        let own = match self.ip.is_loopback() {
            true => "127.0.0.1:0",
            false => "0.0.0.0:0",
        };
        let at = |node: &Dht| SocketAddrV4::new(self.ip, node.local_addr().port());
        let probe = Dht::builder()
            .bootstrap(nodes.first().map(|node| at(node).to_string()))
            .bind(own)
            .mode(Mode::Ephemeral)
            .spawn()
            .await?;
        for node in nodes {
            if probe.ping(at(node)).await.is_err() {
                self.doubt(at(node), output);
                break;
            }
        }
        probe.close().await;
        Ok(())
    }

    fn doubt(&self, node: SocketAddrV4, output: &Output) {
        output.json(&json!({
            "event": "warning", "kind": "unchecked", "address": node,
        }));
        output.note(&format!("warning: nothing comes back from {node} when this host asks there itself"));
        if self.is_mapped {
            output.note(
                "a NAT that does not return a host's own packets does no harm; to be sure, run on another \
                 host",
            );
            output.note(&format!("  profile-client doctor --bootstrap {node}"));
        } else {
            output.note("look for a firewall on this host that drops UDP");
        }
    }

    /// Returns the failure of a node that cannot join through the first one.
    pub(super) fn unreachable(&self, first: SocketAddrV4) -> Failure {
        let failure = Failure::new(
            Exit::NoNetwork,
            format!("the nodes of this host do not reach each other at {first}"),
        );
        failure.hint(if self.is_mapped {
            format!(
                "either the NAT in front of this host does not return its own packets: then run one node \
                 here (--nodes 1), and others on other hosts with --bootstrap {first}; or {} is not \
                 forwarded to this host",
                self.ip
            )
        } else {
            "look for a firewall on this host that drops UDP".into()
        })
    }
}

/// Refuses an address that no other host can reach.
pub(super) fn check_public(ip: Ipv4Addr) -> Result<(), Failure> {
    // This network, loopback, groups and the reserved rest.
    if matches!(ip.octets()[0], 0 | 127 | 224..) {
        let what = format!("--public {ip} is an address that no other host reaches");
        return Err(Failure::new(Exit::Usage, what)
            .hint("leave --public out, or name the address that other hosts see"));
    }
    Ok(())
}

/// Returns the addresses of this host that others may reach, the best first: public ones before private ones,
/// and of these the one that its default route leaves from.
fn host_addresses() -> Result<Vec<Ipv4Addr>, Failure> {
    let interfaces = if_addrs::get_if_addrs().map_err(|error| {
        let error = anyhow::Error::new(error).context("cannot list the addresses of this host");
        Failure::from_error(Exit::Internal, error).hint("name one with --bind IP")
    })?;
    let listed = interfaces.iter().filter_map(|interface| match interface.ip() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    });
    // Without a default route the order of the system decides.
    let preferred = routed_from().ok();
    Ok(in_order(listed.collect(), preferred))
}

fn in_order(mut listed: Vec<Ipv4Addr>, preferred: Option<Ipv4Addr>) -> Vec<Ipv4Addr> {
    listed.retain(|ip| Scope::of(*ip) != Scope::Host);
    listed.sort_by_key(|ip| (Scope::of(*ip) == Scope::Private, ip.is_link_local(), Some(*ip) != preferred));
    listed.dedup();
    listed
}

/// Returns the address that packets to the internet would leave from. Nothing is sent: connecting a UDP
/// socket only looks up the route.
fn routed_from() -> io::Result<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((Ipv4Addr::new(198, 51, 100, 1), 9))?;
    match socket.local_addr()?.ip() {
        IpAddr::V4(ip) => Ok(ip),
        IpAddr::V6(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_come_first_and_loopback_never() {
        let ip = |text: &str| text.parse::<Ipv4Addr>().unwrap();
        let listed = ["127.0.0.1", "169.254.1.1", "172.17.0.1", "10.0.0.5", "25.0.0.9", "25.0.0.8"];
        let listed: Vec<_> = listed.into_iter().map(ip).collect();
        let sorted = |preferred| in_order(listed.clone(), preferred);
        assert_eq!(
            sorted(Some(ip("10.0.0.5"))),
            ["25.0.0.9", "25.0.0.8", "10.0.0.5", "172.17.0.1", "169.254.1.1"].map(ip)
        );
        assert_eq!(sorted(Some(ip("25.0.0.8")))[0], ip("25.0.0.8"));
        assert_eq!(sorted(None)[2], ip("172.17.0.1"));
        assert!(in_order(vec![Ipv4Addr::LOCALHOST], None).is_empty());
    }

    #[test]
    fn what_the_user_names_is_taken_if_others_can_reach_it() {
        let (any, bound) = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(10, 0, 0, 5));
        let public = Ipv4Addr::new(25, 0, 0, 9);
        assert_eq!(Site::choose(any, Some(public)).unwrap().ip, public);
        assert_eq!(Site::choose(bound, None).unwrap().ip, bound);
        let group = Ipv4Addr::new(224, 0, 0, 1);
        for nowhere in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, group] {
            let refused = Site::choose(any, Some(nowhere)).unwrap_err();
            assert_eq!(refused.exit, Exit::Usage);
        }
    }
}
