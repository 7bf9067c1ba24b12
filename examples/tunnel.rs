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
use std::time::Duration;

use hyperprofile::mux::{Mux, tunnel};
use hyperprofile::{ConnectAddress, Dht, KeyPair};
use tokio::{fs::read_to_string, net::TcpListener, time::sleep};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let builder = std::env::var("BOOTSTRAP").map(|node| Dht::builder().bootstrap([node]));
    let dht = builder.unwrap_or_else(|_| Dht::builder()).spawn().await?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", target, allowed] => serve(&dht, target, allowed.to_owned()).await,
        ["open", key, address, path] => {
            open(&dht, key.parse()?, address, &KeyPair::load_or_create(path)?).await
        }
        _ => Err("usage: tunnel serve HOST:PORT ALLOWED | tunnel open KEY IP:PORT IDENTITY".into()),
    }
}

/// Connects each client to a TCP server.
async fn serve(dht: &Dht, target: &str, allowed: String) -> Result<(), Box<dyn Error>> {
    read_to_string(&allowed).await?;
    let listen = dht.listen(KeyPair::generate()).allow(move |client| {
        let allowed = allowed.clone();
        async move {
            // Without the list nobody is let in.
            let list = read_to_string(allowed).await.unwrap_or_default();
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

/// Carries the TCP connections to a local port to the server. While there is no connection they wait.
async fn open(dht: &Dht, key: ConnectAddress, address: &str, own: &KeyPair) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(address).await?;
    println!("{}\n{}", own.public_key(), listener.local_addr()?);
    loop {
        match dht.connect(&key).key_pair(own).await {
            Ok(connection) => match tunnel::open(&Mux::new(connection), &listener).await {
                Ok(()) => eprintln!("the server has ended the connection"),
                Err(error) => eprintln!("{error}"),
            },
            Err(error) => eprintln!("{error}"),
        }
        sleep(Duration::from_secs(1)).await;
    }
}
