//! Requests of commands that the protocol does not use, on their way to the application.

use std::collections::HashSet;
use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use super::backlog::Backlog;
use crate::connect::Endpoint;
use crate::dht::{Incoming, Reply};
use crate::slots::Source;

/// Requests that wait for the application. Nobody serves them any more once the application has dropped it.
pub(crate) type IncomingRequests = Backlog<OpenRequest>;

/// A request that is not answered yet. Until it is dropped, the tries that repeat it are ignored.
pub(crate) struct OpenRequest {
    pub(crate) incoming: Incoming,
    open: Arc<Open>,
}

/// The requests that wait or are being answered, [`MAX_REQUESTS`] at most.
#[derive(Debug, Default)]
struct Open(Mutex<HashSet<Key>>);

/// What all tries of a request have in common: sender, transaction, command.
type Key = (SocketAddrV4, u16, u64);

/// Makes a queue for [`Command::ServeRequests`](super::Command::ServeRequests).
pub(crate) fn incoming_requests() -> Arc<IncomingRequests> {
    Arc::new(Backlog::new(MAX_REQUESTS))
}

/// Where requests of free commands go.
#[derive(Debug, Default)]
pub(super) struct Requests {
    waiting: Weak<IncomingRequests>,
    open: Arc<Open>,
}

impl Requests {
    /// Serves requests from now on; an earlier queue ends.
    pub(super) fn serve(&mut self, endpoint: &mut Endpoint, waiting: Weak<IncomingRequests>) {
        self.end();
        self.waiting = waiting;
        endpoint.node().serve_free_commands(true);
    }

    /// Hands a request over, unless it repeats one that is not answered yet. One that finds no room is
    /// answered as an unknown command is.
    pub(super) fn deliver(&self, now: Instant, endpoint: &mut Endpoint, incoming: Incoming) {
        let Some(request) = OpenRequest::new(&self.open, incoming) else {
            return;
        };
        let refused = match self.waiting.upgrade() {
            Some(waiting) => waiting.push(Source::direct(*request.incoming.from.ip()), request),
            None => {
                endpoint.node().serve_free_commands(false);
                Some(request)
            }
        };
        if let Some(refused) = refused {
            endpoint.node().reply(now, &refused.incoming, Reply::unknown_command());
        }
    }

    fn end(&self) {
        if let Some(waiting) = self.waiting.upgrade() {
            waiting.clear();
        }
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.end();
    }
}

impl OpenRequest {
    /// `None` if it repeats one that is open.
    fn new(open: &Arc<Open>, incoming: Incoming) -> Option<Self> {
        let mut keys = open.keys();
        if keys.contains(&key(&incoming)) {
            return None;
        }
        // Beyond the bound a repeated one is handed over again.
        if keys.len() < MAX_REQUESTS {
            keys.insert(key(&incoming));
        }
        drop(keys);
        Some(Self { incoming, open: Arc::clone(open) })
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.open.keys().remove(&key(&self.incoming));
    }
}

impl Open {
    fn keys(&self) -> MutexGuard<'_, HashSet<Key>> {
        // Each change is a single step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn key(incoming: &Incoming) -> Key {
    (incoming.from, incoming.tid, incoming.command)
}

/// Requests that wait for the application, and requests whose repeats are known: what a node of the DHT is
/// asked within a fraction of a second.
const MAX_REQUESTS: usize = 256;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};

    use super::*;
    use crate::connect::Config;
    use crate::wire::compact::Decode;
    use crate::wire::rpc::{ERROR_UNKNOWN_COMMAND, Packet};
    use crate::wire::transmit::SocketId;

    #[tokio::test]
    async fn requests_beyond_the_bound_are_answered_as_unknown_commands_are() {
        let now = Instant::now();
        let mut endpoint = endpoint(now);
        let (mut requests, waiting) = (Requests::default(), incoming_requests());
        requests.serve(&mut endpoint, Arc::downgrade(&waiting));
        for number in 0..MAX_REQUESTS {
            requests.deliver(now, &mut endpoint, incoming(1, number as u16));
        }
        assert_eq!(answered(now, &mut endpoint), []);
        requests.deliver(now, &mut endpoint, incoming(1, 1000));
        assert_eq!(answered(now, &mut endpoint), [(1000, ERROR_UNKNOWN_COMMAND)]);
        // The newest of the source that has filled the queue gives way.
        requests.deliver(now, &mut endpoint, incoming(2, 2000));
        assert_eq!(answered(now, &mut endpoint), [(MAX_REQUESTS as u16 - 1, ERROR_UNKNOWN_COMMAND)]);
        // With those that are being answered there are more, whose repeats are not known.
        let _answering = waiting.next().await;
        requests.deliver(now, &mut endpoint, incoming(3, 3000));
        assert_eq!(answered(now, &mut endpoint), []);
        assert_eq!(requests.open.keys().len(), MAX_REQUESTS);
    }

    #[tokio::test]
    async fn a_request_that_is_sent_again_is_handed_over_once_until_it_is_dropped() {
        let now = Instant::now();
        let mut endpoint = endpoint(now);
        let (mut requests, waiting) = (Requests::default(), incoming_requests());
        requests.serve(&mut endpoint, Arc::downgrade(&waiting));
        let mut deliver = |tid| requests.deliver(now, &mut endpoint, incoming(1, tid));
        deliver(7);
        deliver(7);
        let first = waiting.next().await;
        deliver(7);
        deliver(8);
        let second = waiting.next().await;
        assert_eq!(second.map(|request| request.incoming.tid), Some(8), "7 is being answered");
        drop(first);
        deliver(7);
        assert_eq!(waiting.next().await.map(|request| request.incoming.tid), Some(7), "nobody answered it");
    }

    #[tokio::test]
    async fn what_nobody_serves_any_more_is_unknown() {
        let now = Instant::now();
        let mut endpoint = endpoint(now);
        let (mut requests, first, second) = (Requests::default(), incoming_requests(), incoming_requests());
        requests.serve(&mut endpoint, Arc::downgrade(&first));
        requests.serve(&mut endpoint, Arc::downgrade(&second));
        assert!(first.next().await.is_none(), "another has taken its place");
        requests.deliver(now, &mut endpoint, incoming(1, 7));
        assert_eq!(second.next().await.map(|request| request.incoming.tid), Some(7));
        drop(second);
        requests.deliver(now, &mut endpoint, incoming(1, 8));
        assert_eq!(answered(now, &mut endpoint), [(8, ERROR_UNKNOWN_COMMAND)]);

        let last = incoming_requests();
        requests.serve(&mut endpoint, Arc::downgrade(&last));
        drop(requests);
        assert!(last.next().await.is_none(), "the node has ended");
    }

    fn endpoint(now: Instant) -> Endpoint {
        let mut endpoint = Endpoint::new(now, Config::default(), [1; 32]);
        let local = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        endpoint.handle_sockets(now, local(1), local(2));
        while endpoint.poll_transmit(now, 1, &mut Vec::new()).is_some() {}
        endpoint
    }

    fn incoming(network: u8, tid: u16) -> Incoming {
        Incoming {
            socket: SocketId::SERVER,
            from: SocketAddrV4::new(Ipv4Addr::new(88, 0, network, 1), 5),
            tid,
            to: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1),
            id: None,
            command: 300,
            target: None,
            value: None,
            length: 100,
            proven: false,
        }
    }

    /// Returns the transaction and the error of each response that was sent.
    fn answered(now: Instant, endpoint: &mut Endpoint) -> Vec<(u16, u64)> {
        let mut answers = Vec::new();
        let mut bytes = Vec::new();
        while endpoint.poll_transmit(now, 1, &mut bytes).is_some() {
            let Ok(Packet::Response(response)) = Packet::from_bytes(&bytes) else {
                panic!("no response: {bytes:?}");
            };
            answers.push((response.tid, response.error));
            bytes.clear();
        }
        answers
    }
}
