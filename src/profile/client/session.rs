//! A connection to a server: the greeting, then calls and their answers.

use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};

use super::super::json;
use super::super::lines::{LineError, Lines};
use super::super::message::{Call, Id, PROTOCOL, Request};
use super::super::record::{RawRecord, Record};
use super::error::{ClientError, Denied};
use crate::PublicKey;

/// A greeted connection.
#[derive(Debug)]
pub(super) struct Session<T> {
    stream: T,
    lines: Lines,
    last_id: u64,
    answer_timeout: Duration,
    /// The newest version of the protocol that the server speaks.
    max_protocol: u64,
}

/// How a call failed.
#[derive(Debug)]
pub(super) enum CallError {
    /// The connection failed; the call may or may not have been carried out.
    Lost(ClientError),
    /// The server answered, with a refusal or with an invalid message.
    Final(ClientError),
}

impl<T: AsyncRead + AsyncWrite + Unpin> Session<T> {
    /// Reads the greeting: the record of `own`, if the server has one.
    pub(super) async fn open(
        stream: T,
        own: &PublicKey,
        answer_timeout: Duration,
    ) -> Result<(Self, Option<Record>), CallError> {
        let (lines, max_protocol) = (Lines::default(), PROTOCOL);
        let mut session = Self { stream, lines, last_id: 0, answer_timeout, max_protocol };
        let hello = session.read(Instant::now() + answer_timeout).await?;
        let parameters = hello.get("params");
        let member = |name| parameters.and_then(|parameters| parameters.get(name));
        if hello.get("method").and_then(Value::as_str) != Some("hello") {
            return Err(protocol("its first line is no greeting"));
        }
        match member("protocol").and_then(Value::as_u64) {
            Some(PROTOCOL) => {}
            Some(_) => return Err(CallError::Final(ClientError::Incompatible)),
            None => return Err(protocol("its greeting names no version")),
        }
        // A server of version 1 names no newest one.
        session.max_protocol = member("maxProtocol").and_then(Value::as_u64).unwrap_or(PROTOCOL);
        let record = match member("record") {
            None | Some(Value::Null) => None,
            Some(record) => Some(verified(record, own).map_err(CallError::Final)?),
        };
        Ok((session, record))
    }

    /// Returns the connection.
    pub(super) const fn stream(&self) -> &T {
        &self.stream
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn call(&mut self, request: Request) -> Result<Value, CallError> {
        if request.protocol() > self.max_protocol {
            return Err(CallError::Final(ClientError::OldServer));
        }
        self.last_id += 1;
        let call = Call { id: Id::from(self.last_id), request };
        let deadline = Instant::now() + self.answer_timeout;
        let line = call.to_line();
        let written = timeout_at(deadline, async {
            self.stream.write_all(&line).await?;
            self.stream.flush().await
        });
        written.await.map_err(|_| CallError::Lost(ClientError::TimedOut))?.map_err(lost)?;
        loop {
            let answer = self.read(deadline).await?;
            // A notification has a method, an answer has none. Unknown notifications are ignored.
            if answer.get("method").is_some() {
                continue;
            }
            if let Some(error) = answer.get("error") {
                let denied = Denied::from_json(error);
                return Err(denied.map_or_else(
                    || protocol("an error has no code, or not what its kind needs"),
                    |denied| CallError::Final(denied.into()),
                ));
            }
            if answer.get("id").and_then(Value::as_u64) != Some(self.last_id) {
                return Err(protocol("it answered what was not asked"));
            }
            return match answer.get("result") {
                Some(result) => Ok(result.clone()),
                None => Err(protocol("an answer has neither result nor error")),
            };
        }
    }

    /// Ends the connection in order.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    async fn read(&mut self, deadline: Instant) -> Result<Value, CallError> {
        let line = self.lines.next(&mut self.stream, Some(deadline), self.answer_timeout);
        let line = line.await.map_err(|error| match error {
            LineError::Ended => lost(io::ErrorKind::UnexpectedEof.into()),
            LineError::Io(error) => lost(error),
            LineError::Idle | LineError::Slow => CallError::Lost(ClientError::TimedOut),
            LineError::TooLong => protocol("a line is too long"),
        })?;
        json::parse(&line).map_err(|_| protocol("a line is not JSON as the protocol has it"))
    }
}

/// Reads a record and verifies that it is of `owner` and signed by it.
pub(super) fn verified(record: &Value, owner: &PublicKey) -> Result<Record, ClientError> {
    json::object(record)
        .ok()
        .filter(|record: &RawRecord| record.key == *owner)
        .ok_or(ClientError::Protocol("a record is malformed or another key's"))?
        .verify()
        .map_err(|_| ClientError::Protocol("a record is not signed by its owner"))
}

fn protocol(what: &'static str) -> CallError {
    CallError::Final(ClientError::Protocol(what))
}

fn lost(error: io::Error) -> CallError {
    // All ways to such a server have been tried.
    let tried = error.kind() == io::ErrorKind::HostUnreachable;
    let lost = ClientError::Lost(error);
    if tried { CallError::Final(lost) } else { CallError::Lost(lost) }
}
