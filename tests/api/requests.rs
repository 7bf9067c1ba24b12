//! Commands of an application's own.

use std::future::{Future, IntoFuture};
use std::net::UdpSocket;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Waker};

use hyperprofile::Testnet;
use hyperprofile::api::{Request, RequestError, Requests};

use crate::world::within;

const COMMAND: u64 = 300;
const UNKNOWN_COMMAND: Option<NonZeroU32> = Some(NonZeroU32::MIN);

#[tokio::test]
async fn a_command_of_the_application_is_answered_by_it() {
    let testnet = within(Testnet::new(3)).await.unwrap();
    let (asking, serving) = (&testnet.nodes()[1], &testnet.nodes()[2]);
    let at = serving.local_addr();
    let requests = serving.requests();
    let ask = async |command| {
        within(asking.request(at, command).target([7; 32]).value(b"hello").into_future()).await.unwrap()
    };
    let (response, request) = tokio::join!(ask(COMMAND), async {
        let request = next(&requests).await;
        let seen = (request.command(), request.target().copied(), request.value().map(<[u8]>::to_vec));
        assert_eq!(seen, (COMMAND, Some([7; 32]), Some(b"hello".to_vec())));
        assert!(!request.is_proven());
        let from = request.remote_addr();
        request.reply(Some(b"world")).unwrap();
        from
    });
    assert_eq!((request, response.seen_as), (asking.local_addr(), asking.local_addr()));
    assert_eq!((response.from, response.error), (at, None));
    assert_eq!(response.value.as_deref(), Some(&b"world"[..]));
    assert!(!response.closer.is_empty());

    let code = NonZeroU32::new(99).unwrap();
    let again = asking.request(at, COMMAND).token(response.token.unwrap());
    let (response, proven) = tokio::join!(within(again.into_future()), async {
        let request = next(&requests).await;
        let proven = request.is_proven();
        request.refuse(code);
        proven
    });
    let response = response.unwrap();
    assert!(proven);
    assert_eq!((response.error, response.value, response.token), (Some(code), None, None));

    drop(requests);
    assert_eq!(ask(COMMAND).await.error, UNKNOWN_COMMAND, "unknown again");
}

#[tokio::test]
async fn what_the_protocol_uses_and_what_does_not_fit_is_refused() {
    let testnet = within(Testnet::new(2)).await.unwrap();
    let (asking, serving) = (&testnet.nodes()[0], &testnet.nodes()[1]);
    let at = serving.local_addr();
    for command in [0, 10, 1 << 53] {
        assert_eq!(asking.request(at, command).await, Err(RequestError::Reserved { command }));
    }
    let (size, max) = (1931, 1930);
    let refused = asking.request(at, COMMAND).value(&vec![0; size]).await;
    assert_eq!(refused, Err(RequestError::TooLarge { size, max }));

    let requests = serving.requests();
    let largest = asking.request(at, COMMAND).target([7; 32]).value(&vec![1; max]);
    let (response, ()) = tokio::join!(within(largest.into_future()), async {
        let request = next(&requests).await;
        assert_eq!(request.value().map(<[u8]>::len), Some(max));
        let (size, max) = (1851, 1850);
        assert_eq!(request.reply(Some(&vec![2; size])), Err(RequestError::TooLarge { size, max }));
        // That one is not answered, and sent again.
        next(&requests).await.reply(Some(&vec![2; max])).unwrap();
    });
    assert_eq!(response.unwrap().value, Some(vec![2; 1850]));

    let newer = serving.requests();
    assert!(within(requests.next()).await.is_none(), "another has taken its place");
    within(serving.close()).await;
    assert!(within(newer.next()).await.is_none());
    assert!(within(serving.requests().next()).await.is_none());
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let nowhere = silent.local_addr().unwrap().to_string().parse().unwrap();
    assert_eq!(within(asking.request(nowhere, COMMAND).into_future()).await, Err(RequestError::NoAnswer));
    assert_eq!(serving.request(at, COMMAND).await, Err(RequestError::Closed));
}

#[tokio::test]
async fn a_request_that_is_given_up_takes_no_place_of_another() {
    let testnet = within(Testnet::new(2)).await.unwrap();
    let (asking, serving) = (&testnet.nodes()[0], &testnet.nodes()[1]);
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let nowhere = silent.local_addr().unwrap().to_string().parse().unwrap();
    for number in 0..MAX_PENDING {
        let mut given_up: Pin<Box<dyn Future<Output = bool>>> = match number % 2 {
            0 => Box::pin(async { asking.ping(nowhere).await.is_ok() }),
            _ => Box::pin(async { asking.request(nowhere, COMMAND).await.is_ok() }),
        };
        assert!(given_up.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let response = within(asking.request(serving.local_addr(), COMMAND).into_future()).await;
    assert_eq!(response.map(|response| response.error), Ok(UNKNOWN_COMMAND));
}

#[tokio::test]
async fn a_suspended_node_sends_no_request_and_fails_at_once() {
    let testnet = within(Testnet::new(2)).await.unwrap();
    let (asking, at) = (&testnet.nodes()[0], testnet.nodes()[1].local_addr());
    within(asking.suspend()).await;
    assert_eq!(within(asking.request(at, COMMAND).into_future()).await, Err(RequestError::NoAnswer));
    assert_eq!(within(asking.ping(at)).await, Err(RequestError::NoAnswer));
    within(asking.resume()).await;
    assert!(within(asking.ping(at)).await.is_ok());
}

/// Requests of a node that may wait at once.
const MAX_PENDING: usize = 16384;

async fn next(requests: &Requests) -> Request {
    within(requests.next()).await.unwrap()
}
