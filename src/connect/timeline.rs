//! The course of an attempt to connect as lines for people.

use std::fmt;
use std::net::SocketAddrV4;
use std::time::Duration;

use super::ids::Path;
use super::punch::Strategy;
use super::report::{Exchange, Report, Stage};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps = vec![joined(self)];
        steps.extend(lookup(self));
        steps.extend(self.exchanges.iter().map(|exchange| handshake(self, exchange)));
        steps.extend(handshake_outcome(self));
        steps.extend(punch(self));
        steps.extend(relay(self));
        steps.push(end(self));
        let lines: Vec<String> = steps.into_iter().map(line).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// How packets travel, in words.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "directly",
            Self::Lan => "over the local network",
            Self::Relayed => "through a relay",
        })
    }
}

/// What is sent, in words.
impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Consistent => "probes to each known address",
            Self::ManySockets => "many sockets to one address",
            Self::RandomPorts => "one socket to many ports",
        })
    }
}

/// A step of an attempt: when it ended, counted from the attempt's start, if that is known.
type Step = (Option<Duration>, String);

fn line((at, text): Step) -> String {
    let at = at.map_or_else(|| "-".into(), milliseconds);
    format!("{at:>9}  {text}")
}

fn joined(report: &Report) -> Step {
    let text = match report.joined {
        Some(Duration::ZERO) => "in the DHT already",
        Some(_) => "joined the DHT",
        None if report.stage == Stage::Bootstrap => "not in the DHT",
        // A node that was named or remembered has led to the server.
        None => "the DHT was not waited for",
    };
    (report.joined, text.into())
}

fn lookup(report: &Report) -> Option<Step> {
    let asked = report.nodes_asked.max(report.nodes_answered);
    let text = format!(
        "lookup: {} of {asked} nodes answered, {} know the server",
        report.nodes_answered, report.records_found
    );
    (asked > 0).then_some((report.lookup, text))
}

fn handshake(report: &Report, exchange: &Exchange) -> Step {
    let outcome = match exchange.answered {
        Some(at) => format!("answered after {}", milliseconds(at.saturating_sub(exchange.started))),
        // The first answer of the server ends the other handshakes.
        None if report.handshake.is_some_and(|at| exchange.started < at) => "called off".into(),
        None => "no answer".into(),
    };
    // A handshake that starts after the server's answer checks an address in the local network.
    let nearby = report.handshake.is_some_and(|at| exchange.started >= at);
    let what = if nearby {
        "the server in the local network, at"
    } else if report.remembered == Some(exchange.node) {
        "handshake with the server where it was last, at"
    } else {
        "handshake through"
    };
    (Some(exchange.started), format!("{what} {}: {outcome}", exchange.node))
}

fn handshake_outcome(report: &Report) -> impl Iterator<Item = Step> {
    let unreachable = report.unreachable.map(|at| {
        let text = "the server does not reach this computer, though it seemed publicly reachable: \
                    shaking hands again, to punch";
        (Some(at), text.to_owned())
    });
    let proven = report.handshake.map(|at| (Some(at), "the server has proven its key".to_owned()));
    let unanswered = report.unanswered.map(|(address, at)| {
        let text = format!("the server claims to be reachable at {address}, and does not answer there");
        (Some(at), text)
    });
    let seen = report.own_address.zip(report.server_address);
    let seen = seen.map(|(own, server)| {
        let text = format!("seen from there: this computer is {own}, the server is {server}");
        (None, text)
    });
    [unreachable, proven, unanswered, seen].into_iter().flatten()
}

fn punch(report: &Report) -> impl Iterator<Item = Step> {
    let nats = report.own_nat.zip(report.remote_nat).map(|(own, server)| {
        let strategy = report.strategy.map(|strategy| format!("; {strategy}"));
        let text = format!(
            "our NAT: {own}{}, the server's: {server}{}{}; {} probes sent",
            evidence("seen as ", report.own_samples.iter().map(|(_, seen)| *seen)),
            evidence("", report.remote_addresses.iter().copied()),
            // Without one nothing more is said.
            strategy.unwrap_or_default(),
            report.probes_sent
        );
        (None, text)
    });
    let failed = report.punch_lost.map(|lost| (None, format!("punching failed: {lost}")));
    nats.into_iter().chain(failed)
}

fn relay(report: &Report) -> Option<Step> {
    let relay = report.relay.as_ref()?;
    let paired = match report.relay_paired {
        Some(_) => "the server is there",
        None => "not paired",
    };
    Some((report.relay_paired, format!("relay {}: {paired}", relay.short())))
}

fn end(report: &Report) -> Step {
    let text = match report.path {
        Some((path, address)) => format!("connected: {path} to {address}"),
        None => format!("gave up while {}", report.stage),
    };
    (Some(report.total), text)
}

/// Returns the distinct addresses in brackets, each with the number of nodes that reported it.
fn evidence(what: &str, addresses: impl Iterator<Item = SocketAddrV4>) -> String {
    let mut counts: Vec<(SocketAddrV4, usize)> = Vec::new();
    for address in addresses {
        match counts.iter_mut().find(|(known, _)| *known == address) {
            Some((_, count)) => *count += 1,
            None => counts.push((address, 1)),
        }
    }
    let all = counts.iter().map(|(address, count)| {
        let address = match address.port() {
            0 => address.ip().to_string(),
            _ => address.to_string(),
        };
        match count {
            1 => address,
            count => format!("{address} by {count} nodes"),
        }
    });
    let all: Vec<String> = all.collect();
    if all.is_empty() {
        return String::new();
    }
    format!(" ({what}{})", all.join(", "))
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::{Firewall, Lost};

    fn node() -> SocketAddrV4 {
        "25.0.1.1:49737".parse().unwrap()
    }

    /// An attempt whose only handshake got no answer.
    fn unanswered() -> Report {
        Report {
            total: Duration::from_millis(4200),
            stage: Stage::Handshake,
            joined: Some(Duration::ZERO),
            lookup: Some(Duration::from_millis(3)),
            nodes_asked: 8,
            nodes_answered: 7,
            records_found: 1,
            exchanges: vec![Exchange { node: node(), started: Duration::from_millis(3), answered: None }],
            ..Report::default()
        }
    }

    #[track_caller]
    fn assert_line(report: &Report, index: usize, end: &str) {
        let text = report.to_string();
        assert!(text.lines().nth(index).is_some_and(|line| line.ends_with(end)), "{text}");
    }

    #[test]
    fn a_timeline_names_each_step_and_how_it_ended() {
        let mut report = unanswered();
        assert_eq!(report.to_string().lines().count(), 4);
        assert_line(&report, 1, "7 of 8 nodes answered, 1 know the server");
        assert_line(&report, 2, "3.0 ms  handshake through 25.0.1.1:49737: no answer");
        assert_line(&report, 3, "gave up while shaking hands with the server");
        for (stage, text) in
            [(Stage::Bootstrap, "not in the DHT"), (Stage::Path, "the DHT was not waited for")]
        {
            (report.joined, report.stage) = (None, stage);
            assert_line(&report, 0, text);
        }
        report.path = Some((Path::Lan, node()));
        assert_line(&report, 3, "over the local network to 25.0.1.1:49737");
    }

    #[test]
    fn a_handshake_is_named_by_what_it_was_for() {
        let mut report = unanswered();
        report.remembered = Some(node());
        assert_line(&report, 2, "with the server where it was last, at 25.0.1.1:49737: no answer");
        report.handshake = Some(Duration::from_millis(4));
        assert_line(&report, 2, "at 25.0.1.1:49737: called off");
        report.handshake = Some(Duration::from_millis(3));
        assert_line(&report, 2, "the server in the local network, at 25.0.1.1:49737: no answer");
    }

    #[test]
    fn an_address_that_does_not_answer_is_named() {
        let mut report = unanswered();
        report.unreachable = Some(Duration::from_millis(2500));
        let text = report.to_string();
        assert!(text.contains("2500.0 ms  the server does not reach this computer, though"), "{text}");
        report.unanswered = Some((node(), Duration::from_millis(1500)));
        assert_line(&report, 4, "claims to be reachable at 25.0.1.1:49737, and does not answer there");
    }

    #[test]
    fn a_punch_is_shown_with_the_addresses_it_rests_on() {
        let own = "92.0.0.1:5000".parse().unwrap();
        let report = Report {
            own_nat: Some(Firewall::Consistent),
            remote_nat: Some(Firewall::Random),
            strategy: Some(Strategy::RandomPorts),
            punch_lost: Some(Lost::NoProbe),
            own_samples: vec![(node(), own); 3],
            remote_addresses: vec!["93.0.0.1:0".parse().unwrap(), own],
            ..unanswered()
        };
        assert_line(
            &report,
            3,
            "our NAT: consistent (seen as 92.0.0.1:5000 by 3 nodes), the server's: random \
             (93.0.0.1, 92.0.0.1:5000); one socket to many ports; 0 probes sent",
        );
        assert_line(&report, 4, "no probe came through");
    }
}
