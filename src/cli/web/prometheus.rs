//! Counters of the nodes and of the service in the text format of Prometheus.

use std::fmt::{Display, Write as _};
use std::net::SocketAddrV4;
use std::time::Duration;

use super::view::{ShownService, View, resident_memory};
use crate::api::Stats;

/// Returns all numbers.
pub(super) async fn render(view: &View) -> String {
    let mut stats = Vec::new();
    for node in view.nodes() {
        stats.push((node.local_addr(), node.stats().await));
    }
    let mut text = String::new();
    write_nodes(&mut text, &stats);
    if let Some(service) = view.service() {
        write_service(&mut text, service);
    }
    write_process(&mut text, view.uptime(), resident_memory());
    text
}

/// Writes each metric with its help, then one line per node.
fn write_nodes(text: &mut String, nodes: &[(SocketAddrV4, Stats)]) {
    for metric in METRICS {
        head(text, metric.name, metric.kind, metric.help);
        for (node, stats) in nodes {
            line(text, metric.name, node, "", (metric.value)(stats));
        }
    }
    let name = "hyperdht_requests_received_total";
    head(text, name, "counter", "Requests received, by command.");
    for (node, stats) in nodes {
        for (layer, command, count) in stats.dht.requests_by_command() {
            let labels = format!(",layer=\"{layer}\",command=\"{command}\"");
            line(text, name, node, &labels, count);
        }
    }
    let name = "hyperdht_datagrams_dropped_total";
    head(text, name, "counter", "Datagrams dropped, by reason.");
    for (node, stats) in nodes {
        let drops = &stats.dht.drops;
        let reasons = [
            ("malformed", drops.malformed),
            ("unmatched", drops.unmatched),
            ("oversized", drops.oversized),
            ("full", drops.full),
            ("budget", drops.budget),
        ];
        for (reason, count) in reasons {
            line(text, name, node, &format!(",reason=\"{reason}\""), count);
        }
    }
}

/// Writes the numbers of a service and its store.
fn write_service(text: &mut String, service: &ShownService) {
    let (config, store) = (service.config(), service.store().stats());
    for (name, kind, help, value) in [
        ("hyperprofile_connections", "gauge", "Open connections of proven keys.", service.connections()),
        ("hyperprofile_connections_limit", "gauge", "Most of them.", config.limits.connections),
        ("hyperprofile_profiles", "gauge", "Profiles kept.", store.profiles),
    ] {
        single(text, name, kind, help, value);
    }
    let name = "hyperprofile_store_info";
    head(text, name, "gauge", "The kind of the store.");
    // Writing to a string does not fail.
    let _ = writeln!(text, "{name}{{kind=\"{}\"}} 1", service.store().kind());
    if let Some(others) = service.store().others() {
        single(text, "hyperprofile_other_servers", "gauge", "Other servers of the same key.", others);
    }
    single(text, "hyperprofile_writes_total", "counter", "Entries made durable.", store.writes);
    let name = "hyperprofile_sync_seconds";
    head(text, name, "summary", "Time in which groups of entries became durable.");
    // Writing to a string does not fail.
    let _ = writeln!(text, "{name}_sum {}\n{name}_count {}", store.sync_time.as_secs_f64(), store.syncs);
}

/// Writes the numbers of the process.
fn write_process(text: &mut String, uptime: Duration, memory: Option<u64>) {
    let seconds = uptime.as_secs_f64();
    single(text, "hyperdht_uptime_seconds", "gauge", "Time since the program was started.", seconds);
    if let Some(memory) = memory {
        single(text, "process_resident_memory_bytes", "gauge", "Memory of the process.", memory);
    }
}

/// Writes a metric that there is one of.
fn single(text: &mut String, name: &str, kind: &str, help: &str, value: impl Display) {
    head(text, name, kind, help);
    // Writing to a string does not fail.
    let _ = writeln!(text, "{name} {value}");
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string does not fail.
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn line(text: &mut String, name: &str, node: &SocketAddrV4, labels: &str, value: u64) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{name}{{node=\"{node}\"{labels}}} {value}");
}

struct Metric {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    value: fn(&Stats) -> u64,
}

const METRICS: &[Metric] = &[
    Metric {
        name: "hyperdht_table_nodes",
        kind: "gauge",
        help: "Nodes in the routing table.",
        value: |stats| stats.nodes as u64,
    },
    Metric {
        name: "hyperdht_records",
        kind: "gauge",
        help: "Records kept for others: announcements, servers and values.",
        value: |stats| stats.dht.records as u64,
    },
    Metric {
        name: "hyperdht_persistent",
        kind: "gauge",
        help: "Whether the node serves others under an id of its own.",
        value: |stats| stats.persistent.into(),
    },
    Metric {
        name: "hyperdht_firewalled",
        kind: "gauge",
        help: "Whether the node seems to sit behind a firewall.",
        value: |stats| stats.firewalled.into(),
    },
    Metric {
        name: "hyperdht_replies_sent_total",
        kind: "counter",
        help: "Requests answered.",
        value: |stats| stats.dht.replies_sent,
    },
    Metric {
        name: "hyperdht_replies_trimmed_total",
        kind: "counter",
        help: "Answers cut because the asking network had spent its budget.",
        value: |stats| stats.dht.trimmed,
    },
    Metric {
        name: "hyperdht_relayed_handshakes_total",
        kind: "counter",
        help: "Handshake messages passed on.",
        value: |stats| stats.dht.relayed_handshakes,
    },
    Metric {
        name: "hyperdht_relayed_holepunches_total",
        kind: "counter",
        help: "Holepunch messages passed on.",
        value: |stats| stats.dht.relayed_holepunches,
    },
    Metric {
        name: "hyperdht_requests_sent_total",
        kind: "counter",
        help: "Requests sent.",
        value: |stats| stats.dht.requests_sent,
    },
    Metric {
        name: "hyperdht_retries_sent_total",
        kind: "counter",
        help: "Requests sent again.",
        value: |stats| stats.dht.retries_sent,
    },
    Metric {
        name: "hyperdht_responses_received_total",
        kind: "counter",
        help: "Answers received to requests sent.",
        value: |stats| stats.dht.responses_received,
    },
    Metric {
        name: "hyperdht_timeouts_total",
        kind: "counter",
        help: "Requests sent that got no answer.",
        value: |stats| stats.dht.timeouts,
    },
    Metric {
        name: "hyperdht_datagrams_received_total",
        kind: "counter",
        help: "Datagrams received, streams included.",
        value: |stats| stats.datagrams_received,
    },
    Metric {
        name: "hyperdht_datagrams_sent_total",
        kind: "counter",
        help: "Datagrams sent, streams included.",
        value: |stats| stats.datagrams_sent,
    },
    Metric {
        name: "hyperdht_received_bytes_total",
        kind: "counter",
        help: "Bytes of the datagrams received.",
        value: |stats| stats.bytes_received,
    },
    Metric {
        name: "hyperdht_sent_bytes_total",
        kind: "counter",
        help: "Bytes of the datagrams sent.",
        value: |stats| stats.bytes_sent,
    },
    Metric {
        name: "hyperdht_stream_packets_sent_total",
        kind: "counter",
        help: "Packets sent over connections.",
        value: |stats| stats.streams.packets_sent,
    },
    Metric {
        name: "hyperdht_stream_sent_bytes_total",
        kind: "counter",
        help: "Bytes of the packets sent over connections.",
        value: |stats| stats.streams.bytes_sent,
    },
    Metric {
        name: "hyperdht_stream_packets_received_total",
        kind: "counter",
        help: "Packets received over connections.",
        value: |stats| stats.streams.packets_received,
    },
    Metric {
        name: "hyperdht_stream_received_bytes_total",
        kind: "counter",
        help: "Bytes of the packets received over connections.",
        value: |stats| stats.streams.bytes_received,
    },
    Metric {
        name: "hyperdht_stream_packets_lost_total",
        kind: "counter",
        help: "Packets sent over connections and found lost.",
        value: |stats| stats.streams.packets_lost,
    },
    Metric {
        name: "hyperdht_stream_packets_resent_total",
        kind: "counter",
        help: "Packets sent over connections again.",
        value: |stats| stats.streams.packets_resent,
    },
    Metric {
        name: "hyperdht_connections",
        kind: "gauge",
        help: "Open connections.",
        value: |stats| stats.connections as u64,
    },
    Metric {
        name: "hyperdht_unproven_connections",
        kind: "gauge",
        help: "Open connections whose peer has not proven its key.",
        value: |stats| stats.unproven as u64,
    },
    Metric {
        name: "hyperdht_servers",
        kind: "gauge",
        help: "Servers that listen.",
        value: |stats| stats.servers as u64,
    },
    Metric {
        name: "hyperdht_connections_refused_total",
        kind: "counter",
        help: "Connections refused for want of room.",
        value: |stats| stats.refused,
    },
    Metric {
        name: "hyperdht_send_errors_total",
        kind: "counter",
        help: "Datagrams that the system refused to send.",
        value: |stats| stats.send_errors,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_comment_or_a_name_with_labels_and_a_number() {
        let node = "10.0.0.1:49737".parse().expect("an address");
        let mut stats = Stats::default();
        (stats.streams.packets_resent, stats.streams.bytes_received) = (3, 4);
        let mut text = String::new();
        write_nodes(&mut text, &[(node, stats)]);
        write_process(&mut text, Duration::from_secs(7), Some(5));
        for line in text.lines().filter(|line| !line.starts_with("# ")) {
            let (name, value) = line.rsplit_once(' ').expect("two words");
            assert!(value.parse::<u64>().is_ok(), "{line}");
            let is_single = name.starts_with("process_") || name == "hyperdht_uptime_seconds";
            assert!(name.ends_with('}') || is_single, "{line}");
        }
        assert!(text.contains("hyperdht_table_nodes{node=\"10.0.0.1:49737\"} 0\n"));
        assert!(text.contains("hyperdht_stream_packets_resent_total{node=\"10.0.0.1:49737\"} 3\n"));
        assert!(text.contains("hyperdht_stream_received_bytes_total{node=\"10.0.0.1:49737\"} 4\n"));
        assert!(text.contains(",layer=\"internal\",command=\"find-node\"} 0\n"));
        assert!(text.contains(",layer=\"application\",command=\"other\"} 0\n"));
        assert!(text.contains(",reason=\"budget\"} 0\n"));
        assert!(text.ends_with("process_resident_memory_bytes 5\n"));
    }
}
