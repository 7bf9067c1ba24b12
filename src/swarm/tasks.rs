//! What runs beside the task of a swarm: dials, queries, and what waits for the end of a connection.

use tokio::sync::{mpsc, watch};
use tracing::debug;

use super::command::Report;
use super::core::{ConnectionId, QueryId};
use super::listener::Listening;
use crate::KeyPair;
use crate::api::connection_watch::ConnectionWatch;
use crate::api::{Connect, ConnectError, Dht, Listen, Lookup};

type Reports = mpsc::UnboundedSender<Report>;

/// Which side has dialled a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Dialled,
    Accepted,
}

pub(super) async fn dial(id: ConnectionId, connect: Connect, reports: Reports) {
    let report = match connect.await {
        Ok(connection) => Report::Opened(id, connection),
        Err(error) => {
            debug!(dial = id.0, %error, "dial failed");
            Report::DialFailed { id, pathless: matches!(error, ConnectError::Unreachable { .. }) }
        }
    };
    send(&reports, report);
}

pub(super) async fn watch(id: ConnectionId, connection: ConnectionWatch, side: Side, reports: Reports) {
    // If it ends before, the end is all there is to report.
    match side {
        Side::Dialled if connection.answered().await => send(&reports, Report::Heard(id)),
        Side::Accepted if connection.proven().await => send(&reports, Report::Proven(id)),
        _ => {}
    }
    connection.ended().await;
    send(&reports, Report::Closed(id));
}

pub(super) async fn lookup(topic: [u8; 32], query: QueryId, lookup: Lookup, reports: Reports) {
    let mut peers = lookup.stream();
    let mut succeeded = true;
    while let Some(found) = peers.next().await {
        match found {
            Ok(found) => {
                let (key, relay_addresses) = (found.public_key, found.relay_addresses);
                send(&reports, Report::Found { topic, query, key, relay_addresses });
            }
            Err(error) => {
                debug!(%error, "lookup failed");
                succeeded = false;
            }
        }
    }
    send(&reports, Report::QueryOver { topic, query, succeeded });
}

pub(super) async fn announce(
    topic: [u8; 32],
    query: QueryId,
    dht: Dht,
    key_pair: KeyPair,
    mut server: watch::Receiver<Listening>,
    reports: Reports,
) {
    let is_over = |state: &Listening| matches!(state, Listening::Ready(_) | Listening::Failed);
    let listening = server.wait_for(is_over).await.map(|state| state.clone());
    let mut succeeded = false;
    if let Ok(Listening::Ready(server)) = listening {
        let nodes = server.relay_addresses().await;
        match dht.announce(topic, &key_pair, &nodes).await {
            Ok(nodes) => succeeded = nodes > 0,
            Err(error) => debug!(%error, "announcement failed"),
        }
    }
    send(&reports, Report::QueryOver { topic, query, succeeded });
}

pub(super) async fn unannounce(
    topic: [u8; 32],
    query: QueryId,
    dht: Dht,
    key_pair: KeyPair,
    reports: Reports,
) {
    let outcome = dht.unannounce(topic, &key_pair).await;
    if let Err(error) = &outcome {
        // What is announced expires after 20 minutes.
        debug!(%error, "announcement not withdrawn");
    }
    send(&reports, Report::QueryOver { topic, query, succeeded: outcome.is_ok() });
}

pub(super) async fn listen(listen: Listen, reports: Reports) {
    send(&reports, Report::Listening(listen.await));
}

/// Without the task of the swarm nobody needs a report.
fn send(reports: &Reports, report: Report) {
    let _ = reports.send(report);
}
