//! A server with a private network of its own.

use std::net::UdpSocket;
use std::path::Path;

use crate::harness::{Running, SERVER, text};

/// A server that runs; killed when dropped.
pub(crate) struct Served {
    pub(crate) server: Running,
    /// The arguments by which a client finds it.
    pub(crate) at: String,
}

impl Served {
    /// Starts a server on a folder, and waits until clients can reach it.
    pub(crate) async fn start(folder: &Path, extra: &[&str]) -> Self {
        let port = free_port();
        let local = format!("--local={port}");
        // Nobody reads its log.
        let mut arguments = vec![local.as_str(), "--data-dir", text(folder), "--quiet"];
        arguments.extend(extra);
        let mut server = Running::start(SERVER, &arguments);
        let key = server.line().await;
        Self { server, at: format!("{local} --server {key}") }
    }
}

/// Returns a port that is free at the moment.
pub(crate) fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
