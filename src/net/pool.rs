//! One set of receive buffers per thread, whatever the number of nodes and connections on it.

use std::cell::RefCell;
use std::io::{self, IoSliceMut};

use quinn_udp::RecvMeta;

use super::socket::Socket;

/// [`Socket::receive`] or [`Socket::receive_now`].
pub(super) type Receive = fn(&Socket, &mut [IoSliceMut<'_>], &mut [RecvMeta]) -> io::Result<usize>;

/// Buffers for one call to the system.
pub(super) struct Buffers {
    bytes: Vec<u8>,
    metas: [RecvMeta; BATCH],
}

impl Buffers {
    /// Lends the buffers of this thread.
    pub(super) fn with<T>(borrow: impl FnOnce(&mut Self) -> T) -> T {
        thread_local! {
            static BUFFERS: RefCell<Option<Buffers>> = const { RefCell::new(None) };
        }
        BUFFERS.with_borrow_mut(|buffers| {
            borrow(buffers.get_or_insert_with(|| Self {
                // Zeroed pages take no memory until the system writes to them.
                bytes: vec![0; BATCH * SIZE],
                metas: [RecvMeta::default(); BATCH],
            }))
        })
    }

    /// Receives a batch by one of the socket's verbs and returns the number of buffers filled.
    pub(super) fn receive(&mut self, socket: &Socket, verb: Receive) -> io::Result<usize> {
        let mut rest = self.bytes.as_mut_slice();
        let mut slices: [IoSliceMut<'_>; BATCH] = std::array::from_fn(|_| {
            let (buffer, others) = std::mem::take(&mut rest).split_at_mut(SIZE);
            rest = others;
            IoSliceMut::new(buffer)
        });
        verb(socket, &mut slices, &mut self.metas)
    }

    /// Returns the datagrams of one buffer of the last batch with what is known about them.
    pub(super) fn datagrams(&self, index: usize) -> (&RecvMeta, impl Iterator<Item = &[u8]>) {
        let meta = &self.metas[index];
        let bytes = &self.bytes[index * SIZE..][..meta.len];
        (meta, bytes.chunks(meta.stride.max(1)))
    }
}

/// Buffers per call: with receive offload each may hold dozens of datagrams.
const BATCH: usize = if quinn_udp::BATCH_SIZE < 16 { quinn_udp::BATCH_SIZE } else { 16 };

/// What receive offload may put together at most.
const SIZE: usize = 64 * 1024;
