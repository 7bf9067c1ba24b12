//! Forwards a TCP port of another computer to this one, for clients that are on a list.
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
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::sync::Arc;

use hyperprofile::{ConnectAddress, Dht, KeyPair};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dht = match std::env::var("BOOTSTRAP") {
        Ok(node) => Dht::builder().bootstrap([node]).spawn().await?,
        Err(_) => Dht::builder().spawn().await?,
    };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", target, allowed] => serve(&dht, target, allowed).await,
        ["open", key, address, path] => open(&dht, key.parse()?, address, &identity(path)?).await,
        _ => Err("usage: tunnel serve HOST:PORT ALLOWED | tunnel open KEY IP:PORT IDENTITY".into()),
    }
}

/// Connects each client to a TCP server.
async fn serve(dht: &Dht, target: &str, allowed: &str) -> Result<(), Box<dyn Error>> {
    let allowed: Arc<str> = allowed.into();
    let listen = dht.listen(&KeyPair::generate()).reusable_socket().allow(move |client| {
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
    while let Some(mut connection) = server.accept().await {
        let target = target.to_owned();
        tokio::spawn(async move {
            // The list was asked for a claimed key. A recorded handshake brings no one to the TCP server.
            let forward = async {
                connection.proven().await?;
                let mut tcp = TcpStream::connect(&target).await?;
                copy_bidirectional(&mut tcp, &mut connection).await
            };
            if let Err(error) = forward.await {
                eprintln!("a client was cut off: {error}");
                // The peer sees a reset, not an end that looks like a whole answer.
                connection.abort();
            }
        });
    }
    Ok(())
}

/// Gives each TCP connection to a local port a connection to the server.
async fn open(dht: &Dht, key: ConnectAddress, address: &str, own: &KeyPair) -> Result<(), Box<dyn Error>> {
    println!("{}", own.public_key());
    let listener = TcpListener::bind(address).await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (mut tcp, _) = listener.accept().await?;
        // The path of one connection serves the next.
        let connect = dht.connect(&key).key_pair(own).reusable_socket();
        tokio::spawn(async move {
            let forward = async { copy_bidirectional(&mut tcp, &mut connect.await?).await };
            if let Err(error) = forward.await {
                eprintln!("a TCP connection has ended: {error}");
            }
        });
    }
}

/// Reads the key pair of this client from a file, or makes one.
fn identity(path: &str) -> Result<KeyPair, Box<dyn Error>> {
    match fs::read(path) {
        Ok(seed) => Ok(KeyPair::from_seed(seed[..].try_into()?)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let own = KeyPair::generate();
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            // For the owner's eyes only.
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(path)?.write_all(own.seed())?;
            Ok(own)
        }
        Err(error) => Err(error.into()),
    }
}
