//! Channels: what `channels.mjs` does in JavaScript, and the same here.

use hyperprofile::api::Connection;
use hyperprofile::mux::{Channel, Listener, Mux, MuxError};

use super::support::{Process, Reference};
use super::{connect, listen, soon, with_guest};

#[tokio::test(flavor = "multi_thread")]
async fn channels_work_with_their_server() {
    with_guest(async |network, dht| {
        let mut peer = Process::script(Reference::Latest, "channels.mjs", &["serve", &network.bootstrap]);
        let key = peer.event("key").await;
        soon(exercise(connect(dht, &key).await, "dial", &mut peer)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_work_with_their_client() {
    with_guest(async |network, dht| {
        let server = listen(dht).await;
        let key = server.public_key().to_hex();
        let mut peer =
            Process::script(Reference::Latest, "channels.mjs", &["dial", &network.bootstrap, &key]);
        let connection = soon(server.accept()).await.unwrap();
        soon(exercise(connection, "serve", &mut peer)).await;
    })
    .await;
}

/// Both sides try the channels of the other.
async fn exercise(connection: Connection, role: &str, peer: &mut Process) {
    let mux = Mux::new(connection);
    let listener = mux.listen("echo").unwrap();
    // By its other name.
    let both = mux.open("beide", b"id").alias("both").handshake(&b"at once"[..]);
    let both = both.begin().unwrap();
    let serving = tokio::spawn(serve(listener));
    tokio::join!(try_all(&mux, role, both), peer.event("tried"));
    serving.abort();
}

/// Takes channels of `echo`.
async fn serve(mut listener: Listener) {
    while let Some(incoming) = listener.accept().await {
        let handshake = [b"for ", &incoming.id()[..]].concat();
        let channel = incoming.accept(&handshake).unwrap();
        tokio::spawn(echo(channel));
    }
}

async fn echo(mut channel: Channel) {
    while let Some(message) = channel.recv().await.unwrap() {
        let sent = match message.kind {
            0 => channel.send(0, &message.content).await,
            1 => {
                let mut batch = channel.batch();
                [0, 1, 0].iter().for_each(|kind| batch.push(*kind, &message.content));
                batch.send().await
            }
            _ => return,
        };
        // The peer may close while answers are on their way.
        assert!(matches!(sent, Ok(()) | Err(MuxError::Closed)), "{sent:?}");
    }
}

async fn try_all(mux: &Mux, role: &str, mut both: Channel) {
    assert_eq!(&both.opened().await.unwrap()[..], b"at once");
    both.send(0, b"crossing").await.unwrap();
    expect(&mut both, 0, b"crossing").await;

    // Ids of the own: a channel that both open is one channel.
    let ids = [if role == "serve" { "" } else { role }.into(), format!("{role} one"), format!("{role} two")];
    let ids = ids.iter().chain(ids.last());
    let tasks: Vec<_> = ids.map(|id| tokio::spawn(try_echo(mux.clone(), id.clone()))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    // Numbers of closed channels serve others.
    for i in 0..50_u8 {
        let mut channel = mux.open("echo", format!("{role}{i}").as_bytes()).await.unwrap();
        channel.send(0, &[i]).await.unwrap();
        expect(&mut channel, 0, &[i]).await;
    }
    // A channel that is closed before the peer has opened its side.
    for _ in 0..3 {
        drop(mux.open("later", role.as_bytes()).begin().unwrap());
        drop(mux.open("later", role.as_bytes()).await.unwrap());
    }
    let mut refused = mux.open("nobody speaks this", b"").handshake(&b"hello"[..]).begin().unwrap();
    refused.send(0, b"dropped").await.unwrap();
    assert_eq!(refused.opened().await, Err(MuxError::Rejected));
    assert_eq!(refused.recv().await, Err(MuxError::Rejected));
}

async fn try_echo(mux: Mux, id: String) {
    let mut channel = mux.open("echo", id.as_bytes()).handshake(&b"hello"[..]).begin().unwrap();
    let sender = channel.sender();
    // Before the peer has opened its side; it may take less at once than is sent here.
    let sending = tokio::spawn(async move {
        for i in 0..300 {
            sender.send(0, &content(i)).await.unwrap();
        }
    });
    assert_eq!(channel.opened().await.unwrap(), format!("for {id}"));
    for i in 0..300 {
        expect(&mut channel, 0, &content(i)).await;
    }
    sending.await.unwrap();
    let large = vec![7; 3_000_000];
    channel.send(0, &large).await.unwrap();
    expect(&mut channel, 0, &large).await;
    let mut batch = channel.batch();
    let texts = [&b"x"[..], b"", b"yz"];
    texts.iter().for_each(|text| batch.push(1, text));
    batch.send().await.unwrap();
    for text in texts {
        for kind in [0, 1, 0] {
            expect(&mut channel, kind, text).await;
        }
    }
    if !id.ends_with("two") {
        channel.send(2, b"").await.unwrap();
        assert_eq!(channel.recv().await, Ok(None));
    }
}

async fn expect(channel: &mut Channel, kind: u64, content: &[u8]) {
    let message = channel.recv().await.unwrap().expect("a message, not the end");
    assert_eq!(message.kind, kind);
    assert!(message.content == content, "{} bytes", message.content.len());
}

fn content(i: usize) -> Vec<u8> {
    vec![i as u8; i * 7 % 400]
}
