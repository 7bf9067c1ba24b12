//! Shows the report of an attempt to connect: as lines for people, and as JSON.

use std::net::SocketAddrV4;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{ConnectionStats, Exchange, Path, Report, Stage, Strategy};

/// A step of an attempt: when it ended, counted from the attempt's start, if that is known.
type Step = (Option<Duration>, String);

/// Returns the course of an attempt, one line per step.
pub(super) fn timeline(report: &Report) -> Vec<String> {
    let mut steps = vec![joined(report)];
    steps.extend(lookup(report));
    steps.extend(report.exchanges.iter().map(|exchange| handshake(report, exchange)));
    steps.extend(handshake_outcome(report));
    steps.extend(punch(report));
    steps.extend(relay(report));
    steps.push(end(report));
    steps.into_iter().map(line).collect()
}

fn line((at, text): Step) -> String {
    let at = at.map_or_else(|| "-".into(), milliseconds);
    format!("{at:>9}  {text}")
}

fn joined(report: &Report) -> Step {
    let text = match report.joined {
        Some(Duration::ZERO) => "in the DHT already",
        Some(_) => "joined the DHT",
        None if report.stage == Stage::Bootstrap => "not in the DHT",
        // A node that was named or remembered has led to the server.
        None => "the DHT was not waited for",
    };
    (report.joined, text.into())
}

fn lookup(report: &Report) -> Option<Step> {
    let asked = report.nodes_asked.max(report.nodes_answered);
    let text = format!(
        "lookup: {} of {asked} nodes answered, {} know the server",
        report.nodes_answered, report.records_found
    );
    (asked > 0).then_some((report.lookup, text))
}

fn handshake(report: &Report, exchange: &Exchange) -> Step {
    let outcome = match exchange.answered {
        Some(at) => format!("answered after {}", milliseconds(at.saturating_sub(exchange.started))),
        // The first answer of the server ends the other handshakes.
        None if report.handshake.is_some_and(|at| exchange.started < at) => "called off".into(),
        None => "no answer".into(),
    };
    // A handshake that starts after the server's answer checks an address in the local network.
    let nearby = report.handshake.is_some_and(|at| exchange.started >= at);
    let what = if nearby {
        "the server in the local network, at"
    } else if report.remembered == Some(exchange.node) {
        "handshake with the server where it was last, at"
    } else {
        "handshake through"
    };
    (Some(exchange.started), format!("{what} {}: {outcome}", exchange.node))
}

fn handshake_outcome(report: &Report) -> impl Iterator<Item = Step> {
    let unreachable = report.unreachable.map(|at| {
        let text = "the server does not reach this computer, though it seemed publicly reachable: \
                    shaking hands again, to punch";
        (Some(at), text.to_owned())
    });
    let proven = report.handshake.map(|at| (Some(at), "the server has proven its key".to_owned()));
    let unanswered = report.unanswered.map(|(address, at)| {
        let text = format!("the server claims to be reachable at {address}, and does not answer there");
        (Some(at), text)
    });
    let seen = report.own_address.zip(report.server_address);
    let seen = seen.map(|(own, server)| {
        let text = format!("seen from there: this computer is {own}, the server is {server}");
        (None, text)
    });
    [unreachable, proven, unanswered, seen].into_iter().flatten()
}

fn punch(report: &Report) -> impl Iterator<Item = Step> {
    let nats = report.own_nat.zip(report.remote_nat).map(|(own, server)| {
        let strategy = report.strategy.map(|strategy| format!("; {}", plan(strategy)));
        let text = format!(
            "our NAT: {own}{}, the server's: {server}{}{}; {} probes sent",
            evidence("seen as ", report.own_samples.iter().map(|(_, seen)| *seen)),
            evidence("", report.remote_addresses.iter().copied()),
            // Without one nothing more is said.
            strategy.unwrap_or_default(),
            report.probes_sent
        );
        (None, text)
    });
    let failed = report.punch_lost.map(|lost| (None, format!("punching failed: {lost}")));
    nats.into_iter().chain(failed)
}

fn relay(report: &Report) -> Option<Step> {
    let relay = report.relay.as_ref()?;
    let paired = match report.relay_paired {
        Some(_) => "the server is there",
        None => "not paired",
    };
    Some((report.relay_paired, format!("relay {}: {paired}", relay.short())))
}

fn end(report: &Report) -> Step {
    let text = match report.path {
        Some(found) => format!("connected: {}", path(found)),
        None => format!("gave up while {}", report.stage),
    };
    (Some(report.total), text)
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
    let addresses = report.remote_addresses.iter().map(ToString::to_string);
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
                "server_addresses": addresses.collect::<Vec<_>>(),
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

/// Returns what a connection has measured, as the last line of a timeline.
pub(super) fn measured(stats: &ConnectionStats) -> String {
    let traffic = &stats.traffic;
    let trip = match (stats.round_trip, stats.round_trip_minimum) {
        (Some(usual), Some(shortest)) => {
            format!("round trip {}, at least {}", milliseconds(usual), milliseconds(shortest))
        }
        _ => "round trip not measured".into(),
    };
    let text = format!(
        "{trip}; {} packets sent, {} of them lost, {} received; up to {} bytes of data in a packet",
        traffic.packets_sent, traffic.packets_lost, traffic.packets_received, stats.packet_payload
    );
    line((None, text))
}

/// Returns the same as data; times are milliseconds.
pub(super) fn measured_as_json(stats: &ConnectionStats) -> Value {
    let time = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
    let traffic = &stats.traffic;
    json!({
        "round_trip": time(stats.round_trip),
        "round_trip_minimum": time(stats.round_trip_minimum),
        "round_trip_variation": time(stats.round_trip_variation),
        "packets_sent": traffic.packets_sent,
        "packets_lost": traffic.packets_lost,
        "packets_resent": traffic.packets_resent,
        "packets_received": traffic.packets_received,
        "bytes_sent": traffic.bytes_sent,
        "bytes_received": traffic.bytes_received,
        "packet_payload": stats.packet_payload,
    })
}

/// Returns how packets travel and to which address, in words.
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

/// Returns the distinct addresses in brackets, each with the number of nodes that reported it.
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
    use crate::api::{Firewall, Lost, Traffic};

    fn node() -> SocketAddrV4 {
        "25.0.1.1:49737".parse().unwrap()
    }

    /// An attempt whose only handshake got no answer.
    fn unanswered() -> Report {
        Report {
            total: Duration::from_millis(4200),
            stage: Stage::Handshake,
            joined: Some(Duration::ZERO),
            lookup: Some(Duration::from_millis(3)),
            nodes_asked: 8,
            nodes_answered: 7,
            records_found: 1,
            exchanges: vec![Exchange { node: node(), started: Duration::from_millis(3), answered: None }],
            ..Report::default()
        }
    }

    #[track_caller]
    fn assert_line(report: &Report, index: usize, end: &str) {
        let lines = timeline(report);
        assert!(lines[index].ends_with(end), "{lines:#?}");
    }

    #[test]
    fn a_timeline_names_each_step_and_how_it_ended() {
        let mut report = unanswered();
        assert_eq!(timeline(&report).len(), 4);
        assert_line(&report, 1, "7 of 8 nodes answered, 1 know the server");
        assert_line(&report, 2, "3.0 ms  handshake through 25.0.1.1:49737: no answer");
        assert_line(&report, 3, "gave up while shaking hands with the server");
        assert_eq!(as_json(&report)["stage"], "handshake");
        assert_eq!(as_json(&report)["path"], Value::Null);
        assert_eq!(as_json(&report)["punch"], Value::Null);
        for (stage, text) in
            [(Stage::Bootstrap, "not in the DHT"), (Stage::Path, "the DHT was not waited for")]
        {
            (report.joined, report.stage) = (None, stage);
            assert_line(&report, 0, text);
        }
        report.path = Some((Path::Lan, node()));
        assert_line(&report, 3, "over the local network to 25.0.1.1:49737");
        assert_eq!(as_json(&report)["path"]["kind"], "lan");
    }

    #[test]
    fn a_connection_shows_its_round_trip_its_losses_and_the_size_of_its_packets() {
        let traffic = Traffic { packets_sent: 9, packets_lost: 2, packets_received: 7, ..Traffic::default() };
        let mut stats = ConnectionStats {
            path: Path::Direct,
            round_trip: Some(Duration::from_micros(20_500)),
            round_trip_minimum: Some(Duration::from_millis(18)),
            round_trip_variation: Some(Duration::from_millis(2)),
            traffic,
            packet_payload: 1452,
            congestion_window: 0,
            in_flight: 0,
            bandwidth: None,
            pacing_rate: 0,
            congestion_phase: "startup",
        };
        let end = "20.5 ms, at least 18.0 ms; 9 packets sent, 2 of them lost, 7 received; up to 1452 bytes \
                   of data in a packet";
        assert!(measured(&stats).ends_with(end), "{}", measured(&stats));
        let data = measured_as_json(&stats);
        assert_eq!((&data["round_trip"], &data["packets_lost"]), (&json!(20.5), &json!(2)));
        assert_eq!((&data["round_trip_variation"], &data["packet_payload"]), (&json!(2.0), &json!(1452)));
        stats.round_trip = None;
        assert!(measured(&stats).contains("-  round trip not measured; 9 packets"), "{}", measured(&stats));
        assert_eq!(measured_as_json(&stats)["round_trip"], Value::Null);
    }

    #[test]
    fn a_handshake_is_named_by_what_it_was_for() {
        let mut report = unanswered();
        report.remembered = Some(node());
        assert_line(&report, 2, "with the server where it was last, at 25.0.1.1:49737: no answer");
        assert_eq!(as_json(&report)["handshake"]["remembered"], node().to_string());
        report.handshake = Some(Duration::from_millis(4));
        assert_line(&report, 2, "at 25.0.1.1:49737: called off");
        report.handshake = Some(Duration::from_millis(3));
        assert_line(&report, 2, "the server in the local network, at 25.0.1.1:49737: no answer");
    }

    #[test]
    fn an_address_that_does_not_answer_is_named() {
        let mut report = unanswered();
        report.unreachable = Some(Duration::from_millis(2500));
        let line = &timeline(&report)[3];
        assert!(line.contains("2500.0 ms  the server does not reach this computer, though"), "{line}");
        assert_eq!(as_json(&report)["handshake"]["unreachable"], 2500.0);
        report.unanswered = Some((node(), Duration::from_millis(1500)));
        assert_line(&report, 4, "claims to be reachable at 25.0.1.1:49737, and does not answer there");
        assert_eq!(as_json(&report)["handshake"]["unanswered"]["after"], 1500.0);
    }

    #[test]
    fn a_punch_is_shown_with_the_addresses_it_rests_on() {
        let own = "92.0.0.1:5000".parse().unwrap();
        let report = Report {
            own_nat: Some(Firewall::Consistent),
            remote_nat: Some(Firewall::Random),
            strategy: Some(Strategy::RandomPorts),
            punch_lost: Some(Lost::NoProbe),
            own_samples: vec![(node(), own); 3],
            remote_addresses: vec!["93.0.0.1:0".parse().unwrap(), own],
            ..unanswered()
        };
        assert_line(
            &report,
            3,
            "our NAT: consistent (seen as 92.0.0.1:5000 by 3 nodes), the server's: random \
             (93.0.0.1, 92.0.0.1:5000); one socket to many ports; 0 probes sent",
        );
        assert_line(&report, 4, "no probe came through");
        let data = &as_json(&report)["punch"];
        assert_eq!(data["own_samples"][2]["seen_as"], "92.0.0.1:5000");
        assert_eq!(data["server_addresses"][0], "93.0.0.1:0");
        assert_eq!(data["server_nat"], "random");
    }
}
