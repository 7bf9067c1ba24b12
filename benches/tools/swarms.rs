//! Swarms on one topic until each has a connection with each other: time, dials and memory. All announce
//! themselves first, then all look for each other, as in `test/dups.js` of the reference: a swarm of the
//! reference that looks before others are announced looks again after ten minutes.
//!
//! ```text
//! swarms COUNT [BOOTSTRAP]     a network of ten nodes in this process, or the one behind a node
//! ```
//!
//! `swarms.mjs` beside it does the same with npm `hyperswarm`. Prints one line of JSON.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use std::time::Instant;

use hyperprofile::swarm::{Join, SwarmEvent};
use hyperprofile::{Dht, Swarm, Testnet};
use support::{Result, processor_time, resident};

const TOPIC: [u8; 32] = [7; 32];

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count: usize = arguments.first().ok_or("usage: swarms COUNT [BOOTSTRAP]")?.parse()?;
    let network = match arguments.get(1) {
        Some(_) => None,
        None => Some(Testnet::new(10).await?),
    };
    let bootstrap = arguments.get(1).cloned().or_else(|| network.as_ref()?.bootstrap().pop());
    let mut swarms = Vec::new();
    for _ in 0..count {
        let dht = Dht::builder().bootstrap(bootstrap.clone()).bind("127.0.0.1:0").spawn().await?;
        dht.bootstrapped().await?;
        swarms.push(Swarm::builder(&dht).spawn()?);
    }
    let (before, processor) = (resident(), processor_time());
    let start = Instant::now();
    let announcing: Vec<_> = swarms.iter().map(|swarm| swarm.join(TOPIC, Join::server())).collect();
    for discovery in announcing {
        discovery.flushed().await;
    }
    let announced = start.elapsed().as_secs_f64();
    let mut tasks = Vec::new();
    for swarm in &swarms {
        swarm.join(TOPIC, Join::default());
        tasks.push(tokio::spawn(meshed(swarm.clone(), count - 1)));
    }
    let mut kept = Vec::new();
    for task in tasks {
        kept.push(task.await?);
    }
    let seconds = start.elapsed().as_secs_f64();
    let (mut dials, mut opened, mut replaced) = (0, 0, 0);
    for swarm in &swarms {
        let stats = swarm.stats().await;
        dials += stats.client_attempted;
        opened += stats.client_opened;
        replaced += stats.client_closed + stats.server_closed + stats.server_refused;
    }
    let processor = (processor_time() - processor).as_secs_f64();
    println!(
        "{{\"swarms\":{count},\"announced\":{announced:.2},\"seconds\":{seconds:.2},\"dials\":{dials},\
         \"opened\":{opened},\"ended\":{replaced},\"processor\":{processor:.2},\"resident\":{},\
         \"before\":{before}}}",
        resident()
    );
    Ok(())
}

/// Takes connections until there is one with each other swarm; returns them, so that they stay.
async fn meshed(swarm: Swarm, others: usize) -> Vec<hyperprofile::Connection> {
    let mut events = swarm.events();
    let mut kept = Vec::new();
    while swarm.stats().await.connections < others {
        tokio::select! {
            next = swarm.next() => kept.extend(next.map(|(connection, _)| connection)),
            Some(event) = events.next() => drop::<SwarmEvent>(event),
        }
    }
    // What is still to be taken stays in the swarm, which the caller keeps.
    kept
}
