//! A small DHT in one process, for tests and for trying things out.

use super::{BootstrapError, Dht, DhtBuilder, Mode, SpawnError};

/// A DHT of a few nodes on 127.0.0.1.
///
/// All nodes are persistent. The first one has no bootstrap nodes; the others join through it.
#[derive(Debug)]
pub struct Testnet {
    nodes: Vec<Dht>,
}

/// Why a test network could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestnetError {
    /// A node could not be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// A node could not join.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
}

impl Testnet {
    /// Starts `nodes` nodes, at least one, and waits until all have joined.
    ///
    /// # Errors
    ///
    /// [`TestnetError`] if a node can't be started or can't join.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the nodes started so far.
    pub async fn new(nodes: usize) -> Result<Self, TestnetError> {
        Self::on_port(nodes, 0).await
    }

    /// Does the same with the first node on a chosen port, and fails if that port is taken.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::new`].
    pub async fn on_port(nodes: usize, port: u16) -> Result<Self, TestnetError> {
        let node = |bootstrap: Vec<String>, bind: String| {
            Dht::builder()
                .bootstrap(bootstrap)
                .bind(bind)
                .exact_port()
                .mode(Mode::Persistent)
                .firewalled(false)
                .spawn()
        };
        let first = node(Vec::new(), format!("127.0.0.1:{port}")).await?;
        first.bootstrapped().await?;
        let mut testnet = Self { nodes: vec![first] };
        while testnet.nodes.len() < nodes {
            let next = node(testnet.bootstrap(), "127.0.0.1:0".into()).await?;
            next.bootstrapped().await?;
            testnet.nodes.push(next);
        }
        Ok(testnet)
    }

    /// Returns what to give to [`DhtBuilder::bootstrap`] to join.
    pub fn bootstrap(&self) -> Vec<String> {
        self.nodes.iter().take(1).map(|node| node.local_addr().to_string()).collect()
    }

    /// Returns a builder for a node that joins this network from 127.0.0.1.
    pub fn builder(&self) -> DhtBuilder {
        Dht::builder().bootstrap(self.bootstrap()).bind("127.0.0.1:0")
    }

    /// Returns the nodes, the first one first.
    pub fn nodes(&self) -> &[Dht] {
        &self.nodes
    }

    /// Ends all nodes, the first one last.
    ///
    /// # Cancel safety
    ///
    /// Nodes that are not yet closed end when the future is dropped.
    pub async fn close(self) {
        for node in self.nodes.iter().rev() {
            node.close().await;
        }
    }
}
