//! Forwards a TCP port of another computer to this one, for clients that are on a list: many TCP connections
//! over one connection, which is made again when it fails.
//!
//! ```text
//! tunnel serve HOST:PORT ALLOWED        prints its key; ALLOWED is a file with a client's key in each line
//! tunnel open KEY IP:PORT IDENTITY      prints its own key; IDENTITY is a file, made if there is none
//! ```
//!
//! The list is read for each client, so that a change counts at once. `BOOTSTRAP=HOST:PORT` names a node of
//! another network than the public one.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use hyperprofile::mux::{Mux, tunnel};
use hyperprofile::{ConnectAddress, Dht, KeyPair};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dht = match std::env::var("BOOTSTRAP") {
        Ok(node) => Dht::builder().bootstrap([node]).spawn().await?,
        Err(_) => Dht::builder().spawn().await?,
    };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", target, allowed] => serve(&dht, target, allowed).await,
        ["open", key, address, path] => {
            open(&dht, key.parse()?, address, &KeyPair::load_or_create(path)?).await
        }
        _ => Err("usage: tunnel serve HOST:PORT ALLOWED | tunnel open KEY IP:PORT IDENTITY".into()),
    }
}

/// Connects each client to a TCP server.
async fn serve(dht: &Dht, target: &str, allowed: &str) -> Result<(), Box<dyn Error>> {
    let allowed: Arc<str> = allowed.into();
    let listen = dht.listen(&KeyPair::generate()).allow(move |client| {
        let allowed = Arc::clone(&allowed);
        async move {
            let list = tokio::fs::read_to_string(&*allowed).await.unwrap_or_else(|error| {
                eprintln!("nobody is let in: cannot read {allowed}: {error}");
                String::new()
            });
            list.lines().any(|line| line.trim().parse() == Ok(client.claimed_key))
        }
    });
    let server = listen.await?;
    println!("{}", server.public_key());
    while let Some(connection) = server.accept().await {
        let target = target.to_owned();
        // The list was asked for a claimed key; what opens a stream has proven it.
        tokio::spawn(async move { tunnel::serve(&Mux::new(connection), &target).await });
    }
    Ok(())
}

/// Carries the TCP connections to a local port to the server.
async fn open(dht: &Dht, key: ConnectAddress, address: &str, own: &KeyPair) -> Result<(), Box<dyn Error>> {
    println!("{}", own.public_key());
    let mut connection = dht.connect(&key).key_pair(own).await?;
    let listener = TcpListener::bind(address).await?;
    println!("{}", listener.local_addr()?);
    loop {
        match tunnel::open(&Mux::new(connection), &listener).await {
            Ok(()) => eprintln!("the server has closed the connection"),
            Err(error) => eprintln!("{error}"),
        }
        // TCP connections wait meanwhile.
        connection = loop {
            match dht.connect(&key).key_pair(own).await {
                Ok(connection) => break connection,
                Err(error) => eprintln!("{error}"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
    }
}
