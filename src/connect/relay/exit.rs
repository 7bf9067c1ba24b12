//! Streams that leave their relay for a direct path (`connect.md` §11.4).
//!
//! Once everything sent before is acknowledged, each side sends an empty message over the new path, as the
//! reference does, and leaves the relay when nothing comes through it any more.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tracing::debug;

use crate::connect::context::Context;
use crate::connect::event::Event;
use crate::connect::ids::Place;
use crate::connect::timers::Timers;
use crate::udx::StreamId;

/// Streams that have migrated and whose relays are not left yet.
#[derive(Debug, Default)]
pub(in crate::connect) struct Exits {
    by_stream: BTreeMap<StreamId, Exit>,
    timers: Timers<StreamId>,
}

#[derive(Debug, Default)]
struct Exit {
    /// When everything that was sent through the relay was acknowledged.
    complete: Option<Instant>,
    /// Empty messages sent since then.
    announced: u32,
}

impl Exits {
    /// Moves a stream from its relay to a place where the peer has just been heard.
    pub(in crate::connect) fn begin(
        &mut self,
        now: Instant,
        cx: &mut Context,
        stream: StreamId,
        place: Place,
        remote_id: u32,
    ) {
        cx.streams.set_candidates(stream, Vec::new());
        self.by_stream.insert(stream, Exit::default());
        self.timers.set(stream, Some(now + CHECK));
        cx.streams.change_remote(now, stream, place.socket, place.address, remote_id);
    }

    /// Handles the acknowledgement of everything that was sent before the stream migrated.
    pub(in crate::connect) fn handle_remote_changed(&mut self, now: Instant, stream: StreamId) {
        if let Some(exit) = self.by_stream.get_mut(&stream)
            && exit.complete.is_none()
        {
            exit.complete = Some(now);
            self.timers.set(stream, Some(now));
        }
    }

    pub(in crate::connect) fn handle_timeout(&mut self, now: Instant, cx: &mut Context) {
        while let Some(stream) = self.timers.due(now) {
            let next = match self.by_stream.get_mut(&stream) {
                Some(exit) if cx.streams.contains(stream) => exit.advance(now, cx, stream),
                _ => None,
            };
            self.timers.set(stream, next);
            if next.is_none() {
                self.by_stream.remove(&stream);
            }
        }
    }

    pub(in crate::connect) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }
}

impl Exit {
    /// Returns when the next step is due; `None` once the relay is left.
    fn advance(&mut self, now: Instant, cx: &mut Context, stream: StreamId) -> Option<Instant> {
        let Some(complete) = self.complete else {
            return Some(now + CHECK);
        };
        if self.announced < MAX_ANNOUNCED {
            // An unordered message may get lost, and for the reference it is what frees the relay
            // (`connect.md` §11.4).
            self.announced += 1;
            // Only a closed stream refuses.
            let _ = cx.streams.send_message(now, stream, &[]);
            return Some(now + PAUSE * self.announced);
        }
        let heard = cx.streams.heard_elsewhere(stream);
        let quiet = heard.map_or(complete, |heard| heard.max(complete)) + QUIET;
        if quiet > now {
            return Some(quiet);
        }
        debug!(stream = %stream, "relay left");
        cx.emit(Event::LeaveRelay(stream));
        None
    }
}

/// How often the end of a migration is announced, and the pause after the first time.
const MAX_ANNOUNCED: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
/// How long nothing must have come through a relay: a peer of the reference repeats what it has sent through
/// it on the same path.
const QUIET: Duration = Duration::from_secs(3);
/// Between two searches for streams that ended while they migrated.
const CHECK: Duration = Duration::from_secs(5);
