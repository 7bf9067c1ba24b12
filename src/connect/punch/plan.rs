//! Which probes open a path between two kinds of NAT, and when they leave.
//!
//! | own | remote | what is sent |
//! |---|---|---|
//! | consistent | consistent | a probe a second to each address, at first more to proven ones |
//! | consistent | random | probes to random ports of the remote host, until one is a port of its NAT |
//! | random | consistent | a probe from each of many sockets, which get as many ports |
//!
//! Probes that only open the own NAT have a low time to live: they must not reach the remote one, which might
//! block their sender.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;

use super::many_sockets::ManySockets;
use super::step::{Due, Step, Target};
use crate::connect::nat::Firewall;

/// How two NATs are opened towards each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Strategy {
    /// Both keep their port: probes to the addresses that each side knows of itself.
    Consistent,
    /// The remote NAT has a port for each destination: probes to random ports.
    RandomPorts,
    /// The own NAT has a port for each destination: many sockets, each with a port of its own.
    ManySockets,
}

/// When probes to random ports leave: `burst` of them, `interval` apart, at the beginning of each `window`;
/// and how many ports there are to hit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Sockets of the side with the random NAT.
    sockets: usize,
    probes: u32,
    burst: u32,
    interval: Duration,
    window: Duration,
    /// By how much the server is later: the client opens its sockets only when it has the server's answer.
    head_start: Duration,
    /// When rounds between two consistent NATs begin, before there is one each second.
    first_rounds: &'static [Duration],
    /// How long an answer may come after the last probe: a lost one is made up for when the remote goes round
    /// its sockets again.
    linger: Duration,
}

impl Pace {
    /// As fast as a verified host may be probed, and that early in each second. With so many sockets four of
    /// five punches succeed within the first 200 probes, half of them within 87; with the reference's 256 it
    /// would be hardly more than half, and the rest of that second brings none.
    pub(super) const FAST: Self = Self {
        sockets: MAX_SOCKETS,
        // Twelve seconds. Of three thousand punches to 256 sockets one does not succeed in that time, a share
        // of lost packets included.
        probes: 2400,
        burst: MAX_PROBES_PER_SECOND,
        interval: Duration::from_millis(2),
        window: Duration::from_secs(1),
        head_start: Duration::from_millis(100),
        // A lost probe must not cost a second.
        first_rounds: &[
            Duration::ZERO,
            Duration::from_millis(100),
            Duration::from_millis(300),
            Duration::from_millis(600),
        ],
        linger: Duration::from_secs(2),
    };

    fn at(&self, probe: u32) -> Duration {
        let linger = if probe == self.probes { self.linger } else { Duration::ZERO };
        let window = self.window * (probe / self.burst);
        self.head_start + window + self.interval * (probe % self.burst) + linger
    }
}

/// A strategy under way. It ends by itself; success is noticed elsewhere.
#[derive(Debug)]
pub(super) struct Plan {
    kind: Kind,
    started: Instant,
    end: Option<Instant>,
}

#[derive(Debug)]
enum Kind {
    Consistent { delay: Duration, early: &'static [Duration], round: u32 },
    RandomPorts { host: Ipv4Addr, pace: Pace, sent: u32 },
    ManySockets(ManySockets),
}

impl Plan {
    /// Begins, if these two NATs can be opened towards each other with what is known and proven of the
    /// remote.
    pub(super) fn new(
        now: Instant,
        is_client: bool,
        own: Firewall,
        remote: Firewall,
        targets: &[Target],
        pace: Pace,
    ) -> Option<Self> {
        let verified = || targets.iter().find(|target| target.verified);
        let kind = match (own.is_consistent(), remote.is_consistent()) {
            (true, true) if !targets.is_empty() => Kind::Consistent {
                // The server has often sent a probe a moment before.
                delay: match pace.first_rounds.get(1) {
                    _ if is_client => Duration::ZERO,
                    Some(pause) => *pause,
                    None => ROUND,
                },
                early: pace.first_rounds,
                round: 0,
            },
            (true, false) if remote == Firewall::Random => Kind::RandomPorts {
                host: *verified()?.address.ip(),
                pace: if is_client { Pace { head_start: Duration::ZERO, ..pace } } else { pace },
                sent: 0,
            },
            (false, true) if own == Firewall::Random => {
                Kind::ManySockets(ManySockets::new(verified()?.address, pace.sockets))
            }
            _ => return None,
        };
        Some(Self { kind, started: now, end: None })
    }

    pub(super) const fn strategy(&self) -> Strategy {
        match self.kind {
            Kind::Consistent { .. } => Strategy::Consistent,
            Kind::RandomPorts { .. } => Strategy::RandomPorts,
            Kind::ManySockets(_) => Strategy::ManySockets,
        }
    }

    /// Adds the steps that are due.
    pub(super) fn advance(
        &mut self,
        now: Instant,
        targets: &[Target],
        rng: &mut StdRng,
        steps: &mut Vec<Step>,
    ) {
        while let Some(at) = self.next_deadline().filter(|at| *at <= now) {
            let due = match &mut self.kind {
                Kind::Consistent { round, early, .. } => advance_round(early, round, targets, steps),
                Kind::RandomPorts { sent, pace, .. } if *sent == pace.probes => Due::Never,
                Kind::RandomPorts { host, sent, .. } => {
                    *sent += 1;
                    let port = rng.gen_range(FIRST_RANDOM_PORT..=u16::MAX);
                    let to = SocketAddrV4::new(*host, port);
                    steps.push(Step::Probe { socket: 0, to, low_ttl: false });
                    Due::More
                }
                Kind::ManySockets(sockets) => sockets.advance(now, steps),
            };
            match due {
                Due::More => {}
                Due::Later => return,
                Due::Never => self.end = Some(at),
            }
        }
    }

    /// Handles the outcome of opening the socket with this number.
    pub(super) fn handle_socket(&mut self, number: usize, opened: bool) {
        if let Kind::ManySockets(sockets) = &mut self.kind {
            sockets.handle_socket(number, opened);
        }
    }

    /// Returns when [`Self::advance`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        if self.end.is_some() {
            return None;
        }
        match &self.kind {
            Kind::Consistent { delay, early, round } => Some(self.started + *delay + round_at(early, *round)),
            Kind::RandomPorts { pace, sent, .. } => Some(self.started + pace.at(*sent)),
            Kind::ManySockets(sockets) => sockets.next_deadline(self.started),
        }
    }

    /// Returns whether all that can be tried was.
    pub(super) const fn is_over(&self) -> bool {
        self.end.is_some()
    }
}

/// Adds the probes of the next round between two consistent NATs.
fn advance_round(early: &[Duration], round: &mut u32, targets: &[Target], steps: &mut Vec<Step>) -> Due {
    if *round == ROUNDS + early.len().saturating_sub(1) as u32 {
        return Due::Never;
    }
    // Unproven hosts get no more for the early rounds.
    let every_fourth = second_of(early, *round).is_some_and(|second| second % 4 == 3);
    *round += 1;
    let due = targets.iter().filter(|one| one.verified || every_fourth);
    steps.extend(due.map(|one| Step::Probe { socket: 0, to: one.address, low_ttl: false }));
    Due::More
}

/// Returns when a round between two consistent NATs begins.
fn round_at(early: &[Duration], round: u32) -> Duration {
    let early_one = early.get(round as usize).copied();
    early_one.unwrap_or_else(|| ROUND * second_of(early, round).unwrap_or_default())
}

/// Returns the number of a round among those that are a second apart, the first of all included.
fn second_of(early: &[Duration], round: u32) -> Option<u32> {
    let count = early.len() as u32;
    match round.checked_sub(count) {
        Some(later) => Some(later + u32::from(count > 0)),
        None => (round == 0).then_some(0),
    }
}

/// Sockets of one side with a NAT that gives out random ports: twice as many as the reference's, so that its
/// probes hit twice as soon as well. Each takes a port of the router for half a minute; providers that share
/// an address among their customers leave each of them a thousand or more.
pub(super) const MAX_SOCKETS: usize = 512;
/// The most probes that a verified host gets in a second. The reference sends 50 (`connect.md` §9.4).
pub(super) const MAX_PROBES_PER_SECOND: u32 = 200;
/// Rounds of probes between two consistent NATs, and the time between them (`connect.md` §9.4).
const ROUNDS: u32 = 10;
const ROUND: Duration = Duration::from_secs(1);
/// NATs hardly give out lower ports (`connect.md` §9.4).
const FIRST_RANDOM_PORT: u16 = 1000;

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use serde_json::Value;

    use super::super::many_sockets::PROBES;
    use super::*;
    use crate::wire::vectors::{list, load, number, text};

    const REFERENCE: Pace = Pace {
        sockets: 256,
        probes: PROBES,
        burst: 1,
        interval: Duration::ZERO,
        window: Duration::from_millis(20),
        head_start: Duration::ZERO,
        first_rounds: &[],
        linger: Duration::ZERO,
    };

    #[test]
    fn probes_when_and_where_the_reference_does() {
        for case in list(&load("nat.json")["schedules"]) {
            let run = Run::of(case, REFERENCE);
            let name = text(&case["name"]);
            assert_eq!(run.began, case["punchReturned"].as_bool().unwrap(), "{name}");
            assert_eq!(run.probes.len() as u64, number(&case["probes"]), "{name}");
            let low = run.probes.iter().filter(|probe| probe.low_ttl).count();
            let expected = case["lowTTLProbes"].as_u64().unwrap();
            assert_eq!(low as u64, expected, "{name}");
            let last = run.probes.last().map(|probe| probe.at);
            assert_eq!(last, case["lastProbeAt"].as_u64(), "{name}");
            assert_eq!(run.ended, case["abortedAt"].as_u64(), "{name}");
            let sockets: std::collections::BTreeSet<_> =
                run.probes.iter().map(|probe| probe.socket).collect();
            assert_eq!(sockets.len() as u64, case["socketsUsed"].as_u64().unwrap(), "{name}");
            for (ours, theirs) in run.probes.iter().zip(case["firstProbes"].as_array().unwrap()) {
                assert_eq!(ours.at, number(&theirs["at"]), "{name}");
                assert_eq!(ours.socket as u64, theirs["socket"].as_u64().unwrap());
                let to = text(&theirs["to"]);
                match to.strip_suffix(":<random>") {
                    Some(host) => assert_eq!(ours.to.ip().to_string(), host, "{name}"),
                    None => assert_eq!(ours.to.to_string(), to, "{name}"),
                }
                let ttl = if ours.low_ttl { 5 } else { 64 };
                assert_eq!(ttl, number(&theirs["ttl"]), "{name}");
            }
            if let Some(lines) = case["byTime"].as_array() {
                let ours: Vec<_> = run.probes.iter().map(Sent::to_string).collect();
                let theirs: Vec<_> = lines.iter().map(text).collect();
                assert_eq!(ours, theirs, "{name}");
            }
            if let Some(histogram) = case["byTime"]["intervalHistogramMs"].as_object() {
                let mut ours = std::collections::BTreeMap::new();
                for pair in run.probes.windows(2) {
                    *ours.entry(pair[1].at - pair[0].at).or_insert(0_u64) += 1;
                }
                for (interval, count) in histogram {
                    let interval: u64 = interval.parse().unwrap();
                    assert_eq!(ours.remove(&interval), count.as_u64(), "{name}");
                }
                assert!(ours.is_empty(), "{name}: {ours:?}");
            }
        }
    }

    #[test]
    fn no_host_gets_more_probes_than_a_second_allows() {
        let cases = load("nat.json");
        let case = list(&cases["schedules"])
            .iter()
            .find(|case| text(&case["name"]) == "consistent to random")
            .unwrap();
        let run = Run::of(case, Pace::FAST);
        assert_eq!(run.probes.len(), Pace::FAST.probes as usize);
        for (index, first) in run.probes.iter().enumerate() {
            let within = run.probes[index..].iter();
            let within = within.take_while(|probe| probe.at < first.at + 1000);
            assert!(within.count() <= MAX_PROBES_PER_SECOND as usize);
        }
    }

    #[test]
    fn a_proven_address_gets_early_probes_and_an_unproven_one_no_more_than_at_the_reference() {
        let cases = load("nat.json");
        let schedules = list(&cases["schedules"]);
        let times = |name: &str, to: &str| -> Vec<u64> {
            let case = schedules.iter().find(|case| text(&case["name"]) == name);
            let run = Run::of(case.unwrap(), Pace::FAST);
            let sent = run.probes.iter().filter(|probe| probe.to == at(to));
            sent.map(|probe| probe.at).collect()
        };
        let client = "client, consistent to consistent";
        let proven = times(client, "1.1.1.1:1111");
        assert_eq!(proven[..6], [0, 100, 300, 600, 1000, 2000]);
        assert_eq!(proven.last(), Some(&9000));
        assert_eq!(times(client, "2.2.2.2:2222"), [3000, 7000]);
        let server = times("server, consistent to consistent", "1.1.1.1:1111");
        assert_eq!(server[..6], [100, 200, 400, 700, 1100, 2100]);
    }

    #[test]
    fn sockets_that_cannot_be_had_are_done_without() {
        let targets = [target("1.1.1.1:1", true)];
        let now = Instant::now();
        let (own, remote) = (Firewall::Random, Firewall::Consistent);
        let mut plan = Plan::new(now, true, own, remote, &targets, Pace::FAST).unwrap();
        let (mut rng, mut steps) = (StdRng::seed_from_u64(1), Vec::new());
        plan.advance(now, &targets, &mut rng, &mut steps);
        assert_eq!(steps.len(), MAX_SOCKETS - 1);
        for number in 1..MAX_SOCKETS {
            plan.handle_socket(number, number == 7);
        }
        steps.clear();
        let late = now + Duration::from_secs(3600);
        plan.advance(now, &targets, &mut rng, &mut steps);
        plan.advance(late, &targets, &mut rng, &mut steps);
        let used = steps.iter().filter_map(|step| match step {
            Step::Probe { socket, .. } => Some(*socket),
            Step::Open => None,
        });
        let used: std::collections::BTreeSet<_> = used.collect();
        assert_eq!(used.into_iter().collect::<Vec<_>>(), [0, 7]);
        assert!(plan.is_over() && plan.next_deadline().is_none());
    }

    struct Run {
        began: bool,
        probes: Vec<Sent>,
        ended: Option<u64>,
    }

    struct Sent {
        at: u64,
        socket: usize,
        to: SocketAddrV4,
        low_ttl: bool,
    }

    impl std::fmt::Display for Sent {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            let ttl = if self.low_ttl { 5 } else { 64 };
            write!(f, "{} ms -> {} ttl {ttl}", self.at, self.to)
        }
    }

    impl Run {
        /// Runs a schedule of the vectors to its end.
        fn of(case: &Value, pace: Pace) -> Self {
            let kind = |key: &str| match text(&case[key]) {
                "UNKNOWN" => Firewall::Unknown,
                "OPEN" => Firewall::Open,
                "CONSISTENT" => Firewall::Consistent,
                _ => Firewall::Random,
            };
            let verified = case["firstAddressVerified"].as_bool().unwrap();
            let targets = [target("1.1.1.1:1111", verified), target("2.2.2.2:2222", false)];
            let start = Instant::now();
            let is_client = case["isInitiator"].as_bool().unwrap();
            let mut run = Self { began: false, probes: Vec::new(), ended: None };
            let (own, remote) = (kind("local"), kind("remote"));
            let Some(mut plan) = Plan::new(start, is_client, own, remote, &targets, pace) else {
                return run;
            };
            run.began = true;
            let (mut rng, mut now, mut opened) = (StdRng::seed_from_u64(1), start, 1);
            while let Some(next) = plan.next_deadline() {
                now = now.max(next);
                let mut steps = Vec::new();
                plan.advance(now, &targets, &mut rng, &mut steps);
                for step in steps {
                    match step {
                        Step::Open => {
                            plan.handle_socket(opened, true);
                            opened += 1;
                        }
                        Step::Probe { socket, to, low_ttl } => run.probes.push(Sent {
                            at: (now - start).as_millis() as u64,
                            socket,
                            to,
                            low_ttl,
                        }),
                    }
                }
            }
            run.ended = plan.is_over().then(|| (now - start).as_millis() as u64);
            run
        }
    }

    fn at(address: &str) -> SocketAddrV4 {
        address.parse().unwrap()
    }

    fn target(address: &str, verified: bool) -> Target {
        Target { address: at(address), verified }
    }
}
