//! Shows the report of an attempt to connect as JSON, and what a connection has measured.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{ConnectionStats, Report};

/// Returns the course of an attempt as data; times are milliseconds from its start.
pub(super) fn as_json(report: &Report) -> Value {
    json!({
        "stage": report.stage,
        "total": milliseconds(report.total),
        "joined": report.joined.map(milliseconds),
        "lookup": {
            "found": report.lookup.map(milliseconds),
            "nodes_asked": report.nodes_asked,
            "nodes_answered": report.nodes_answered,
            "records_found": report.records_found,
        },
        "handshake": {
            "proven": report.handshake.map(milliseconds),
            "through": report.exchanges,
            "remembered": report.remembered,
            "own_address": report.own_address,
            "server_address": report.server_address,
            "unreachable": report.unreachable.map(milliseconds),
            "unanswered": report.unanswered.map(|(address, at)| {
                json!({"address": address, "after": milliseconds(at)})
            }),
        },
        "punch": report.own_nat.map(|own| {
            json!({
                "own_nat": own,
                "own_samples": report.own_samples.iter().map(|(node, seen)| {
                    json!({"node": node, "seen_as": seen})
                }).collect::<Vec<_>>(),
                "server_nat": report.remote_nat,
                "server_addresses": report.remote_addresses,
                "strategy": report.strategy.map(|strategy| strategy.to_string()),
                "probes_sent": report.probes_sent,
                "lost": report.punch_lost.map(|lost| lost.to_string()),
            })
        }),
        "relay": report.relay.map(|relay| {
            json!({"public_key": relay, "paired": report.relay_paired.map(milliseconds)})
        }),
        "path": report.path.map(|(path, address)| json!({"kind": path, "address": address})),
    })
}

/// Returns what a connection has measured, as the last line of a timeline.
pub(super) fn measured(stats: &ConnectionStats) -> String {
    let traffic = &stats.traffic;
    let trip = match (stats.round_trip, stats.round_trip_minimum) {
        (Some(usual), Some(shortest)) => {
            let [usual, shortest] = [usual, shortest].map(milliseconds);
            format!("round trip {usual:.1} ms, at least {shortest:.1} ms")
        }
        _ => "round trip not measured".into(),
    };
    format!(
        "{:>9}  {trip}; {} packets sent, {} of them lost, {} received; up to {} bytes of data in a packet",
        "-", traffic.packets_sent, traffic.packets_lost, traffic.packets_received, stats.packet_payload
    )
}

/// Returns the same as data; times are milliseconds.
pub(super) fn measured_as_json(stats: &ConnectionStats) -> Value {
    let traffic = &stats.traffic;
    json!({
        "round_trip": stats.round_trip.map(milliseconds),
        "round_trip_minimum": stats.round_trip_minimum.map(milliseconds),
        "round_trip_variation": stats.round_trip_variation.map(milliseconds),
        "packets_sent": traffic.packets_sent,
        "packets_lost": traffic.packets_lost,
        "packets_resent": traffic.packets_resent,
        "packets_received": traffic.packets_received,
        "bytes_sent": traffic.bytes_sent,
        "bytes_received": traffic.bytes_received,
        "packet_payload": stats.packet_payload,
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV4;

    use super::*;
    use crate::api::{Exchange, Firewall, Lost, Path, Stage, Strategy, Traffic};

    fn node() -> SocketAddrV4 {
        "25.0.1.1:49737".parse().unwrap()
    }

    #[test]
    fn a_report_is_data_with_null_for_what_did_not_happen() {
        let data = as_json(&Report { stage: Stage::Handshake, ..Report::default() });
        assert_eq!(data["stage"], "handshake");
        for member in ["joined", "punch", "relay", "path"] {
            assert_eq!(data[member], Value::Null);
        }
    }

    #[test]
    fn a_report_is_data_with_what_happened() {
        let (time, own) = (Duration::from_micros(1500), "92.0.0.1:5000".parse().unwrap());
        let data = as_json(&Report {
            total: time,
            remembered: Some(node()),
            exchanges: vec![Exchange { node: node(), started: time, answered: None }],
            unreachable: Some(time),
            unanswered: Some((node(), time)),
            own_nat: Some(Firewall::Consistent),
            remote_nat: Some(Firewall::Random),
            own_samples: vec![(node(), own); 3],
            remote_addresses: vec!["93.0.0.1:0".parse().unwrap(), own],
            strategy: Some(Strategy::RandomPorts),
            punch_lost: Some(Lost::NoProbe),
            path: Some((Path::Lan, node())),
            ..Report::default()
        });
        assert_eq!(data["total"], 1.5);
        assert_eq!(
            data["handshake"],
            json!({
                "proven": null,
                "through": [{"node": "25.0.1.1:49737", "started": 1.5, "answered": null}],
                "remembered": "25.0.1.1:49737",
                "own_address": null,
                "server_address": null,
                "unreachable": 1.5,
                "unanswered": {"address": "25.0.1.1:49737", "after": 1.5},
            })
        );
        let sample = json!({"node": "25.0.1.1:49737", "seen_as": "92.0.0.1:5000"});
        assert_eq!(
            data["punch"],
            json!({
                "own_nat": "consistent",
                "own_samples": [sample, sample, sample],
                "server_nat": "random",
                "server_addresses": ["93.0.0.1:0", "92.0.0.1:5000"],
                "strategy": "one socket to many ports",
                "probes_sent": 0,
                "lost": "no probe came through",
            })
        );
        assert_eq!(data["path"], json!({"kind": "lan", "address": "25.0.1.1:49737"}));
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
}
