//! Keys that are kept outside of the process.

use std::future::{IntoFuture, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use curve25519_dalek::edwards::CompressedEdwardsY;
use ed25519_dalek::hazmat::ExpandedSecretKey;
use hyperprofile::api::{ConnectError, PutError, QueryError};
use hyperprofile::{KeyPair, Limits, PublicKey, Signer, Signing};
use tokio::io::AsyncReadExt;
use tokio::task::yield_now;

use crate::world::{World, echo, within};

/// What an agent does when it is asked.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Willing,
    Refuses,
    Hangs,
    Panics,
}

/// Has a key of its own, and takes its time to use it.
struct Agent {
    key_pair: KeyPair,
    mood: Mood,
    signatures: AtomicUsize,
    exchanges: AtomicUsize,
}

impl Agent {
    fn new(mood: Mood) -> Arc<Self> {
        Arc::new(Self {
            key_pair: KeyPair::generate(),
            mood,
            signatures: AtomicUsize::new(0),
            exchanges: AtomicUsize::new(0),
        })
    }

    fn answer<T: Send + 'static>(&self, answer: T) -> Signing<T> {
        let mood = self.mood;
        Box::pin(async move {
            yield_now().await;
            match mood {
                Mood::Willing => Ok(answer),
                Mood::Refuses => Err("the user has refused".into()),
                Mood::Hangs => pending().await,
                Mood::Panics => panic!("the agent is broken"),
            }
        })
    }
}

impl Signer for Agent {
    fn public_key(&self) -> PublicKey {
        *self.key_pair.public_key()
    }

    fn sign(&self, message: [u8; 64]) -> Signing<[u8; 64]> {
        self.signatures.fetch_add(1, Ordering::Relaxed);
        self.answer(self.key_pair.sign(&message))
    }

    fn exchange(&self, point: [u8; 32]) -> Signing<[u8; 32]> {
        self.exchanges.fetch_add(1, Ordering::Relaxed);
        let scalar = ExpandedSecretKey::from(self.key_pair.seed()).scalar;
        let point = CompressedEdwardsY(point).decompress().expect("the point was checked before");
        self.answer((point * scalar).compress().0)
    }
}

#[tokio::test]
async fn a_server_and_a_client_whose_keys_are_kept_elsewhere_prove_them() {
    let world = World::new().await;
    let (server_agent, client_agent) = (Agent::new(Mood::Willing), Agent::new(Mood::Willing));
    let server = within(world.listening.listen(Arc::clone(&server_agent)).into_future()).await.unwrap();
    assert_eq!(*server.public_key(), server_agent.public_key());
    assert!(server_agent.signatures.load(Ordering::Relaxed) > 0, "announcements are signed");
    let dial = world.client.connect(server_agent.public_key()).key_pair(Arc::clone(&client_agent));
    let (client, accepted) = tokio::join!(within(dial.into_future()), within(server.accept()));
    let (mut client, accepted) = (client.unwrap(), accepted.unwrap());
    assert_eq!(*within(client.proven()).await.unwrap().public_key(), server_agent.public_key());
    assert_eq!(*within(accepted.proven()).await.unwrap().public_key(), client_agent.public_key());
    assert_eq!(server_agent.exchanges.load(Ordering::Relaxed), 2);
    assert_eq!(client_agent.exchanges.load(Ordering::Relaxed), 2);
    drop(accepted);
    let mut rest = Vec::new();
    assert_eq!(within(client.read_to_end(&mut rest)).await.unwrap(), 0);
}

#[tokio::test]
async fn what_an_agent_signs_is_found_in_the_dht() {
    let world = World::new().await;
    let agent = Agent::new(Mood::Willing);
    let (topic, key) = ([5; 32], agent.public_key());
    within(world.client.announce(topic, Arc::clone(&agent), &[]).into_future()).await.unwrap();
    let found = within(world.listening.lookup(topic).into_future()).await.unwrap();
    assert!(found.iter().any(|peer| peer.public_key == key), "{found:?}");
    within(world.client.unannounce(topic, Arc::clone(&agent))).await.unwrap();
    let found = within(world.listening.lookup(topic).into_future()).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
    within(world.client.mutable_put(Arc::clone(&agent), 3, b"kept elsewhere")).await.unwrap();
    let value = within(world.listening.mutable_get(&key).into_future()).await.unwrap().unwrap();
    assert_eq!((value.seq, &*value.value), (3, b"kept elsewhere".as_slice()));
}

#[tokio::test]
async fn an_agent_that_does_not_answer_fails_what_waits_for_it_and_nothing_else() {
    let mut limits = Limits::default();
    limits.decide_for = Duration::from_millis(300);
    let world = World::with(|builder| builder.limits(limits)).await;
    for mood in [Mood::Refuses, Mood::Hangs, Mood::Panics] {
        // The node of the server has the short limit.
        let agent = Agent::new(mood);
        let node = &world.listening;
        let dialled = within(node.connect(world.key).key_pair(Arc::clone(&agent)).into_future()).await;
        assert!(matches!(dialled, Err(ConnectError::Signer { .. })), "{dialled:?}");
        let announced = within(node.announce([5; 32], Arc::clone(&agent), &[]).into_future()).await;
        assert_eq!(announced.err(), Some(QueryError::NotStored));
        if mood == Mood::Refuses {
            let put = within(node.mutable_put(Arc::clone(&agent), 1, b"x")).await;
            assert_eq!(put.err(), Some(PutError::Signer));
        }
    }
    let (key, client) = (world.key, world.client.clone());
    let echoing = echo(world.server);
    within(client.connect(key).into_future()).await.unwrap();
    echoing.abort();
}
