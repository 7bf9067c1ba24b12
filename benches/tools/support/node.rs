//! The stream engine on one socket, without anything else of a node.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Instant;

use hyperprofile::udx::{Config, StreamId, Streams};
use hyperprofile::wire::transmit::{SocketId, Train};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::Result;

/// A UDP socket with segmentation offload in both directions.
pub(crate) struct Offload {
    io: UdpSocket,
    state: UdpSocketState,
    buffers: Vec<u8>,
    metas: [RecvMeta; BATCH],
}

impl Offload {
    pub(crate) fn bind() -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let state = UdpSocketState::new((&socket).into())?;
        state.set_recv_buffer_size((&socket).into(), 8 << 20)?;
        state.set_send_buffer_size((&socket).into(), 8 << 20)?;
        Ok(Self {
            io: UdpSocket::from_std(socket)?,
            state,
            buffers: vec![0; BATCH * SIZE],
            metas: [RecvMeta::default(); BATCH],
        })
    }

    pub(crate) fn port(&self) -> io::Result<u16> {
        Ok(self.io.local_addr()?.port())
    }

    pub(crate) fn max_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.io.readable().await
    }

    /// Hands received datagrams to `take`; returns whether there may be more.
    pub(crate) fn receive(&mut self, mut take: impl FnMut(SocketAddrV4, &[u8])) -> bool {
        let mut rest = self.buffers.as_mut_slice();
        let mut slices: [IoSliceMut<'_>; BATCH] = std::array::from_fn(|_| {
            let (buffer, others) = std::mem::take(&mut rest).split_at_mut(SIZE);
            rest = others;
            IoSliceMut::new(buffer)
        });
        let received = self
            .io
            .try_io(Interest::READABLE, || self.state.recv((&self.io).into(), &mut slices, &mut self.metas));
        let Ok(filled) = received else {
            return false;
        };
        for (buffer, meta) in self.buffers.chunks(SIZE).zip(&self.metas[..filled]) {
            let SocketAddr::V4(from) = meta.addr else {
                continue;
            };
            for datagram in buffer[..meta.len].chunks(meta.stride.max(1)) {
                take(from, datagram);
            }
        }
        true
    }

    pub(crate) async fn send(
        &self,
        destination: SocketAddrV4,
        size: usize,
        contents: &[u8],
    ) -> io::Result<()> {
        let transmit = Transmit {
            destination: destination.into(),
            ecn: None,
            contents,
            segment_size: (contents.len() > size).then_some(size),
            src_ip: None,
        };
        self.io.async_io(Interest::WRITABLE, || self.state.try_send((&self.io).into(), &transmit)).await
    }
}

/// Streams and the socket that carries them.
pub(crate) struct Node {
    pub(crate) streams: Streams,
    socket: Offload,
    train: Vec<u8>,
}

impl Node {
    pub(crate) fn bind() -> Result<Self> {
        let seed = [std::process::id() as u8; 32];
        Ok(Self {
            streams: Streams::new(Config::default(), seed),
            socket: Offload::bind()?,
            train: Vec::new(),
        })
    }

    pub(crate) fn port(&self) -> io::Result<u16> {
        self.socket.port()
    }

    pub(crate) fn connect(&mut self, id: StreamId, port: u16, remote_id: u32) {
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let now = Instant::now();
        self.streams.connect(now, id, SocketId::SERVER, address, remote_id);
    }

    /// Waits for datagrams or a deadline and processes them.
    pub(crate) async fn turn(&mut self) -> Result<()> {
        let deadline = self.streams.poll_timeout().map(|(at, _)| at);
        let timer = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            readable = self.socket.readable() => readable?,
            () = timer => {}
        }
        let now = Instant::now();
        let (streams, mut datagrams) = (&mut self.streams, 0);
        let mut take = |from, datagram: &[u8]| {
            datagrams += 1;
            streams.handle_datagram(now, SocketId::SERVER, from, datagram);
        };
        let mut calls = 0;
        while calls < MAX_CALLS && self.socket.receive(&mut take) {
            calls += 1;
        }
        if datagrams > 0 {
            self.streams.flush(now);
        }
        self.streams.handle_timeout(now);
        Ok(())
    }

    /// Sends pending datagrams.
    pub(crate) async fn drain(&mut self, now: Instant) -> Result<()> {
        let segments = self.socket.max_segments();
        loop {
            self.train.clear();
            let Some(train) = self.streams.poll_transmit(now, segments, &mut self.train) else {
                return Ok(());
            };
            let Train { destination, segment_size, .. } = train;
            self.socket.send(destination, segment_size, &self.train).await?;
        }
    }
}

const BATCH: usize = quinn_udp::BATCH_SIZE;
const SIZE: usize = 64 * 1024;
/// Calls to the system per turn, after which what was received is acknowledged.
const MAX_CALLS: usize = 8;
