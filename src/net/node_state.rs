//! The state of a node as its users observe it.

use std::net::SocketAddrV4;

use tokio::sync::watch;

use crate::connect::Firewall;
use crate::dht::Health;

/// The state of a node at one moment, from [`Dht::state`](crate::Dht::state) and
/// [`Dht::watch`](crate::Dht::watch).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct NodeState {
    /// How far joining the network has come.
    pub joined: Joined,
    /// How the node's requests to others have fared lately. An idle node notices within two minutes that the
    /// network is gone; one that knows fewer than ten nodes may not notice before it is used.
    pub health: Health,
    /// The address at which every host can reach this node. `None` if there is none, or it is not known yet,
    /// and while the node is suspended.
    pub public_address: Option<SocketAddrV4>,
    /// The NAT that the node is behind. [`Firewall::Open`] with a public address. Without one it is examined
    /// while a server listens, and for an attempt to connect that has to open it; it is
    /// [`Firewall::Unknown`] before, and from a minute after the last use on.
    pub nat: Firewall,
    /// Whether the node serves others under an id of its own. One that does not is a client of the DHT only.
    pub persistent: bool,
    /// Whether the node is suspended, see [`Dht::suspend`](crate::Dht::suspend).
    pub suspended: bool,
    /// Whether the node is closing or has ended. The other fields keep their last values.
    pub closed: bool,
}

/// How far joining the network has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Joined {
    /// The first query is under way.
    #[default]
    Pending,
    /// The first query is over.
    Done {
        /// Nodes that answered. 0 only in the first node of a private network.
        nodes: usize,
    },
    /// No node answered. The node keeps trying.
    Unreachable,
}

impl NodeState {
    /// Returns whether the node has joined the network, is neither suspended nor closed, and still gets
    /// answers: its [`health`](Self::health) is not [`Health::Offline`].
    pub const fn is_online(&self) -> bool {
        let answered = !matches!(self.health, Health::Offline);
        matches!(self.joined, Joined::Done { .. }) && answered && !self.suspended && !self.closed
    }
}

/// Publishes the state of a node when it changes, and its end when dropped: a watch keeps its last value.
#[derive(Debug)]
pub(super) struct Publisher {
    published: NodeState,
    observers: watch::Sender<NodeState>,
}

impl Publisher {
    pub(super) fn new() -> (Self, watch::Receiver<NodeState>) {
        let (observers, observed) = watch::channel(NodeState::default());
        (Self { published: NodeState::default(), observers }, observed)
    }

    pub(super) fn publish(&mut self, state: NodeState) {
        if state != self.published {
            self.published = state;
            self.observers.send_replace(state);
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.publish(NodeState { closed: true, ..self.published });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observers_see_each_change_once_and_the_end() {
        let (mut publisher, mut observed) = Publisher::new();
        let mut publish = |state| {
            publisher.publish(state);
            observed.has_changed().expect("the publisher is there").then(|| *observed.borrow_and_update())
        };
        let joined = NodeState { joined: Joined::Done { nodes: 3 }, ..NodeState::default() };
        let address = "88.1.0.1:5".parse().expect("an address");
        let behind = NodeState { nat: Firewall::Consistent, ..joined };
        let open = NodeState { nat: Firewall::Open, public_address: Some(address), ..joined };
        let serving = NodeState { persistent: true, ..open };
        assert_eq!(publish(NodeState::default()), None);
        for state in [joined, behind, open, serving] {
            assert_eq!(publish(state), Some(state));
            assert_eq!(publish(state), None);
        }
        drop(publisher);
        assert_eq!(*observed.borrow(), NodeState { closed: true, ..serving });
        assert!(observed.has_changed().is_err());
    }

    #[test]
    fn a_node_is_online_while_it_can_use_the_network() {
        let joined = NodeState { joined: Joined::Done { nodes: 0 }, ..NodeState::default() };
        assert!(joined.is_online());
        assert!(NodeState { health: Health::Degraded, ..joined }.is_online());
        for other in [
            NodeState::default(),
            NodeState { joined: Joined::Unreachable, ..joined },
            NodeState { health: Health::Offline, ..joined },
            NodeState { suspended: true, ..joined },
            NodeState { closed: true, ..joined },
        ] {
            assert!(!other.is_online(), "{other:?}");
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn a_state_is_data() {
        let state = NodeState { joined: Joined::Done { nodes: 3 }, ..NodeState::default() };
        let data = serde_json::to_value(state).expect("a state has a form as JSON");
        let expected = serde_json::json!({
            "joined": {"done": {"nodes": 3}},
            "health": "online",
            "public_address": null,
            "nat": "unknown",
            "persistent": false,
            "suspended": false,
            "closed": false,
        });
        assert_eq!(data, expected);
    }
}
