//! A connection as a stream and a sink.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;
use hyperprofile::api::StreamError;

use crate::world::{World, pattern, within};

#[tokio::test]
async fn messages_arrive_whole_in_order_and_the_end_after_them() {
    let world = World::new().await;
    let (client, server) = world.connect().await;
    let (mut client, mut server) = (client.into_messages(), server.into_messages());
    let sent = [1, 70_000, 5].map(|length| Bytes::from(pattern(length)));
    for message in &sent {
        send(&mut client, message.clone()).await.unwrap();
    }
    for message in &sent {
        assert_eq!(next(&mut server).await, Some(Ok(message.clone())));
    }
    send(&mut server, sent[2].clone()).await.unwrap();
    assert_eq!(next(&mut client).await, Some(Ok(sent[2].clone())));
    assert_eq!(server.get_ref().remote_public_key(), Some(client.get_ref().own_key()));

    let (closed, end) = tokio::join!(close(&mut client), next(&mut server));
    assert_eq!((closed, end), (Ok(()), None));
    assert_eq!(next(&mut server).await, None);
    // The other direction goes on.
    send(&mut server, sent[0].clone()).await.unwrap();
    let mut client = client.into_inner();
    assert_eq!(within(client.read_message()).await, Ok(Some(sent[0].clone())));
}

#[tokio::test]
async fn a_sink_is_not_ready_while_much_waits_and_loses_nothing() {
    let world = World::new().await;
    let (client, server) = world.connect().await;
    let mut stream = client.into_split().0.into_messages();
    let (_read, write) = server.into_split();
    let mut sink = write.into_messages();
    let message = Bytes::from(pattern(60_000));
    let mut sent = 0;
    while let Poll::Ready(ready) = poll_fn(|cx| Poll::Ready(Pin::new(&mut sink).poll_ready(cx))).await {
        ready.unwrap();
        Pin::new(&mut sink).start_send(message.clone()).unwrap();
        sent += 1;
        assert!(sent < 1000, "nothing holds the writer back");
    }
    let reading = tokio::spawn(async move {
        for _ in 0..sent {
            assert_eq!(next(&mut stream).await, Some(Ok(message.clone())));
        }
        stream
    });
    within(poll_fn(|cx| Pin::new(&mut sink).poll_flush(cx))).await.unwrap();
    within(reading).await.unwrap();
}

#[tokio::test]
async fn an_abrupt_end_is_the_last_item_and_fails_the_sink() {
    let world = World::new().await;
    let (client, server) = world.connect().await;
    let mut server = server.into_messages();
    client.abort();
    assert_eq!(next(&mut server).await, Some(Err(StreamError::Reset)));
    assert_eq!(next(&mut server).await, None);
    assert_eq!(send(&mut server, Bytes::from_static(b"x")).await, Err(StreamError::Reset));
    let size = 16_777_199;
    let (client, _server) = world.connect().await;
    let mut client = client.into_messages();
    let refused = send(&mut client, Bytes::from(vec![0; size])).await;
    assert_eq!(refused, Err(StreamError::TooLarge { size, max: size - 1 }));
    send(&mut client, Bytes::from_static(b"x")).await.unwrap();
}

async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    within(poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx))).await
}

async fn send<S: Sink<Bytes> + Unpin>(sink: &mut S, message: Bytes) -> Result<(), S::Error> {
    within(poll_fn(|cx| Pin::new(&mut *sink).poll_ready(cx))).await?;
    Pin::new(&mut *sink).start_send(message)?;
    within(poll_fn(|cx| Pin::new(&mut *sink).poll_flush(cx))).await
}

async fn close<S: Sink<Bytes> + Unpin>(sink: &mut S) -> Result<(), S::Error> {
    within(poll_fn(|cx| Pin::new(&mut *sink).poll_close(cx))).await
}
