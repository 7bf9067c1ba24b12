//! What is shown: the nodes and the service of the program.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::super::store::ServerStore;
use crate::Dht;
use crate::profile::Service;

/// The service of a server, and its store.
pub(in crate::cli) type ShownService = Service<Arc<ServerStore>>;

/// What is shown of a program. It begins with nothing and is told what the program starts.
#[derive(Debug)]
pub(in crate::cli) struct View {
    /// The name of the program.
    pub(super) program: &'static str,
    started: Instant,
    nodes: Mutex<Vec<Dht>>,
    service: OnceLock<ShownService>,
}

impl View {
    pub(in crate::cli) fn new(program: &'static str) -> Arc<Self> {
        let (nodes, service) = (Mutex::default(), OnceLock::new());
        Arc::new(Self { program, started: Instant::now(), nodes, service })
    }

    /// Shows a node from now on, and keeps it running as long as this is there.
    pub(in crate::cli) fn add_node(&self, node: &Dht) {
        self.lock().push(node.clone());
    }

    /// Shows a service from now on. A program has one at most.
    pub(in crate::cli) fn set_service(&self, service: &ShownService) {
        // A second one would not be shown.
        let _ = self.service.set(service.clone());
    }

    pub(super) fn nodes(&self) -> Vec<Dht> {
        self.lock().clone()
    }

    pub(super) fn service(&self) -> Option<&ShownService> {
        self.service.get()
    }

    pub(super) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Returns whether each node answers.
    pub(super) async fn is_alive(&self) -> bool {
        let all = async {
            for node in self.nodes() {
                if node.overview(0).await.is_none() {
                    return false;
                }
            }
            true
        };
        timeout(HEALTH_TIMEOUT, all).await.unwrap_or(false)
    }

    /// Returns why the program cannot be used yet, or any more: `None` if it can.
    pub(super) async fn obstacle(&self) -> Option<&'static str> {
        if !self.is_alive().await {
            return Some("a node does not answer");
        }
        let nodes = self.nodes();
        if nodes.is_empty() {
            return Some("no node has started");
        }
        if !nodes.iter().all(|node| node.state().is_online()) {
            return Some("not joined: no node of the network answers");
        }
        if let Some(service) = self.service() {
            if !service.store().answers().await {
                return Some("the store does not answer");
            }
            let servers = nodes[0].overview(0).await.unwrap_or_default().servers;
            if servers.iter().all(|server| server.announced_at.is_empty()) {
                return Some("the server is not announced");
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Dht>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the resident memory of the process in bytes, where the system reports it.
pub(super) fn resident_memory() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    // The page size is known by a system call only; it is this on most platforms, 16 or 64 KiB on a few.
    Some(pages * 4096)
}

/// Longest time for all nodes to answer.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);
