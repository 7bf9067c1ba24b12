//! The hold on a running node that everything made by it shares.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};

use super::RequestError;
use crate::KeyPair;
use crate::dht::{Answer, Outgoing};
use crate::net::{Command, Started, Token, watched};

/// Sends commands to the task of a node. The node runs until the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct NodeHandle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    node: Started,
    key_pair: KeyPair,
    next_token: AtomicU64,
}

impl NodeHandle {
    /// `key_pair` is the identity of connections that name none.
    pub(super) fn new(node: Started, key_pair: KeyPair) -> Self {
        Self { inner: Arc::new(Inner { node, key_pair, next_token: AtomicU64::new(0) }) }
    }

    /// Returns the node as it was started.
    pub(super) fn started(&self) -> &Started {
        &self.inner.node
    }

    /// Returns the identity of connections that name none.
    pub(super) fn default_key_pair(&self) -> &KeyPair {
        &self.inner.key_pair
    }

    pub(super) fn commands(&self) -> &mpsc::UnboundedSender<Command> {
        &self.inner.node.commands
    }

    /// Does the work of a task that nobody awaits; its panic ends the node.
    pub(super) fn watch<W>(&self, work: W) -> impl Future<Output = ()> + use<W>
    where
        W: Future<Output = ()>,
    {
        let commands = self.commands().downgrade();
        watched(work, move || {
            // Without a driver the node has ended already.
            let _ = commands.upgrade().map(|commands| commands.send(Command::Panicked));
        })
    }

    /// Sends a command and waits for its answer; `None` once the node has been closed.
    pub(super) async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.commands().send(command(answer)).ok()?;
        answered.await.ok()
    }

    /// Sends a command that can be given up and waits for its answer; `None` once the node has been closed.
    /// Dropping the future gives the command up.
    pub(super) async fn run<T>(
        &self,
        command: impl FnOnce(Token, oneshot::Sender<T>) -> Command,
    ) -> Option<T> {
        let (token, guard) = self.token();
        let answer = self.ask(|answer| command(token, answer)).await;
        guard.finish();
        answer
    }

    /// Sends a request to one node and waits for its answer. Dropping the future ends the tries.
    pub(super) async fn request(&self, outgoing: Outgoing) -> Result<Answer, RequestError> {
        let outgoing = Box::new(outgoing);
        let answer = self.run(|token, answer| Command::Request { token, outgoing, answer }).await;
        answer.ok_or(RequestError::Closed)?.map_err(RequestError::of)
    }

    /// Returns a token for a command that can be given up, and what gives it up.
    pub(super) fn token(&self) -> (Token, GiveUp) {
        let token = Token(self.inner.next_token.fetch_add(1, Ordering::Relaxed));
        (token, GiveUp { node: self.clone(), token: Some(token) })
    }
}

/// Gives a command up when it is dropped before the command is answered.
#[derive(Debug)]
pub(super) struct GiveUp {
    node: NodeHandle,
    token: Option<Token>,
}

impl GiveUp {
    /// Notes that the command has been answered.
    pub(super) fn finish(mut self) {
        self.token = None;
    }
}

impl Drop for GiveUp {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            // Without a driver there is nothing to give up.
            let _ = self.node.commands().send(Command::GiveUp(token));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{IntoFuture, poll_fn};
    use std::net::UdpSocket;
    use std::sync::atomic::AtomicBool;
    use std::task::{Context, Wake, Waker};
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::api::{
        BootstrapError, ConnectError, Connection, Dht, ListenError, NodeError, QueryError, Server,
        StreamError, Testnet,
    };

    #[tokio::test]
    async fn a_panic_of_the_driver_fails_all_that_waits_and_all_later_calls() {
        let (network, dht, server, mut connection, _peer) = within(world()).await;
        // Takes datagrams and answers none.
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let key = *KeyPair::generate().public_key();
        let connect = || {
            let address = silent.local_addr().unwrap().to_string().parse();
            dht.connect(key).addresses(address).only_addresses().into_future()
        };
        let relay = within(dht.relay(&KeyPair::generate()).into_future()).await.unwrap();
        let (_other, own) = within(connect_both(&network.nodes()[1], &server)).await;
        let (mut read, mut write) = own.into_split();
        let fill = async {
            let chunk = vec![0; 1 << 16];
            loop {
                if let Err(error) = write.write_message(&chunk).await {
                    return error;
                }
            }
        };
        let waiting = async {
            tokio::join!(
                server.accept(),
                connect(),
                dht.ping(address_of(&silent)),
                dht.lookup([1; 32]).into_future(),
                dht.closed(),
                connection.closed(),
                connection.recv_datagram(),
                read.read_message(),
                fill,
            )
        };
        let mut waiting = Box::pin(waiting);
        // All of them wait by now.
        assert!(poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await);
        dht.panic();
        let (accept, connected, ping, lookup, closed, ended, datagram, message, filled) =
            within(waiting).await;
        assert!(accept.is_none());
        assert!(matches!(connected, Err(ConnectError::Closed)), "{connected:?}");
        assert_eq!(ping, Err(RequestError::Closed));
        assert_eq!(lookup.map(|_| ()), Err(QueryError::Closed));
        let message_of_the_panic = "a task beside the driver panicked".to_owned();
        assert_eq!(closed, Err(NodeError::Panicked { message: message_of_the_panic }));
        assert_eq!(ended, Err(StreamError::Closed));
        assert_eq!(datagram, Err(StreamError::Closed));
        assert_eq!(message, Err(StreamError::Closed));
        assert_eq!(filled, StreamError::Closed);

        within(async {
            assert!(server.accept().await.is_none());
            server.close().await;
            assert_eq!(dht.bootstrapped().await, Err(BootstrapError::Closed));
            assert!(matches!(connect().await, Err(ConnectError::Closed)));
            let listened = dht.listen(KeyPair::generate()).await;
            assert!(matches!(listened, Err(ListenError::Closed)));
            assert_eq!(dht.ping(address_of(&silent)).await, Err(RequestError::Closed));
            assert_eq!(connection.write_message(b"x").await, Err(StreamError::Closed));
            assert_eq!(connection.send_datagram(b"x"), Err(StreamError::Closed));
            assert!(connection.shutdown().await.is_err());
            assert!(dht.closed().await.is_err());
            drop(relay);
            dht.close().await;
            network.close().await;
        })
        .await;
    }

    #[tokio::test]
    async fn a_waker_of_the_user_that_panics_ends_the_node() {
        struct Panics(AtomicBool);
        impl Wake for Panics {
            fn wake(self: Arc<Self>) {
                assert!(self.0.load(Ordering::Relaxed), "a bug of the user's");
            }
        }
        let (_network, dht, server, connection, peer) = within(world()).await;
        let mut received = Box::pin(connection.recv_datagram());
        let waker = Waker::from(Arc::new(Panics(AtomicBool::new(false))));
        assert!(received.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        peer.send_datagram(b"x").unwrap();
        let message = "a bug of the user's".to_owned();
        assert_eq!(within(dht.closed()).await, Err(NodeError::Panicked { message }));
        assert!(within(server.accept()).await.is_none());
    }

    #[tokio::test]
    async fn a_task_of_a_node_that_panics_ends_it_and_one_that_ends_does_not() {
        let (_network, dht, server, ..) = within(world()).await;
        tokio::spawn(dht.node().watch(async {})).await.unwrap();
        assert!(within(dht.bootstrapped()).await.is_ok());
        tokio::spawn(dht.node().watch(async { panic!("a bug") })).await.unwrap_err();
        assert!(within(dht.closed()).await.is_err());
        assert!(within(server.accept()).await.is_none());
    }

    #[tokio::test]
    async fn a_node_that_is_closed_has_not_failed() {
        let (_network, dht, ..) = within(world()).await;
        let closed = dht.clone();
        let waiting = tokio::spawn(async move { closed.closed().await });
        within(dht.close()).await;
        assert_eq!(within(waiting).await.unwrap(), Ok(()));
        assert_eq!(within(dht.closed()).await, Ok(()));
        assert_eq!(dht.bootstrapped().await, Err(BootstrapError::Closed));
    }

    #[test]
    fn what_a_node_has_come_to_does_not_outlast_it() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (own, network, dht) = {
            let own = runtime();
            let (network, dht) = own.block_on(async {
                let network = Testnet::new(2).await.unwrap();
                let dht = network.builder().spawn().await.unwrap();
                dht.bootstrapped().await.unwrap();
                (network, dht)
            });
            (own, network, dht)
        };
        drop(own);
        runtime().block_on(within(async {
            assert_eq!(dht.bootstrapped().await, Err(BootstrapError::Closed));
            assert_eq!(dht.closed().await, Ok(()));
            assert_eq!(network.nodes()[0].bootstrapped().await, Err(BootstrapError::Closed));
        }));

        runtime().block_on(within(async {
            let first = Dht::builder().bootstrap([""; 0]).bind("127.0.0.1:0").spawn().await.unwrap();
            first.bootstrapped().await.unwrap();
            let closing = first.clone();
            let mut close = Box::pin(closing.close());
            // Asked for, and not over: another task of this thread has the node.
            assert!(poll_fn(|cx| std::task::Poll::Ready(close.as_mut().poll(cx).is_pending())).await);
            close.await;
            assert_eq!(first.bootstrapped().await, Err(BootstrapError::Closed));
        }));
    }

    #[test]
    fn a_runtime_that_lacks_a_part_is_refused() {
        use crate::api::SpawnError;
        let parts: [fn(&mut tokio::runtime::Builder) -> &mut tokio::runtime::Builder; 3] =
            [|builder| builder, |builder| builder.enable_io(), |builder| builder.enable_time()];
        for add in parts {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let runtime = add(&mut builder).build().unwrap();
            let spawned = runtime.block_on(async { Dht::builder().bind("127.0.0.1:0").spawn().await });
            assert!(matches!(spawned, Err(SpawnError::NoRuntime)), "{spawned:?}");
        }
    }

    /// A network, a node of it with a server, and a connection to that with its peer.
    async fn world() -> (Testnet, Dht, Server, Connection, Connection) {
        let network = Testnet::new(2).await.unwrap();
        let dht = network.builder().spawn().await.unwrap();
        let server = dht.listen(KeyPair::generate()).await.unwrap();
        let (peer, connection) = connect_both(&network.nodes()[1], &server).await;
        (network, dht, server, connection, peer)
    }

    async fn connect_both(from: &Dht, server: &Server) -> (Connection, Connection) {
        let (peer, own) = tokio::join!(from.connect(server.public_key()).into_future(), server.accept());
        (peer.unwrap(), own.unwrap())
    }

    fn address_of(socket: &UdpSocket) -> std::net::SocketAddrV4 {
        socket.local_addr().unwrap().to_string().parse().unwrap()
    }

    async fn within<T>(work: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(30), work).await.expect("it takes far less than this")
    }
}
