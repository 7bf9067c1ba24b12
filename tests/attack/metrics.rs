//! Reads the numbers that a node serves.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::Running;

/// Where a node serves its numbers.
pub(crate) struct Metrics {
    /// `IP:PORT`.
    pub(crate) address: String,
}

impl Metrics {
    /// Reads the address from the first line of a node that was started with `--json` and `--metrics`.
    pub(crate) async fn of(node: &mut Running) -> Self {
        let line: serde_json::Value = serde_json::from_str(&node.line().await).unwrap();
        assert_eq!(line["event"], "metrics");
        let url = line["url"].as_str().unwrap();
        let address = url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/metrics"));
        Self { address: address.unwrap().to_owned() }
    }

    /// Returns all numbers as text, or `None` if there is no answer within a time.
    pub(crate) async fn scrape(&self, within: Duration) -> Option<String> {
        let answer = async {
            let mut stream = TcpStream::connect(&self.address).await.ok()?;
            stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").await.ok()?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await.ok()?;
            text.starts_with("HTTP/1.1 200 OK").then_some(text)
        };
        timeout(within, answer).await.ok().flatten()
    }

    /// Returns the sum of the numbers whose line begins with a name.
    pub(crate) async fn sum(&self, name: &str) -> u64 {
        let text = self.scrape(Duration::from_secs(30)).await.expect("an answer");
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Returns the resident memory of the process in bytes.
    pub(crate) async fn memory(&self) -> u64 {
        self.sum("process_resident_memory_bytes").await
    }
}
