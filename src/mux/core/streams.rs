//! Byte streams on channels: what their readers and writers do.

use std::task::{Poll, Waker};

use bytes::Buf;
use tokio::io::ReadBuf;

use super::state::{ChannelId, Core, Phase};
use super::window::{DATA, DATA_COST, END, GRANT};
use crate::mux::error::MuxError;
use crate::mux::frame;

impl Core {
    /// Reads what has come; nothing once the peer has sent all its bytes.
    pub(in crate::mux) fn poll_read_stream(
        &mut self,
        id: ChannelId,
        buffer: &mut ReadBuf<'_>,
        waker: &Waker,
    ) -> Poll<Result<(), MuxError>> {
        self.start();
        let Some(channel) = self.channels.get_mut(&id) else {
            return Poll::Ready(Err(MuxError::Closed));
        };
        let Some(window) = &mut channel.stream else {
            return Poll::Ready(Err(MuxError::Closed));
        };
        let before = buffer.remaining();
        let mut cost = 0;
        while buffer.remaining() > 0 {
            let Some(message) = channel.inbox.front_mut() else {
                break;
            };
            let length = message.content.len().min(buffer.remaining());
            buffer.put_slice(&message.content[..length]);
            message.content.advance(length);
            cost += length;
            if message.content.is_empty() {
                channel.inbox.pop_front();
                cost += DATA_COST;
            }
        }
        let grant = window.read(cost, self.streams);
        let is_at_end = window.is_received && channel.inbox.is_empty();
        if let (Some(grant), Some(number), false) = (grant, channel.number, channel.is_closing) {
            self.put(id, frame::message(number as u64 + 1, GRANT, &grant));
        }
        if before == 0 || buffer.remaining() < before || is_at_end {
            return Poll::Ready(Ok(()));
        }
        self.wait_to_read(id, waker)
    }

    fn wait_to_read(&mut self, id: ChannelId, waker: &Waker) -> Poll<Result<(), MuxError>> {
        let Some(channel) = self.channels.get_mut(&id) else {
            return Poll::Ready(Err(MuxError::Closed));
        };
        if let Phase::Ended(reason) = channel.phase {
            return Poll::Ready(Err(reason));
        }
        channel.reader = Some(waker.clone());
        Poll::Pending
    }

    /// Puts bytes in line, as many as a message and the window of the stream take.
    pub(in crate::mux) fn poll_write_stream(
        &mut self,
        id: ChannelId,
        bytes: &[u8],
        waker: &Waker,
    ) -> Poll<Result<usize, MuxError>> {
        // A grant comes by the connection.
        self.start();
        let number = self.writable(id)?;
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if !self.has_room(id, waker) {
            return Poll::Pending;
        }
        let Some(channel) = self.channels.get_mut(&id) else {
            return Poll::Ready(Err(MuxError::Closed));
        };
        let Some(window) = channel.stream.as_mut().filter(|window| !window.is_sent) else {
            return Poll::Ready(Err(MuxError::Closed));
        };
        let length = window.may_send().min(bytes.len());
        if length == 0 {
            channel.wait_to_write(waker);
            return Poll::Pending;
        }
        window.sent(length);
        self.put(id, frame::message(number, DATA, &bytes[..length]));
        Poll::Ready(Ok(length))
    }

    /// Tells the peer that there are no more bytes, behind those that wait.
    pub(in crate::mux) fn finish_stream(&mut self, id: ChannelId) -> Result<(), MuxError> {
        let Some(window) = self.channels.get_mut(&id).and_then(|channel| channel.stream.as_mut()) else {
            return Err(MuxError::Closed);
        };
        if std::mem::replace(&mut window.is_sent, true) {
            return Ok(());
        }
        let number = self.writable(id)?;
        self.put(id, frame::message(number, END, &[]));
        Ok(())
    }
}
