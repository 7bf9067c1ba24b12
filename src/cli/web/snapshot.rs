//! What the page shows, as JSON.

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::super::foreign::escaped;
use super::super::warnings;
use super::view::{ShownService, View, resident_memory};
use crate::Dht;
use crate::api::{Listening, OpenStream, Overview};
use crate::profile::{Access, Store as _};

/// Returns the state of the program, in detail that of the node with this number.
pub(super) async fn snapshot(view: &View, number: usize) -> Value {
    let nodes = view.nodes();
    let locals: Vec<_> = nodes.iter().map(Dht::local_addr).collect();
    let service = view.service();
    let node = match nodes.get(number) {
        Some(node) => describe(node, service).await,
        None => Value::Null,
    };
    json!({
        "program": view.program,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime": view.uptime().as_secs(),
        "memory": resident_memory(),
        "nodes": locals,
        "node": node,
        "service": service.map(describe_service),
        "warnings": warnings::latest(),
    })
}

async fn describe(node: &Dht, service: Option<&ShownService>) -> Value {
    let stats = node.stats().await;
    let Some(Overview { id, table, seen_as, nat_samples, connections, servers, fills, .. }) =
        node.overview(MAX_SHOWN).await
    else {
        return Value::Null;
    };
    let mut shown = Vec::new();
    for connection in &connections {
        shown.push(describe_connection(connection, service).await);
    }
    let fills = fills.iter().map(|fill| json!({"what": fill.what, "used": fill.used, "bound": fill.bound}));
    json!({
        "local": node.local_addr(),
        "state": node.state(),
        "firewalled": stats.firewalled,
        "id": digits(&id),
        "table": table.iter().map(|(id, address)| json!([digits(id), address])).collect::<Vec<_>>(),
        "seen_as": seen_as,
        "nat_samples": nat_samples,
        "connections": shown,
        "connections_open": stats.connections,
        "received": stats.bytes_received,
        "sent": stats.bytes_sent,
        "requests": stats.dht.requests_received,
        "records": stats.dht.records,
        "servers": servers.iter().map(describe_server).collect::<Vec<_>>(),
        "fills": fills.collect::<Vec<_>>(),
    })
}

async fn describe_connection(connection: &OpenStream, service: Option<&ShownService>) -> Value {
    let name = match service {
        // A claimed key may be another one's.
        Some(service) if connection.proven && !connection.dialled => {
            let entry = service.store().load(&connection.key).await;
            // A store that cannot be read is a failure of the program, which ends for it.
            entry.ok().and_then(|entry| Some(escaped(entry.record()?.profile().name())))
        }
        _ => None,
    };
    json!({
        "id": connection.id,
        "key": connection.key.short(),
        "name": name,
        "proven": connection.proven,
        "dialled": connection.dialled,
        "path": connection.path,
        "address": connection.address,
        "age": connection.age.as_secs(),
        "round_trip": connection.round_trip.map(|time| time.as_secs_f64() * 1000.0),
        "received": connection.traffic.bytes_received,
        "sent": connection.traffic.bytes_sent,
    })
}

fn describe_server(server: &Listening) -> Value {
    json!({
        "key": server.key.to_z32(),
        "announced_at": server.announced_at,
        "address": server.address.map(|own| json!({"address": own.address, "reachable": own.is_reachable})),
    })
}

fn describe_service(service: &ShownService) -> Value {
    let (config, store) = (service.config(), service.store().stats());
    let access = |access| match access {
        Access::Open => "open",
        Access::Allowed => "for allowed keys",
        Access::Closed => "closed",
    };
    let times: Vec<_> = store.latest.iter().map(|time| time.as_secs_f64() * 1000.0).collect();
    json!({
        "registration": access(config.registration),
        "lookup": access(config.lookup),
        "connections": service.connections(),
        "connections_limit": config.limits.connections,
        "store": service.store().kind(),
        "others": service.store().others(),
        "profiles": store.profiles,
        "writes": store.writes,
        "syncs": store.syncs,
        "sync_times": times,
    })
}

/// Returns the digits of an id that a picture needs.
fn digits(id: &[u8; 32]) -> String {
    HEXLOWER.encode(&id[..8])
}

/// Most connections of a node that the page shows.
const MAX_SHOWN: usize = 100;

#[cfg(test)]
mod tests {
    use super::super::view::View;
    use super::*;
    use crate::{KeyPair, Testnet};

    #[tokio::test]
    async fn a_snapshot_shows_so_many_connections() {
        let network = Testnet::new(2).await.unwrap();
        let server = network.nodes()[0].listen(KeyPair::generate()).await.unwrap();
        let view = View::new("a test");
        view.add_node(&network.nodes()[0]);
        let mut open = Vec::new();
        for _ in 0..=MAX_SHOWN {
            let dialled = network.nodes()[1].connect(*server.public_key()).await.unwrap();
            open.push((dialled, server.accept().await.unwrap()));
        }
        let snapshot = snapshot(&view, 0).await;
        assert_eq!(snapshot["node"]["connections"].as_array().unwrap().len(), MAX_SHOWN);
        assert_eq!(snapshot["node"]["connections_open"], MAX_SHOWN + 1);
        network.close().await;
    }
}
