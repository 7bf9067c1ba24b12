//! `profile-client doctor`: checks what works between this computer, the network and the server, and advises
//! on what does not.

use std::io;
use std::net::{IpAddr, SocketAddrV4};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::super::exit::{CHECK_ADDRESS, Exit, Failure, LET_THROUGH, NAME_A_RELAY, UPDATE};
use super::super::output::Output;
use super::args::Arguments;
use super::explain;
use crate::api::{BootstrapError, ConnectError, Firewall, Report, Stats, StreamError};
use crate::{ConnectAddress, Dht};

/// Nodes that are asked for the address they see.
const SAMPLES: usize = 6;
/// How long joining the network may take.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The outcome of one check.
struct Check {
    name: &'static str,
    /// The exit code of the program, if the check failed.
    failed: Option<Exit>,
    found: String,
    advice: Option<String>,
    data: Value,
}

impl Check {
    fn passed(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, failed: None, found: found.into(), advice: None, data: Value::Null }
    }

    fn failed(name: &'static str, exit: Exit, found: impl Into<String>) -> Self {
        Self { failed: Some(exit), ..Self::passed(name, found) }
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

/// Checks the network and, if one is named, the server, and prints a line per check. Fails with the code of
/// the first check that fails.
pub(super) async fn run(arguments: &Arguments, output: &Output, dht: Dht) -> Result<(), Failure> {
    let mut checks = Checks { output, done: Vec::new() };
    match arguments.server_addr {
        // The DHT is not asked then.
        Some(_) => checks.add(lan(dht.local_addr(), interfaces)),
        None => check_network(arguments, &dht, &mut checks).await?,
    }
    if let Some(server) = &arguments.server {
        let spinner = output.spinner(&format!("connecting to {server}"));
        let reached = reach(arguments, &dht, server).await;
        drop(spinner);
        for check in reached {
            checks.add(check);
        }
    }
    dht.close().await;
    checks.finish()
}

async fn check_network(arguments: &Arguments, dht: &Dht, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let network = arguments.network.network();
    let spinner = checks.output.spinner("joining the network");
    let joined = match timeout(JOIN_TIMEOUT, dht.bootstrapped()).await {
        Ok(Err(error @ BootstrapError::Closed)) => return Err(error.into()),
        joined => matches!(joined, Ok(Ok(_))),
    };
    let stats = dht.stats().await;
    drop(spinner);
    checks.add(udp(&stats));
    checks.add(bootstrap(joined, &stats, &network.bootstrap));
    let spinner = checks.output.spinner("asking nodes for the address that they see");
    let samples = sample(dht).await;
    drop(spinner);
    let nat = judge(&samples, stats.firewalled);
    checks.add(address(&samples));
    checks.add(nat_check(nat, &samples));
    checks.add(lan(dht.local_addr(), interfaces));
    checks.add(reachability(nat));
    Ok(())
}

/// The checks so far, each printed when it is added.
struct Checks<'a> {
    output: &'a Output,
    done: Vec<Check>,
}

impl Checks<'_> {
    fn add(&mut self, check: Check) {
        let mark = if check.failed.is_some() { "FAIL" } else { "ok  " };
        let texts = [Some(&check.found), check.advice.as_ref()];
        let texts: Vec<_> = texts.into_iter().flatten().collect();
        self.output.beside(&format!("{mark} {:<10}", check.name), &texts);
        self.done.push(check);
    }

    fn finish(self) -> Result<(), Failure> {
        let wrong = self.done.iter().find_map(|check| Some((check.failed?, check.name)));
        let list = self.done.iter().map(|check| {
            json!({
                "check": check.name,
                "ok": check.failed.is_none(),
                "found": check.found,
                "advice": check.advice,
                "data": check.data,
            })
        });
        self.output.json(&json!({
            "checks": list.collect::<Vec<_>>(),
            "failed": wrong.map(|(_, name)| name),
        }));
        match wrong {
            None => Ok(()),
            Some((exit, name)) => Err(Failure::new(exit, format!("the check of {name} failed")).printed()),
        }
    }
}

fn udp(stats: &Stats) -> Check {
    let traffic = format!("{} datagrams sent, {} received", stats.datagrams_sent, stats.datagrams_received);
    match (stats.datagrams_sent, stats.datagrams_received) {
        (0, 0) => Check::failed("udp", Exit::NoNetwork, traffic)
            .advice("nothing was sent: check the connection, and that the bootstrap nodes' names resolve"),
        (_, 0) => Check::failed("udp", Exit::NoNetwork, traffic)
            .advice("nothing comes back: check the connection, and that no firewall blocks UDP"),
        _ => Check::passed("udp", traffic),
    }
}

fn bootstrap(joined: bool, stats: &Stats, asked: &[String]) -> Check {
    if joined {
        let found = format!("joined, {} nodes known", stats.nodes);
        return Check::passed("bootstrap", found).data(json!({"nodes": stats.nodes}));
    }
    let found = format!("no answer from {}", asked.join(", "));
    Check::failed("bootstrap", Exit::NoNetwork, found)
        .advice("name nodes that run with --bootstrap HOST:PORT, or --local for a network on this computer")
}

/// Asks several nodes which address they see; returns node and address.
async fn sample(dht: &Dht) -> Vec<(SocketAddrV4, SocketAddrV4)> {
    let mut samples = Vec::new();
    for node in dht.known_nodes().await.into_iter().take(SAMPLES) {
        // One that does not answer is no sample; too few of them are reported.
        if let Ok(pong) = dht.ping(node).await {
            samples.push((node, pong.seen_as));
        }
    }
    samples
}

/// Classifies the NAT by whether most nodes see the same address.
fn judge(samples: &[(SocketAddrV4, SocketAddrV4)], firewalled: bool) -> Firewall {
    let same = |of: SocketAddrV4| samples.iter().filter(|(_, seen)| *seen == of).count();
    let most = samples.iter().map(|(_, seen)| same(*seen)).max();
    // Without samples nothing is the same.
    match most.unwrap_or(0) {
        _ if !firewalled => Firewall::Open,
        most if samples.len() >= 3 && most * 2 > samples.len() => Firewall::Consistent,
        _ if samples.len() >= 3 => Firewall::Random,
        _ => Firewall::Unknown,
    }
}

fn address(samples: &[(SocketAddrV4, SocketAddrV4)]) -> Check {
    match samples.first() {
        Some((node, seen)) => Check::passed("address", format!("{node} sees this computer as {seen}")),
        None => Check::failed("address", Exit::NoNetwork, "no node has reported the address that it sees"),
    }
}

fn nat_check(nat: Firewall, samples: &[(SocketAddrV4, SocketAddrV4)]) -> Check {
    let seen: Vec<String> = samples.iter().map(|(_, seen)| seen.to_string()).collect();
    let evidence = seen.join(", ");
    let data = samples.iter().map(|(node, seen)| json!({"node": node, "seen_as": seen}));
    let data = json!({"kind": nat, "samples": data.collect::<Vec<_>>()});
    let check = match nat {
        Firewall::Open => Check::passed("nat", "none in the way"),
        Firewall::Consistent => {
            Check::passed("nat", format!("the same port for all destinations: {evidence}"))
        }
        Firewall::Random => Check::passed("nat", format!("another port for each destination: {evidence}"))
            .advice(
                "peers behind such a NAT as well are only reached through a relay: name one with --relay KEY",
            ),
        Firewall::Unknown => Check::failed(
            "nat",
            Exit::NoNetwork,
            format!("only {} nodes have reported the address that they see", samples.len()),
        )
        .advice("a NAT is judged by at least three nodes: join a larger network"),
    };
    check.data(data)
}

/// Returns the addresses of this computer's interfaces.
fn interfaces() -> io::Result<Vec<IpAddr>> {
    Ok(if_addrs::get_if_addrs()?.iter().map(if_addrs::Interface::ip).collect())
}

fn lan(local: SocketAddrV4, interfaces: impl FnOnce() -> io::Result<Vec<IpAddr>>) -> Check {
    let mut addresses: Vec<String> = Vec::new();
    if local.ip().is_unspecified() {
        let listed = match interfaces() {
            Ok(listed) => listed,
            Err(error) => {
                let found = format!("cannot list the interfaces of this computer: {error}");
                return Check::failed("lan", Exit::Internal, found).advice("name an address with --bind IP");
            }
        };
        for address in listed {
            if let IpAddr::V4(ip) = address
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
        Firewall::Open => Check::passed("reachable", "by all peers, directly"),
        Firewall::Consistent => Check::passed("reachable", "by punching, from all kinds of NAT"),
        Firewall::Random => Check::passed("reachable", "by punching, but not from behind another such NAT"),
        Firewall::Unknown => Check::failed("reachable", Exit::NoPath, "not known without knowing the NAT"),
    }
}

/// Connects to the server; returns a check per stage that the attempt came to.
async fn reach(arguments: &Arguments, dht: &Dht, server: &ConnectAddress) -> Vec<Check> {
    let mut connect = match arguments.server_addr {
        Some(address) => dht.connect(server.public_key()).addresses([address]).only_addresses(),
        None => dht.connect(server),
    };
    connect = connect.timeout(arguments.timeout);
    if let Some(relay) = &arguments.relay {
        connect = connect.relay_through(relay);
    }
    let outcome = connect.await;
    let (report, unheard) = match &outcome {
        // An address that the server claims is only shown to work by its answer.
        Ok(connection) => {
            let answered = connection.answered().await;
            (Some(connection.report().clone()), answered.err())
        }
        Err(error) => (error.report().cloned(), None),
    };
    let Some(report) = report else {
        return vec![Check::failed("server", Exit::Internal, "the node has been closed")];
    };
    let failure = outcome.err();
    let mut checks = Vec::new();
    if arguments.server_addr.is_none() {
        checks.push(lookup(&report, failure.as_ref()));
    }
    // A stage that was not come to has no check.
    if checks.iter().all(|check| check.failed.is_none()) {
        checks.push(handshake(&report, failure.as_ref()));
    }
    if checks.iter().all(|check| check.failed.is_none()) {
        checks.push(path(&report, failure.as_ref(), unheard));
    }
    if let Some(last) = checks.last_mut() {
        last.data = explain::as_json(&report);
    }
    checks
}

fn lookup(report: &Report, failure: Option<&ConnectError>) -> Check {
    let found = format!("{} of {} nodes know the server", report.records_found, report.nodes_answered);
    if report.records_found == 0 && report.handshake.is_none() {
        return Check::failed("lookup", exit(failure, Exit::NotFound), found).advice(
            "is the server running, and on the same network? compare --bootstrap or --local of both sides",
        );
    }
    Check::passed("lookup", found)
}

fn handshake(report: &Report, failure: Option<&ConnectError>) -> Check {
    let advice = match (failure, report.handshake) {
        (Some(ConnectError::Incompatible { .. }), _) => UPDATE,
        (Some(ConnectError::Silent { .. }), _) => CHECK_ADDRESS,
        (Some(ConnectError::Protocol { .. }), _) => "ask its operator what runs there",
        (_, None) => "it has gone away a moment ago, or does not want this identity: ask its operator",
        (_, Some(proven)) => {
            let milliseconds = proven.as_secs_f64() * 1e3;
            let found = format!("the server has proven its key after {milliseconds:.0} ms");
            return Check::passed("handshake", found);
        }
    };
    Check::failed("handshake", exit(failure, Exit::NotFound), reason(failure)).advice(advice)
}

fn path(report: &Report, failure: Option<&ConnectError>, unheard: Option<StreamError>) -> Check {
    match (report.path, unheard) {
        (_, Some(error)) => {
            let check = Check::failed("path", Exit::NoPath, error.to_string());
            match error {
                StreamError::Unreachable { .. } => check.advice(LET_THROUGH),
                _ => check,
            }
        }
        (Some((path, address)), None) => Check::passed("path", format!("{path} to {address}")),
        (None, None) => {
            Check::failed("path", exit(failure, Exit::NoPath), reason(failure)).advice(NAME_A_RELAY)
        }
    }
}

/// Returns the code of an attempt that failed, or the default where the stage alone decides.
const fn exit(failure: Option<&ConnectError>, default: Exit) -> Exit {
    match failure {
        Some(ConnectError::Incompatible { .. } | ConnectError::Protocol { .. }) => Exit::Protocol,
        Some(ConnectError::Refused { .. }) => Exit::Refused,
        Some(ConnectError::TimedOut { .. }) => Exit::TimedOut,
        Some(ConnectError::Silent { .. }) => Exit::NoPath,
        _ => default,
    }
}

fn reason(failure: Option<&ConnectError>) -> String {
    // A check that fails without a failed attempt has nothing to add.
    failure.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_that_cannot_be_listed_are_not_called_absent() {
        let local = "0.0.0.0:5".parse().unwrap();
        let check = lan(local, || Err(io::ErrorKind::PermissionDenied.into()));
        assert_eq!(check.failed, Some(Exit::Internal));
        assert!(check.found.contains("cannot list the interfaces"), "{}", check.found);
        assert_eq!(lan(local, || Ok(vec![[127, 0, 0, 1].into()])).failed, Some(Exit::NoNetwork));
        assert_eq!(lan(local, || Ok(vec![[10, 0, 0, 1].into()])).found, "10.0.0.1:5");
    }

    #[test]
    fn silence_is_told_apart_from_nothing_to_send() {
        let advice = |datagrams_sent, datagrams_received| {
            udp(&Stats { datagrams_sent, datagrams_received, ..Stats::default() }).advice.unwrap_or_default()
        };
        assert!(advice(0, 0).contains("names resolve"));
        assert!(advice(1, 0).contains("firewall"));
        assert_eq!(advice(1, 1), "");
    }

    #[test]
    fn a_nat_is_judged_by_what_most_nodes_see() {
        let samples = |ports: &[u16]| -> Vec<(SocketAddrV4, SocketAddrV4)> {
            let at = |ip: u8, port| SocketAddrV4::new([25, 0, 0, ip].into(), port);
            let seen = ports.iter().enumerate();
            seen.map(|(index, port)| (at(index as u8, 1), at(99, *port))).collect()
        };
        assert_eq!(judge(&samples(&[5, 5, 5]), true), Firewall::Consistent);
        assert_eq!(judge(&samples(&[5, 5, 6]), true), Firewall::Consistent);
        assert_eq!(judge(&samples(&[5, 6, 7, 8]), true), Firewall::Random);
        assert_eq!(judge(&samples(&[5, 5]), true), Firewall::Unknown);
        assert_eq!(judge(&[], true), Firewall::Unknown);
        assert_eq!(judge(&samples(&[5]), false), Firewall::Open);
    }
}
