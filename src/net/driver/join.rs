//! Joining the network, and the addresses of this host.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tracing::debug;

use super::start::{Driver, Held, News};
use crate::connect::{Failure, Report, Stage};
use crate::net::bootstrap::{self, BootstrapState};
use crate::net::command::Command;
use crate::net::interfaces;

impl Driver {
    /// Joins the network as soon as the addresses of the bootstrap nodes are known.
    pub(super) fn start(&mut self, now: Instant) {
        if self.settings.bind.ip().is_unspecified() {
            // Until it is known which of them carry anything, the first attempt tells all of them.
            self.endpoint.handle_interfaces(now, &interfaces::listed());
        }
        let ready = self
            .settings
            .bootstrap
            .iter()
            .all(|entry| entry.address().is_some());
        if ready {
            self.join(now);
        } else {
            self.resolve(Duration::ZERO, false);
        }
    }

    /// Starts to join the network, and what has waited for that.
    pub(super) fn join(&mut self, now: Instant) {
        self.endpoint.bootstrap(now);
        for Held { mut command, since } in self.held.take().into_iter().flatten() {
            if let Command::Connect { dial, .. } = &mut command {
                dial.timeout = dial.timeout.saturating_sub(now - since);
            }
            self.handle_command(now, command);
        }
    }

    /// Ends the attempts whose time runs out before the bootstrap nodes are known.
    pub(super) fn expire_held(&mut self, now: Instant) {
        let Some(held) = &mut self.held else {
            return;
        };
        let due = |held: &mut Held| held.deadline().is_some_and(|at| at <= now);
        for Held { command, since } in held.extract_if(.., due) {
            if let Command::Connect { answer, .. } = command {
                let report = Report {
                    total: now - since,
                    ..Report::default()
                };
                // Whoever asked may have left.
                let _ = answer.send(Err((Failure::TimedOut(Stage::Bootstrap), Box::new(report))));
            }
        }
    }

    pub(super) fn bootstrapped(&mut self, reached: usize) {
        if reached > 0 || self.settings.bootstrap.is_empty() {
            self.join_failures = 0;
            self.joined.send_replace(BootstrapState::Joined(reached));
            return;
        }
        debug!("no bootstrap node answered");
        self.joined.send_replace(BootstrapState::Unreachable);
        let pause = JOIN_PAUSE * 2_u32.pow(self.join_failures.min(5));
        self.join_failures += 1;
        self.resolve(pause, true);
    }

    /// Resolves the bootstrap nodes after a pause, beside the driver.
    fn resolve(&self, pause: Duration, names: bool) {
        let entries = self.settings.bootstrap.clone();
        let outbox = self.outbox.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = outbox.closed() => {}
                addresses = async {
                    tokio::time::sleep(pause).await;
                    bootstrap::resolve(&entries, names).await
                } => {
                    // Without a driver nobody wants to know.
                    let _ = outbox.send(News::Bootstrap(addresses));
                }
            }
        });
    }

    /// Looks now and then whether this host has other addresses than before, while a server depends on them.
    pub(super) fn watch_interfaces(&mut self, now: Instant) {
        if self.watch_at.is_none_or(|at| now < at) {
            return;
        }
        self.watch_at = None;
        self.note_interfaces(now, interfaces::listed());
        self.plan_watch(now);
    }

    /// Plans the next look, if there is a server and the system may choose the address.
    pub(super) fn plan_watch(&mut self, now: Instant) {
        let needed = self.settings.bind.ip().is_unspecified() && self.servers.len() > 0;
        if needed && self.watch_at.is_none() {
            self.watch_at = Some(now + WATCH);
        }
    }

    /// Compares the addresses of this host with those of the last look.
    pub(super) fn note_interfaces(&mut self, now: Instant, listed: Vec<Ipv4Addr>) {
        let before = self.listed.replace(listed.clone());
        if before.is_some_and(|before| before != listed) {
            debug!("the addresses of this host have changed");
            self.interfaces_at = None;
            self.refresh_interfaces(now);
            self.endpoint.handle_network_change(now);
        }
    }

    /// Lists this host's addresses, beside the driver, unless that was done a moment ago.
    pub(super) fn refresh_interfaces(&mut self, now: Instant) {
        let ip = *self.settings.bind.ip();
        if !ip.is_unspecified() || self.interfaces_at.is_some_and(|at| now < at + INTERFACES_LAST) {
            return;
        }
        self.interfaces_at = Some(now);
        let outbox = self.outbox.clone();
        tokio::spawn(async move {
            // Without a driver nobody wants to know.
            let _ = outbox.send(News::Interfaces(interfaces::usable().await));
        });
    }
}

/// The pause after the first failure to join; it doubles with each, up to 32 times.
const JOIN_PAUSE: Duration = Duration::from_secs(1);

/// How often is looked whether this host's addresses have changed.
const WATCH: Duration = Duration::from_secs(5);

/// How long a list of this host's addresses is good for.
const INTERFACES_LAST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};

    use tokio::sync::oneshot;

    use super::*;
    use crate::connect::{Config, Dial, Event};
    use crate::keys::KeyPair;
    use crate::net::bootstrap::Entry;
    use crate::net::command::Token;
    use crate::net::driver::Settings;
    use crate::net::driver::start::bind;
    use crate::wire::transmit::SocketId;

    #[tokio::test]
    async fn an_attempt_ends_in_time_though_the_bootstrap_nodes_are_not_known() {
        let (mut driver, _node) = bind(settings()).expect("loopback has ports");
        let now = Instant::now();
        let (answer, mut answered) = oneshot::channel();
        driver.handle_command(
            now,
            Command::Connect {
                token: Token(1),
                dial: Box::new(Dial {
                    remote: *KeyPair::from_seed(&[1; 32]).public_key(),
                    key_pair: KeyPair::from_seed(&[2; 32]),
                    nodes: Vec::new(),
                    only_nodes: false,
                    relay_through: None,
                    reusable_socket: false,
                    timeout: Duration::from_secs(5),
                }),
                answer,
            },
        );
        driver.expire_held(now + Duration::from_secs(4));
        assert!(answered.try_recv().is_err(), "there is time left");
        driver.expire_held(now + Duration::from_secs(5));
        let outcome = answered.try_recv().expect("the time is over");
        let (failure, report) = outcome.expect_err("nobody was asked");
        assert_eq!(failure, Failure::TimedOut(Stage::Bootstrap));
        assert_eq!(report.total, Duration::from_secs(5));
    }

    #[tokio::test]
    async fn a_node_does_not_end_while_something_is_unsent() {
        let (mut driver, _node) = bind(settings()).expect("loopback has ports");
        let now = Instant::now();
        assert!(!driver.is_over(now, false), "nobody wants it to end");
        driver.close(now, None);
        assert!(!driver.is_over(now, true));
        assert!(driver.is_over(now + Duration::from_secs(3), true));
    }

    #[tokio::test]
    async fn other_addresses_of_this_host_are_noticed_and_the_same_are_not() {
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let (mut driver, _node) = bind(Settings {
            bind: any,
            ..settings()
        })
        .expect("there are free ports");
        let (now, home) = (Instant::now(), vec![Ipv4Addr::new(192, 168, 1, 2)]);
        driver.note_interfaces(now, home.clone());
        driver.note_interfaces(now, home);
        assert_eq!(driver.interfaces_at, None, "nothing has changed");
        driver.note_interfaces(now, vec![Ipv4Addr::new(10, 0, 0, 2)]);
        assert_eq!(driver.interfaces_at, Some(now), "they are examined");
    }

    #[tokio::test]
    async fn a_socket_beside_the_main_ones_is_read_from_until_it_is_closed() {
        let (mut driver, _node) = bind(settings()).expect("loopback has ports");
        let (now, id) = (Instant::now(), SocketId(7));
        driver.handle_event(now, Event::OpenSocket(id));
        let local = driver.sockets.get(&id).expect("it is open").local();
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        // Probes, and something longer; an empty datagram counts as none.
        for datagram in [&b""[..], b"\0", b"longer"] {
            peer.send_to(datagram, local).expect("loopback takes it");
        }
        let received = std::future::poll_fn(|cx| {
            let _ = driver.poll(cx);
            match driver.traffic.datagrams_received {
                2.. => std::task::Poll::Ready(()),
                _ => std::task::Poll::Pending,
            }
        });
        tokio::time::timeout(Duration::from_secs(30), received)
            .await
            .expect("they have arrived");
        driver.handle_event(now, Event::CloseSocket(id));
        assert!(!driver.sockets.contains_key(&id));
        assert!(std::net::UdpSocket::bind(local).is_ok(), "the port is free");
    }

    fn settings() -> Settings {
        Settings {
            bootstrap: Entry::parse("name.invalid:1").into_iter().collect(),
            bind: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0),
            other_port: true,
            endpoint: Config::default(),
            seed: [1; 32],
            key_pair: KeyPair::from_seed(&[3; 32]),
            backlog: 1,
            unproven: 1,
            unproven_for: Duration::from_secs(1),
            jobs: 1,
            message: 1,
            datagrams: 1,
        }
    }
}
