//! What a client does when its server has died.

use std::collections::VecDeque;
use std::io;

use serde_json::json;
use tokio::io::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, duplex,
};
use tokio::time::{Duration, Instant, sleep};

use super::tests::{Pipe, TestService, ada, connect, denied, profile, service};
use super::*;

/// What the next connection leads to.
enum Way {
    /// A server that lives.
    Lives(TestService),
    /// One that dies before, or after, it has greeted.
    Dies { greets: bool },
    /// One that dies after so many lines.
    DiesLater(TestService, usize),
    /// One that answers its first request, a ping, after a while.
    Dawdles(Duration),
    /// One that refuses in its greeting.
    Full,
    /// An announcement of a server that has died.
    Dead,
}

/// Connects along the ways, in their order; then nothing answers the dialler.
struct Ways(VecDeque<Way>);

impl Ways {
    fn new(ways: impl IntoIterator<Item = Way>) -> Self {
        Self(ways.into_iter().collect())
    }
}

impl Dial for Ways {
    type Stream = DuplexStream;

    async fn dial(&mut self) -> Result<DuplexStream, DialError> {
        let (near, mut far) = duplex(1 << 17);
        let (first, pause) = match self.0.pop_front() {
            Some(Way::Lives(service)) => return Pipe::to(&service, &ada(), &[]).dial().await,
            Some(Way::DiesLater(service, count)) => {
                let (mut server, mut up) = tokio::io::split(Pipe::to(&service, &ada(), &[]).dial().await?);
                let (mut client, mut down) = tokio::io::split(far);
                tokio::spawn(async move { tokio::io::copy(&mut client, &mut up).await });
                tokio::spawn(async move {
                    let mut lines = BufReader::new(&mut server).lines();
                    for _ in 0..count {
                        let line = lines.next_line().await.unwrap().unwrap();
                        down.write_all(format!("{line}\n").as_bytes()).await.unwrap();
                    }
                    std::future::pending::<()>().await;
                });
                return Ok(near);
            }
            Some(Way::Dead) => return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into()),
            Some(Way::Dies { greets: false }) => (None, None),
            Some(Way::Dies { greets: true }) => (Some(json!({"protocol": 1})), None),
            Some(Way::Dawdles(pause)) => (Some(json!({"protocol": 1})), Some(pause)),
            Some(Way::Full) => {
                let error = json!({"code": -1, "message": "", "data": {"kind": "full"}});
                (Some(json!({"protocol": 1, "error": error})), None)
            }
            None => std::future::pending().await,
        };
        tokio::spawn(async move {
            if let Some(params) = first {
                let line = format!("{}\n", json!({"method": "hello", "params": params}));
                far.write_all(line.as_bytes()).await.unwrap();
            }
            if let Some(pause) = pause {
                far.read_u8().await.unwrap();
                sleep(pause).await;
                far.write_all(b"{\"id\":1,\"result\":{}}\n").await.unwrap();
            }
            // Open until the client leaves.
            let _ = tokio::io::copy(&mut far, &mut tokio::io::sink()).await;
        });
        Ok(near)
    }
}

async fn start(
    ways: impl IntoIterator<Item = Way>,
) -> Result<ProfileClient<Ways, MemoryVersions>, ClientError> {
    ProfileClient::connect(ada(), Ways::new(ways), MemoryVersions::default()).await
}

#[tokio::test(start_paused = true)]
async fn a_request_that_its_server_dies_over_is_answered_by_another_one() {
    let service = service();
    for ways in [
        vec![Way::Dies { greets: true }, Way::Lives(service.clone())],
        // What dies next as well.
        vec![Way::Dies { greets: true }, Way::Dies { greets: false }, Way::Lives(service.clone())],
        // Until another one has taken over, the announcement of the dead one is found.
        vec![Way::Dies { greets: true }, Way::Dead, Way::Dead, Way::Dead, Way::Lives(service.clone())],
    ] {
        let mut client = start(ways).await.unwrap();
        let begun = Instant::now();
        assert_eq!(client.register(profile("Ada")).await.unwrap().version(), 1);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
    assert_eq!(connect(&service).await.get().await.unwrap().version(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_before_it_greets_is_replaced() {
    let begun = Instant::now();
    let client = start([Way::Dies { greets: false }, Way::Dead, Way::Lives(service())]).await.unwrap();
    assert!(client.record().is_none() && begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_late_counts() {
    let late = Duration::from_secs(9);
    for others in [vec![], vec![Way::Dead, Way::Dies { greets: false }], vec![Way::Full]] {
        let mut client = start([Way::Dawdles(late)].into_iter().chain(others)).await.unwrap();
        let begun = Instant::now();
        client.ping().await.unwrap();
        assert_eq!(begun.elapsed(), late);
    }
}

#[tokio::test(start_paused = true)]
async fn what_never_comes_back_is_given_up() {
    let dead = || std::iter::repeat_with(|| Way::Dead).take(100);
    let begun = Instant::now();
    assert!(matches!(start(dead()).await.err(), Some(ClientError::Dial(_))));
    assert_eq!(begun.elapsed(), Duration::ZERO, "nothing was ever reached");
    let mut client = start([Way::Dies { greets: true }].into_iter().chain(dead())).await.unwrap();
    assert!(matches!(client.ping().await, Err(ClientError::Dial(_))));
    assert!(begun.elapsed() > Duration::from_secs(10) && begun.elapsed() < Duration::from_secs(20));
    assert_eq!(denied(start([Way::Full, Way::Lives(service())]).await.map(|_| ())), Denied::Full);
}

#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_at_another_server() {
    let service = service();
    let key = *ada().public_key();
    // The greeting, the answer, and what the key has at first.
    let ways = [Way::DiesLater(service.clone(), 3), Way::Dead, Way::Lives(service.clone())];
    let mut client = start(ways).await.unwrap();
    let mut watching = client.watch([key]);
    assert!(watching.next().await.unwrap().record.is_none());
    let record = connect(&service).await.register(profile("Ada")).await.unwrap();
    let begun = Instant::now();
    assert_eq!(watching.next().await.unwrap().record, Some(record));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
