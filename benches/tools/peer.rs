//! A peer for measuring, with the commands and printed lines of the reference's benchmark peers, so that
//! either side can be swapped.
//!
//! ```text
//! peer testnet N                                     prints its bootstrap address, stays up
//! peer server BOOTSTRAP MODE [SEEDBYTE]              prints its key; at SIGUSR2 what it uses
//! peer client BOOTSTRAP KEY connect N                median time to open, and of the first echo
//! peer client BOOTSTRAP KEY rate N                   connections per second, 32 at once
//! peer client BOOTSTRAP KEY stream N                 N megabytes one way on one connection
//! peer client BOOTSTRAP KEY idle N                   N connections held open
//! peer client BOOTSTRAP KEY streams N                N megabytes on 100 connections at once
//! peer client BOOTSTRAP KEY ping N                   round trips of 64 bytes on one connection
//! peer client BOOTSTRAP KEY beside N                 the same while another connection sends at full speed
//! peer client BOOTSTRAP KEY hold SECONDS             echoes on a connection with this idle time-out
//! peer bound                                         what encryption costs by itself
//! ```
//!
//! `--low-latency` before the command makes the node look for datagrams before it sleeps.
//!
//! A server's MODE is `echo`, `sink`, `idle`, `patient`, which is echo with an idle time-out of five minutes,
//! or `mixed`: echo or sink by the first byte of each connection, `e` or `s`. The time of SIGUSR2 is
//! processor time.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyperprofile::api::Mode;
use hyperprofile::secret_stream::{Input, Keys, MAX_MESSAGE, Pull, Pulled, Push};
use hyperprofile::{Connection, Dht, KeyPair, PublicKey, Testnet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use support::{Result, median, microseconds, processor_time, resident};

#[tokio::main(worker_threads = 1)]
async fn main() -> Result<()> {
    // As a task and not on the main thread, which would be one more for every message to wake. One thread
    // does the work, as in Node: a client and a server share two cores.
    tokio::spawn(run(std::env::args().skip(1).collect())).await?
}

async fn run(arguments: Vec<String>) -> Result<()> {
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let low_latency = arguments.first() == Some(&"--low-latency");
    if low_latency {
        arguments.remove(0);
    }
    match *arguments {
        ["testnet", size] => testnet(size.parse()?).await,
        ["server", bootstrap, mode] => server(bootstrap, low_latency, mode, 9).await,
        ["server", bootstrap, mode, seed] => server(bootstrap, low_latency, mode, seed.parse()?).await,
        ["client", bootstrap, key, what, count] => {
            client(bootstrap, low_latency, key.parse()?, what, count.parse()?).await
        }
        ["bound"] => bound(),
        _ => Err("usage: peer [--low-latency] \
                  testnet N | server BOOTSTRAP echo|sink|idle|patient|mixed [SEEDBYTE] | client \
                  BOOTSTRAP KEY connect|rate|stream|streams|ping|beside|idle|hold N | bound"
            .into()),
    }
}

async fn testnet(size: usize) -> Result<()> {
    let testnet = Testnet::new(size).await?;
    println!("bootstrap {}", testnet.bootstrap().concat());
    std::future::pending().await
}

async fn server(bootstrap: &str, low_latency: bool, mode: &str, seed: u8) -> Result<()> {
    let dht = node(bootstrap, low_latency).await?;
    let mut listen = dht.listen(KeyPair::from_seed(&[seed; 32]));
    if mode == "patient" {
        listen = listen.idle_timeout(Duration::from_secs(300));
    }
    let server = listen.await?;
    println!("key {}", server.public_key().to_hex());
    let connections = Arc::new(AtomicU64::new(0));
    tokio::spawn(report_on_signal(Arc::clone(&connections)));
    while let Some(connection) = server.accept().await {
        let connections = Arc::clone(&connections);
        let mode = mode.to_owned();
        tokio::spawn(async move {
            connections.fetch_add(1, Ordering::Relaxed);
            // A client may end in any way.
            let _ = serve(connection, &mode).await;
            connections.fetch_sub(1, Ordering::Relaxed);
        });
    }
    Ok(())
}

async fn serve(mut connection: Connection, mode: &str) -> Result<()> {
    let mode = match mode {
        "mixed" if connection.read_u8().await? == b'e' => "echo",
        "mixed" => "sink",
        mode => mode,
    };
    match mode {
        "echo" | "patient" => {
            let mut buffer = Vec::with_capacity(64 * 1024);
            while connection.read_buf(&mut buffer).await? > 0 {
                connection.write_all(&buffer).await?;
                buffer.clear();
            }
            connection.shutdown().await?;
        }
        "sink" => {
            let mut buffer = vec![0; 256 * 1024];
            let (mut bytes, mut start) = (0, None);
            loop {
                let length = connection.read(&mut buffer).await?;
                let start = *start.get_or_insert_with(Instant::now);
                if length == 0 {
                    let rate = bytes as f64 / start.elapsed().as_secs_f64() / 1e6;
                    println!("sink {bytes} bytes {rate:.1} MB/s");
                    break;
                }
                bytes += length;
            }
            connection.shutdown().await?;
        }
        // No buffer while nothing comes.
        _ => while connection.read_message().await?.is_some() {},
    }
    connection.closed().await?;
    Ok(())
}

async fn client(bootstrap: &str, low_latency: bool, key: PublicKey, what: &str, count: usize) -> Result<()> {
    let dht = node(bootstrap, low_latency).await?;
    match what {
        "connect" => connect(&dht, key, count).await?,
        "stream" => stream(&dht, key, count).await?,
        "streams" => streams(&dht, key, count).await?,
        "ping" => {
            let mut connection = dht.connect(key).await?;
            println!("ping {}", ping(&mut connection, count).await?);
        }
        "beside" => beside(&dht, key, count).await?,
        "hold" => hold(&dht, key, count).await?,
        "rate" => rate(&dht, key, count, false).await.map(drop)?,
        "idle" => {
            let _connections = rate(&dht, key, count, true).await?;
            std::future::pending().await
        }
        _ => return Err(format!("what is {what}?").into()),
    }
    dht.close().await;
    Ok(())
}

/// Sends a byte now and then and waits for its echo, until the connection ends.
async fn hold(dht: &Dht, key: PublicKey, seconds: usize) -> Result<()> {
    let idle_timeout = Duration::from_secs(seconds as u64);
    let mut connection = dht.connect(key).idle_timeout(idle_timeout).await?;
    loop {
        connection.write_all(b"x").await?;
        connection.read_u8().await?;
        println!("echo");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn connect(dht: &Dht, key: PublicKey, count: usize) -> Result<()> {
    let (mut opens, mut echoes, mut totals) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..count {
        let identity = KeyPair::generate();
        let start = Instant::now();
        let mut connection = dht.connect(key).key_pair(&identity).await?;
        let open = start.elapsed();
        connection.write_all(b"x").await?;
        connection.read_u8().await?;
        let total = start.elapsed();
        opens.push(open);
        echoes.push(total - open);
        totals.push(total);
    }
    println!(
        "connect median {:.2} ms, first byte echo median {:.2} ms, together {:.2} ms",
        median(opens),
        median(echoes),
        median(totals)
    );
    Ok(())
}

async fn stream(dht: &Dht, key: PublicKey, megabytes: usize) -> Result<()> {
    let mut connection = dht.connect(key).await?;
    let before = processor_time();
    let chunk = vec![1; 64 * 1024];
    let mut left = megabytes * 1_000_000;
    let start = Instant::now();
    while left > 0 {
        connection.write_all(&chunk).await?;
        left = left.saturating_sub(chunk.len());
    }
    connection.shutdown().await?;
    connection.closed().await?;
    let rate = megabytes as f64 / start.elapsed().as_secs_f64();
    let cpu = (processor_time() - before).as_secs_f64();
    println!("stream {megabytes} MB {rate:.1} MB/s; client cpu {cpu:.2} s");
    Ok(())
}

async fn streams(dht: &Dht, key: PublicKey, megabytes: usize) -> Result<()> {
    let mut connections = Vec::new();
    for _ in 0..100 {
        connections.push(dht.connect(key).key_pair(KeyPair::generate()).await?);
    }
    let before = processor_time();
    let start = Instant::now();
    let each = megabytes * 1_000_000 / connections.len();
    let tasks: Vec<_> = connections
        .into_iter()
        .map(|mut connection| {
            tokio::spawn(async move {
                let chunk = vec![1; 64 * 1024];
                let mut left = each;
                while left > 0 {
                    connection.write_all(&chunk[..chunk.len().min(left)]).await?;
                    left = left.saturating_sub(chunk.len());
                }
                connection.shutdown().await?;
                connection.closed().await?;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let rate = megabytes as f64 / start.elapsed().as_secs_f64();
    let cpu = (processor_time() - before).as_secs_f64();
    println!("streams {megabytes} MB {rate:.1} MB/s; client cpu {cpu:.2} s");
    Ok(())
}

async fn ping(connection: &mut Connection, count: usize) -> Result<String> {
    let (mut times, mut buffer) = (Vec::new(), [1; 64]);
    for _ in 0..count {
        let start = Instant::now();
        connection.write_all(&buffer).await?;
        connection.read_exact(&mut buffer).await?;
        times.push(start.elapsed());
    }
    Ok(microseconds(times))
}

/// Round trips on one connection of a `mixed` server beside a bulk transfer on another.
async fn beside(dht: &Dht, key: PublicKey, count: usize) -> Result<()> {
    let mut small = dht.connect(key).key_pair(KeyPair::generate()).await?;
    let mut bulk = dht.connect(key).key_pair(KeyPair::generate()).await?;
    small.write_all(b"e").await?;
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let sender = tokio::spawn(async move {
        bulk.write_all(b"s").await?;
        let chunk = vec![1; 64 * 1024];
        loop {
            bulk.write_all(&chunk).await?;
            counter.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
        #[allow(unreachable_code, reason = "it names the type of the error")]
        Ok::<(), std::io::Error>(())
    });
    ping(&mut small, 20).await?;
    let (start, before) = (Instant::now(), sent.load(Ordering::Relaxed));
    let times = ping(&mut small, count).await?;
    let bytes = sent.load(Ordering::Relaxed) - before;
    let rate = bytes as f64 / start.elapsed().as_secs_f64() / 1e6;
    sender.abort();
    println!("ping {times}, beside {rate:.1} MB/s");
    Ok(())
}

/// Seals and opens messages of 64 KiB, as bulk writes make them.
fn bound() -> Result<()> {
    let initiator = Keys::new(&[1; 32], &[2; 32], &[3; 64], true);
    let responder = Keys::new(&[2; 32], &[1; 32], &[3; 64], false);
    let (mut push, mut pull) = (Push::with_header(&initiator, [4; 24]), Pull::new(&responder, MAX_MESSAGE));
    let message = vec![1; 64 * 1024];
    let mut opened = vec![0; message.len()];
    let (mut sealing, mut opening) = (Duration::ZERO, Duration::ZERO);
    let mut frames = push.header().to_vec();
    for _ in 0..200 {
        let start = Instant::now();
        for _ in 0..8 {
            push.seal(&message, &mut frames)?;
        }
        sealing += start.elapsed();
        let mut input = Input::default();
        input.push(std::mem::take(&mut frames));
        let start = Instant::now();
        while let Pulled::Message(_) = pull.pull_into(&mut input, &mut opened)? {}
        opening += start.elapsed();
        frames = input.spent().next().unwrap_or_default();
        frames.clear();
    }
    let rate = |time: Duration| 1600.0 * message.len() as f64 / time.as_secs_f64() / 1e6;
    println!("push {:.0} MB/s, pull {:.0} MB/s", rate(sealing), rate(opening));
    Ok(())
}

async fn rate(dht: &Dht, key: PublicKey, count: usize, keep: bool) -> Result<Vec<Connection>> {
    let started = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let workers: Vec<_> = (0..32)
        .map(|_| {
            let (dht, started) = (dht.clone(), Arc::clone(&started));
            tokio::spawn(async move {
                let (mut kept, mut failed) = (Vec::new(), 0);
                while started.fetch_add(1, Ordering::Relaxed) < count as u64 {
                    match dht.connect(key).key_pair(KeyPair::generate()).await {
                        Ok(connection) => kept.extend(keep.then_some(connection)),
                        Err(_) => failed += 1,
                    }
                }
                (kept, failed)
            })
        })
        .collect();
    let (mut kept, mut failed) = (Vec::new(), 0);
    for worker in workers {
        let (connections, failures) = worker.await?;
        kept.extend(connections);
        failed += failures;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    let memory = resident() as f64 / 1e6;
    println!("rate {rate:.1} connects/s, {failed} failed, rss {memory:.1} MB");
    Ok(kept)
}

async fn node(bootstrap: &str, low_latency: bool) -> Result<Dht> {
    let local = bootstrap.starts_with("127.");
    let dht = Dht::builder()
        .bootstrap([bootstrap])
        .bind(if local { "127.0.0.1:0" } else { "0.0.0.0:0" })
        .mode(Mode::Ephemeral)
        .low_latency(low_latency)
        .spawn()
        .await?;
    dht.bootstrapped().await?;
    Ok(dht)
}

#[cfg(unix)]
async fn report_on_signal(connections: Arc<AtomicU64>) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut signals) = signal(SignalKind::user_defined2()) else {
        return;
    };
    while signals.recv().await.is_some() {
        println!(
            "conns {} rss {:.1} MB cpu {}",
            connections.load(Ordering::Relaxed),
            resident() as f64 / 1e6,
            processor_time().as_secs_f64()
        );
    }
}

#[cfg(not(unix))]
async fn report_on_signal(_connections: Arc<AtomicU64>) {}
