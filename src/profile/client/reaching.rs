//! A request over one connection, and over another one beside it when the first is silent: its server may
//! have died, and another one have taken over its key.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};

use super::super::message::Request;
use super::super::record::Record;
use super::super::rotation::Rotation;
use super::dial::Dial;
use super::error::{ClientError, DialError};
use super::session::{CallError, Session};
use crate::PublicKey;
use crate::api::ConnectError;

/// A connection over which a request was answered.
pub(super) struct Answered<T> {
    pub(super) session: Session<T>,
    /// The greeting, if the connection is new: the own record, and the statements that have replaced the key.
    pub(super) greeting: Option<(Option<Record>, Vec<Rotation>)>,
    pub(super) result: Result<Value, ClientError>,
}

/// What is asked, and by whom.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) own: &'a PublicKey,
    /// `None` asks for the greeting alone.
    pub(super) request: Option<&'a Request>,
    pub(super) answer_timeout: Duration,
}

enum Link<T> {
    New(T),
    Greeted(Session<T>),
}

impl Question<'_> {
    async fn ask<T>(self, link: Link<T>) -> Result<Answered<T>, CallError>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut session, greeting) = match link {
            Link::Greeted(session) => (session, None),
            Link::New(stream) => {
                let (session, record, moved) = Session::open(stream, self.own, self.answer_timeout).await?;
                (session, Some((record, moved)))
            }
        };
        let result = match self.request {
            None => Ok(Value::Null),
            Some(request) => match session.call(request.clone()).await {
                Ok(result) => Ok(result),
                Err(CallError::Final(error)) => Err(error),
                Err(lost) => return Err(lost),
            },
        };
        Ok(Answered { session, greeting, result })
    }
}

/// Asks over the connection that is there, or over a new one. Another one is dialled where a connection is
/// lost, and beside one that stays silent; the first that is answered is used.
pub(super) async fn reach<D: Dial>(
    dial: &mut D,
    session: Option<Session<D::Stream>>,
    question: Question<'_>,
) -> Result<Answered<D::Stream>, ClientError> {
    let begun = Instant::now();
    let mut asked = Vec::new();
    let (mut attempts, mut dial_at, mut silence) = (0, begun, SILENCE);
    // A client that has not been greeted yet gets the dialler's first error.
    let may_redial = question.request.is_some();
    let mut next = session.map(Link::Greeted);
    loop {
        if let Some(link) = next.take() {
            asked.push(Box::pin(question.ask(link)));
            attempts += 1;
            dial_at = Instant::now() + silence;
            // A server with more work than it can do is not given a multiple of it.
            silence *= 2;
        }
        let may_dial = attempts < ATTEMPTS;
        let dialled = {
            let mut dialling = pin!(async {
                sleep_until(dial_at).await;
                dial.dial().await
            });
            loop {
                let answer = tokio::select! {
                    biased;
                    answer = first(&mut asked), if !asked.is_empty() => answer,
                    dialled = &mut dialling, if may_dial => break Some(dialled),
                };
                match answer {
                    Ok(answered) => return Ok(answered),
                    Err(CallError::Final(error)) if asked.is_empty() => return Err(error),
                    Err(CallError::Lost(error)) if asked.is_empty() && !may_dial => return Err(error),
                    Err(_) if may_dial && Instant::now() < dial_at => break None,
                    Err(_) => {}
                }
            }
        };
        match dialled {
            None => dial_at = Instant::now(),
            Some(Ok(stream)) => next = Some(Link::New(stream)),
            Some(Err(error)) => {
                let goes_on = (may_redial || attempts > 0) && begun.elapsed() < TAKEOVER && may_pass(&error);
                match goes_on {
                    true => dial_at = Instant::now() + PAUSE,
                    false if asked.is_empty() => return Err(ClientError::Dial(error)),
                    false => attempts = ATTEMPTS,
                }
            }
        }
    }
}

/// Waits for the first that ends, and removes it.
async fn first<F: Future>(futures: &mut Vec<Pin<Box<F>>>) -> F::Output {
    poll_fn(|cx| {
        for index in 0..futures.len() {
            if let Poll::Ready(output) = futures[index].as_mut().poll(cx) {
                drop(futures.remove(index));
                return Poll::Ready(output);
            }
        }
        Poll::Pending
    })
    .await
}

/// Returns whether dialling may succeed later. An error of another dialler may.
fn may_pass(error: &DialError) -> bool {
    !matches!(
        error.downcast_ref::<ConnectError>(),
        Some(
            ConnectError::BadKey { .. }
                | ConnectError::Closed
                | ConnectError::Incompatible { .. }
                | ConnectError::Protocol { .. }
                | ConnectError::Signer { .. }
        )
    )
}

/// Connections that a request is sent over, at once or one after the other, before a lost one is reported.
const ATTEMPTS: u32 = 3;
/// After this time without an answer another connection is dialled beside the first; the third after twice as
/// long.
const SILENCE: Duration = Duration::from_secs(2);
/// How long a server that was connected before is dialled again after an error: another one takes over its
/// key within 10 s.
const TAKEOVER: Duration = Duration::from_secs(15);
/// From an error of the dialler to the next try.
const PAUSE: Duration = Duration::from_secs(1);
