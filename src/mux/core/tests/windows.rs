//! Byte streams: each reader holds up its own stream and no other.

use std::task::{Poll, Waker, ready};

use super::super::window::{DATA_COST, INITIAL_WINDOW, MAX_DATA, MAX_WINDOW, MAX_WINDOWS};
use super::support::{Side, opening, pair, settle};
use crate::mux::core::{ChannelId, Opening, data};
use crate::mux::error::{MuxError, Violation};
use crate::mux::frame;
use crate::wire::compact::Reader;

fn streams(sides: &mut [Side; 2], count: usize) -> Vec<[ChannelId; 2]> {
    let opening = Opening { is_stream: true, ..opening("s", b"") };
    let open = |side: &mut Side| side.core.open(&opening).unwrap();
    let ids = (0..count).map(|_| [open(&mut sides[0]), open(&mut sides[1])]).collect();
    settle(sides);
    ids
}

/// Writes until the stream takes no more; returns how much that was.
fn fill(sides: &mut [Side; 2], id: ChannelId, chunk: usize) -> usize {
    let mut written = 0;
    loop {
        match write(&mut sides[0], id, &vec![7; chunk]) {
            Poll::Ready(taken) => written += taken.unwrap(),
            Poll::Pending => {
                let before = sides[0].core.channels[&id].queued;
                settle(sides);
                // Room in line, not in the window.
                if before == 0 {
                    return written;
                }
            }
        }
    }
}

fn write(side: &mut Side, id: ChannelId, bytes: &[u8]) -> Poll<Result<usize, MuxError>> {
    let (number, length) = ready!(side.core.poll_room(id, bytes.len(), Waker::noop()))?;
    side.core.put_data(id, length, data(number, &bytes[..length]))?;
    Poll::Ready(Ok(length))
}

/// Reads what has come and is done with it; returns how much that was, nothing at the end.
fn read(side: &mut Side, id: ChannelId) -> Poll<Result<usize, MuxError>> {
    let (mut total, mut last) = (0, None);
    loop {
        match side.core.poll_data(id, last.take(), Waker::noop()) {
            Poll::Ready(Ok(Some(data))) => {
                total += data.len();
                last = Some(data.len());
            }
            Poll::Ready(Ok(None)) => return Poll::Ready(Ok(total)),
            _ if total > 0 => return Poll::Ready(Ok(total)),
            Poll::Ready(Err(reason)) => return Poll::Ready(Err(reason)),
            Poll::Pending => return Poll::Pending,
        }
    }
}

fn window(side: &Side, id: ChannelId) -> usize {
    side.core.channels[&id].stream.as_ref().unwrap().size()
}

#[test]
fn a_stream_that_nobody_reads_stops_and_others_go_on() {
    let mut sides = pair();
    let ids = streams(&mut sides, 2);
    let written = fill(&mut sides, ids[0][0], MAX_DATA);
    assert_eq!(written + written.div_ceil(MAX_DATA) * DATA_COST, INITIAL_WINDOW);
    assert_eq!(sides[1].core.unread, 0, "the bound of the connection has nothing to do with it");
    let mut total = 0;
    for _ in 0..1000 {
        total += fill(&mut sides, ids[1][0], 50_000);
        while let Poll::Ready(read) = read(&mut sides[1], ids[1][1]) {
            total -= read.unwrap();
        }
    }
    assert_eq!(total, 0, "all of it has been read");
    assert_eq!(read(&mut sides[1], ids[0][1]), Poll::Ready(Ok(written)));
}

#[test]
fn messages_of_a_byte_take_no_more_than_the_window() {
    let mut sides = pair();
    let ids = streams(&mut sides, 1);
    let written = fill(&mut sides, ids[0][0], 1);
    assert_eq!(written, INITIAL_WINDOW / (1 + DATA_COST));
    assert_eq!(sides[1].core.channels[&ids[0][1]].inbox.len(), written);
}

#[test]
fn the_window_grows_while_the_reader_keeps_up_and_shrinks_to_the_share_of_many() {
    let mut sides = pair();
    let first = streams(&mut sides, 1)[0];
    let transfer = |sides: &mut [Side; 2]| {
        for _ in 0..2000 {
            // The reader reads before the window is full.
            assert!(write(&mut sides[0], first[0], &[7; MAX_DATA]).is_ready());
            settle(sides);
            while read(&mut sides[1], first[1]).is_ready() {}
            settle(sides);
        }
    };
    transfer(&mut sides);
    assert_eq!(window(&sides[1], first[1]), MAX_WINDOW);
    let many = streams(&mut sides, 99);
    transfer(&mut sides);
    assert_eq!(window(&sides[1], first[1]), MAX_WINDOWS / 100);
    // All that may wait, if nobody reads any more.
    let sizes: usize = many.iter().map(|ids| window(&sides[1], ids[1])).sum();
    assert!(sizes + window(&sides[1], first[1]) <= MAX_WINDOWS + 100 * INITIAL_WINDOW);
}

#[test]
fn a_peer_that_sends_more_than_the_window_ends_the_connection() {
    let mut sides = pair();
    streams(&mut sides, 1);
    let data = frame::message(1, 0, &vec![0; INITIAL_WINDOW / 2 - DATA_COST]);
    assert!(sides[1].get(data.clone()) && sides[1].get(data));
    sides[1].get(frame::message(1, 0, b""));
    assert_eq!(sides[1].core.ended(), Some(MuxError::Protocol(Violation::WindowExceeded)));
}

/// Before the stream is accepted it is not known that it has a window.
#[test]
fn a_peer_that_sends_more_before_its_stream_is_accepted_ends_the_connection_as_well() {
    let mut side = Side::started();
    let listener = side.listen("s");
    assert!(side.get(frame::open(1, "s", b"", b"")));
    side.get(frame::message(1, 0, &vec![0; INITIAL_WINDOW]));
    let offer = side.offer(listener).unwrap();
    let opening = Opening { is_stream: true, ..opening("s", b"") };
    let exceeded = MuxError::Protocol(Violation::WindowExceeded);
    assert_eq!(side.core.accept(offer, &opening), Err(exceeded));
    assert_eq!(side.core.ended(), Some(exceeded));
    assert_eq!((side.core.channels.len(), side.core.streams), (0, 0));
}

/// A peer that sends and reads nothing makes one grant after another due.
#[test]
fn grants_that_the_peer_does_not_read_are_one() {
    let mut sides = pair();
    let [_, theirs] = streams(&mut sides, 1)[0];
    let side = &mut sides[1];
    let half = vec![0; INITIAL_WINDOW / 2 - DATA_COST];
    let count = 1000;
    for _ in 0..count {
        assert!(side.get(frame::message(1, 0, &half)));
        assert_eq!(read(side, theirs), Poll::Ready(Ok(half.len())));
    }
    side.transmit();
    let grants = std::mem::take(&mut side.sent);
    assert_eq!(grants.len(), 1);
    // All of it may be used.
    let granted = Reader::new(&grants[0][2..]).varuint().unwrap() as usize;
    assert!(granted >= (count - 1) * (half.len() + DATA_COST), "{granted}");
}

#[test]
fn nothing_is_granted_once_the_connection_has_ended() {
    let mut sides = pair();
    let [ours, theirs] = streams(&mut sides, 1)[0];
    fill(&mut sides, ours, MAX_DATA);
    sides[1].core.fail(MuxError::Closed);
    assert!(matches!(read(&mut sides[1], theirs), Poll::Ready(Ok(bytes)) if bytes > 0));
    sides[1].core.close(theirs);
    assert_eq!(sides[1].core.channels.len(), 0);
    sides[1].transmit();
    assert!(sides[1].sent.is_empty());
}

#[test]
fn grants_and_what_is_unknown_take_no_memory() {
    let mut sides = pair();
    let ids = streams(&mut sides, 1);
    for _ in 0..1000 {
        assert!(sides[1].get(frame::message(1, 1, b"\xff\xff\xff\xff\xff\xff\xff\x1f\x00")));
        assert!(sides[1].get(frame::message(1, 9, &[0; 100])));
    }
    assert!(sides[1].core.channels[&ids[0][1]].inbox.is_empty());
    assert_eq!(sides[1].core.unread, 0);
    assert_eq!(sides[1].core.ended(), None);
    sides[1].get(frame::message(1, 1, b""));
    assert_eq!(sides[1].core.ended(), Some(MuxError::Protocol(Violation::Truncated)));
}

#[test]
fn a_direction_ends_after_its_bytes_and_the_other_one_goes_on() {
    let mut sides = pair();
    let [ours, theirs] = streams(&mut sides, 1)[0];
    assert_eq!(write(&mut sides[0], ours, b"abc"), Poll::Ready(Ok(3)));
    sides[0].core.finish_stream(ours).unwrap();
    assert_eq!(write(&mut sides[0], ours, b"x"), Poll::Ready(Err(MuxError::Closed)));
    settle(&mut sides);
    assert_eq!(read(&mut sides[1], theirs), Poll::Ready(Ok(3)));
    assert_eq!(read(&mut sides[1], theirs), Poll::Ready(Ok(0)));
    assert_eq!(write(&mut sides[1], theirs, b"back"), Poll::Ready(Ok(4)));
    sides[1].core.finish_stream(theirs).unwrap();
    sides[1].core.close(theirs);
    settle(&mut sides);
    assert_eq!(read(&mut sides[0], ours), Poll::Ready(Ok(4)));
    assert_eq!(read(&mut sides[0], ours), Poll::Ready(Ok(0)), "the end, not a reset");
}

#[test]
fn a_stream_that_is_dropped_before_its_end_is_reset() {
    let mut sides = pair();
    let [ours, theirs] = streams(&mut sides, 1)[0];
    fill(&mut sides, ours, 10);
    sides[0].core.close(ours);
    settle(&mut sides);
    assert!(matches!(read(&mut sides[1], theirs), Poll::Ready(Ok(bytes)) if bytes > 0));
    assert_eq!(read(&mut sides[1], theirs), Poll::Ready(Err(MuxError::Closed)));
}
