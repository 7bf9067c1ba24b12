//! Ends, orderly and not.

use std::time::Duration;

use super::helpers::written;
use crate::sim::link::{Direction, Link, Side};
use crate::udx::{Closed, Config, Event, WriteError};
use crate::wire::packet::{DATA, DESTROY, END};

#[test]
fn a_half_closed_stream_still_takes_data_back() {
    let mut link = link();
    written(&mut link, Side::A, b"question");
    finish(&mut link, Side::A);
    link.run_for(SECOND);
    assert!(has(&mut link, Side::A, &Event::Finished));
    assert!(has(&mut link, Side::B, &Event::RemoteFinished));
    assert_eq!(read(&mut link, Side::B), b"question");
    link.run_for(SECOND * 60);
    written(&mut link, Side::B, b"answer");
    finish(&mut link, Side::B);
    link.run_for(SECOND);
    assert_eq!(read(&mut link, Side::A), b"answer");
    link.send();
    for side in Side::BOTH {
        assert_eq!(link.end(side).events.last(), Some(&Event::Closed(Closed::Ended)));
    }
}

#[test]
fn data_and_end_share_a_packet() {
    let mut link = link();
    written(&mut link, Side::A, b"all of it");
    finish(&mut link, Side::A);
    link.send();
    assert_eq!(link.end(Side::A).sent, 1);
}

#[test]
fn nothing_can_be_written_after_the_end() {
    let mut link = link();
    finish(&mut link, Side::A);
    let (now, end) = (link.now, link.end(Side::A));
    assert_eq!(end.streams.write(now, end.id, b"more"), Err(WriteError::Closed));
}

#[test]
fn a_destroyed_stream_resets_its_peer_which_can_still_read_what_came() {
    let mut link = link();
    written(&mut link, Side::A, b"some data");
    link.send();
    let (now, end) = (link.now, link.end(Side::A));
    end.streams.destroy(now, end.id);
    link.run_for(SECOND);
    assert_eq!(link.end(Side::B).events, [Event::Readable, Event::Closed(Closed::Reset)]);
    assert_eq!(read(&mut link, Side::B), b"some data");
    assert!(link.end(Side::A).events.is_empty(), "its owner knows");
}

#[test]
fn a_lost_destroy_is_repeated_when_the_peer_speaks_again() {
    let mut link = link();
    link.drop_if(|_, datagram| datagram[2] & DESTROY != 0);
    let (now, end) = (link.now, link.end(Side::A));
    end.streams.destroy(now, end.id);
    link.run_for(SECOND);
    assert!(link.end(Side::B).events.is_empty());
    link.drop_nothing();
    written(&mut link, Side::B, b"anyone there?");
    link.run_for(SECOND);
    assert_eq!(link.end(Side::B).events, [Event::Closed(Closed::Reset)]);
}

#[test]
fn a_lost_last_acknowledgement_harms_nobody() {
    let mut link = link();
    finish(&mut link, Side::A);
    link.run_for(SECOND);
    // B ends as well, and everything that A answers is lost for a while.
    link.drop_if(|from, _| from == Side::A);
    finish(&mut link, Side::B);
    link.run_for(SECOND * 3);
    assert_eq!(link.end(Side::A).events.last(), Some(&Event::Closed(Closed::Ended)));
    assert!(!has(&mut link, Side::B, &Event::Finished));
    link.drop_nothing();
    link.run_for(SECOND * 10);
    assert_eq!(link.end(Side::B).events.last(), Some(&Event::Closed(Closed::Ended)));
}

#[test]
fn a_peer_that_closed_without_a_last_answer_is_not_a_time_out() {
    let mut link = link();
    finish(&mut link, Side::B);
    link.run_for(SECOND);
    link.drop_if(|_, _| true);
    finish(&mut link, Side::A);
    link.run_for(SECOND * 8);
    assert_eq!(link.end(Side::A).events, [Event::RemoteFinished, Event::Closed(Closed::Ended)]);
}

#[test]
fn data_that_a_peer_which_has_ended_never_acknowledges_is_a_time_out() {
    let mut link = link();
    finish(&mut link, Side::B);
    link.run_for(SECOND);
    link.drop_if(|_, _| true);
    written(&mut link, Side::A, b"lost");
    finish(&mut link, Side::A);
    link.run_for(SECOND * 30);
    assert_eq!(link.end(Side::A).events.last(), Some(&Event::Closed(Closed::TimedOut)));
}

#[test]
fn an_ended_stream_closes_only_when_it_was_read() {
    let mut link = link();
    finish(&mut link, Side::B);
    written(&mut link, Side::A, b"the last words");
    finish(&mut link, Side::A);
    link.run_for(SECOND * 120);
    assert!(!has(&mut link, Side::B, &Event::Closed(Closed::Ended)));
    assert_eq!(link.end(Side::A).events.last(), Some(&Event::Closed(Closed::Ended)));
    assert_eq!(read(&mut link, Side::B), b"the last words");
    link.send();
    assert_eq!(link.end(Side::B).events.last(), Some(&Event::Closed(Closed::Ended)));
}

#[test]
fn an_end_that_overtakes_data_waits_for_it() {
    let mut link = link();
    link.drop_if(|_, datagram| datagram[2] & DATA != 0);
    written(&mut link, Side::A, b"late");
    link.send();
    finish(&mut link, Side::A);
    link.send();
    link.drop_nothing();
    link.run_for(Duration::from_millis(15));
    assert!(!has(&mut link, Side::B, &Event::RemoteFinished));
    link.run_for(SECOND * 5);
    assert_eq!(link.end(Side::B).events, [Event::Readable, Event::RemoteFinished]);
}

#[test]
fn a_late_packet_of_a_destroyed_stream_opens_nothing() {
    let mut link = link();
    let (now, end) = (link.now, link.end(Side::A));
    end.streams.destroy(now, end.id);
    link.run_for(SECOND * 60);
    assert!(!link.end(Side::B).streams.poll_timeout().is_some_and(|_| true));
    link.drop_if(|_, datagram| datagram[2] & END != 0);
    assert!(!link.step(), "nothing is pending");
}

const SECOND: Duration = Duration::from_secs(1);

fn link() -> Link {
    Link::new(7, Config::default(), Direction::clean(Duration::from_millis(10)))
}

fn finish(link: &mut Link, side: Side) {
    let (now, end) = (link.now, link.end(side));
    end.streams.finish(now, end.id);
}

fn read(link: &mut Link, side: Side) -> Vec<u8> {
    super::helpers::read(link, side, usize::MAX)
}

fn has(link: &mut Link, side: Side, event: &Event) -> bool {
    link.end(side).events.contains(event)
}
