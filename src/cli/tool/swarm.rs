//! Lines to and from all peers of a topic.

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;

use super::super::exit::{Exit, Failure};
use super::session::{Tool, local};
use crate::swarm::{Join, Swarm};
use crate::{Connection, PublicKey};

/// Sends each line of standard input to all peers, and prints what they send, until a signal.
pub(super) async fn run(tool: &Tool<'_>, topic: [u8; 32]) -> Result<(), Failure> {
    let mut builder = Swarm::builder(&tool.dht).key_pair(&tool.identity);
    if let Some(relay) = &tool.arguments.relay {
        builder = builder.relay_through(relay);
    }
    let swarm = builder.spawn()?;
    let key = swarm.public_key();
    tool.output.note(&format!("waiting for peers as {key}; press Ctrl-C to end"));
    tool.output.json(&json!({"event": "joined", "public_key": key}));
    tool.output.delivered()?;
    swarm.join(topic, Join::default());
    let (lines, _) = broadcast::channel(WAITING);
    let (heard, mut messages) = mpsc::channel(WAITING);
    let (mut input, mut ended) = (BufReader::new(stdin()).split(b'\n'), false);
    let mut peers = JoinSet::new();
    loop {
        tokio::select! {
            next = swarm.next() => {
                let gone = || Failure::new(Exit::Internal, "the swarm has ended");
                let (connection, peer) = next.ok_or_else(gone)?;
                let talk = talk(connection, peer.public_key, lines.subscribe(), heard.clone());
                peers.spawn(talk);
                while peers.try_join_next().is_some() {}
            }
            // While nobody is there, what is typed waits.
            line = input.next_segment(), if !ended && lines.receiver_count() > 0 => {
                let line = line.map_err(|error| local("read standard input", error))?;
                // Peers may still have something to say then.
                ended = line.is_none();
                if let Some(line) = line {
                    // The last peer may have left just now.
                    let _ = lines.send(line);
                }
            }
            // The sender above is never dropped.
            Some(message) = messages.recv() => show(tool, message)?,
        }
    }
}

/// What a peer does.
enum Heard {
    Came(PublicKey),
    Said(PublicKey, bytes::Bytes),
    Left(PublicKey, Option<String>),
}

async fn talk(
    connection: Connection,
    key: PublicKey,
    mut lines: broadcast::Receiver<Vec<u8>>,
    heard: mpsc::Sender<Heard>,
) -> Result<(), mpsc::error::SendError<Heard>> {
    heard.send(Heard::Came(key)).await?;
    let (mut read, mut write) = connection.into_split();
    // Apart, so that two sides that send much to each other both go on reading.
    let reading = async {
        loop {
            match read.read_message().await {
                Ok(Some(message)) => heard.send(Heard::Said(key, message)).await?,
                ended => return Ok(ended.err()),
            }
        }
    };
    let writing = async {
        loop {
            match lines.recv().await {
                Ok(line) => {
                    if let Err(error) = write.write_message(&line).await {
                        return Some(error);
                    }
                }
                // A peer that is too slow misses lines, and holds up no other.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    };
    let why = tokio::select! {
        ended = reading => ended?,
        ended = writing => ended,
    };
    heard.send(Heard::Left(key, why.map(|error| error.to_string()))).await
}

fn show(tool: &Tool<'_>, heard: Heard) -> Result<(), Failure> {
    match heard {
        Heard::Came(key) => {
            tool.output.note(&format!("{} has come", label(&key)));
            tool.output.json(&json!({"event": "connected", "public_key": key}));
        }
        Heard::Said(key, message) => {
            let text = String::from_utf8_lossy(&message);
            tool.output.beside(&label(&key), &text.lines().collect::<Vec<_>>());
            tool.output.json(&json!({"event": "message", "public_key": key, "text": text}));
        }
        Heard::Left(key, why) => {
            tool.output.note(&format!("{} has left", label(&key)));
            tool.output.json(&json!({"event": "disconnected", "public_key": key, "message": why}));
        }
    }
    tool.output.delivered()
}

/// Returns the first characters of a key, as `whoami` prints it.
fn label(key: &PublicKey) -> String {
    key.to_z32().chars().take(8).collect()
}

/// Lines, or messages, that wait for a peer, or to be printed.
const WAITING: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Limits;
    use crate::{KeyPair, Testnet};

    #[tokio::test]
    async fn two_peers_that_send_more_than_is_under_way_at_once_both_get_all_of_it() {
        let network = Testnet::new(2).await.unwrap();
        let mut limits = Limits::default();
        (limits.send_memory, limits.receive_memory) = (1 << 20, 1 << 20);
        let one = network.builder().limits(limits.clone()).spawn().await.unwrap();
        let two = network.builder().limits(limits).spawn().await.unwrap();
        let server = one.listen(KeyPair::generate()).await.unwrap();
        let dialled = two.connect(server.public_key()).await.unwrap();
        let accepted = server.accept().await.unwrap();
        let (lines, _) = broadcast::channel(WAITING);
        let key = *server.public_key();
        let [mut one, mut two] = [dialled, accepted].map(|connection| {
            let (heard, messages) = mpsc::channel(WAITING);
            tokio::spawn(talk(connection, key, lines.subscribe(), heard));
            messages
        });
        for _ in 0..WAITING {
            lines.send(vec![b'x'; 64 << 10]).unwrap();
        }
        let mut came = [0; 2];
        while came != [WAITING; 2] {
            let (side, heard) = tokio::select! {
                Some(heard) = one.recv() => (0, heard),
                Some(heard) = two.recv() => (1, heard),
            };
            came[side] += usize::from(matches!(heard, Heard::Said(..)));
        }
    }
}
