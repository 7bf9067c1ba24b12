//! The operations of a client.

use std::io;
use std::time::Duration;

use serde_json::Value;

use super::super::content::{InvalidProfile, Profile};
use super::super::entry::KeyEntry;
use super::super::message::Request;
use super::super::record::{MAX_VERSION, Record};
use super::super::rotation::Rotation;
use super::dial::Dial;
use super::error::{ClientError, Denied};
use super::reaching::{Answered, Question, reach};
use super::session::{Session, verified};
use super::versions::Versions;
use crate::{KeyPair, PublicKey};

/// A client of a profile server, under one identity.
///
/// After a lost connection the client connects again and repeats the request; the server answers a repeated
/// request like the first. A server that has not answered for 2 s is dialled once more beside that
/// connection, and the first answer counts: where several servers have one key, another one takes over from
/// one that has died. While a server that was connected before cannot be reached, it is dialled again for
/// 15 s. Every record is verified.
#[derive(Debug)]
pub struct ProfileClient<D: Dial, V> {
    identity: KeyPair,
    pub(super) dial: D,
    pub(super) versions: V,
    pub(super) session: Option<Session<D::Stream>>,
    record: Option<Record>,
    /// The statements that have replaced the identity.
    pub(super) moved: Vec<Rotation>,
    /// Why what the server acknowledged could not be remembered.
    memory_error: Option<io::Error>,
    answer_timeout: Duration,
}

impl<D: Dial, V: Versions> ProfileClient<D, V> {
    /// Connects and waits for the greeting.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if there is no connection or no proper greeting.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no request has been sent.
    pub async fn connect(identity: KeyPair, dial: D, versions: V) -> Result<Self, ClientError> {
        let mut client = Self {
            identity,
            dial,
            versions,
            session: None,
            record: None,
            moved: Vec::new(),
            memory_error: None,
            answer_timeout: ANSWER_TIMEOUT,
        };
        client.ask(None).await?;
        Ok(client)
    }

    /// Returns the identity of the client.
    pub const fn identity(&self) -> &KeyPair {
        &self.identity
    }

    /// Returns the connection, to ask it about itself; `None` after it was lost. The next request makes a new
    /// one then.
    pub fn stream(&self) -> Option<&D::Stream> {
        self.session.as_ref().map(Session::stream)
    }

    /// Returns the client's own record, as the server last sent it, in its greeting or an answer.
    pub const fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// Returns the statements that have replaced this identity, as the server's greeting showed them; none if
    /// it was not replaced. If it was, the server refuses every change of its profile.
    pub fn moved(&self) -> &[Rotation] {
        &self.moved
    }

    /// Returns the highest version that this identity has signed or seen at the server, whether the server
    /// accepted it or not. The next one is above it.
    ///
    /// # Errors
    ///
    /// [`ClientError::Versions`] if it could not be read.
    pub fn highest_version(&mut self) -> Result<u64, ClientError> {
        let highest = self.versions.highest().map_err(ClientError::Versions)?;
        Ok(highest.max(self.acknowledged()?.version()))
    }

    /// Returns what the server has acknowledged last, as far as is remembered here. If that is newer than
    /// [`record`](Self::record), the server has lost something, or another client of this identity has
    /// deleted the profile; see [`bring_back`](Self::bring_back).
    ///
    /// # Errors
    ///
    /// [`ClientError::Versions`] if it could not be read.
    pub fn acknowledged(&mut self) -> Result<KeyEntry, ClientError> {
        self.versions.acknowledged().map_err(ClientError::Versions)
    }

    /// Returns why something that the server acknowledged could not be remembered, and forgets the reason.
    pub const fn take_memory_error(&mut self) -> Option<io::Error> {
        self.memory_error.take()
    }

    /// Stores the profile that the server has acknowledged last, if the server has lost it: it has no record,
    /// or an older one. The profile gets a version above every one that was signed or seen. Returns the
    /// server's record if that is not older.
    ///
    /// # Errors
    ///
    /// [`ClientError::NothingAcknowledged`] if no profile is remembered here, or its deletion; otherwise any
    /// other [`ClientError`].
    ///
    /// # Cancel safety
    ///
    /// The profile may or may not be stored when the future is dropped; repeating the call is safe.
    pub async fn bring_back(&mut self) -> Result<Record, ClientError> {
        let KeyEntry::Present(kept) = self.acknowledged()? else {
            return Err(ClientError::NothingAcknowledged);
        };
        for attempt in 1.. {
            let Some(stored) = self.record.clone() else {
                return self.register(kept.profile().clone()).await;
            };
            if stored.version() >= kept.version() {
                return Ok(stored);
            }
            let record = self.sign(stored.version(), kept.profile().clone())?;
            let request = Request::Update { record: (&record).into(), after: Some(stored.version()) };
            match self.store(request, &record).await {
                Err(ClientError::Denied(Denied::VersionConflict { .. })) if attempt < ATTEMPTS => {
                    self.get().await?;
                }
                outcome => return outcome,
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Registers a first profile. Succeeds if the same profile is stored already.
    ///
    /// # Errors
    ///
    /// [`Denied::AlreadyRegistered`] if there is another profile; otherwise any other [`ClientError`].
    ///
    /// # Cancel safety
    ///
    /// The profile may or may not be stored when the future is dropped; repeating the call is safe.
    pub async fn register(&mut self, profile: Profile) -> Result<Record, ClientError> {
        if let Some(record) = &self.record {
            return same_profile(record, &profile);
        }
        // A server that has lost nothing knows the highest version that this client knows.
        let mut record = self.sign(0, profile)?;
        let mut after = None;
        for attempt in 1.. {
            let raw = (&record).into();
            let request = Request::Register { record: raw, after };
            match self.store(request, &record).await {
                Err(ClientError::Denied(Denied::AlreadyRegistered { .. })) => {
                    let stored = self.get().await?;
                    return same_profile(&stored, record.profile());
                }
                Err(ClientError::Denied(Denied::VersionConflict { version })) if attempt < ATTEMPTS => {
                    if record.version() <= version {
                        record = self.sign(version, record.profile().clone())?;
                    }
                    after = (record.version() - 1 != version).then_some(version);
                }
                outcome => return outcome,
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Changes the client's profile. `edit` gets the stored one, and gets it again if another client of the
    /// same identity has changed it meanwhile.
    ///
    /// # Errors
    ///
    /// [`ClientError::InvalidProfile`] if `edit` fails; [`Denied::NotRegistered`] if there is nothing to
    /// change; otherwise any other [`ClientError`].
    ///
    /// # Cancel safety
    ///
    /// The change may or may not be made when the future is dropped.
    pub async fn update<F>(&mut self, mut edit: F) -> Result<Record, ClientError>
    where
        F: FnMut(&Profile) -> Result<Profile, InvalidProfile> + Send,
    {
        for attempt in 1.. {
            let stored = match &self.record {
                Some(record) => record.clone(),
                None => self.get().await?,
            };
            let profile = edit(stored.profile())?;
            if profile.text() == stored.profile().text() {
                return Ok(stored);
            }
            let record = self.sign(stored.version(), profile)?;
            let after = (record.version() - 1 != stored.version()).then_some(stored.version());
            let raw = (&record).into();
            match self.store(Request::Update { record: raw, after }, &record).await {
                Err(ClientError::Denied(Denied::VersionConflict { .. })) if attempt < ATTEMPTS => {
                    self.get().await?;
                }
                outcome => return outcome,
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Deletes the client's profile and returns the deleted version. If the server has none, a profile that
    /// it has lost is given up.
    ///
    /// # Errors
    ///
    /// [`Denied::NotRegistered`] if there is none; otherwise any other [`ClientError`].
    ///
    /// # Cancel safety
    ///
    /// The profile may or may not be deleted when the future is dropped.
    pub async fn delete(&mut self) -> Result<u64, ClientError> {
        for attempt in 1.. {
            let version = match &self.record {
                Some(record) => record.version(),
                None => match self.get().await {
                    Ok(record) => record.version(),
                    Err(error @ ClientError::Denied(Denied::NotRegistered)) => {
                        self.forget(0)?;
                        return Err(error);
                    }
                    Err(error) => return Err(error),
                },
            };
            match self.call(Request::Delete { version }).await {
                Ok(result) if result.get("deleted") == Some(&Value::Bool(true)) => {
                    self.record = None;
                    self.forget(version)?;
                    return Ok(version);
                }
                Ok(_) => return Err(ClientError::Protocol("a deletion is answered otherwise")),
                Err(ClientError::Denied(Denied::VersionConflict { .. })) if attempt < ATTEMPTS => {
                    self.get().await?;
                }
                Err(error) => return Err(error),
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Reads the client's own record.
    ///
    /// # Errors
    ///
    /// [`Denied::NotRegistered`] if there is none; otherwise any other [`ClientError`].
    ///
    /// # Cancel safety
    ///
    /// The connection is made anew if the future is dropped.
    pub async fn get(&mut self) -> Result<Record, ClientError> {
        let own = *self.identity.public_key();
        match self.call(Request::Get).await {
            Ok(result) => {
                let record = record_in(&result, &own)?;
                self.learn(Some(record.clone()));
                Ok(record)
            }
            Err(error) => {
                if matches!(error, ClientError::Denied(Denied::NotRegistered)) {
                    self.record = None;
                }
                Err(error)
            }
        }
    }

    /// Sends a request without effect, which keeps the server from closing an idle connection.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    ///
    /// # Cancel safety
    ///
    /// The connection is made anew if the future is dropped.
    pub async fn ping(&mut self) -> Result<(), ClientError> {
        self.call(Request::Ping).await.map(|_| ())
    }

    /// Ends the connection in order.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the connection abruptly.
    pub async fn close(mut self) {
        if let Some(session) = &mut self.session {
            // No request is outstanding: an end that does not arrive does no harm.
            let _ = tokio::time::timeout(FAREWELL, session.close()).await;
        }
    }

    /// Signs a version above the given one and above every version signed or seen before. The version is
    /// stored before the record leaves this function.
    fn sign(&mut self, above: u64, profile: Profile) -> Result<Record, ClientError> {
        sign(&self.identity, &mut self.versions, above, profile)
    }

    /// Sends a record and checks that the server stored the same one.
    async fn store(&mut self, request: Request, sent: &Record) -> Result<Record, ClientError> {
        let result = self.call(request).await?;
        let stored = record_in(&result, sent.key())?;
        if !stored.has_same_content_as(sent) {
            return Err(ClientError::Protocol("it stored another record than it was sent"));
        }
        self.learn(Some(stored.clone()));
        Ok(stored)
    }

    pub(super) async fn call(&mut self, request: Request) -> Result<Value, ClientError> {
        self.ask(Some(&request)).await
    }

    /// Sends a request; without one, waits for the greeting of a new connection.
    async fn ask(&mut self, request: Option<&Request>) -> Result<Value, ClientError> {
        let own = *self.identity.public_key();
        let question = Question { own: &own, request, answer_timeout: self.answer_timeout };
        // Taken out: a dropped call must not leave an answer behind that a later call takes for its own.
        let session = self.session.take();
        let Answered { session, greeting, result } = reach(&mut self.dial, session, question).await?;
        self.session = Some(session);
        if let Some((record, moved)) = greeting {
            self.moved = moved;
            self.learn(record);
        }
        result
    }

    fn learn(&mut self, record: Option<Record>) {
        if let Some(record) = &record {
            self.remember(&KeyEntry::Present(record.clone()));
        }
        self.record = record;
    }

    /// Remembers that the profile was deleted. The server may have held an older version than it
    /// acknowledged.
    fn forget(&mut self, version: u64) -> Result<(), ClientError> {
        let version = self.acknowledged()?.version().max(version);
        if version > 0 {
            self.remember(&KeyEntry::Deleted { version });
        }
        Ok(())
    }

    /// Remembers what the server has acknowledged. It has done so in any case: that it cannot be remembered
    /// is reported beside the outcome.
    fn remember(&mut self, entry: &KeyEntry) {
        if let Err(error) = self.versions.acknowledge(entry) {
            self.memory_error = Some(error);
        }
    }
}

/// Signs a version above the given one and above every version that is remembered, and stores it before it
/// leaves this function.
pub(super) fn sign(
    identity: &KeyPair,
    versions: &mut impl Versions,
    above: u64,
    profile: Profile,
) -> Result<Record, ClientError> {
    let highest = versions.highest().map_err(ClientError::Versions)?;
    let acknowledged = versions.acknowledged().map_err(ClientError::Versions)?.version();
    let version = highest.max(acknowledged).max(above) + 1;
    if version > MAX_VERSION {
        return Err(ClientError::NoVersionLeft);
    }
    versions.raise(version).map_err(ClientError::Versions)?;
    Ok(Record::sign(identity, version, profile))
}

fn same_profile(stored: &Record, profile: &Profile) -> Result<Record, ClientError> {
    if stored.profile().parts() == profile.parts() {
        return Ok(stored.clone());
    }
    let version = stored.version();
    Err(Denied::AlreadyRegistered { version }.into())
}

pub(super) fn record_in(result: &Value, owner: &PublicKey) -> Result<Record, ClientError> {
    let record = result.get("record");
    verified(record.ok_or(ClientError::Protocol("an answer has no record"))?, owner)
}

/// How often a change is made anew on what another client of the identity has stored meanwhile.
const ATTEMPTS: u32 = 3;
/// Longest time for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time for the end of a connection to reach the server.
const FAREWELL: Duration = Duration::from_secs(2);
