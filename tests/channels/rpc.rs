//! Calls: what `calls.mjs` does in JavaScript, and the same here.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyperprofile::mux::MuxError;
use hyperprofile::rpc::{self, Cause, Client, RemoteError, Responders, RpcError, Values};
use hyperprofile::{Dht, PublicKey};
use tokio::sync::Semaphore;

use super::support::{Process, Reference};
use super::{listen, soon, with_guest};

const SECRET: [u8; 32] = [7; 32];

#[tokio::test(flavor = "multi_thread")]
async fn our_client_calls_their_server() {
    with_guest(async |network, dht| {
        let mut peer = Process::script(Reference::Latest, "calls.mjs", &["serve", &network.bootstrap]);
        let key = peer.event("key").await;
        soon(try_all(dht, &key.parse().unwrap())).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn their_client_calls_our_server() {
    with_guest(async |network, dht| {
        let (key, serving) = serve(dht, None).await;
        let arguments = ["dial", network.bootstrap.as_str(), &key.to_hex()];
        let mut peer = Process::script(Reference::Latest, "calls.mjs", &arguments);
        peer.event("tried").await;
        serving.abort();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_this_crate_do_the_same() {
    with_guest(async |network, dht| {
        let (key, serving) = serve(dht, None).await;
        let other = network.guest().await;
        soon(try_all(&other, &key)).await;
        other.close().await;
        serving.abort();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capability_lets_in_who_knows_it_on_their_server() {
    with_guest(async |network, dht| {
        let secret = hex(&SECRET);
        let mut peer =
            Process::script(Reference::Latest, "calls.mjs", &["serve", &network.bootstrap, &secret]);
        let key: PublicKey = peer.event("key").await.parse().unwrap();
        let knows = Client::new(dht).capability(&SECRET);
        assert_eq!(soon(knows.request(&key, "echo", "hello").into_future()).await.unwrap(), "hello");
        let guesses = Client::new(dht).capability(&[8; 32]);
        let refused = soon(guesses.request(&key, "echo", "hello").into_future()).await;
        assert!(matches!(refused, Err(RpcError::Capability | RpcError::Channel(_))), "{refused:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capability_lets_in_who_knows_it_on_our_server() {
    with_guest(async |network, dht| {
        let (key, serving) = serve(dht, Some(SECRET)).await;
        let dial = |secret: [u8; 32]| {
            let arguments = ["dial", network.bootstrap.as_str(), &key.to_hex(), &hex(&secret)];
            Process::script(Reference::Latest, "calls.mjs", &arguments)
        };
        assert_eq!(dial(SECRET).event("tried").await, "hello");
        dial([8; 32]).event("refused").await;
        serving.abort();
    })
    .await;
}

/// Responds to the methods of `calls.mjs`.
async fn serve(dht: &Dht, secret: Option<[u8; 32]>) -> (PublicKey, tokio::task::JoinHandle<()>) {
    let server = listen(dht).await;
    let key = *server.public_key();
    let responders = responders();
    let serving = tokio::spawn(async move {
        match secret {
            None => rpc::serve(&server, &responders).await,
            Some(secret) => rpc::serve(&server, &responders).capability(&secret).await,
        }
    });
    (key, serving)
}

fn responders() -> Responders {
    let responders = Responders::new();
    let sum = Arc::new(AtomicU64::new(0));
    let added = Arc::clone(&sum);
    let gone = Arc::new(Semaphore::new(0));
    let go = Arc::clone(&gone);
    responders
        .respond("echo", |request| async { Ok(request.value) })
        .respond("raw", |request| async { Ok(request.value) })
        .respond("nothing", |_| async { Ok(Bytes::new()) })
        .respond("fail", |_| async {
            let cause = Cause { context: "in a test".into(), ..Cause::with_code("E_FAIL", "it fails") };
            Err::<Bytes, _>(cause)
        })
        .respond("add", move |request| {
            let sum = Arc::clone(&sum);
            async move {
                sum.fetch_add(std::str::from_utf8(&request.value)?.parse::<u64>()?, Ordering::SeqCst);
                Ok(Bytes::new())
            }
        })
        .respond("sum", move |_| {
            let sum = added.load(Ordering::SeqCst).to_string();
            async move { Ok(sum) }
        })
        .respond("wait", move |request| {
            let gone = Arc::clone(&gone);
            async move {
                let _ = gone.acquire().await?;
                Ok(request.value)
            }
        })
        .respond("go", move |_| {
            go.add_permits(1);
            async { Ok(Bytes::new()) }
        })
        .respond("back", |request| async move { Ok(request.call("shout", request.value.clone()).await?) })
        .respond("never", |_| std::future::pending::<Result<Bytes, Cause>>());
    responders
}

async fn try_all(dht: &Dht, key: &PublicKey) {
    let client = Client::new(dht);
    let calls: Vec<_> = (0..1000)
        .map(|i| {
            let value = format!("value {i}");
            let call = client.request(key, "echo", value.clone()).into_future();
            tokio::spawn(async move { assert_eq!(call.await.unwrap(), value) })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    let large = vec![7; 2_000_000];
    assert_eq!(client.request(key, "echo", large.clone()).await.unwrap(), large);
    assert_eq!(client.request(key, "nothing", "x").await.unwrap(), "");

    let unknown = remote(client.request(key, "no such method", "x").await);
    assert_eq!(unknown.code, RemoteError::UNKNOWN_METHOD);
    assert!(unknown.message.contains("no such method"));
    let failed = remote(client.request(key, "fail", "x").await);
    assert_eq!(failed.code, RemoteError::REQUEST_ERROR);
    let cause = failed.cause.unwrap();
    assert_eq!((&*cause.message, &*cause.code, &*cause.context), ("it fails", "E_FAIL", "in a test"));
    let after = Duration::from_millis(100);
    let late = client.request(key, "never", "x").timeout(after).await;
    assert!(matches!(late, Err(RpcError::TimedOut { .. })), "{late:?}");

    for value in ["1", "20", "300"] {
        client.event(key, "add", value).await.unwrap();
    }
    assert_eq!(client.request(key, "sum", "").await.unwrap(), "321");
    // The first cannot be answered before the second has been served.
    let wait = client.request(key, "wait", "patient").into_future();
    let (waited, went) = tokio::join!(wait, client.request(key, "go", "").into_future());
    assert_eq!((waited.unwrap(), went.unwrap()), ("patient".into(), "".into()));

    // A channel of its own, on which the server calls back.
    let shouting = Responders::new();
    shouting.respond("shout", |request| async move { Ok(request.value.to_ascii_uppercase()) });
    let rpc = Client::new(dht).responders(&shouting).connect(*key).await.unwrap();
    assert_eq!(rpc.request("back", "hello").await.unwrap(), "HELLO");
    rpc.end().await.unwrap();
    assert!(matches!(rpc.request("echo", "x").await, Err(RpcError::Channel(MuxError::Closed))));

    // The encoding of values is the application's.
    let raw = Client::new(dht).values(Values::Raw);
    let method = "raw";
    let answer = raw.request(key, method, &b"\x02hi"[..]).await;
    assert_eq!(answer.unwrap(), &b"\x02hi"[..]);
}

fn remote(result: Result<Bytes, RpcError>) -> RemoteError {
    match result {
        Err(RpcError::Remote(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn hex(secret: &[u8; 32]) -> String {
    secret.iter().map(|byte| format!("{byte:02x}")).collect()
}
