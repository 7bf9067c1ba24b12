//! A peer for measuring what lies below a connection: UDX without encryption, and UDP by itself.
//!
//! ```text
//! plain server [echo|sink]             takes one stream; prints its port, then bytes and processor time
//! plain client PORT stream|ping N      N megabytes one way, or N round trips of 64 bytes
//! plain udp-server | udp-client PORT N round trips of 64 bytes in single datagrams, by threads that block
//! plain tasks-server | tasks-client PORT N   the same by tasks of a runtime
//! plain forward PORT DELAY LOSS        a path: milliseconds one way, percent lost; prints its port
//! ```

#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use std::net::UdpSocket;
use std::time::Instant;

use hyperprofile::udx::{Admission, Event, StreamId};

use support::forward::forward;
use support::node::Node;
use support::{Result, microseconds, processor_time};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        ["server", mode] => server(mode == "echo").await,
        ["client", port, "stream", count] => stream(port.parse()?, count.parse()?).await,
        ["client", port, "ping", count] => ping(port.parse()?, count.parse()?).await,
        ["udp-server"] => udp_server(),
        ["udp-client", port, count] => udp_client(port.parse()?, count.parse()?),
        ["tasks-server"] => tokio::spawn(tasks_server()).await?,
        ["tasks-client", port, count] => tokio::spawn(tasks_client(port.parse()?, count.parse()?)).await?,
        ["forward", port, delay, loss] => forward(port.parse()?, delay.parse()?, loss.parse()?).await,
        _ => {
            Err("usage: plain server echo|sink | client PORT stream|ping N | udp-server | udp-client PORT N \
                  | tasks-server | tasks-client PORT N | forward PORT DELAY LOSS"
                .into())
        }
    }
}

/// The stream ids of both sides, which a handshake would have exchanged.
const SERVER: StreamId = StreamId(1);
const CLIENT: StreamId = StreamId(2);

async fn server(echo: bool) -> Result<()> {
    let mut node = Node::bind()?;
    println!("port {}", node.port()?);
    node.streams.open_as(SERVER.0, Admission::LearnPath);
    node.streams.set_remote_id(SERVER, CLIENT.0);
    let (mut bytes, mut start, mut buffer) = (0, None, Vec::new());
    loop {
        node.turn().await?;
        let now = Instant::now();
        buffer.clear();
        let length = node.streams.read(now, SERVER, usize::MAX, &mut buffer);
        if length > 0 {
            start.get_or_insert(now);
            bytes += length;
            if echo {
                node.streams.write(now, SERVER, &buffer)?;
            }
        }
        while let Some((_, event)) = node.streams.poll_event() {
            match event {
                Event::RemoteFinished => node.streams.finish(now, SERVER),
                Event::Closed(_) => {
                    node.drain(now).await?;
                    let seconds = start.unwrap_or(now).elapsed().as_secs_f64();
                    let rate = bytes as f64 / seconds / 1e6;
                    let cpu = processor_time().as_secs_f64();
                    println!("sink {bytes} bytes {rate:.1} MB/s; cpu {cpu:.2} s");
                    return Ok(());
                }
                _ => {}
            }
        }
        node.drain(now).await?;
    }
}

fn connected(port: u16) -> Result<Node> {
    let mut node = Node::bind()?;
    node.streams.open_as(CLIENT.0, Admission::Refuse);
    node.connect(CLIENT, port, SERVER.0);
    Ok(node)
}

async fn stream(port: u16, megabytes: usize) -> Result<()> {
    let mut node = connected(port)?;
    let chunk = vec![1; 64 * 1024];
    let total = megabytes * 1_000_000;
    let (mut written, mut over) = (0, false);
    let start = Instant::now();
    while !over {
        let now = Instant::now();
        while written < total {
            let part = &chunk[..chunk.len().min(total - written)];
            let taken = node.streams.write(now, CLIENT, part)?;
            written += taken;
            if written == total {
                node.streams.finish(now, CLIENT);
            }
            if taken < part.len() {
                break;
            }
        }
        node.drain(now).await?;
        node.turn().await?;
        while let Some((_, event)) = node.streams.poll_event() {
            over |= matches!(event, Event::Finished | Event::Closed(_));
        }
    }
    let rate = megabytes as f64 / start.elapsed().as_secs_f64();
    node.drain(Instant::now()).await?;
    let cpu = processor_time().as_secs_f64();
    println!("stream {megabytes} MB {rate:.1} MB/s; cpu {cpu:.2} s");
    Ok(())
}

async fn ping(port: u16, count: usize) -> Result<()> {
    let mut node = connected(port)?;
    let mut times = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        let mut answer = Vec::new();
        node.streams.write(start, CLIENT, &[1; 64])?;
        node.drain(start).await?;
        while answer.len() < 64 {
            node.turn().await?;
            let now = Instant::now();
            node.streams.read(now, CLIENT, 64, &mut answer);
            while node.streams.poll_event().is_some() {}
        }
        times.push(start.elapsed());
        node.drain(Instant::now()).await?;
    }
    println!("ping {}", microseconds(times));
    Ok(())
}

fn udp_server() -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    println!("port {}", socket.local_addr()?.port());
    let mut buffer = [0; 64];
    loop {
        let (length, from) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..length], from)?;
    }
}

fn udp_client(port: u16, count: usize) -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(("127.0.0.1", port))?;
    let (mut times, mut buffer) = (Vec::new(), [1; 64]);
    for _ in 0..count {
        let start = Instant::now();
        socket.send(&buffer)?;
        socket.recv(&mut buffer)?;
        times.push(start.elapsed());
    }
    println!("ping {}", microseconds(times));
    Ok(())
}

async fn tasks_server() -> Result<()> {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
    println!("port {}", socket.local_addr()?.port());
    let mut buffer = [0; 64];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await?;
        socket.send_to(&buffer[..length], from).await?;
    }
}

async fn tasks_client(port: u16, count: usize) -> Result<()> {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
    socket.connect(("127.0.0.1", port)).await?;
    let (mut times, mut buffer) = (Vec::new(), [1; 64]);
    for _ in 0..count {
        let start = Instant::now();
        socket.send(&buffer).await?;
        socket.recv(&mut buffer).await?;
        times.push(start.elapsed());
    }
    println!("ping {}", microseconds(times));
    Ok(())
}
