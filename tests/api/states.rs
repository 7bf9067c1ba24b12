//! The state of a node, as a user observes it.

use hyperprofile::Testnet;
use hyperprofile::api::{Firewall, Joined, NodeState, NodeWatch};

use crate::world::within;

#[tokio::test]
async fn a_node_is_seen_to_join_to_be_suspended_to_resume_and_to_close() {
    let testnet = within(Testnet::new(3)).await.unwrap();
    let dht = testnet.builder().spawn().await.unwrap();
    let mut watch = dht.watch();
    let state = watch.current();
    assert_eq!(state, NodeState::default());

    let state = next_phase(&mut watch, state).await;
    let nodes = within(dht.bootstrapped()).await.unwrap().nodes;
    assert_eq!(state.joined, Joined::Done { nodes });
    assert!(nodes > 0 && state.is_online(), "{state:?}");

    within(dht.suspend()).await;
    assert!(dht.state().suspended, "known once the call is over");
    let state = next_phase(&mut watch, state).await;
    assert!(state.suspended && !state.closed && !state.is_online(), "{state:?}");
    assert_eq!(state.public_address, None);

    within(dht.resume()).await;
    assert!(dht.state().is_online());
    let state = next_phase(&mut watch, state).await;
    assert!(state.is_online(), "{state:?}");

    within(dht.close()).await;
    assert!(dht.state().closed);
    let state = next_phase(&mut watch, state).await;
    assert!(state.closed, "{state:?}");
    assert_eq!(state.joined, Joined::Done { nodes }, "what was known last");
    while let Some(state) = within(watch.changed()).await {
        assert!(state.closed);
    }
    assert_eq!(within(watch.wait_for(NodeState::is_online)).await, None);
    assert!(dht.watch().current().closed);
}

#[tokio::test]
async fn a_node_that_serves_others_shows_its_address_and_no_nat() {
    let testnet = within(Testnet::new(3)).await.unwrap();
    for node in testnet.nodes() {
        let mut watch = node.watch();
        let serves = |state: &NodeState| state.persistent && state.public_address.is_some();
        let state = within(watch.wait_for(serves)).await.unwrap();
        assert_eq!(state.public_address, Some(node.local_addr()));
        assert_eq!(state.nat, Firewall::Open);
    }
}

#[tokio::test]
async fn a_node_that_is_suspended_while_it_joins_joins_when_it_resumes() {
    let testnet = within(Testnet::new(2)).await.unwrap();
    let dht = testnet.builder().spawn().await.unwrap();
    within(dht.suspend()).await;
    let state = dht.state();
    assert!(state.suspended && state.joined == Joined::Pending, "{state:?}");
    within(dht.resume()).await;
    assert!(within(dht.bootstrapped()).await.unwrap().nodes > 0);
}

/// Waits until the node has joined, or is suspended, resumed or closed.
async fn next_phase(watch: &mut NodeWatch, before: NodeState) -> NodeState {
    let phase = |state: NodeState| (state.joined, state.suspended, state.closed);
    let next = watch.wait_for(|state| phase(*state) != phase(before));
    within(next).await.unwrap()
}
