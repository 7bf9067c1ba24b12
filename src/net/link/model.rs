//! The user's tasks and the driver at once. `tests/run --full` runs this under shuttle, which tries
//! thousands of interleavings and finds every wait that nobody ends; otherwise on threads of the system.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;

use tokio::io::ReadBuf;
use tokio::sync::mpsc;

use super::tests::{acceptor, dialler};
use super::{End, Link};
use crate::udx::StreamId;

#[cfg(shuttle)]
mod scheduler {
    pub(super) use shuttle::future::block_on;
    use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
    pub(super) use shuttle::thread::spawn;
    use shuttle::{Config, Runner};

    /// Tries so many interleavings at random, and as many with at most three changes of the running thread
    /// where it need not: most races need no more.
    pub(super) fn check(count: usize, scenario: fn()) {
        run(RandomScheduler::new(count), scenario);
        run(PctScheduler::new(3, count), scenario);
    }

    fn run(scheduler: impl Scheduler + 'static, scenario: fn()) {
        let mut config = Config::new();
        // Cryptography needs more than the 32 KiB that threads have there.
        config.stack_size = 1 << 20;
        Runner::new(scheduler, config).run(scenario);
    }
}

#[cfg(not(shuttle))]
mod scheduler {
    pub(super) use std::thread::spawn;

    pub(super) fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
    }

    /// Repeats a scenario a hundredth as often.
    pub(super) fn check(count: usize, scenario: fn()) {
        (0..count.div_ceil(100)).for_each(|_| scenario());
    }
}

use scheduler::{block_on, check, spawn};

#[test]
fn bytes_arrive_both_ways_and_both_ends_finish() {
    check(2000, || exchange(&[3, 0, 200], &[40, 1]));
}

#[test]
fn full_queues_hold_back_and_go_on() {
    check(200, || exchange(&[MESSAGE; 6], &[]));
}

#[test]
fn every_wait_ends_with_the_connection() {
    check(2000, || {
        let (wake, wakeups) = mpsc::unbounded_channel();
        let (link, _) = acceptor(StreamId(1), wake);
        let waits: [fn(Arc<Link>) -> End; 5] = [
            |link| block_on(link.ended()),
            |link| block_on(link.recv_datagram()).expect_err("none comes"),
            |link| block_on(link.proven()).expect_err("it never is"),
            |link| block_on(poll_fn(|cx| link.poll_shutdown(cx))).expect_err("never acknowledged"),
            |link| block_on(poll_fn(|cx| link.poll_read_message(cx))).expect_err("none comes"),
        ];
        let waiting = waits.map(|wait| {
            let link = Arc::clone(&link);
            spawn(move || wait(link))
        });
        link.set_end(End::Reset);
        for wait in waiting {
            assert_eq!(wait.join().expect("it does not panic"), End::Reset);
        }
        drop(wakeups);
    });
}

#[test]
fn a_writer_that_waits_for_room_hears_of_the_end() {
    check(500, || {
        let (wake, wakeups) = mpsc::unbounded_channel();
        let (link, _) = acceptor(StreamId(1), wake);
        let writer = {
            let link = Arc::clone(&link);
            spawn(move || {
                let message = vec![1; MESSAGE];
                loop {
                    let written = block_on(poll_fn(|cx| link.poll_write_message(cx, &message)));
                    if let Err(end) = written {
                        return end;
                    }
                }
            })
        };
        link.set_end(End::Reset);
        assert_eq!(writer.join().expect("it does not panic"), End::Reset);
        drop(wakeups);
    });
}

#[test]
fn a_proof_is_noticed_by_all_who_wait_for_it_and_costs_no_message() {
    check(2000, || {
        let (wake, wakeups) = mpsc::unbounded_channel();
        let (near, header) = dialler(StreamId(2), wake.clone());
        let (link, _) = acceptor(StreamId(1), wake);
        block_on(poll_fn(|cx| near.poll_write_message(cx, b"first"))).expect("room");
        let waiter = {
            let link = Arc::clone(&link);
            spawn(move || block_on(link.proven()).is_ok())
        };
        let reader = {
            let link = Arc::clone(&link);
            spawn(move || block_on(poll_fn(|cx| link.poll_read_message(cx))))
        };
        // What a driver does when bytes come for a key that is not proven yet.
        link.push_incoming(header);
        let _ = link.try_prove();
        for frame in near.take_outgoing().frames {
            link.push_incoming(frame);
            let _ = link.try_prove();
        }
        assert!(waiter.join().expect("it does not panic"));
        let read = reader.join().expect("it does not panic").expect("it is authentic");
        assert_eq!(read.as_deref(), Some(&b"first"[..]));
        assert!(link.is_proven());
        drop(wakeups);
    });
}

/// Two links, a driver between them, a writer and a reader at each. Each writes messages of these lengths.
fn exchange(forth: &'static [usize], back: &'static [usize]) {
    let (wake, wakeups) = mpsc::unbounded_channel();
    let (near, header) = dialler(StreamId(0), wake.clone());
    let (far, header_back) = acceptor(StreamId(1), wake);
    let links = [near, far];
    let mut users = Vec::new();
    for (side, lengths) in [(0, forth), (1, back)] {
        let link = Arc::clone(&links[side]);
        users.push(spawn(move || block_on(write_all(&link, lengths))));
        let link = Arc::clone(&links[side]);
        let expected = if side == 0 { back } else { forth };
        users.push(spawn(move || block_on(read_all(&link, expected))));
    }
    block_on(drive(&links, wakeups, [header, header_back]));
    for user in users {
        user.join().expect("it does not panic");
    }
}

async fn write_all(link: &Link, lengths: &[usize]) {
    for (number, length) in lengths.iter().enumerate() {
        let message = vec![number as u8; *length];
        poll_fn(|cx| link.poll_write_message(cx, &message)).await.expect("the link is open");
    }
    poll_fn(|cx| link.poll_shutdown(cx)).await.expect("the end is acknowledged");
}

async fn read_all(link: &Link, lengths: &[usize]) {
    let mut received = Vec::new();
    let mut buffer = vec![0; 20_000];
    loop {
        let mut buffer = ReadBuf::new(&mut buffer);
        poll_fn(|cx| link.poll_read(cx, &mut buffer)).await.expect("all is authentic");
        if buffer.filled().is_empty() {
            break;
        }
        received.extend_from_slice(buffer.filled());
    }
    let expected = lengths.iter().enumerate().flat_map(|(number, length)| vec![number as u8; *length]);
    assert!(received.into_iter().eq(expected), "other bytes than were written");
}

/// Moves bytes between two links as the driver does: woken by notifications alone.
async fn drive(
    links: &[Arc<Link>; 2],
    mut wakeups: mpsc::UnboundedReceiver<StreamId>,
    headers: [Vec<u8>; 2],
) {
    let mut under_way = headers.map(|header| VecDeque::from([header]));
    let (mut finishing, mut finished) = ([false; 2], [false; 2]);
    for side in [0, 1] {
        pass(links, &mut under_way, side);
    }
    while finished != [true; 2] {
        let StreamId(id) = wakeups.recv().await.expect("a link that is not finished");
        let side = id as usize;
        links[side].clear_notify();
        assert!(!links[side].is_abandoned());
        // Room for what was held back here, and what waits to leave from here.
        pass(links, &mut under_way, 1 - side);
        let outbound = links[side].take_outgoing();
        finishing[side] |= outbound.finish;
        under_way[side].extend(outbound.frames);
        for side in [0, 1] {
            pass(links, &mut under_way, side);
            if finishing[side] && !finished[side] && under_way[side].is_empty() {
                finished[side] = true;
                links[1 - side].set_incoming_finished();
                links[side].set_finished();
            }
        }
    }
    for link in links {
        link.set_end(End::Orderly);
    }
}

/// Delivers what one side has sent, as far as the other one has room.
fn pass(links: &[Arc<Link>; 2], under_way: &mut [VecDeque<Vec<u8>>; 2], from: usize) {
    let to = &links[1 - from];
    while let Some(frame) = under_way[from].pop_front() {
        let (room, mut chunk) = to.incoming_room(false, usize::MAX);
        if room == 0 {
            under_way[from].push_front(frame);
            return;
        }
        let (now, later) = frame.split_at(frame.len().min(room));
        chunk.extend_from_slice(now);
        if !later.is_empty() {
            under_way[from].push_front(later.to_vec());
        }
        to.push_incoming(chunk);
        let _ = to.try_prove();
    }
}

/// A message of which a queue holds four.
const MESSAGE: usize = 64 * 1024;
