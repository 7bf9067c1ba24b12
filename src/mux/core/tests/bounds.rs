//! What a peer, or a slow reader, can make grow.

use std::task::{Poll, Waker};

use super::super::out::MAX_QUEUED;
use super::super::state::{MAX_CHANNELS, MAX_REPLIES, MAX_UNREAD, MAX_WAITING, MESSAGE_COST, OFFER_COST};
use super::support::{Side, opening, pair, settle};
use crate::api::Connection;
use crate::mux::error::MuxError;
use crate::mux::frame;

#[test]
fn the_peer_waits_while_so_much_of_what_it_sent_is_unread() {
    let mut sides = pair();
    let both = [sides[1].open("a"), sides[1].open("b")];
    for name in ["a", "b"] {
        sides[0].open(name);
    }
    settle(&mut sides);
    let side = &mut sides[1];
    let content = vec![0; 100_000];
    let mut sent = 0;
    while side.get(frame::message(1 + sent % 2, 0, &content)) {
        sent += 1;
    }
    assert!(side.core.unread > MAX_UNREAD);
    assert!(side.core.unread <= MAX_UNREAD + content.len() + MESSAGE_COST);
    // One of the two is read, the other one is dropped.
    assert!(matches!(side.recv(both[0]), Poll::Ready(Ok(Some(_)))));
    assert!(side.turn());
    side.core.close(both[1]);
    side.received(both[0]);
    assert_eq!(side.core.unread, 0);
}

#[test]
fn the_peer_waits_while_so_much_that_it_opened_is_not_accepted() {
    let mut side = Side::started();
    let listener = side.listen("a");
    let mut number = 0;
    loop {
        number += 1;
        if !side.get(frame::open(number, "a", b"", b"")) {
            break;
        }
        if !side.get(frame::message(number, 0, &[0; 100])) {
            break;
        }
    }
    assert!(side.core.waiting > MAX_WAITING && side.core.waiting <= MAX_WAITING + OFFER_COST + 100);
    let first = side.offer(listener).unwrap();
    side.core.reject(first);
    assert!(side.turn());
    while side.accept(listener).is_some() {}
    assert_eq!(side.core.waiting, 0);
}

#[test]
fn the_peer_waits_while_so_many_rejections_are_not_sent() {
    let mut side = Side::started();
    let opens = (0..).take_while(|_| side.get(frame::open(1, "a", b"", b""))).count();
    assert_eq!(opens, MAX_REPLIES);
    assert_eq!(side.core.replies.len(), MAX_REPLIES + 1);
    side.transmit();
    assert!(side.turn());
}

#[test]
fn either_side_has_so_many_channels() {
    let mut sides = pair();
    let listener = sides[1].listen("a");
    for _ in 0..MAX_CHANNELS {
        sides[0].open("a");
        settle(&mut sides);
        assert!(sides[1].accept(listener).is_some());
    }
    settle(&mut sides);
    let too_many = MuxError::TooMany { max: MAX_CHANNELS };
    for side in &mut sides {
        assert_eq!(side.core.open(&opening("b", b"")), Err(too_many));
    }
    // A peer that has more is refused, and has no effect on what there is.
    let number = MAX_CHANNELS as u64 + 1;
    assert!(sides[1].get(frame::open(number, "a", b"", b"")));
    sides[1].transmit();
    assert_eq!(sides[1].sent, [frame::reject(number)]);
    assert!(sides[1].get(frame::message(number, 0, b"x")) && sides[1].get(frame::close(number)));
    assert_eq!(sides[1].core.remotes.len(), MAX_CHANNELS);
    assert_eq!(sides[1].core.ended(), None);
}

/// The peer opens, closes and opens again, while the application is not done with what has ended.
#[test]
fn channels_that_have_ended_count_until_they_are_dropped() {
    let mut side = Side::started();
    let listener = side.listen("a");
    let mut held = Vec::new();
    for _ in 0..MAX_CHANNELS {
        assert!(side.get(frame::open(1, "a", b"", b"")));
        held.extend(side.accept(listener));
        side.transmit();
        assert!(side.get(frame::close(1)));
    }
    assert_eq!((held.len(), side.core.in_use()), (MAX_CHANNELS, 0));
    assert!(side.get(frame::open(1, "a", b"", b"")));
    let offer = side.offer(listener).unwrap();
    let too_many = MuxError::TooMany { max: MAX_CHANNELS };
    assert_eq!(side.core.accept(offer, &opening("a", b"")), Err(too_many));
    side.core.close(held[5]);
    assert!(side.core.accept(offer, &opening("a", b"")).is_ok());
}

#[test]
fn a_sender_waits_while_so_much_of_its_channel_is_in_line() {
    let mut side = Side::started();
    let (busy, other) = (side.open("a"), side.open("b"));
    let content = vec![0; 10_000];
    let mut put = || side.core.poll_send(busy, 0, &content, Waker::noop());
    let count = (0..).take_while(|_| put().is_ready()).count();
    assert!(side.core.channels[&busy].queued >= MAX_QUEUED);
    assert_eq!(count, MAX_QUEUED / content.len() + 1);
    side.send(other, b"not held up");
    side.transmit();
    let second = side.sent.iter().position(|frame| *frame == frame::message(2, 0, b"not held up"));
    assert_eq!(second, Some(3), "channels take turns");
    side.send(busy, &content);
}

#[test]
fn a_frame_is_not_larger_than_a_message_of_the_connection() {
    let mut side = Side::started();
    let id = side.open("a");
    let content = vec![0; Connection::MAX_MESSAGE - 1];
    let size = Connection::MAX_MESSAGE + 1;
    let too_large = MuxError::TooLarge { size, max: Connection::MAX_MESSAGE };
    let mut put = |content| side.core.poll_send(id, 0, content, Waker::noop());
    assert_eq!(put(&content), Poll::Ready(Err(too_large)));
    assert_eq!(put(&content[1..]), Poll::Ready(Ok(())));
    let opening = crate::mux::core::Opening { handshake: content.into(), ..opening("b", b"") };
    assert!(matches!(side.core.open(&opening), Err(MuxError::TooLarge { .. })));
    assert_eq!(side.core.in_use(), 1);
}
