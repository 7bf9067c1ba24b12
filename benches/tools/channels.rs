//! Calls and tunnels for measuring; `benches/versus/calls.mjs` has the calls of the reference.
//!
//! ```text
//! channels calls-server BOOTSTRAP                    prints its key, responds to calls
//! channels calls-client BOOTSTRAP KEY N              median time of N calls at once
//! channels tunnel-server BOOTSTRAP TARGET [bare]     prints its key, connects streams to a TCP server
//! channels tunnel-client BOOTSTRAP KEY [bare]        prints the address of its TCP port
//! channels sink                                      prints the address of a TCP server that reads
//! channels send ADDRESS COUNT N                      N megabytes over COUNT TCP connections at once
//! ```
//!
//! With `bare` each TCP connection has a connection of its own, without channels.

#![allow(clippy::print_stdout)]

// Tools share it.
#[path = "support/mod.rs"]
mod support;

use std::future::IntoFuture;
use std::time::Instant;

use hyperprofile::mux::{Mux, tunnel};
use hyperprofile::rpc::{self, Client, Responders};
use hyperprofile::{Dht, KeyPair, PublicKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use support::{Result, median};

#[tokio::main(worker_threads = 1)]
async fn main() -> Result<()> {
    // As a task, and on one thread: see `peer`.
    tokio::spawn(run(std::env::args().skip(1).collect())).await?
}

async fn run(arguments: Vec<String>) -> Result<()> {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["calls-server", bootstrap] => calls_server(&node(bootstrap).await?).await,
        ["calls-client", bootstrap, key, count] => {
            calls_client(&node(bootstrap).await?, &key.parse()?, count.parse()?).await
        }
        ["tunnel-server", bootstrap, target] => tunnel_server(&node(bootstrap).await?, target, false).await,
        ["tunnel-server", bootstrap, target, "bare"] => {
            tunnel_server(&node(bootstrap).await?, target, true).await
        }
        ["tunnel-client", bootstrap, key] => {
            tunnel_client(&node(bootstrap).await?, key.parse()?, false).await
        }
        ["tunnel-client", bootstrap, key, "bare"] => {
            tunnel_client(&node(bootstrap).await?, key.parse()?, true).await
        }
        ["sink"] => sink().await,
        ["send", address, count, megabytes] => send(address, count.parse()?, megabytes.parse()?).await,
        _ => Err("usage: channels calls-server BOOTSTRAP | calls-client BOOTSTRAP KEY N | tunnel-server \
                  BOOTSTRAP TARGET [bare] | tunnel-client BOOTSTRAP KEY [bare] | sink | send ADDRESS COUNT N"
            .into()),
    }
}

async fn node(bootstrap: &str) -> Result<Dht> {
    let dht = Dht::builder().bootstrap([bootstrap]).bind("127.0.0.1:0").spawn().await?;
    dht.bootstrapped().await?;
    Ok(dht)
}

async fn calls_server(dht: &Dht) -> Result<()> {
    let server = dht.listen(KeyPair::generate()).await?;
    println!("key {}", server.public_key().to_hex());
    let responders = Responders::new();
    responders.respond("echo", |request| async { Ok(request.value) });
    rpc::serve(&server, &responders).await;
    Ok(())
}

async fn calls_client(dht: &Dht, key: &PublicKey, count: usize) -> Result<()> {
    let client = Client::new(dht);
    let value = bytes::Bytes::from(vec![7; 100]);
    let mut times = Vec::new();
    // The first connects, and some warm up, as much as in Node.
    for _ in 0..30 {
        let start = Instant::now();
        let mut calls = JoinSet::new();
        for _ in 0..count {
            calls.spawn(client.request(key, "echo", value.clone()).into_future());
        }
        while let Some(answer) = calls.join_next().await {
            assert_eq!(answer??, value);
        }
        times.push(start.elapsed());
    }
    println!("calls {count} at once, median {:.2} ms", median(times.split_off(10)));
    Ok(())
}

async fn tunnel_server(dht: &Dht, target: &str, is_bare: bool) -> Result<()> {
    let server = dht.listen(KeyPair::generate()).await?;
    println!("key {}", server.public_key().to_hex());
    while let Some(mut connection) = server.accept().await {
        let target = target.to_owned();
        tokio::spawn(async move {
            if is_bare {
                let mut tcp = TcpStream::connect(&target).await?;
                copy_bidirectional_with_sizes(&mut tcp, &mut connection, BUFFER, BUFFER).await?;
            } else {
                tunnel::serve(&Mux::new(connection), &target).await?;
            }
            Ok::<_, std::io::Error>(())
        });
    }
    Ok(())
}

async fn tunnel_client(dht: &Dht, key: PublicKey, is_bare: bool) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("tunnel {}", listener.local_addr()?);
    if !is_bare {
        return Ok(tunnel::open(&Mux::new(dht.connect(key).await?), &listener).await?);
    }
    loop {
        let (mut tcp, _) = listener.accept().await?;
        let connect = dht.connect(key).key_pair(KeyPair::generate());
        tokio::spawn(async move {
            let mut connection = connect.await.map_err(std::io::Error::from)?;
            copy_bidirectional_with_sizes(&mut tcp, &mut connection, BUFFER, BUFFER).await
        });
    }
}

/// Reads each connection to its end, and answers with the number of bytes.
async fn sink() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("sink {}", listener.local_addr()?);
    loop {
        let (mut tcp, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut buffer = vec![0; 256 * 1024];
            let mut bytes = 0;
            loop {
                match tcp.read(&mut buffer).await? {
                    0 => break,
                    length => bytes += length as u64,
                }
            }
            tcp.write_u64(bytes).await
        });
    }
}

async fn send(address: &str, count: usize, megabytes: usize) -> Result<()> {
    let each = megabytes * 1_000_000 / count;
    let mut open = Vec::new();
    for _ in 0..count {
        open.push(TcpStream::connect(address).await?);
    }
    let start = Instant::now();
    let mut sending = JoinSet::new();
    for mut tcp in open {
        sending.spawn(async move {
            let chunk = vec![1; 64 * 1024];
            let mut left = each;
            while left > 0 {
                let length = chunk.len().min(left);
                tcp.write_all(&chunk[..length]).await?;
                left -= length;
            }
            tcp.shutdown().await?;
            tcp.read_u64().await
        });
    }
    let mut failed = 0;
    while let Some(sent) = sending.join_next().await {
        failed += usize::from(!matches!(sent?, Ok(bytes) if bytes == each as u64));
    }
    let rate = (each * count) as f64 / start.elapsed().as_secs_f64() / 1e6;
    println!("send {count} connections {rate:.1} MB/s, {failed} failed");
    Ok(())
}

const BUFFER: usize = 32 * 1024;
