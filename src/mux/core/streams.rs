//! Byte streams on channels: what their readers and writers do.
//!
//! Bytes are copied outside of the state machine, which all streams of a connection share.

use std::task::{Poll, Waker};

use bytes::Bytes;

use super::state::{ChannelId, Core, Phase};
use super::window::{DATA, END};
use crate::mux::error::MuxError;
use crate::mux::frame;

impl Core {
    /// Returns the next data; `None` once the peer has sent all its bytes. `read` is how long the data was
    /// that the reader is done with, if there was some: the peer may send as much again.
    pub(in crate::mux) fn poll_data(
        &mut self,
        id: ChannelId,
        read: Option<usize>,
        waker: &Waker,
    ) -> Poll<Result<Option<Bytes>, MuxError>> {
        self.start();
        let channel = self.channels.get_mut(&id).ok_or(MuxError::Closed)?;
        let window = channel.stream.as_mut().ok_or(MuxError::Closed)?;
        read.into_iter().for_each(|read| window.read(read, self.streams));
        let has_grant = window.has_grant();
        let message = channel.inbox.pop_front();
        let is_at_end = window.is_received;
        if let (None, false, Phase::Opening | Phase::Open) = (&message, is_at_end, channel.phase) {
            channel.reader = Some(waker.clone());
        }
        let phase = channel.phase;
        if has_grant && matches!(phase, Phase::Opening | Phase::Open) {
            self.line_up(id);
        }
        match (message, phase) {
            (Some(message), _) => Poll::Ready(Ok(Some(message.content))),
            (None, _) if is_at_end => Poll::Ready(Ok(None)),
            (None, Phase::Ended(reason)) => Poll::Ready(Err(reason)),
            (None, Phase::Opening | Phase::Open) => Poll::Pending,
        }
    }

    /// Returns the number of the channel and how many bytes [`Self::put_data`] may put now, `most` at most.
    pub(in crate::mux) fn poll_room(
        &mut self,
        id: ChannelId,
        most: usize,
        waker: &Waker,
    ) -> Poll<Result<(u64, usize), MuxError>> {
        // A grant comes by the connection.
        self.start();
        let number = self.writable(id)?;
        if !self.has_room(id, waker) {
            return Poll::Pending;
        }
        let channel = self.channels.get_mut(&id).ok_or(MuxError::Closed)?;
        let window = channel.stream.as_mut().filter(|window| !window.is_sent).ok_or(MuxError::Closed)?;
        let length = window.may_send().min(most);
        if length == 0 {
            channel.wait_to_write(waker);
            return Poll::Pending;
        }
        Poll::Ready(Ok((number, length)))
    }

    /// Puts the frame of so many bytes in line. There is room for them: a stream has one writer.
    pub(in crate::mux) fn put_data(
        &mut self,
        id: ChannelId,
        length: usize,
        frame: Vec<u8>,
    ) -> Result<(), MuxError> {
        self.writable(id)?;
        if let Some(window) = self.channels.get_mut(&id).and_then(|channel| channel.stream.as_mut()) {
            window.sent(length);
        }
        self.put(id, frame);
        Ok(())
    }

    /// Ends the own direction, behind the bytes that wait.
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

/// Makes the frame of data.
pub(in crate::mux) fn data(number: u64, bytes: &[u8]) -> Vec<u8> {
    frame::message(number, DATA, bytes)
}
