//! What happened on the way to the server: for people line by line, and as data.

use std::net::SocketAddrV4;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{Path, Report, Stage, Strategy};

/// Returns the course of an attempt, one line for each step. `reached` tells whether a path was found.
pub(super) fn timeline(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = |at: Option<Duration>, text: String| {
        let at = at.map_or_else(|| "-".into(), milliseconds);
        lines.push(format!("{at:>9}  {text}"));
    };
    match report.joined {
        Some(Duration::ZERO) => line(Some(Duration::ZERO), "in the DHT already".into()),
        Some(at) => line(Some(at), "joined the DHT".into()),
        None if report.stage == Stage::Bootstrap => line(None, "not in the DHT".into()),
        // A node that was named or remembered has led to the server.
        None => line(None, "the DHT was not waited for".into()),
    }
    if report.nodes_asked > 0 || report.nodes_answered > 0 {
        let text = format!(
            "lookup: {} of {} nodes answered, {} know the server",
            report.nodes_answered,
            report.nodes_asked.max(report.nodes_answered),
            report.records_found
        );
        line(report.lookup, text);
    }
    for exchange in &report.exchanges {
        let outcome = match exchange.answered {
            Some(at) => format!(
                "answered after {}",
                milliseconds(at.saturating_sub(exchange.started))
            ),
            // Once one has brought the server's answer, the others are called off.
            None if report.handshake.is_some_and(|at| exchange.started < at) => "called off".into(),
            None => "no answer".into(),
        };
        // Once the server has answered, it is only looked for nearby.
        let nearby = report.handshake.is_some_and(|at| exchange.started >= at);
        let what = if nearby {
            "the server in the local network, at"
        } else if report.remembered == Some(exchange.node) {
            "handshake with the server where it was last, at"
        } else {
            "handshake through"
        };
        let text = format!("{what} {}: {outcome}", exchange.node);
        line(Some(exchange.started), text);
    }
    if let Some(at) = report.unreachable {
        let text = "the server does not reach us, though we took ourselves to be publicly reachable: shaking hands anew, to punch";
        line(Some(at), text.into());
    }
    if let Some(at) = report.handshake {
        line(Some(at), "the server has proven its key".into());
    }
    if let Some((address, at)) = report.unanswered {
        let text =
            format!("the server says that anybody can reach it at {address}, and does not answer there");
        line(Some(at), text);
    }
    if let (Some(own), Some(server)) = (report.own_address, report.server_address) {
        line(
            None,
            format!("seen from there: we are {own}, the server is {server}"),
        );
    }
    if let (Some(own), Some(server)) = (report.own_nat, report.remote_nat) {
        let strategy = report.strategy.map(|strategy| format!("; {}", plan(strategy)));
        let text = format!(
            "our NAT: {own}{}, the server's: {server}{}{}; {} probes sent",
            evidence("seen as ", report.own_samples.iter().map(|(_, seen)| *seen)),
            evidence("", report.remote_addresses.iter().copied()),
            strategy.unwrap_or_default(),
            report.probes_sent
        );
        line(None, text);
    }
    if let Some(lost) = report.punch_lost {
        line(None, format!("punching failed: {lost}"));
    }
    if let Some(relay) = &report.relay {
        let paired = match report.relay_paired {
            Some(_) => "the server is there",
            None => "not paired",
        };
        line(report.relay_paired, format!("relay {}: {paired}", relay.short()));
    }
    match report.path {
        Some(found) => line(Some(report.total), format!("connected: {}", path(found))),
        None => line(Some(report.total), format!("gave up while {}", report.stage)),
    }
    lines
}

/// Returns the course of an attempt as data; times are milliseconds from its start.
pub(super) fn as_json(report: &Report) -> Value {
    let time = |at: Option<Duration>| at.map(|at| at.as_secs_f64() * 1e3);
    let exchanges = report.exchanges.iter().map(|exchange| {
        json!({
            "node": exchange.node.to_string(),
            "started": time(Some(exchange.started)),
            "answered": time(exchange.answered),
        })
    });
    json!({
        "stage": report.stage.name(),
        "total": time(Some(report.total)),
        "joined": time(report.joined),
        "lookup": {
            "found": time(report.lookup),
            "nodes_asked": report.nodes_asked,
            "nodes_answered": report.nodes_answered,
            "records_found": report.records_found,
        },
        "handshake": {
            "proven": time(report.handshake),
            "through": exchanges.collect::<Vec<_>>(),
            "remembered": report.remembered.map(|address| address.to_string()),
            "own_address": report.own_address.map(|address| address.to_string()),
            "server_address": report.server_address.map(|address| address.to_string()),
            "unreachable": time(report.unreachable),
            "unanswered": report.unanswered.map(|(address, at)| {
                json!({"address": address.to_string(), "after": time(Some(at))})
            }),
        },
        "punch": report.own_nat.map(|own| {
            json!({
                "own_nat": own.to_string(),
                "own_samples": report.own_samples.iter().map(|(node, seen)| {
                    json!({"node": node.to_string(), "seen_as": seen.to_string()})
                }).collect::<Vec<_>>(),
                "server_nat": report.remote_nat.map(|nat| nat.to_string()),
                "server_addresses": report.remote_addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "strategy": report.strategy.map(plan),
                "probes_sent": report.probes_sent,
                "lost": report.punch_lost.map(|lost| lost.to_string()),
            })
        }),
        "relay": report.relay.map(|relay| {
            json!({"public_key": relay.to_z32(), "paired": time(report.relay_paired)})
        }),
        "path": report.path.map(|(path, address)| {
            json!({"kind": word(path), "address": address.to_string()})
        }),
    })
}

/// Returns how packets travel and to where, in words.
pub(super) fn path((path, address): (Path, SocketAddrV4)) -> String {
    format!("{} to {address}", words(path))
}

const fn word(path: Path) -> &'static str {
    match path {
        Path::Direct => "direct",
        Path::Lan => "lan",
        Path::Relayed => "relayed",
    }
}

const fn words(path: Path) -> &'static str {
    match path {
        Path::Direct => "directly",
        Path::Lan => "over the local network",
        Path::Relayed => "through a relay",
    }
}

/// Returns the addresses that a judgement rests on, in brackets, each with how often it was told.
fn evidence(what: &str, addresses: impl Iterator<Item = SocketAddrV4>) -> String {
    let mut counts: Vec<(SocketAddrV4, usize)> = Vec::new();
    for address in addresses {
        match counts.iter_mut().find(|(known, _)| *known == address) {
            Some((_, count)) => *count += 1,
            None => counts.push((address, 1)),
        }
    }
    let all = counts.iter().map(|(address, count)| {
        let address = match address.port() {
            0 => address.ip().to_string(),
            _ => address.to_string(),
        };
        match count {
            1 => address,
            count => format!("{address} by {count} nodes"),
        }
    });
    let all: Vec<String> = all.collect();
    if all.is_empty() {
        return String::new();
    }
    format!(" ({what}{})", all.join(", "))
}

const fn plan(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Consistent => "probes to each known address",
        Strategy::ManySockets => "many sockets to one address",
        Strategy::RandomPorts => "one socket to many ports",
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Exchange, Firewall, Lost};

    #[test]
    fn a_timeline_tells_each_step_and_how_it_ended() {
        let node = "25.0.1.1:49737".parse().unwrap();
        let mut report = Report {
            total: Duration::from_millis(4200),
            stage: Stage::Handshake,
            joined: Some(Duration::ZERO),
            lookup: Some(Duration::from_millis(3)),
            nodes_asked: 8,
            nodes_answered: 7,
            records_found: 1,
            exchanges: vec![Exchange {
                node,
                started: Duration::from_millis(3),
                answered: None,
            }],
            ..Report::default()
        };
        let lines = timeline(&report);
        assert_eq!(lines.len(), 4);
        assert!(lines[1].contains("7 of 8 nodes answered, 1 know"), "{lines:?}");
        assert!(
            lines[2].contains("3.0 ms  handshake through 25.0.1.1:49737: no answer"),
            "{lines:?}"
        );
        assert!(
            lines[3].ends_with("gave up while shaking hands with the server"),
            "{lines:?}"
        );
        assert_eq!(as_json(&report)["stage"], "handshake");
        assert_eq!(as_json(&report)["path"], Value::Null);
        assert_eq!(as_json(&report)["punch"], Value::Null);

        report.own_nat = Some(Firewall::Consistent);
        report.remote_nat = Some(Firewall::Random);
        report.strategy = Some(Strategy::RandomPorts);
        report.punch_lost = Some(Lost::NoProbe);
        let own = "92.0.0.1:5000".parse().unwrap();
        report.own_samples = vec![(node, own); 3];
        report.remote_addresses = vec!["93.0.0.1:0".parse().unwrap(), own];
        let lines = timeline(&report);
        let told = "consistent (seen as 92.0.0.1:5000 by 3 nodes), the server's: random (93.0.0.1, 92.0.0.1:5000); one socket";
        assert!(lines[3].contains(told), "{lines:?}");
        let data = &as_json(&report)["punch"];
        assert_eq!(data["own_samples"][2]["seen_as"], "92.0.0.1:5000");
        assert_eq!(data["server_addresses"][0], "93.0.0.1:0");
        assert!(lines[4].ends_with("no probe came through"), "{lines:?}");
        assert_eq!(as_json(&report)["punch"]["server_nat"], "random");

        for (stage, told) in [
            (Stage::Bootstrap, "not in the DHT"),
            (Stage::Path, "the DHT was not waited for"),
        ] {
            (report.joined, report.stage) = (None, stage);
            assert!(timeline(&report)[0].ends_with(told));
        }

        report.remembered = Some(node);
        assert!(timeline(&report)[2].contains("with the server where it was last, at 25.0.1.1"));
        assert_eq!(as_json(&report)["handshake"]["remembered"], node.to_string());

        report.handshake = Some(Duration::from_millis(4));
        assert!(timeline(&report)[2].ends_with("at 25.0.1.1:49737: called off"));
        report.handshake = None;

        report.unreachable = Some(Duration::from_millis(2500));
        assert!(timeline(&report)[3].contains("2500.0 ms  the server does not reach us"));
        assert_eq!(as_json(&report)["handshake"]["unreachable"], 2500.0);

        report.unanswered = Some((node, Duration::from_millis(1500)));
        let line = &timeline(&report)[4];
        assert!(
            line.ends_with("can reach it at 25.0.1.1:49737, and does not answer there"),
            "{line}"
        );
        let told = &as_json(&report)["handshake"]["unanswered"];
        assert_eq!(told["after"], 1500.0);
        report.unanswered = None;

        report.handshake = Some(Duration::from_millis(3));
        let line = &timeline(&report)[2];
        assert!(
            line.ends_with("the server in the local network, at 25.0.1.1:49737: no answer"),
            "{line}"
        );
        report.handshake = None;

        report.path = Some((Path::Lan, node));
        assert!(timeline(&report)[6].contains("over the local network to 25.0.1.1"));
        assert_eq!(as_json(&report)["path"]["kind"], "lan");
    }
}
