//! Accepts clients, a bounded number of them, each for a bounded time.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::super::exit::{Exit, Failure};
use super::super::output::Output;
use super::super::runtime;
use super::args::{MetricsArgs, WebArgs};
use super::places::{Place, Places};
use super::routes::{self, Offer};
use super::view::View;

/// Serves the page and the numbers until it is dropped.
#[derive(Debug)]
pub(in crate::cli) struct Web {
    tasks: JoinSet<()>,
}

/// One listening socket.
#[derive(Debug)]
pub(super) struct Site {
    view: Arc<View>,
    offer: Offer,
    clients: Places,
    listeners: Places,
}

impl Web {
    /// Starts to serve what the options ask for: the page, and at an address of its own the numbers alone.
    pub(in crate::cli) async fn start(
        page: &WebArgs,
        metrics: &MetricsArgs,
        view: &Arc<View>,
        output: &Output,
    ) -> Result<Self, Failure> {
        let mut tasks = JoinSet::new();
        let numbers = metrics.metrics.map(|address| (SocketAddr::V4(address), Offer::Metrics));
        let page = page.address()?.map(|address| (address, Offer::Page { hosts: page.web_host.clone() }));
        for (address, offer) in numbers.into_iter().chain(page) {
            let (event, what, option, path) = match offer {
                Offer::Metrics => ("metrics", "metrics", "--metrics", "metrics"),
                Offer::Page { .. } => ("web", "the page", "--web", ""),
            };
            let listener = TcpListener::bind(address).await.map_err(|error| {
                let error = anyhow::Error::new(error);
                Failure::from_error(
                    Exit::Internal,
                    error.context(format!("cannot serve {what} at {address}")),
                )
                .hint(format!("name an address of this host and a free port with {option} IP:PORT"))
            })?;
            // Bound as asked for, but for a port of 0.
            let local = listener.local_addr().unwrap_or(address);
            let url = format!("http://{local}/{path}");
            output.note(&format!("{what} at {url}"));
            output.json(&json!({"event": event, "url": url}));
            tasks.spawn(Site::new(view, offer).accept(listener));
        }
        Ok(Self { tasks })
    }

    /// Waits for the failure of a task that serves; it does not end otherwise.
    pub(in crate::cli) async fn ended(&mut self) -> Failure {
        match self.tasks.join_next().await {
            Some(ended) => runtime::task_ended("the task that serves the page", async { ended }).await,
            None => std::future::pending().await,
        }
    }
}

impl Site {
    pub(super) fn new(view: &Arc<View>, offer: Offer) -> Arc<Self> {
        let (clients, listeners) = (Places::new(MAX_CLIENTS), Places::new(MAX_LISTENERS));
        Arc::new(Self { view: Arc::clone(view), offer, clients, listeners })
    }

    /// Answers clients, for ever.
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener) {
        let mut clients = Vec::new();
        loop {
            match listener.accept().await {
                Ok((stream, from)) => {
                    clients.retain(|client: &AbortOnDropHandle<()>| !client.is_finished());
                    let place = self.clients.take(from.ip());
                    let served = Arc::clone(&self).serve(stream, from.ip(), place);
                    clients.push(AbortOnDropHandle::new(tokio::spawn(served)));
                }
                // Without a free descriptor every accept fails at once.
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    /// Answers one request, for as long as the client has its place.
    async fn serve(self: Arc<Self>, stream: TcpStream, from: IpAddr, mut place: Place) {
        let (listens, mut listening) = oneshot::channel();
        let listens = Arc::new(Mutex::new(Some(listens)));
        let service = service_fn(|request| {
            let (site, listens) = (Arc::clone(&self), Arc::clone(&listens));
            async move {
                let response = routes::answer(&site.view, &site.offer, &request).await;
                if response.1
                    && let Some(listens) = listens.lock().ok().and_then(|mut listens| listens.take())
                {
                    // The connection may have ended.
                    let _ = listens.send(site.listeners.take(from));
                }
                Ok::<_, Infallible>(response.0)
            }
        });
        let mut connection = std::pin::pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(REQUEST_TIMEOUT)
                .max_buf_size(MAX_REQUEST)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service)
        );
        // A client that is slow or gone gets no answer.
        let listener = tokio::select! {
            _ = &mut connection => return,
            () = place.lost() => return,
            () = sleep(CLIENT_TIMEOUT) => return,
            listener = &mut listening => listener,
        };
        drop(place);
        if let Ok(mut listener) = listener {
            tokio::select! {
                _ = connection => {}
                () = listener.lost() => {}
            }
        }
    }
}

/// Most clients answered at once.
pub(super) const MAX_CLIENTS: usize = 16;
/// Most clients that get a snapshot each second, beside those.
pub(super) const MAX_LISTENERS: usize = 8;
/// Most bytes of a request.
pub(super) const MAX_REQUEST: usize = 8 * 1024;
/// Longest time for a client to send its request: one packet, as a rule.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time for one client that is no listener.
pub(super) const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
