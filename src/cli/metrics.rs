//! `--metrics`: counters of the nodes in the text format of Prometheus, over plain HTTP.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::exit::{Exit, Failure};
use super::runtime;
use crate::Dht;
use crate::api::Stats;

/// Serves metrics until it is dropped.
pub(super) struct Metrics {
    local: SocketAddrV4,
    task: AbortOnDropHandle<()>,
}

impl Metrics {
    /// Starts to answer at `address`.
    pub(super) async fn serve(address: SocketAddrV4, nodes: Vec<Dht>) -> Result<Self, Failure> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| {
            let error = anyhow::Error::new(error);
            Failure::from_error(Exit::Internal, error.context(format!("cannot serve metrics at {address}")))
                .hint("name an address of this host and a free port with --metrics IP:PORT")
        })?;
        let local = match listener.local_addr() {
            Ok(std::net::SocketAddr::V4(local)) => local,
            // Bound as asked for, but for a port of 0.
            _ => address,
        };
        let task = AbortOnDropHandle::new(tokio::spawn(accept(listener, nodes.into())));
        Ok(Self { local, task })
    }

    /// Waits until the task fails; it does not end otherwise.
    pub(super) async fn ended(self) -> Failure {
        runtime::task_ended("the task that serves metrics", self.task).await
    }

    /// Returns where the metrics are.
    pub(super) const fn local(&self) -> SocketAddrV4 {
        self.local
    }
}

async fn accept(listener: TcpListener, nodes: Arc<[Dht]>) {
    let mut clients = Clients::default();
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let nodes = Arc::clone(&nodes);
                clients.admit(from.ip(), async move {
                    // A client that is slow or gone gets no metrics.
                    let _ = timeout(CLIENT_TIMEOUT, answer(stream, &nodes)).await;
                });
            }
            // Without a free descriptor every accept fails at once.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// The clients that are answered, the one that came first in front. Dropping it ends them.
#[derive(Default)]
struct Clients(VecDeque<(IpAddr, AbortOnDropHandle<()>)>);

impl Clients {
    /// Answers a client. If there are too many, the first one of the host with the most of them goes: clients
    /// that take their time cannot keep out one that comes later.
    fn admit(&mut self, host: IpAddr, client: impl Future<Output = ()> + Send + 'static) {
        self.0.retain(|(_, task)| !task.is_finished());
        if self.0.len() >= MAX_CLIENTS {
            let of_host = |host: IpAddr| self.0.iter().filter(|client| client.0 == host).count();
            let first = (0..self.0.len()).max_by_key(|place| (of_host(self.0[*place].0), Reverse(*place)));
            first.and_then(|place| self.0.remove(place));
        }
        self.0.push_back((host, AbortOnDropHandle::new(tokio::spawn(client))));
    }
}

async fn answer(mut stream: TcpStream, nodes: &[Dht]) -> std::io::Result<()> {
    let request = timeout(REQUEST_TIMEOUT, read_request(&mut stream)).await??;
    let Some(request) = request else {
        return Ok(());
    };
    let (status, body) = if is_for_metrics(&request) {
        let mut stats = Vec::new();
        for node in nodes {
            stats.push((node.local_addr(), node.stats().await));
        }
        ("200 OK", render(&stats, resident_memory()))
    } else {
        ("404 Not Found", "the metrics are at /metrics\n".to_owned())
    };
    let length = body.len();
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: \
         {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}

/// Returns the head of a request; `None` if the client ends before, or sends too much.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut chunk = [0; 1024];
        let read = stream.read(&mut chunk).await?;
        if read == 0 || request.len() > MAX_REQUEST {
            return Ok(None);
        }
        request.extend_from_slice(&chunk[..read]);
    }
    Ok(Some(request))
}

fn is_for_metrics(request: &[u8]) -> bool {
    let line = request.split(|byte| *byte == b'\r').next();
    // There is always one, if an empty one.
    let mut words = line.unwrap_or_default().split(|byte| *byte == b' ');
    let path = (words.next() == Some(b"GET")).then(|| words.next()).flatten();
    path.is_some_and(|path| path.split(|byte| *byte == b'?').next() == Some(b"/metrics"))
}

/// Writes the exposition format: each metric with its help, then one line per node.
fn render(nodes: &[(SocketAddrV4, Stats)], memory: Option<u64>) -> String {
    let mut text = String::new();
    for metric in METRICS {
        head(&mut text, metric.name, metric.kind, metric.help);
        for (node, stats) in nodes {
            line(&mut text, metric.name, node, "", (metric.value)(stats));
        }
    }
    let name = "hyperdht_requests_received_total";
    head(&mut text, name, "counter", "Requests received, by command.");
    for (node, stats) in nodes {
        for (layer, command, count) in stats.dht.requests_by_command() {
            let labels = format!(",layer=\"{layer}\",command=\"{command}\"");
            line(&mut text, name, node, &labels, count);
        }
    }
    let name = "hyperdht_datagrams_dropped_total";
    head(&mut text, name, "counter", "Datagrams dropped, by reason.");
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
            line(&mut text, name, node, &format!(",reason=\"{reason}\""), count);
        }
    }
    if let Some(memory) = memory {
        let name = "process_resident_memory_bytes";
        head(&mut text, name, "gauge", "Memory of the process.");
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name} {memory}");
    }
    text
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string does not fail.
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn line(text: &mut String, name: &str, node: &SocketAddrV4, labels: &str, value: u64) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{name}{{node=\"{node}\"{labels}}} {value}");
}

/// Returns the resident memory of the process in bytes, where the system reports it.
fn resident_memory() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    // The page size is known by a system call only; it is this on most platforms, 16 or 64 KiB on a few.
    Some(pages * 4096)
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
];

/// Most clients answered at once.
const MAX_CLIENTS: usize = 16;
/// Most bytes of a request.
const MAX_REQUEST: usize = 8 * 1024;
/// Longest time for a client to send its request: one packet, as a rule.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time for one client.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn only_a_get_of_the_metrics_is_answered() {
        for request in ["GET /metrics HTTP/1.1\r\n\r\n", "GET /metrics?a=b HTTP/1.0\r\nHost: x\r\n\r\n"] {
            assert!(is_for_metrics(request.as_bytes()), "{request}");
        }
        for request in ["GET / HTTP/1.1\r\n\r\n", "POST /metrics HTTP/1.1\r\n\r\n", "\r\n\r\n", "GET"] {
            assert!(!is_for_metrics(request.as_bytes()), "{request}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn clients_that_send_nothing_keep_nobody_out_and_are_closed_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let serving = AbortOnDropHandle::new(tokio::spawn(accept(listener, Arc::new([]))));
        let mut silent = Vec::new();
        for _ in 0..3 * MAX_CLIENTS {
            let mut client = TcpStream::connect(address).await.expect("taken");
            client.write_all(b"GET /met").await.expect("sent");
            silent.push(client);
        }
        let started = Instant::now();
        let mut honest = TcpStream::connect(address).await.expect("taken");
        honest.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").await.expect("sent");
        let mut text = String::new();
        honest.read_to_string(&mut text).await.expect("answered");
        assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
        assert!(started.elapsed() < REQUEST_TIMEOUT, "{:?}", started.elapsed());
        for client in &mut silent {
            let mut rest = Vec::new();
            // Those that came first were closed to make room.
            let _ = client.read_to_end(&mut rest).await;
            assert_eq!(rest, b"");
        }
        assert!(started.elapsed() <= CLIENT_TIMEOUT, "{:?}", started.elapsed());
        drop(serving);
    }

    #[tokio::test]
    async fn the_first_client_of_the_busiest_host_makes_room() {
        let mut clients = Clients::default();
        let honest = IpAddr::from([10, 0, 0, 1]);
        let busy = IpAddr::from([10, 0, 0, 2]);
        clients.admit(honest, std::future::pending());
        for _ in 0..100 {
            clients.admit(busy, std::future::pending());
            assert!(clients.0.len() <= MAX_CLIENTS);
        }
        assert_eq!(clients.0.front().map(|client| client.0), Some(honest));
    }

    #[test]
    fn every_line_is_a_comment_or_a_name_with_labels_and_a_number() {
        let node = "10.0.0.1:49737".parse().expect("an address");
        let mut stats = Stats::default();
        (stats.streams.packets_resent, stats.streams.bytes_received) = (3, 4);
        let text = render(&[(node, stats)], Some(5));
        for line in text.lines().filter(|line| !line.starts_with("# ")) {
            let (name, value) = line.rsplit_once(' ').expect("two words");
            assert!(value.parse::<u64>().is_ok(), "{line}");
            assert!(name.ends_with('}') || name.starts_with("process_"), "{line}");
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
