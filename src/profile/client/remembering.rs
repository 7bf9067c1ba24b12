//! What a client remembers, and what it does when a server has lost that.

use std::io;
use std::sync::{Arc, Mutex};

use super::super::Limits;
use super::super::entry::KeyEntry;
use super::super::record::Record;
use super::super::service::{Service, ServiceConfig};
use super::super::store::MemoryStore;
use super::tests::{Pipe, TestService, ada, connect, denied, profile, service};
use super::*;

/// Connects to a service with what another client has remembered.
async fn connect_with(service: &TestService, versions: &MemoryVersions) -> ProfileClient<Pipe, Shared> {
    let dial = Pipe::to(service, &ada(), &[]);
    let shared = Shared(Arc::new(Mutex::new(versions.clone())));
    ProfileClient::connect(ada(), dial, shared).await.unwrap()
}

/// A memory that the test can look into.
#[derive(Clone)]
struct Shared(Arc<Mutex<MemoryVersions>>);

impl Versions for Shared {
    fn highest(&mut self) -> io::Result<u64> {
        self.0.lock().unwrap().highest()
    }

    fn raise(&mut self, version: u64) -> io::Result<()> {
        self.0.lock().unwrap().raise(version)
    }

    fn acknowledged(&mut self) -> io::Result<KeyEntry> {
        self.0.lock().unwrap().acknowledged()
    }

    fn acknowledge(&mut self, entry: &KeyEntry) -> io::Result<()> {
        self.0.lock().unwrap().acknowledge(entry)
    }
}

/// Returns what a client remembers after it has registered and stored so many updates.
async fn memory_of(service: &TestService, updates: usize) -> MemoryVersions {
    let mut client = connect_with(service, &MemoryVersions::default()).await;
    client.register(profile("Ada")).await.unwrap();
    for number in 0..updates {
        client.update(|_| Ok(profile(&format!("Ada {number}")))).await.unwrap();
    }
    client.versions.0.lock().unwrap().clone()
}

#[tokio::test]
async fn a_refused_update_raises_what_was_signed_and_not_what_was_acknowledged() {
    let service = Service::new(
        MemoryStore::default(),
        ServiceConfig {
            limits: Limits { writes_per_minute: 1, ..Limits::default() },
            ..ServiceConfig::default()
        },
    );
    let memory = memory_of(&service, 0).await;
    let mut client = connect_with(&service, &memory).await;
    for _ in 0..3 {
        let refused = denied(client.update(|_| Ok(profile("B"))).await);
        assert!(matches!(refused, Denied::TooMany { .. }), "{refused:?}");
    }
    assert_eq!(client.highest_version().unwrap(), 4);
    let memory = client.versions.0.lock().unwrap().clone();
    let mut again = connect_with(&service, &memory).await;
    // Nothing was lost: the server has what it has acknowledged.
    assert_eq!(again.acknowledged().unwrap().record(), again.record());
}

#[tokio::test]
async fn a_profile_that_the_server_lost_is_brought_back_above_all_that_was_signed() {
    let mut memory = memory_of(&service(), 2).await;
    memory.raise(9).unwrap();
    let forgetful = service();
    let mut client = connect_with(&forgetful, &memory).await;
    assert!(client.record().is_none());
    assert_eq!(client.acknowledged().unwrap().version(), 3);
    let back = client.bring_back().await.unwrap();
    assert_eq!((back.version(), back.profile().name()), (10, "Ada 1"));
    assert_eq!(client.bring_back().await.unwrap(), back, "nothing is lost any more");
    assert_eq!(connect(&forgetful).await.record(), Some(&back));
}

#[tokio::test]
async fn a_version_that_the_server_lost_is_brought_back() {
    for updates in [0, 1] {
        // The server was restored from a backup: it has version 1, or 2, of 4.
        let restored = service();
        memory_of(&restored, updates).await;
        let memory = memory_of(&service(), 3).await;
        let mut client = connect_with(&restored, &memory).await;
        // What the server shows does not replace the newer one that is remembered.
        assert_eq!(client.record().unwrap().version(), 1 + updates as u64);
        assert_eq!(client.acknowledged().unwrap().version(), 4);
        let back = client.bring_back().await.unwrap();
        assert_eq!((back.version(), back.profile().name()), (5, "Ada 2"));
    }
    // Also if the text is the one that the server has.
    let mut memory = memory_of(&service(), 0).await;
    memory.acknowledge(&KeyEntry::Present(Record::sign(&ada(), 6, profile("Ada")))).unwrap();
    let restored = service();
    memory_of(&restored, 0).await;
    let mut client = connect_with(&restored, &memory).await;
    assert_eq!(client.bring_back().await.unwrap().version(), 7);
}

#[tokio::test]
async fn what_was_never_acknowledged_or_was_deleted_is_not_brought_back() {
    let service = service();
    let mut client = connect_with(&service, &MemoryVersions::default()).await;
    let outcome = client.bring_back().await;
    assert!(matches!(outcome, Err(ClientError::NothingAcknowledged)), "{outcome:?}");
    client.register(profile("Ada")).await.unwrap();
    client.delete().await.unwrap();
    assert_eq!(client.acknowledged().unwrap(), KeyEntry::Deleted { version: 1 });
    let outcome = client.bring_back().await;
    assert!(matches!(outcome, Err(ClientError::NothingAcknowledged)), "{outcome:?}");
}

/// A memory that cannot be written.
struct ReadOnly;

impl Versions for ReadOnly {
    fn highest(&mut self) -> io::Result<u64> {
        Ok(0)
    }

    fn raise(&mut self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn acknowledged(&mut self) -> io::Result<KeyEntry> {
        Ok(KeyEntry::Unknown)
    }

    fn acknowledge(&mut self, _: &KeyEntry) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

#[tokio::test]
async fn a_memory_that_cannot_be_written_prevents_signing_and_not_reading() {
    let service = service();
    connect(&service).await.register(profile("Ada")).await.unwrap();
    let dial = Pipe::to(&service, &ada(), &[]);
    let mut client = ProfileClient::connect(ada(), dial, ReadOnly).await.unwrap();
    assert!(client.record().is_some());
    assert!(client.take_memory_error().is_some());
    assert!(client.take_memory_error().is_none());
    let outcome = client.update(|_| Ok(profile("B"))).await;
    assert!(matches!(outcome, Err(ClientError::Versions(_))), "{outcome:?}");
}
