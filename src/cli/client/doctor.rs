//! `profile-client doctor`: what works between this computer and the network, and what to do about what does
//! not.

use std::net::{IpAddr, SocketAddrV4};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::super::exit::{Exit, Failure, LET_THROUGH, NAME_A_RELAY, UPDATE};
use super::super::output::Output;
use super::args::{Arguments, ServerAddress};
use super::explain;
use crate::Dht;
use crate::api::{ConnectError, Firewall, StreamError};

/// Nodes that are asked how they see us.
const SAMPLES: usize = 6;
/// How long joining the network may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// One thing that was looked at.
struct Check {
    name: &'static str,
    /// The exit code if it is not as it should be.
    failed: Option<Exit>,
    found: String,
    advice: Option<String>,
    data: Value,
}

impl Check {
    fn passed(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            failed: None,
            found: found.into(),
            advice: None,
            data: Value::Null,
        }
    }

    fn failed(name: &'static str, exit: Exit, found: impl Into<String>) -> Self {
        Self {
            failed: Some(exit),
            ..Self::passed(name, found)
        }
    }

    fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    fn data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }
}

/// Looks at everything, tells line by line, and fails with the code of the first thing that is wrong.
pub(super) async fn run(arguments: &Arguments, output: &Output, dht: Dht) -> Result<(), Failure> {
    let network = arguments.network.network();
    let mut checks = Vec::new();
    let mut report = |check: Check| {
        let mark = if check.failed.is_some() { "FAIL" } else { "ok  " };
        output.line(&format!("{mark} {:<10} {}", check.name, check.found));
        if let Some(advice) = &check.advice {
            output.line(&format!("     {:<10} {advice}", ""));
        }
        checks.push(check);
    };
    let joined = timeout(PATIENCE, dht.bootstrapped()).await;
    let stats = dht.stats().await;
    let traffic = format!(
        "{} datagrams sent, {} received",
        stats.datagrams_sent, stats.datagrams_received
    );
    report(match stats.datagrams_received {
        0 => Check::failed("udp", Exit::NoNetwork, traffic)
            .advice("nothing comes back: check the connection, and that no firewall blocks UDP"),
        _ => Check::passed("udp", traffic),
    });
    let asked = network.bootstrap.join(", ");
    report(match joined {
        Ok(Ok(_)) => {
            let found = format!("joined, {} nodes known", stats.nodes);
            Check::passed("bootstrap", found).data(json!({"nodes": stats.nodes}))
        }
        _ => Check::failed("bootstrap", Exit::NoNetwork, format!("no answer from {asked}")).advice(
            "name nodes that run with --bootstrap HOST:PORT, or --local for a network on this computer",
        ),
    });
    let samples = sample(&dht).await;
    let nat = judge(&samples, stats.firewalled);
    report(address(&samples));
    report(nat_check(nat, &samples));
    report(lan(dht.local_addr()));
    report(reachability(nat));
    if let Some(server) = &arguments.server {
        for check in reach(arguments, &dht, server).await {
            report(check);
        }
    }
    dht.close().await;
    let wrong = checks.iter().find_map(|check| Some((check.failed?, check.name)));
    let list = checks.iter().map(|check| {
        json!({
            "check": check.name,
            "ok": check.failed.is_none(),
            "found": check.found,
            "advice": check.advice,
            "data": check.data,
        })
    });
    output.json(&json!({
        "checks": list.collect::<Vec<_>>(),
        "failed": wrong.map(|(_, name)| name),
    }));
    match wrong {
        None => Ok(()),
        Some((exit, name)) => Err(Failure::new(exit, format!("{name} is not as it should be")).told()),
    }
}

/// Asks several nodes how they see us.
async fn sample(dht: &Dht) -> Vec<(SocketAddrV4, SocketAddrV4)> {
    let mut samples = Vec::new();
    for node in dht.known_nodes().await.into_iter().take(SAMPLES) {
        if let Ok(pong) = dht.ping(node).await {
            samples.push((node, pong.seen_as));
        }
    }
    samples
}

/// Judges the NAT by whether everybody sees the same port.
fn judge(samples: &[(SocketAddrV4, SocketAddrV4)], firewalled: bool) -> Firewall {
    let same = |of: SocketAddrV4| samples.iter().filter(|(_, seen)| *seen == of).count();
    let most = samples.iter().map(|(_, seen)| same(*seen)).max();
    match most.unwrap_or(0) {
        _ if !firewalled => Firewall::Open,
        most if samples.len() >= 3 && most * 2 > samples.len() => Firewall::Consistent,
        _ if samples.len() >= 3 => Firewall::Random,
        _ => Firewall::Unknown,
    }
}

fn address(samples: &[(SocketAddrV4, SocketAddrV4)]) -> Check {
    match samples.first() {
        Some((node, seen)) => Check::passed("address", format!("{node} sees us as {seen}")),
        None => Check::failed("address", Exit::NoNetwork, "nobody has told how they see us"),
    }
}

fn nat_check(nat: Firewall, samples: &[(SocketAddrV4, SocketAddrV4)]) -> Check {
    let seen: Vec<String> = samples.iter().map(|(_, seen)| seen.to_string()).collect();
    let evidence = seen.join(", ");
    let data = samples
        .iter()
        .map(|(node, seen)| json!({"node": node.to_string(), "seen_as": seen.to_string()}));
    let data = json!({"kind": nat.to_string(), "samples": data.collect::<Vec<_>>()});
    let check = match nat {
        Firewall::Open => Check::passed("nat", "none in the way"),
        Firewall::Consistent => Check::passed("nat", format!("one port for everybody: {evidence}")),
        Firewall::Random => Check::passed("nat", format!("another port for each destination: {evidence}"))
            .advice(
                "peers behind such a NAT as well are only reached through a relay: name one with --relay KEY",
            ),
        Firewall::Unknown => Check::failed(
            "nat",
            Exit::NoNetwork,
            format!("only {} nodes have told how they see us", samples.len()),
        )
        .advice("a NAT is judged by at least three nodes: join a larger network"),
    };
    check.data(data)
}

fn lan(local: SocketAddrV4) -> Check {
    let mut addresses: Vec<String> = Vec::new();
    if local.ip().is_unspecified() {
        for interface in if_addrs::get_if_addrs().unwrap_or_default() {
            if let IpAddr::V4(ip) = interface.ip()
                && !ip.is_loopback()
            {
                addresses.push(SocketAddrV4::new(ip, local.port()).to_string());
            }
        }
    } else {
        addresses.push(local.to_string());
    }
    match addresses.is_empty() {
        true => Check::failed("lan", Exit::NoNetwork, "no interface has an IPv4 address")
            .advice("connect this computer to a network"),
        false => Check::passed("lan", addresses.join(", ")),
    }
}

fn reachability(nat: Firewall) -> Check {
    match nat {
        Firewall::Open => Check::passed("reachable", "by anybody, directly"),
        Firewall::Consistent => Check::passed("reachable", "by punching, from all kinds of NAT"),
        Firewall::Random => Check::passed("reachable", "by punching, but not from behind another such NAT"),
        Firewall::Unknown => Check::failed("reachable", Exit::NoPath, "not known without knowing the NAT"),
    }
}

/// Connects to the server and tells how far that came.
async fn reach(arguments: &Arguments, dht: &Dht, server: &ServerAddress) -> Vec<Check> {
    let mut connect = dht
        .connect(&server.key)
        .addresses(server.nodes.iter().copied())
        .timeout(arguments.timeout);
    if let Some(relay) = &arguments.relay {
        connect = connect.relay_through(relay);
    }
    let outcome = connect.await;
    let (report, unheard) = match &outcome {
        // Where it says to be reachable, only its answer shows that it is.
        Ok(connection) => {
            let answered = connection.answered().await;
            (Some(connection.report().clone()), answered.err())
        }
        Err(error) => (error.report().cloned(), None),
    };
    let Some(report) = report else {
        return vec![Check::failed(
            "server",
            Exit::Internal,
            "the node has been closed",
        )];
    };
    let failure = outcome.err();
    let exit = |default| match &failure {
        Some(ConnectError::Incompatible { .. } | ConnectError::Protocol { .. }) => Exit::Protocol,
        Some(ConnectError::Refused { .. }) => Exit::Refused,
        Some(ConnectError::TimedOut { .. }) => Exit::TimedOut,
        _ => default,
    };
    let why = failure.as_ref().map(ToString::to_string).unwrap_or_default();
    let found = format!(
        "{} of {} nodes know the server",
        report.records_found, report.nodes_answered
    );
    if report.records_found == 0 && report.handshake.is_none() {
        let check = Check::failed("lookup", exit(Exit::NotFound), found).advice(
            "is the server running, and on the same network? compare --bootstrap or --local of both sides",
        );
        return vec![check.data(explain::as_json(&report))];
    }
    let mut checks = vec![Check::passed("lookup", found)];
    let advice = match &failure {
        Some(ConnectError::Incompatible { .. }) => Some(UPDATE),
        Some(ConnectError::Protocol { .. }) => Some("ask its operator what runs there"),
        _ if report.handshake.is_none() => {
            Some("it has gone away a moment ago, or does not want this identity: ask its operator")
        }
        _ => None,
    };
    if let Some(advice) = advice {
        let check = Check::failed("handshake", exit(Exit::NotFound), why).advice(advice);
        checks.push(check.data(explain::as_json(&report)));
        return checks;
    }
    let proven = report.handshake.unwrap_or_default();
    checks.push(Check::passed(
        "handshake",
        format!(
            "the server has proven its key after {:.0} ms",
            proven.as_secs_f64() * 1e3
        ),
    ));
    checks.push(
        match (report.path, unheard) {
            (_, Some(error)) => {
                let check = Check::failed("path", Exit::NoPath, error.to_string());
                match error {
                    StreamError::Unreachable { .. } => check.advice(LET_THROUGH),
                    _ => check,
                }
            }
            (Some(path), None) => Check::passed("path", explain::path(path)),
            (None, None) => Check::failed("path", exit(Exit::NoPath), why).advice(NAME_A_RELAY),
        }
        .data(explain::as_json(&report)),
    );
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nat_is_judged_by_what_most_nodes_see() {
        let samples = |ports: &[u16]| -> Vec<(SocketAddrV4, SocketAddrV4)> {
            let at = |ip: u8, port| SocketAddrV4::new([25, 0, 0, ip].into(), port);
            let seen = ports.iter().enumerate();
            seen.map(|(index, port)| (at(index as u8, 1), at(99, *port)))
                .collect()
        };
        assert_eq!(judge(&samples(&[5, 5, 5]), true), Firewall::Consistent);
        assert_eq!(judge(&samples(&[5, 5, 6]), true), Firewall::Consistent);
        assert_eq!(judge(&samples(&[5, 6, 7, 8]), true), Firewall::Random);
        assert_eq!(judge(&samples(&[5, 5]), true), Firewall::Unknown);
        assert_eq!(judge(&[], true), Firewall::Unknown);
        assert_eq!(judge(&samples(&[5]), false), Firewall::Open);
    }
}
