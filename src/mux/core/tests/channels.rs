//! How channels open, pair and close.

use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};

use bytes::Bytes;

use super::support::{Side, opening, pair, settle, woken};
use crate::mux::core::Opening;
use crate::mux::core::state::Phase;
use crate::mux::error::MuxError;
use crate::mux::frame;

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn a_channel_exists_once_both_have_opened_it() {
    let mut sides = pair();
    let shake = |text: &'static str| Opening { handshake: Bytes::from(text), ..opening("a", b"id") };
    let ours = sides[0].core.open(&shake("from us")).unwrap();
    sides[0].send(ours, b"early");
    assert_eq!(sides[0].opened(ours), Poll::Pending);
    let theirs = sides[1].core.open(&shake("from them")).unwrap();
    settle(&mut sides);
    assert_eq!(sides[0].opened(ours), Poll::Ready(Ok(text("from them"))));
    assert_eq!(sides[1].opened(theirs), Poll::Ready(Ok(text("from us"))));
    sides[1].send(theirs, b"back");
    settle(&mut sides);
    assert_eq!(sides[1].received(theirs), ["early"]);
    assert_eq!(sides[0].received(ours), ["back"]);
}

#[test]
fn what_comes_before_a_channel_is_accepted_is_kept_in_order() {
    let mut sides = pair();
    let listener = sides[1].listen("a");
    let ours = sides[0].open("a");
    for content in ["one", "two"] {
        sides[0].send(ours, content.as_bytes());
    }
    settle(&mut sides);
    let theirs = sides[1].accept(listener).unwrap();
    sides[0].send(ours, b"three");
    settle(&mut sides);
    assert_eq!(sides[1].received(theirs), ["one", "two", "three"]);
    assert_eq!(sides[1].core.waiting, 0);
}

/// In protomux the application opens its channels before it has read anything.
#[test]
fn nothing_is_refused_before_the_application_waits_for_something() {
    let mut side = Side::default();
    assert!(!side.get(frame::open(1, "a", b"", b"")));
    let id = side.open("a");
    assert_eq!(side.opened(id), Poll::Pending);
    assert!(side.turn());
    assert_eq!(side.opened(id), Poll::Ready(Ok(Bytes::new())));
}

#[test]
fn a_protocol_that_nothing_speaks_is_refused_and_the_number_is_free_again() {
    let mut sides = pair();
    let ours = sides[0].open("a");
    settle(&mut sides);
    assert_eq!(sides[0].opened(ours), Poll::Ready(Err(MuxError::Rejected)));
    assert_eq!(sides[0].recv(ours), Poll::Ready(Err(MuxError::Rejected)));
    let again = sides[0].open("b");
    sides[0].transmit();
    assert_eq!(sides[0].sent, [frame::open(1, "b", b"", b"")]);
    assert_ne!(ours, again);
}

#[test]
fn of_several_channels_with_one_name_the_first_belongs_to_the_first() {
    let mut sides = pair();
    let ours = [sides[0].open("a"), sides[0].open("a")];
    let theirs = [sides[1].open("a"), sides[1].open("a")];
    sides[0].send(ours[0], b"first");
    sides[0].send(ours[1], b"second");
    settle(&mut sides);
    assert_eq!(sides[1].received(theirs[0]), ["first"]);
    assert_eq!(sides[1].received(theirs[1]), ["second"]);
}

#[test]
fn ids_and_listeners_tell_channels_apart() {
    let mut sides = pair();
    let all = sides[1].listen("a");
    let one = sides[1].core.listen(("a".into(), Some(text("1")))).unwrap();
    assert_eq!(sides[1].core.listen(("a".into(), None)), Err(MuxError::Listening));
    for id in ["1", "2"] {
        sides[0].core.open(&opening("a", id.as_bytes())).unwrap();
    }
    settle(&mut sides);
    let ids = [one, all].map(|listener| {
        let offer = sides[1].offer(listener).unwrap();
        sides[1].core.offered(offer).unwrap().1.clone()
    });
    assert_eq!(ids, ["1", "2"]);
    assert!(sides[1].offer(one).is_none());
}

#[test]
fn a_channel_is_found_by_another_name_of_its_protocol() {
    for is_first in [true, false] {
        let mut sides = pair();
        let renamed = Opening { aliases: vec!["old".into()], ..opening("new", b"") };
        if !is_first {
            sides[1].listen("old");
        }
        let ours =
            sides[0].core.open(&Opening { aliases: vec!["new".into()], ..opening("old", b"") }).unwrap();
        if !is_first {
            settle(&mut sides);
        }
        let theirs = sides[1].core.open(&renamed).unwrap();
        settle(&mut sides);
        for (side, id) in [(0, ours), (1, theirs)] {
            assert_eq!(sides[side].core.phase(id), Some(Phase::Open));
            assert!(sides[side].core.outgoing.is_empty());
        }
    }
}

#[test]
fn what_was_sent_before_a_close_arrives_and_then_the_end() {
    let mut sides = pair();
    let (ours, theirs) = (sides[0].open("a"), sides[1].open("a"));
    settle(&mut sides);
    sides[0].send(ours, b"last");
    sides[0].core.close(ours);
    settle(&mut sides);
    let last = sides[1].recv(theirs);
    assert!(matches!(last, Poll::Ready(Ok(Some(message))) if message.content == "last"));
    assert_eq!(sides[1].recv(theirs), Poll::Ready(Ok(None)));
    let sent = sides[1].core.poll_send(theirs, 0, b"", Waker::noop());
    assert_eq!(sent, Poll::Ready(Err(MuxError::Closed)));
    sides[1].core.close(theirs);
    settle(&mut sides);
    for side in &sides {
        assert_eq!((side.core.in_use(), side.core.channels.len()), (0, 0));
    }
}

/// The number of a channel that was closed before the peer answered stands for it until the answer has come.
#[test]
fn a_number_is_not_used_again_before_the_peer_has_answered() {
    let mut side = Side::started();
    let first = side.open("a");
    side.core.close(first);
    side.transmit();
    assert_eq!(side.sent, [frame::open(1, "a", b"", b""), frame::close(1)]);
    assert_eq!(side.core.in_use(), 1);
    side.open("b");
    side.transmit();
    assert_eq!(side.sent.pop_back(), Some(frame::open(2, "b", b"", b"")));
    // The peer had opened its side before it knew of the close, and closes that as well.
    assert!(side.get(frame::open(1, "a", b"", b"")) && side.get(frame::close(1)));
    assert_eq!(side.core.in_use(), 1);
    side.open("c");
    side.transmit();
    assert_eq!(side.sent.pop_back(), Some(frame::open(1, "c", b"", b"")));
    assert_eq!(side.core.ended(), None);
}

#[test]
fn a_channel_that_both_close_at_once_is_closed_once() {
    let mut sides = pair();
    let (ours, theirs) = (sides[0].open("a"), sides[1].open("a"));
    settle(&mut sides);
    sides[0].core.close(ours);
    sides[1].core.close(theirs);
    sides.iter_mut().for_each(Side::transmit);
    // Opened again before either close has arrived.
    let again = [sides[0].open("a"), sides[1].open("a")];
    settle(&mut sides);
    for (side, id) in [(0, again[0]), (1, again[1])] {
        assert_eq!(sides[side].core.phase(id), Some(Phase::Open));
        assert_eq!(sides[side].core.in_use(), 1);
    }
}

/// protomux has no answer to that in its own code: there the channel would stay open for the one who accepts.
#[test]
fn a_channel_that_is_closed_before_it_is_accepted_holds_what_was_sent_and_then_the_end() {
    for is_opened in [false, true] {
        let mut sides = pair();
        let listener = sides[1].listen("a");
        let ours = sides[0].core.open(&Opening { handshake: text("hello"), ..opening("a", b"") }).unwrap();
        sides[0].send(ours, b"last");
        sides[0].core.close(ours);
        settle(&mut sides);
        assert_eq!(sides[0].core.in_use(), 1, "the number waits for an answer");
        let theirs = if is_opened { sides[1].open("a") } else { sides[1].accept(listener).unwrap() };
        assert_eq!(sides[1].opened(theirs), Poll::Ready(Ok(text("hello"))));
        assert_eq!(sides[1].received(theirs), ["last"]);
        assert_eq!(sides[1].recv(theirs), Poll::Ready(Ok(None)));
        settle(&mut sides);
        sides[1].core.close(theirs);
        settle(&mut sides);
        for side in &sides {
            assert_eq!((side.core.in_use(), side.core.waiting, side.core.channels.len()), (0, 0, 0));
        }
        // Its number serves others.
        let (ours, theirs) = (sides[0].open("b"), sides[1].open("b"));
        settle(&mut sides);
        assert!(sides[0].opened(ours).is_ready() && sides[1].opened(theirs).is_ready());
    }
}

#[test]
fn a_stream_that_is_reset_before_it_is_accepted_is_refused() {
    let mut sides = pair();
    let listener = sides[1].listen("a");
    let stream = Opening { is_stream: true, ..opening("a", b"") };
    let ours = sides[0].core.open(&stream).unwrap();
    sides[0].core.close(ours);
    settle(&mut sides);
    let offer = sides[1].offer(listener).unwrap();
    assert_eq!(sides[1].core.accept(offer, &stream), Err(MuxError::Closed));
    sides[1].core.reject(offer);
    settle(&mut sides);
    for side in &sides {
        assert_eq!((side.core.in_use(), side.core.waiting, side.core.channels.len()), (0, 0, 0));
    }
}

/// protomux has ignored the close, so its side is still open and the number in use.
#[test]
fn a_channel_that_was_closed_too_soon_for_the_peer_is_closed_again_before_its_number_is_free() {
    let mut side = Side::started();
    let id = side.open("a");
    side.core.close(id);
    side.transmit();
    side.sent.clear();
    assert!(side.get(frame::open(1, "a", b"", b"")));
    side.open("b");
    side.transmit();
    assert_eq!(side.sent, [frame::close(1), frame::open(1, "b", b"", b"")]);
}

/// As in the reference, whose function is called with the handshake in any case.
#[test]
fn a_channel_that_the_peer_opens_and_closes_at_once_was_open() {
    let mut side = Side::started();
    let id = side.open("a");
    side.transmit();
    let frames = [frame::open(1, "a", b"", b"hello"), frame::message(1, 0, b"all"), frame::close(1)];
    assert!(frames.into_iter().all(|frame| side.get(frame)));
    assert_eq!(side.opened(id), Poll::Ready(Ok(text("hello"))));
    assert_eq!(side.received(id), ["all"]);
    assert_eq!(side.recv(id), Poll::Ready(Ok(None)));
}

#[test]
fn what_was_opened_before_the_connection_has_ended_can_still_be_accepted() {
    let mut sides = pair();
    let listener = sides[1].listen("a");
    let ours = sides[0].open("a");
    sides[0].send(ours, b"last");
    sides[0].core.open(&Opening { is_stream: true, ..opening("a", b"stream") }).unwrap();
    settle(&mut sides);
    let side = &mut sides[1];
    side.core.finish();
    let theirs = side.accept(listener).unwrap();
    assert_eq!(side.received(theirs), ["last"]);
    assert_eq!(side.recv(theirs), Poll::Ready(Ok(None)));
    let reset = side.offer(listener).unwrap();
    let stream = Opening { is_stream: true, ..opening("a", b"stream") };
    assert_eq!(side.core.accept(reset, &stream), Err(MuxError::Closed));
    side.core.reject(reset);
    assert_eq!(side.core.poll_accept(listener, Waker::noop()), Poll::Ready(None));
    side.core.close(theirs);
    assert_eq!((side.core.channels.len(), side.core.waiting, side.core.unread), (0, 0, 0));
}

/// A listener that comes later waits for the one that an older one has handed out.
#[test]
fn the_listener_of_the_next_of_one_name_is_woken() {
    let mut side = Side::started();
    let first = side.listen("a");
    assert!(side.get(frame::open(1, "a", b"1", b"")));
    let looks_at = side.offer(first).unwrap();
    let second = side.core.listen(("a".into(), Some(text("1")))).unwrap();
    assert!(side.get(frame::open(2, "a", b"1", b"")));
    let (waker, woken) = woken();
    assert_eq!(side.core.poll_accept(second, &waker), Poll::Pending);
    side.core.reject(looks_at);
    assert!(woken.load(Ordering::Relaxed));
    assert!(side.offer(second).is_some());
}

/// For the peer only the order in which they are opened here distinguishes channels of one name.
#[test]
fn channels_of_one_name_are_accepted_in_their_order() {
    let mut sides = pair();
    let listener = sides[1].listen("a");
    let ours = [sides[0].open("a"), sides[0].open("a")];
    sides[0].send(ours[1], b"second");
    settle(&mut sides);
    let first = sides[1].offer(listener).unwrap();
    assert_eq!(sides[1].offer(listener), None);
    sides[1].core.reject(first);
    let second = sides[1].accept(listener).unwrap();
    settle(&mut sides);
    assert_eq!(sides[0].opened(ours[0]), Poll::Ready(Err(MuxError::Rejected)));
    assert!(sides[0].opened(ours[1]).is_ready());
    assert_eq!(sides[1].received(second), ["second"]);
    // Also where the application opens one itself while it looks at another.
    let third = sides[0].open("a");
    settle(&mut sides);
    let looks_at = sides[1].offer(listener).unwrap();
    sides[0].send(third, b"third");
    let opened = sides[1].open("a");
    settle(&mut sides);
    assert_eq!(sides[1].received(opened), ["third"]);
    assert_eq!(sides[1].core.accept(looks_at, &opening("a", b"")), Err(MuxError::Closed));
}

/// Its opening answers the peer's, and the peer counts the numbers.
#[test]
fn a_channel_that_the_peer_closes_before_its_opening_is_sent_is_opened_all_the_same() {
    let mut side = Side::started();
    let id = side.open("a");
    side.send(id, b"dropped");
    assert!(side.get(frame::open(1, "a", b"", b"")) && side.get(frame::close(1)));
    assert_eq!(side.recv(id), Poll::Ready(Ok(None)));
    side.core.close(id);
    side.transmit();
    assert_eq!(side.sent, [frame::open(1, "a", b"", b"")]);
    assert_eq!((side.core.in_use(), side.core.channels.len()), (0, 0));
}

#[test]
fn a_listener_that_goes_refuses_what_waits() {
    let mut sides = pair();
    let listener = sides[1].listen("a");
    let ours = [sides[0].open("a"), sides[0].open("a")];
    settle(&mut sides);
    let taken = sides[1].offer(listener).unwrap();
    sides[1].core.unlisten(listener);
    settle(&mut sides);
    assert_eq!(sides[0].opened(ours[0]), Poll::Pending);
    assert_eq!(sides[0].opened(ours[1]), Poll::Ready(Err(MuxError::Rejected)));
    assert!(sides[1].core.accept(taken, &opening("a", b"")).is_ok());
    settle(&mut sides);
    assert!(sides[0].opened(ours[0]).is_ready());
}

#[test]
fn the_end_of_the_connection_ends_all_and_what_has_come_can_be_read() {
    let mut sides = pair();
    let (ours, theirs) = (sides[0].open("a"), sides[1].open("a"));
    let listener = sides[1].listen("b");
    sides[0].send(ours, b"one");
    settle(&mut sides);
    sides[1].core.fail(MuxError::Closed);
    assert_eq!(sides[1].received(theirs), ["one"]);
    assert_eq!(sides[1].recv(theirs), Poll::Ready(Ok(None)));
    assert_eq!(sides[1].core.poll_accept(listener, Waker::noop()), Poll::Ready(None));
    assert_eq!(sides[1].core.open(&opening("c", b"")), Err(MuxError::Closed));
    assert_eq!(sides[1].core.poll_transmit(Waker::noop()), Poll::Ready(None));
    assert_eq!(sides[1].core.poll_read(Waker::noop()), Poll::Ready(false));
}

/// The reference ends its own direction after what it has written, too.
#[test]
fn what_was_sent_before_the_peer_has_ended_is_still_sent() {
    let mut side = Side::started();
    let ids = [side.open("a"), side.open("b")];
    for id in ids {
        side.send(id, b"last");
    }
    side.core.finish();
    side.core.close(ids[1]);
    let sent = side.core.poll_send(ids[0], 0, b"", Waker::noop());
    assert_eq!(sent, Poll::Ready(Err(MuxError::Closed)));
    side.transmit();
    let frames = [("a", 1), ("b", 2)];
    let opens = frames.map(|(name, number)| frame::open(number, name, b"", b""));
    let messages = frames.map(|(_, number)| frame::message(number, 0, b"last"));
    assert_eq!(side.sent, [opens, messages].concat());
    assert_eq!(side.core.poll_transmit(Waker::noop()), Poll::Ready(None));
    side.core.close(ids[0]);
    assert_eq!(side.core.channels.len(), 0);
}

#[test]
fn what_was_sent_before_the_application_has_gone_is_still_sent() {
    let mut side = Side::started();
    let id = side.open("a");
    side.send(id, b"last");
    side.core.close(id);
    side.core.abandon();
    side.transmit();
    let frames = [frame::open(1, "a", b"", b""), frame::message(1, 0, b"last"), frame::close(1)];
    assert_eq!(side.sent, frames);
    assert_eq!(side.core.poll_transmit(Waker::noop()), Poll::Ready(None));
}
