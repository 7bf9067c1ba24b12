//! The profile service in its smallest form: a server that asks each new client for a name, and knows it
//! by that name ever after.
//!
//! ```text
//! profile serve                      prints its key
//! profile visit KEY IDENTITY NAME    IDENTITY is a file, made if there is none
//! ```
//!
//! The client is the key that it proves in the handshake; no message claims an identity. The programs of this
//! crate add what a service needs beside that: signatures, a store, limits. `BOOTSTRAP=HOST:PORT` names a
//! node of another network than the public one.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use hyperprofile::{ConnectAddress, Connection, Dht, KeyPair, PublicKey};

/// The names by key, of the first clients that come.
type Names = Mutex<HashMap<PublicKey, Vec<u8>>>;
const MAX_CLIENTS: usize = 10_000;
const MAX_NAME: usize = 64;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dht = match std::env::var("BOOTSTRAP") {
        Ok(node) => Dht::builder().bootstrap([node]).spawn().await?,
        Err(_) => Dht::builder().spawn().await?,
    };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => serve(&dht).await?,
        // An empty message is a keep-alive, which nobody reads.
        ["visit", key, path, name] if !name.is_empty() => {
            let mut connection =
                dht.connect(key.parse::<ConnectAddress>()?).key_pair(&KeyPair::load_or_create(path)?).await?;
            connection.write_message(name.as_bytes()).await?;
            let answer = connection.read_message().await?.ok_or("the server has hung up")?;
            println!("{}", String::from_utf8_lossy(&answer));
        }
        _ => return Err("usage: profile serve | profile visit KEY IDENTITY NAME".into()),
    }
    dht.close().await;
    Ok(())
}

async fn serve(dht: &Dht) -> Result<(), Box<dyn Error>> {
    let server = dht.listen(KeyPair::generate()).await?;
    println!("{}", server.public_key());
    let names = Arc::new(Names::default());
    while let Some(connection) = server.accept().await {
        let names = Arc::clone(&names);
        tokio::spawn(async move {
            if let Err(error) = greet(connection, &names).await {
                eprintln!("a client has left early: {error}");
            }
        });
    }
    Ok(())
}

async fn greet(mut client: Connection, names: &Names) -> Result<(), Box<dyn Error + Send + Sync>> {
    // Until then the key is a claim: a recorded handshake can be played again.
    let key = *client.proven().await?.public_key();
    let Some(offered) = client.read_message().await? else { return Ok(()) };
    let answer = {
        let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = names.len() >= MAX_CLIENTS;
        match names.get(&key) {
            Some(name) => [b"welcome back, ", &name[..]].concat(),
            None if is_full || offered.len() > MAX_NAME => b"refused".to_vec(),
            None => {
                names.insert(key, offered.to_vec());
                [b"registered, ", &offered[..]].concat()
            }
        }
    };
    client.write_message(&answer).await?;
    Ok(())
}
