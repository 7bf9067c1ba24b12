//! Round trips to nodes, to servers and to the peers of a topic.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use serde_json::json;
use tokio::time::Instant;

use super::super::exit::Failure;
use super::records::nobody;
use super::session::{Tool, milliseconds};
use crate::ConnectAddress;

pub(super) async fn node(tool: &Tool<'_>, node: SocketAddrV4) -> Result<(), Failure> {
    let spinner = tool.output.spinner("waiting for the node");
    let pong = tool.within("the node", tool.dht.ping(node)).await??;
    drop(spinner);
    let took = milliseconds(pong.round_trip);
    tool.output.line(&format!("{node} answers after {took} ms, and sees this computer as {}", pong.seen_as));
    tool.output.json(&json!({"node": node, "round_trip": took, "seen_as": pong.seen_as}));
    Ok(())
}

/// Connects to a server, measures, and ends the connection.
pub(super) async fn server(tool: &Tool<'_>, server: &ConnectAddress) -> Result<(), Failure> {
    let key = server.public_key();
    let start = Instant::now();
    let connection = tool.connect(server).await?;
    let opened = milliseconds(start.elapsed());
    let stats = connection.stats().await;
    let (path, address) = (connection.path(), connection.remote_addr());
    let trip = stats.round_trip_minimum.map(milliseconds);
    let measured = trip.map_or_else(String::new, |trip| format!(", round trip {trip} ms"));
    tool.output.line(&format!("{key} answers after {opened} ms, {path} at {address}{measured}"));
    tool.output.json(&json!({
        "public_key": key, "connected": opened, "path": path, "address": address, "round_trip": trip,
    }));
    Ok(())
}

/// Pings each peer of a topic, one after another, so that they do not measure each other.
pub(super) async fn topic(tool: &Tool<'_>, topic: [u8; 32]) -> Result<(), Failure> {
    let spinner = tool.output.spinner("asking the nodes closest to it");
    let found = tool.within("the network", tool.dht.lookup(topic)).await??;
    drop(spinner);
    let peers: BTreeMap<_, _> =
        found.into_iter().map(|peer| (peer.public_key, peer.relay_addresses)).collect();
    let (mut last, mut answered) = (None, false);
    for (key, nodes) in peers.into_iter().take(MAX_PINGED) {
        // More addresses than an address holds are of no use: the DHT is asked as well.
        let address = ConnectAddress::new(key, nodes).unwrap_or_else(|_| ConnectAddress::from(key));
        match server(tool, &address).await {
            Ok(()) => answered = true,
            Err(failure) => {
                tool.output.line(&format!("{key} does not answer: {}", failure.error));
                tool.output.json(&json!({"public_key": key, "error": {"kind": failure.kind}}));
                last = Some(failure);
            }
        }
    }
    match last {
        _ if answered => Ok(()),
        Some(failure) => Err(failure.printed()),
        None => Err(nobody()),
    }
}

/// Most peers of a topic that are pinged; each takes up to the time-out.
const MAX_PINGED: usize = 100;
