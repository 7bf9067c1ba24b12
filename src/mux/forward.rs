//! Bytes between a TCP connection and a stream. An idle TCP connection has no buffers, and bytes are read
//! into the frames that carry them.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::Shutdown;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::task::consume_budget;

use super::core::{ChannelId, MAX_DATA, data};
use super::error::MuxError;
use super::handle::Shared;
use super::stream::ByteStream;

/// Forwards both directions until both have ended.
pub(super) async fn forward(tcp: &TcpStream, stream: &ByteStream) -> io::Result<()> {
    let (shared, id) = stream.parts();
    tokio::try_join!(from_tcp(tcp, shared, id), to_tcp(tcp, shared, id)).map(drop)
}

async fn from_tcp(tcp: &TcpStream, shared: &Shared, id: ChannelId) -> io::Result<()> {
    loop {
        tcp.readable().await?;
        let room = poll_fn(|cx| shared.core().poll_room(id, MAX_DATA, cx.waker()));
        let (number, length) = room.await.map_err(reset)?;
        let mut frame = data(number, &[]);
        let head = frame.len();
        frame.resize(head + length, 0);
        match tcp.try_read(&mut frame[head..]) {
            Ok(0) => return shared.core().finish_stream(id).map_err(reset),
            Ok(read) => {
                frame.truncate(head + read);
                // One that waits holds as much as is counted for it.
                if read < length / 2 {
                    frame.shrink_to_fit();
                }
                shared.core().put_data(id, read, frame).map_err(reset)?;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

async fn to_tcp(tcp: &TcpStream, shared: &Shared, id: ChannelId) -> io::Result<()> {
    let mut read = None;
    loop {
        let next = poll_fn(|cx| shared.core().poll_data(id, read.take(), cx.waker()));
        let Some(data) = next.await.map_err(reset)? else {
            return SockRef::from(tcp).shutdown(Shutdown::Write);
        };
        // As much may wait as comes: other tasks get their turn.
        consume_budget().await;
        let mut rest = &data[..];
        while !rest.is_empty() {
            match tcp.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => tcp.writable().await?,
                Err(error) => return Err(error),
            }
        }
        read = Some(data.len());
    }
}

fn reset(error: MuxError) -> io::Error {
    error.into()
}
