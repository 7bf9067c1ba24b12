use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use serde_json::json;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader, DuplexStream, Join, ReadBuf, Sink,
    duplex, join, sink,
};

use super::super::content::{Profile, ProfileDraft};
use super::super::peers::PeerAddress;
use super::super::record::Record;
use super::super::service::{Service, ServiceConfig};
use super::super::store::MemoryStore;
use super::*;
use crate::KeyPair;
use crate::api::{ClaimedKey, ProvenKey};

pub(super) type TestService = Service<MemoryStore>;

pub(super) fn ada() -> KeyPair {
    KeyPair::from_seed(&[1; 32])
}

pub(super) fn profile(name: &str) -> Profile {
    let name = name.to_owned();
    ProfileDraft { name, ..ProfileDraft::default() }.check().unwrap()
}

pub(super) fn service() -> TestService {
    Service::new(MemoryStore::default(), ServiceConfig::default())
}

/// Connects to a service in memory. The first connections are cut: the answer with the given number, from 0,
/// is lost.
#[derive(Clone)]
pub(super) struct Pipe {
    service: TestService,
    identity: KeyPair,
    cuts: Arc<Mutex<VecDeque<usize>>>,
}

impl Pipe {
    pub(super) fn to(service: &TestService, identity: &KeyPair, cuts: &[usize]) -> Self {
        Self {
            service: service.clone(),
            identity: identity.clone(),
            cuts: Arc::new(Mutex::new(cuts.iter().copied().collect())),
        }
    }
}

impl Dial for Pipe {
    type Stream = DuplexStream;

    async fn dial(&mut self) -> Result<DuplexStream, DialError> {
        let (near, middle) = duplex(1 << 17);
        let (between, mut far) = duplex(1 << 17);
        let key = *self.identity.public_key();
        let service = self.service.clone();
        tokio::spawn(async move {
            let address = PeerAddress::direct(Ipv4Addr::LOCALHOST);
            service.greet(&mut far, ClaimedKey::new(key), address).await.unwrap();
            service.serve_proven(far, ProvenKey::new(key), |_| address).await
        });
        let cut = self.cuts.lock().unwrap().pop_front();
        tokio::spawn(async move {
            let (mut from_client, mut to_client) = tokio::io::split(middle);
            let (from_server, mut to_server) = tokio::io::split(between);
            let up = tokio::io::copy(&mut from_client, &mut to_server);
            let down = async {
                let mut lines = BufReader::new(from_server).lines();
                // The greeting is line 0, so answer n is line n + 1.
                let mut number = 0;
                while let Ok(Some(line)) = lines.next_line().await {
                    if cut.is_some_and(|cut| number == cut + 1) {
                        return;
                    }
                    number += 1;
                    let line = format!("{line}\n");
                    if to_client.write_all(line.as_bytes()).await.is_err() {
                        return;
                    }
                }
            };
            tokio::select! {
                _ = up => {}
                () = down => {}
            }
        });
        Ok(near)
    }
}

pub(super) async fn connect(service: &TestService) -> ProfileClient<Pipe, MemoryVersions> {
    let dial = Pipe::to(service, &ada(), &[]);
    ProfileClient::connect(ada(), dial, MemoryVersions::default()).await.unwrap()
}

pub(super) fn denied<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> Denied {
    match outcome {
        Err(ClientError::Denied(denied)) => denied,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn registers_and_is_greeted_with_it() {
    let service = service();
    let mut client = connect(&service).await;
    assert!(client.record().is_none());
    let record = client.register(profile("Ada")).await.unwrap();
    assert_eq!(record.version(), 1);
    assert_eq!(client.register(profile("Ada")).await.unwrap(), record);
    let other = denied(client.register(profile("Bob")).await);
    assert_eq!(other, Denied::AlreadyRegistered { version: 1 });
    client.close().await;
    assert_eq!(connect(&service).await.record(), Some(&record));
}

#[tokio::test]
async fn updates_and_deletes_and_registers_again() {
    let service = service();
    let mut client = connect(&service).await;
    assert_eq!(denied(client.delete().await), Denied::NotRegistered);
    assert_eq!(denied(client.update(|p| Ok(p.clone())).await), Denied::NotRegistered);
    client.register(profile("Ada")).await.unwrap();
    let updated = client.update(|_| Ok(profile("Ada L"))).await.unwrap();
    assert_eq!((updated.version(), updated.profile().name()), (2, "Ada L"));
    let unchanged = client.update(|p| Ok(p.clone())).await.unwrap();
    assert_eq!(unchanged.version(), 2);
    assert_eq!(client.delete().await.unwrap(), 2);
    assert!(client.record().is_none());
    assert_eq!(client.register(profile("Ada")).await.unwrap().version(), 3);
    assert_eq!(client.lookup(*ada().public_key()).await.unwrap().record.version(), 3);
    client.ping().await.unwrap();
}

#[tokio::test]
async fn an_edit_is_made_again_on_what_another_session_stored() {
    let service = service();
    let mut one = connect(&service).await;
    one.register(profile("Ada")).await.unwrap();
    let mut two = connect(&service).await;
    let bio = |p: &Profile| {
        let mut draft = p.clone().into_draft();
        draft.bio = "maths".into();
        draft.check()
    };
    one.update(bio).await.unwrap();
    let both = two
        .update(|p| {
            let mut draft = p.clone().into_draft();
            draft.name = "Ada L".into();
            draft.check()
        })
        .await
        .unwrap();
    assert_eq!(both.profile().text(), r#"{"name":"Ada L","bio":"maths"}"#);
    // Version 2 was signed for a text that the server refused, so it must not be used again.
    assert_eq!(both.version(), 3);
}

#[tokio::test]
async fn a_client_without_memory_learns_the_deleted_version() {
    let service = service();
    let mut first = connect(&service).await;
    first.register(profile("Ada")).await.unwrap();
    for name in ["B", "C", "D"] {
        first.update(|_| Ok(profile(name))).await.unwrap();
    }
    first.delete().await.unwrap();
    let mut second = connect(&service).await;
    assert_eq!(second.register(profile("Ada")).await.unwrap().version(), 5);
}

#[tokio::test]
async fn signs_above_what_it_saw_when_the_server_has_forgotten() {
    // The server was restored from a backup: it has version 1, the client remembers 7.
    let service = service();
    connect(&service).await.register(profile("Ada")).await.unwrap();
    let mut versions = MemoryVersions::default();
    versions.raise(7).unwrap();
    let dial = Pipe::to(&service, &ada(), &[]);
    let mut client = ProfileClient::connect(ada(), dial, versions.clone()).await.unwrap();
    assert_eq!(client.highest_version().unwrap(), 7);
    // What was only signed, the server has not lost.
    assert_eq!(client.acknowledged().unwrap().version(), 1);
    assert_eq!(client.update(|_| Ok(profile("B"))).await.unwrap().version(), 8);

    // And one that has forgotten everything.
    let empty = self::service();
    let dial = Pipe::to(&empty, &ada(), &[]);
    let mut client = ProfileClient::connect(ada(), dial, versions).await.unwrap();
    assert_eq!(client.register(profile("Ada")).await.unwrap().version(), 8);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_and_nothing_is_done_twice() {
    for cuts in [&[0][..], &[0, 0]] {
        let service = service();
        let dial = Pipe::to(&service, &ada(), cuts);
        let mut client = ProfileClient::connect(ada(), dial, MemoryVersions::default()).await.unwrap();
        assert_eq!(client.register(profile("Ada")).await.unwrap().version(), 1);
        client.dial.cuts.lock().unwrap().extend(cuts);
        client.session = None;
        assert_eq!(client.update(|_| Ok(profile("B"))).await.unwrap().version(), 2);
        client.dial.cuts.lock().unwrap().extend(cuts);
        client.session = None;
        assert_eq!(client.delete().await.unwrap(), 2);
    }
}

#[tokio::test]
async fn gives_up_after_the_third_lost_answer() {
    let service = service();
    let dial = Pipe::to(&service, &ada(), &[0, 0, 0]);
    let mut client = ProfileClient::connect(ada(), dial, MemoryVersions::default()).await.unwrap();
    let outcome = client.register(profile("Ada")).await;
    assert!(matches!(outcome, Err(ClientError::Lost(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_server_without_a_way_to_it_is_not_dialled_again() {
    let mut dial = Nowhere(0);
    let outcome = ProfileClient::connect(ada(), &mut dial, MemoryVersions::default()).await;
    let error = outcome.err();
    assert!(
        matches!(&error, Some(ClientError::Lost(lost)) if lost.kind() == io::ErrorKind::HostUnreachable),
        "{error:?}"
    );
    assert_eq!(dial.0, 1);
}

/// Counts connections that turn out to lead nowhere.
struct Nowhere(usize);

impl Dial for &mut Nowhere {
    type Stream = Join<Unreachable, Sink>;

    async fn dial(&mut self) -> Result<Self::Stream, DialError> {
        self.0 += 1;
        Ok(join(Unreachable, sink()))
    }
}

struct Unreachable;

impl AsyncRead for Unreachable {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::HostUnreachable.into()))
    }
}

/// A server that sends these lines and reads on.
pub(super) struct Script(Vec<String>);

impl Dial for Script {
    type Stream = DuplexStream;

    async fn dial(&mut self) -> Result<DuplexStream, DialError> {
        let (near, mut far) = duplex(1 << 17);
        for line in &self.0 {
            far.write_all(format!("{line}\n").as_bytes()).await?;
        }
        tokio::spawn(async move {
            // Holds the connection open until the client leaves.
            let _ = tokio::io::copy(&mut far, &mut tokio::io::sink()).await;
        });
        Ok(near)
    }
}

fn hello(record: &serde_json::Value) -> String {
    json!({"jsonrpc": "2.0", "method": "hello", "params": {"protocol": 1, "record": record}}).to_string()
}

pub(super) async fn scripted(lines: &[String]) -> Result<ProfileClient<Script, MemoryVersions>, ClientError> {
    ProfileClient::connect(ada(), Script(lines.to_vec()), MemoryVersions::default()).await
}

#[tokio::test]
async fn believes_no_record_that_its_owner_did_not_sign() {
    let good = serde_json::to_value(Record::sign(&ada(), 1, profile("Ada"))).unwrap();
    assert!(scripted(&[hello(&good)]).await.unwrap().record().is_some());
    let mut forged = good.clone();
    forged["profile"] = json!(r#"{"name":"Eve"}"#);
    let eve = KeyPair::from_seed(&[6; 32]);
    let foreign = serde_json::to_value(Record::sign(&eve, 1, profile("Eve"))).unwrap();
    for bad in [&forged, &foreign, &json!({}), &json!("x")] {
        let outcome = scripted(&[hello(bad)]).await.map(|_| ());
        assert!(matches!(outcome, Err(ClientError::Protocol(_))), "{outcome:?}");
        let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {"record": bad}}).to_string();
        let mut client = scripted(&[hello(&json!(null)), answer]).await.unwrap();
        let outcome = client.get().await;
        assert!(matches!(outcome, Err(ClientError::Protocol(_))), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_server_that_stores_something_else_is_found_out() {
    let other = Record::sign(&ada(), 1, profile("Old"));
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {"record": other}}).to_string();
    let mut client = scripted(&[hello(&json!(null)), answer]).await.unwrap();
    let outcome = client.register(profile("Ada")).await;
    assert!(matches!(outcome, Err(ClientError::Protocol(_))), "{outcome:?}");
}

#[tokio::test]
async fn another_version_is_distinguished_from_nonsense() {
    let greeting = r#"{"method":"hello","params":{"protocol":2}}"#;
    let outcome = scripted(&[greeting.to_owned()]).await.map(|_| ());
    assert!(matches!(outcome, Err(ClientError::Incompatible)), "{outcome:?}");
}

#[tokio::test]
async fn nonsense_is_called_nonsense() {
    for first in ["{}", "nonsense", r#"{"method":"hello","params":{"protocol":"2"}}"#, &"x".repeat(70_000)] {
        let outcome = scripted(&[first.to_owned()]).await.map(|_| ());
        assert!(matches!(outcome, Err(ClientError::Protocol(_))), "{first:.40}: {outcome:?}");
    }
    for answer in [
        r#"{"jsonrpc":"2.0","id":2,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"data":{"kind":"too_many"}}}"#,
    ] {
        let mut client = scripted(&[hello(&json!(null)), answer.to_owned()]).await.unwrap();
        let outcome = client.ping().await;
        assert!(matches!(outcome, Err(ClientError::Protocol(_))), "{answer}: {outcome:?}");
    }
}

#[tokio::test]
async fn words_of_the_server_are_escaped() {
    let answer = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": "\u{1b}[2J\u{202e}"}});
    let mut client = scripted(&[hello(&json!(null)), answer.to_string()]).await.unwrap();
    let shown = denied(client.ping().await).to_string();
    assert_eq!(shown, r"the server refused (code -1): \u{1b}[2J\u{202e}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_not_waited_for() {
    let outcome = scripted(&[]).await.map(|_| ());
    assert!(matches!(outcome, Err(ClientError::TimedOut)), "{outcome:?}");
    let mut client = scripted(&[hello(&json!(null))]).await.unwrap();
    let outcome = client.ping().await;
    assert!(matches!(outcome, Err(ClientError::TimedOut)), "{outcome:?}");
}
