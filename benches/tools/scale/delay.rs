//! A path to a database that takes time: a proxy for TCP.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::Result;

/// Forwards what comes to a port to an address, and every byte of it, either way, so much later. Threads,
/// since the timer of tasks has steps of a millisecond.
pub(crate) fn forward(target: &str, port: u16, microseconds: u64) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("forwarding");
    for near in listener.incoming() {
        let (near, far) = (near?, TcpStream::connect(target)?);
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let delay = Duration::from_micros(microseconds);
        pass(near.try_clone()?, far.try_clone()?, delay);
        pass(far, near, delay);
    }
    Ok(())
}

fn pass(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (sender, passing) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        // An error ends the connection as its end does.
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let _ = sender.send((Instant::now() + delay, buffer[..length].to_vec()));
        }
    });
    thread::spawn(move || {
        for (at, bytes) in passing {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        // It may be closed already.
        let _ = to.shutdown(Shutdown::Write);
    });
}
