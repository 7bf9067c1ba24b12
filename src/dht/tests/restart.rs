//! Announcements that outlive the node that gives them out.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::world::{World, address, announce, client_address, server, unannounce};
use crate::dht::node::MAX_KNOWN;
use crate::dht::serve::MAX_RESTORED;
use crate::dht::sign::Announcement;
use crate::dht::{Config, Event, Kept, Node, NodeId};
use crate::keys::KeyPair;
use crate::sim::network::Link;
use crate::wire::records::AnnounceKind;

#[test]
fn a_restarted_node_gives_out_what_was_announced_to_it_for_as_long_as_it_would_have() {
    let (kept, [of_server, of_topic]) = announced();
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|one| one.remaining > SWEEP), "{kept:?}");

    let now = Instant::now();
    let mut node = restarted(now, 1, kept.clone());
    assert!(node.forward(&of_server).is_some());
    assert_eq!(node.forward(&of_server), Some(address(2)));
    assert_eq!(node.stats().records, 2);
    let again = node.announcements(now);
    assert_eq!(sorted(again), sorted(kept.clone()));

    // A while later they have less left, and a second restart does not give them more.
    let later = now + Duration::from_secs(600);
    let mut node = restarted(later, 1, short(&kept, Duration::from_secs(600)));
    run(&mut node, later, Duration::from_secs(1600 - 600 - 10));
    assert_eq!(node.stats().records, 2);
    run(&mut node, later + Duration::from_secs(990), Duration::from_secs(20));
    assert_eq!(node.stats().records, 0);
    assert!(node.forward(&of_topic).is_none());
}

#[test]
fn announcements_hold_only_at_the_node_that_they_were_signed_for() {
    let (kept, _) = announced();
    let now = Instant::now();
    assert_eq!(restarted(now, 3, kept.clone()).stats().records, 0);
    let forged = kept.into_iter().map(|mut kept| {
        kept.token[0] ^= 1;
        kept
    });
    assert_eq!(restarted(now, 1, forged.collect()).stats().records, 0);
}

#[test]
fn many_announcements_are_verified_by_and_by_and_none_is_lost_meanwhile() {
    let (token, id) = ([3; 32], NodeId::of(address(1)));
    let key_pair = KeyPair::from_seed(&[1; 32]);
    let kept: Vec<_> = (0..200)
        .map(|number| {
            let target = [number; 32];
            let announcement = Announcement { identity: &(&key_pair).into(), target, relays: &[], bump: 0 };
            let announce = announcement.sign(AnnounceKind::Announce, &id, &token);
            // Half of them are of the generation that the next sweep forgets.
            let remaining = SWEEP * (1 + 2 * u32::from(number % 2)) / 2;
            Kept { target, from: address(2), token, announce, remaining }
        })
        .collect();
    let now = Instant::now();
    let mut node = restarted(now, 1, kept.clone());
    let mut rounds = 0;
    while node.stats().records < kept.len() {
        let restored = node.stats().records;
        assert_eq!(node.announcements(now).len(), kept.len());
        let (at, _) = node.poll_timeout().expect("more are due");
        assert!(at < now + Duration::from_secs(1));
        node.handle_timeout(at);
        assert!(node.stats().records - restored <= MAX_RESTORED, "at once");
        rounds += 1;
    }
    assert!(rounds > 2, "{rounds}");
    let remaining = |kept: Vec<Kept>| sorted(kept).into_iter().map(|kept| kept.remaining).collect::<Vec<_>>();
    assert_eq!(remaining(node.announcements(now)), remaining(kept));
}

#[test]
fn a_kept_announcement_reads_as_it_was_written() {
    let (kept, _) = announced();
    for kept in kept {
        let text = kept.to_string();
        let seconds = Duration::from_secs(kept.remaining.as_secs());
        assert_eq!(text.parse(), Ok(Kept { remaining: seconds, ..kept }));
        for end in 0..text.len() {
            // Digits of an announcement that are missing leave no announcement; whatever else is cut must not
            // pass for another one.
            assert!(text[..end].parse::<Kept>().is_err(), "{}", &text[..end]);
        }
    }
}

#[test]
fn so_many_nodes_of_an_earlier_run_are_asked() {
    let mut now = Instant::now();
    let known = (1..=2 * MAX_KNOWN).map(address).collect();
    let config = Config { private_network: true, known, ..server() };
    let mut node = Node::new(now, config, [7; 32]);
    node.handle_sockets(now, address(0), client_address(0));
    node.bootstrap(now);
    let mut asked = BTreeSet::new();
    loop {
        asked.extend(std::iter::from_fn(|| node.poll_transmit()).map(|sent| sent.destination));
        let mut events = std::iter::from_fn(|| node.poll_event());
        if events.any(|event| event == Event::Bootstrapped { reached: 0 }) {
            break;
        }
        (now, _) = node.poll_timeout().expect("it is not over");
        node.handle_timeout(now);
    }
    assert_eq!(asked.len(), MAX_KNOWN);
}

#[test]
fn what_is_taken_back_is_not_kept() {
    let mut world = World::new(72, 1, Link::default());
    let keeper = world.join(keeping());
    let client = world.join(server());
    let key_pair = KeyPair::from_seed(&[1; 32]);
    let (_, announced, _) = world.run(client, announce([9; 32], &key_pair));
    assert!(announced.is_ok());
    let now = world.network.now();
    assert_eq!(world.node(keeper).announcements(now).len(), 1);
    let (_, taken_back, _) = world.run(client, unannounce([9; 32], &key_pair));
    assert!(taken_back.is_ok());
    assert_eq!(world.node(keeper).announcements(now), []);
    let other = world.nodes[0];
    assert_eq!(world.node(other).announcements(now), [], "only who was told keeps any");
}

/// Lets a server and a topic be announced to a node, the second of its world; returns what it keeps, and
/// their targets.
fn announced() -> (Vec<Kept>, [[u8; 32]; 2]) {
    let mut world = World::new(71, 1, Link::default());
    let keeper = world.join(keeping());
    let client = world.join(server());
    let key_pair = KeyPair::from_seed(&[1; 32]);
    let targets = [key_pair.public_key().target(), [9; 32]];
    for target in targets {
        let (_, result, _) = world.run(client, announce(target, &key_pair));
        assert!(result.is_ok());
    }
    let now = world.network.now();
    (world.node(keeper).announcements(now), targets)
}

fn keeping() -> Config {
    Config { keeps_announcements: true, ..server() }
}

/// Makes the node with this number anew.
fn restarted(now: Instant, number: usize, announcements: Vec<Kept>) -> Node {
    let config = Config { private_network: true, announcements, ..keeping() };
    let mut node = Node::new(now, config, [7; 32]);
    node.handle_sockets(now, address(number), client_address(number));
    assert!(node.is_persistent());
    node
}

/// Returns announcements as they are so much later.
fn short(kept: &[Kept], passed: Duration) -> Vec<Kept> {
    let left = |kept: &Kept| Kept { remaining: kept.remaining.saturating_sub(passed), ..kept.clone() };
    kept.iter().map(left).collect()
}

fn run(node: &mut Node, from: Instant, time: Duration) {
    let end = from + time;
    while let Some((at, _)) = node.poll_timeout()
        && at <= end
    {
        node.handle_timeout(at);
        while node.poll_transmit().is_some() || node.poll_event().is_some() {}
    }
}

fn sorted(mut kept: Vec<Kept>) -> Vec<Kept> {
    kept.sort_by_key(|kept| kept.target);
    kept
}

/// Between two sweeps of a node's announcements.
const SWEEP: Duration = Duration::from_secs(800);
