//! What a response carries.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

use super::snapshot::snapshot;
use super::view::View;

/// The body of a response.
pub(super) enum Body {
    /// All of it; `None` once it was sent.
    Whole(Option<Bytes>),
    /// A snapshot each second, as server-sent events, without end.
    Events(Events),
}

/// Snapshots of one node. The next one is made once the client has taken the last.
pub(super) struct Events {
    view: Arc<View>,
    node: usize,
    next: Pin<Box<dyn Future<Output = Bytes> + Send>>,
}

impl Body {
    pub(super) fn whole(text: impl Into<Bytes>) -> Self {
        Self::Whole(Some(text.into()))
    }

    pub(super) fn events(view: &Arc<View>, node: usize) -> Self {
        let next = event(Arc::clone(view), node, Instant::now());
        Self::Events(Events { view: Arc::clone(view), node, next: Box::pin(next) })
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match self.get_mut() {
            Self::Whole(bytes) => bytes.take(),
            Self::Events(events) => {
                let bytes = ready!(events.next.as_mut().poll(cx));
                let next = event(Arc::clone(&events.view), events.node, Instant::now() + PERIOD);
                events.next = Box::pin(next);
                Some(bytes)
            }
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Events(_) => SizeHint::default(),
        }
    }
}

async fn event(view: Arc<View>, node: usize, due: Instant) -> Bytes {
    sleep_until(due).await;
    // One line: JSON has no line breaks unless it is asked for.
    format!("data: {}\n\n", snapshot(&view, node).await).into()
}

/// Time between two snapshots.
const PERIOD: Duration = Duration::from_secs(1);
