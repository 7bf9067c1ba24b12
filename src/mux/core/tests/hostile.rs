//! Frames that no peer with good intentions sends.

use std::task::{Poll, Waker};

use super::support::{Side, pair, settle};
use crate::mux::error::{MuxError, Violation};
use crate::mux::frame;

/// Gives a side messages and expects it to end because of the last one.
fn breaks(mut side: Side, messages: &[&[u8]], violation: Violation) {
    let (last, first) = messages.split_last().unwrap();
    for message in first {
        assert!(side.get(message.to_vec()));
        assert_eq!(side.core.ended(), None);
    }
    side.get(last.to_vec());
    assert_eq!(side.core.ended(), Some(MuxError::Protocol(violation)));
}

#[test]
fn numbers_that_are_in_use_or_skip_others_end_the_connection() {
    let listening = || {
        let mut side = Side::started();
        side.listen("a");
        side
    };
    let open = |number| frame::open(number, "a", b"", b"");
    breaks(listening(), &[&open(0)], Violation::BadNumber);
    breaks(listening(), &[&open(2)], Violation::BadNumber);
    breaks(listening(), &[&open(1), &open(1)], Violation::BadNumber);
    breaks(listening(), &[&frame::reject(0)], Violation::NotOffered);
    breaks(listening(), &[&frame::reject(1)], Violation::NotOffered);
    breaks(listening(), &[b"\x00\x00\x00\x04\x00\x01\x01\x00"], Violation::NestedBatch);
    breaks(listening(), &[b"\x00\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff"], Violation::IntegerTooLarge);
    breaks(listening(), &[b"\x01"], Violation::Truncated);
}

#[test]
fn a_channel_cannot_be_rejected_after_it_was_opened_or_twice() {
    let mut sides = pair();
    let id = sides[0].open("a");
    sides[0].transmit();
    let [mut side, _] = sides;
    assert!(side.get(frame::open(1, "a", b"", b"")));
    assert!(side.opened(id).is_ready());
    breaks(side, &[&frame::reject(1)], Violation::NotOffered);

    let mut side = Side::started();
    side.open("a");
    side.transmit();
    breaks(side, &[&frame::reject(1), &frame::reject(1)], Violation::NotOffered);
}

#[test]
fn what_is_for_no_channel_is_dropped() {
    let mut side = Side::started();
    let id = side.open("a");
    side.transmit();
    side.sent.clear();
    let closed_twice = [frame::open(1, "a", b"", b""), frame::close(1), frame::close(1)];
    let unknown = [frame::message(1, 0, b"x"), frame::message(7, 9, b"x"), frame::close(0), frame::close(9)];
    let unknown = unknown.into_iter().chain([b"\x00\x09".to_vec(), Vec::new(), b"\x00\x00\x05".to_vec()]);
    for message in closed_twice.into_iter().chain(unknown) {
        assert!(side.get(message));
    }
    assert_eq!(side.core.ended(), None);
    assert_eq!(side.recv(id), Poll::Ready(Ok(None)));
    side.transmit();
    assert!(side.sent.is_empty());
    assert_eq!(side.core.unread, 0);
}

#[test]
fn a_batch_that_breaks_off_has_its_whole_messages_delivered() {
    let mut sides = pair();
    let (ours, theirs) = (sides[0].open("a"), sides[1].open("a"));
    settle(&mut sides);
    sides[1].get(&b"\x00\x00\x01\x02\x00a\x09"[..]);
    assert_eq!(sides[1].core.ended(), Some(MuxError::Protocol(Violation::Truncated)));
    assert_eq!(sides[1].received(theirs), ["a"]);
    let _ = ours;
}

/// A batch of 3 bytes for each message, as large as a message of the connection may be.
#[test]
fn a_batch_of_a_million_messages_waits_for_its_reader_and_lets_others_run() {
    let mut sides = pair();
    let (_, theirs) = (sides[0].open("a"), sides[1].open("a"));
    settle(&mut sides);
    let mut batch = frame::Batch::default();
    let count = 1_000_000;
    (0..count).for_each(|_| batch.push(0, b""));
    let side = &mut sides[1];
    side.core.receive(batch.frame(1).into());
    assert_eq!(side.core.poll_read(Waker::noop()), Poll::Pending);
    assert_eq!(side.core.channels[&theirs].inbox.len(), 256, "a turn");
    let (mut received, mut most) = (0, 0);
    loop {
        let is_done = side.turn();
        most = most.max(side.core.unread);
        received += side.received(theirs).len();
        if is_done {
            break;
        }
    }
    assert_eq!(received, count);
    assert!(most <= super::super::state::MAX_UNREAD + 64, "{most}");
}
