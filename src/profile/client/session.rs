//! A connection to a server: the greeting, then calls and their answers.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};

use super::super::json;
use super::super::lines::{LineError, Lines};
use super::super::message::{Call, Id, PROTOCOL, Request};
use super::super::record::{RawRecord, Record};
use super::super::rotation::{Rotation, verify_chain};
use super::error::{ClientError, Denied, raw_chain};
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
    /// The keys that are watched.
    watched: BTreeSet<PublicKey>,
    /// What they have now, as far as it was not taken yet.
    changed: BTreeMap<PublicKey, Watched>,
}

/// What a watched key has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Watched {
    /// The key.
    pub key: PublicKey,
    /// Its record, or that of the key that has replaced it; `None` if there is none.
    pub record: Option<Record>,
    /// The statements that have replaced the key, verified; none if it was not replaced.
    pub chain: Vec<Rotation>,
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
    /// Reads the greeting: the record of `own`, if the server has one, and the statements that have replaced
    /// `own`.
    pub(super) async fn open(
        stream: T,
        own: &PublicKey,
        answer_timeout: Duration,
    ) -> Result<(Self, Option<Record>, Vec<Rotation>), CallError> {
        let mut session = Self {
            stream,
            lines: Lines::default(),
            last_id: 0,
            answer_timeout,
            max_protocol: PROTOCOL,
            watched: BTreeSet::new(),
            changed: BTreeMap::new(),
        };
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
        if let Some(error) = member("error") {
            return Err(denied(error));
        }
        // A server of version 1 names no newest one.
        session.max_protocol = member("maxProtocol").and_then(Value::as_u64).unwrap_or(PROTOCOL);
        let record = match member("record") {
            None | Some(Value::Null) => None,
            Some(record) => Some(verified(record, own).map_err(CallError::Final)?),
        };
        let chain = member("chain").map(|chain| verified_chain(chain, own)).transpose();
        Ok((session, record, chain.map_err(CallError::Final)?.unwrap_or_default()))
    }

    /// Returns the connection.
    pub(super) const fn stream(&self) -> &T {
        &self.stream
    }

    /// Sends a request and waits for its answer.
    ///
    /// A server of version 1 follows no statements, and has none.
    pub(super) async fn call(&mut self, mut request: Request) -> Result<Value, CallError> {
        if let Request::Lookup { follow, .. } = &mut request {
            *follow &= self.max_protocol > PROTOCOL;
        }
        if request.protocol() > self.max_protocol {
            return Err(CallError::Final(ClientError::OldServer));
        }
        if let Request::Watch { keys } = &request {
            self.watched = keys.iter().copied().collect();
            self.changed.clear();
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
            if self.is_notification(&answer)? {
                continue;
            }
            if let Some(error) = answer.get("error") {
                return Err(denied(error));
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

    /// Returns whether these keys, and no others, are watched over this connection.
    pub(super) fn watches(&self, keys: &BTreeSet<PublicKey>) -> bool {
        self.watched == *keys
    }

    /// Waits until `idle_at` for what a watched key has now. Cancel safe.
    pub(super) async fn change(&mut self, idle_at: Instant) -> Result<Option<Watched>, CallError> {
        loop {
            if let Some((_, watched)) = self.changed.pop_first() {
                return Ok(Some(watched));
            }
            match self.lines.next(&mut self.stream, Some(idle_at), self.answer_timeout).await {
                Ok(line) => {
                    let line = parsed(&line)?;
                    if !self.is_notification(&line)? {
                        return Err(protocol("it answered what was not asked"));
                    }
                }
                Err(LineError::Idle) => return Ok(None),
                Err(error) => return Err(ended(error)),
            }
        }
    }

    /// Returns whether a line is a notification, which has a method, and not an answer, which has none. Keeps
    /// what a watched key has now, and ignores notifications that are not known.
    fn is_notification(&mut self, line: &Value) -> Result<bool, CallError> {
        let Some(method) = line.get("method") else { return Ok(false) };
        if method == "profile.changed" {
            let parameter = |name| line.get("params").and_then(|parameters| parameters.get(name));
            let key = parameter("key").and_then(Value::as_str).and_then(|key| key.parse().ok());
            // Keys that are not watched any more may still be in flight.
            if let Some(key) = key.filter(|key| self.watched.contains(key)) {
                let chain = parameter("chain").map(|chain| verified_chain(chain, &key)).transpose();
                let chain = chain.map_err(CallError::Final)?.unwrap_or_default();
                let owner = chain.last().map_or(&key, Rotation::to);
                let record = match parameter("record") {
                    None | Some(Value::Null) => None,
                    Some(record) => Some(verified(record, owner).map_err(CallError::Final)?),
                };
                self.changed.insert(key, Watched { key, record, chain });
            }
        }
        Ok(true)
    }

    /// Ends the connection in order.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    async fn read(&mut self, deadline: Instant) -> Result<Value, CallError> {
        let line = self.lines.next(&mut self.stream, Some(deadline), self.answer_timeout);
        parsed(&line.await.map_err(ended)?)
    }
}

fn denied(error: &Value) -> CallError {
    match Denied::from_json(error) {
        Some(denied) => CallError::Final(denied.into()),
        None => protocol("an error has no code, or not what its kind needs"),
    }
}

fn parsed(line: &[u8]) -> Result<Value, CallError> {
    json::parse(line).map_err(|_| protocol("a line is not JSON as the protocol has it"))
}

fn ended(error: LineError) -> CallError {
    match error {
        LineError::Ended => lost(io::ErrorKind::UnexpectedEof.into()),
        LineError::Io(error) => lost(error),
        LineError::Idle | LineError::Slow => CallError::Lost(ClientError::TimedOut),
        LineError::TooLong => protocol("a line is too long"),
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

/// Reads statements and verifies that they lead on from a key.
pub(super) fn verified_chain(chain: &Value, from: &PublicKey) -> Result<Vec<Rotation>, ClientError> {
    let chain = raw_chain(chain).and_then(|chain| verify_chain(from, chain).ok());
    chain.ok_or(ClientError::Protocol("its statements do not prove which key has replaced another one"))
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
