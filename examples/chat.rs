//! `chat ROOM` talks with all who name the same room; in JavaScript they join `Buffer.alloc(32).fill(ROOM)`.
//! `BOOTSTRAP=HOST:PORT` names a node of another network than the public one.
#![allow(clippy::print_stdout)]
use hyperprofile::{Connection, Dht, Swarm, swarm::Join};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::{select, sync::broadcast};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let room = std::env::args().nth(1).filter(|room| !room.is_empty()).ok_or("usage: chat ROOM")?;
    let builder = std::env::var("BOOTSTRAP").map(|node| Dht::builder().bootstrap([node]));
    let dht = builder.unwrap_or_else(|_| Dht::builder()).spawn().await?;
    let swarm = Swarm::builder(&dht).spawn()?;
    swarm.join(std::array::from_fn(|at| room.as_bytes()[at % room.len()]), Join::default());
    let (said, _) = broadcast::channel(64);
    let mut lines = BufReader::new(stdin()).lines();
    while let Some((connection, line)) = select! {
        next = swarm.next() => next.map(|connection| (Some(connection), None)),
        line = lines.next_line() => line?.map(|line| (None, Some(line))),
    } {
        let _ = line.map(|line| said.send(line)); // There may be nobody yet.
        if let Some((connection, peer)) = connection {
            println!("{} joined", peer.public_key.short());
            tokio::spawn(talk(connection, peer.public_key.short(), said.subscribe()));
        }
    }
    swarm.close().await;
    Ok(())
}

async fn talk(mut connection: Connection, name: String, mut said: broadcast::Receiver<String>) -> Option<()> {
    loop {
        select! {
            Ok(line) = said.recv() => connection.write_message(line.as_bytes()).await.ok()?,
            heard = connection.read_message() => {
                println!("{name}: {}", String::from_utf8_lossy(&heard.ok()??).escape_debug());
            }
        }
    }
}
