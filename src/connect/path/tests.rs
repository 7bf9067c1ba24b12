//! The agent alone: scripts of what happens when, and what it asks for then.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use super::agent::{Action, PathAgent, Side};
use super::candidate::{Candidate, Kind};
use super::gather::{Facts, gather};
use crate::connect::ids::Place;
use crate::wire::handshake::{FIREWALL_OPEN, FIREWALL_UNKNOWN, HolepunchInfo, NoisePayload, RelayInfo};
use crate::wire::transmit::SocketId;

/// A sentence, the candidates, and lines of `milliseconds: input => actions`. A place is a letter.
type Scenario = (&'static str, &'static str, &'static [&'static str]);

/// What the client's agent does.
const LEADING: &[Scenario] = &[
    (
        "a server that has answered itself is taken at once",
        "observed@A",
        &["0: => select observed A, stop won, done"],
    ),
    (
        "a punch ends everything else",
        "lan@L punched relayed",
        &[
            "0: => check lan, check punched, check relayed",
            "90: opened punched P => leave relay, select punched P, stop won, done",
            "95: opened lan L =>",
            "99: opened relayed R =>",
        ],
    ),
    (
        "the server's first packet ends everything else, wherever it comes from",
        "punched relayed",
        &[
            "0: => check punched, check relayed",
            "40: heard X => leave relay, select incoming X, stop won, done",
        ],
    ),
    (
        "a local address that leads nowhere does not end the punch",
        "lan@L punched",
        &[
            "0: => check lan, check punched",
            "800: failed lan =>",
            "900: opened punched P => select punched P, stop won, done",
        ],
    ),
    (
        "without a candidate that opens there is no path",
        "lan@L punched",
        &["0: => check lan, check punched", "800: failed lan =>", "900: failed punched => exhausted"],
    ),
    (
        "a relay is waited for when nothing else is left",
        "punched relayed",
        &[
            "0: => check punched, check relayed",
            "900: failed punched =>",
            "950: opened relayed R => select relayed R, done",
        ],
    ),
    (
        "a relay that does not pair leaves nothing",
        "punched relayed",
        &["0: => check punched, check relayed", "900: failed punched =>", "950: failed relayed => exhausted"],
    ),
    (
        "a relay gives way to a punched path once the server answers there",
        "lan@L punched relayed",
        &[
            "0: => check lan, check punched, check relayed",
            "50: opened relayed R => select relayed R",
            "80: opened punched P => probe punched P first, stop won",
            "280: => probe punched P",
            "300: heard Q =>",
            "310: heard P => select punched P, stop won, done",
        ],
    ),
    (
        "a path that carries probes and no packets is not taken, and the relay stays",
        "punched relayed",
        &[
            "0: => check punched, check relayed",
            "50: opened relayed R => select relayed R",
            "100: opened punched P => probe punched P first, stop won",
            "300: => probe punched P",
            "700: => probe punched P",
            "1500: => probe punched P",
            "3100: => probe punched P",
            "6300: => probe punched P",
            "12700: => probe punched P",
            "25500: => done",
        ],
    ),
    (
        "a punched path replaces a local one that the server has not answered at yet",
        "lan@L punched relayed",
        &[
            "0: => check lan, check punched, check relayed",
            "50: opened relayed R => select relayed R",
            "60: opened lan L => probe lan L first",
            "100: opened punched P => probe punched P first, stop won",
            "110: heard L =>",
            "120: heard P => select punched P, stop won, done",
        ],
    ),
    (
        "an advertised address is taken before the server answers there",
        "advertised@A reserve-punched reserve-relayed",
        &["0: => select advertised A", "20: validated => stop, done", "1600: =>"],
    ),
    (
        "an advertised address that is late brings the reserve, and still counts",
        "advertised@A reserve-punched reserve-relayed",
        &[
            "0: => select advertised A",
            "1500: => overdue advertised, check punched, check relayed",
            "1800: validated => leave relay, stop, done",
        ],
    ),
    (
        "a stream on an advertised address that never answers goes to the relay at once",
        "advertised@A reserve-punched reserve-relayed",
        &[
            "0: => select advertised A",
            "1500: => overdue advertised, check punched, check relayed",
            "1700: opened relayed R => select relayed R",
            "1710: validated =>",
            "1900: opened punched P => probe punched P first, stop won",
            "1950: heard P => select punched P, stop won, done",
        ],
    ),
    (
        "an advertised address that never answers and has no reserve is given up after a while",
        "advertised@A",
        &["0: => select advertised A", "1500: => overdue advertised", "7500: => exhausted"],
    ),
    (
        "a reserve that fails ends the attempt only when the advertised address has had its time",
        "advertised@A reserve-punched",
        &[
            "0: => select advertised A",
            "1500: => overdue advertised, check punched",
            "2000: failed punched =>",
            "7500: => exhausted",
        ],
    ),
    (
        "behind one router the local network comes first",
        "lan@L advertised@A+500",
        &["0: => check lan", "30: opened lan L => select lan L, stop won, done", "500: =>"],
    ),
    (
        "a local network that is silent delays the advertised address by half a second",
        "lan@L advertised@A+500",
        &[
            "0: => check lan",
            "500: => select advertised A",
            "600: opened lan L => probe lan L first",
            "620: heard L => select lan L, stop won, done",
        ],
    ),
    (
        "a local network that denies the server delays the advertised address no longer",
        "lan@L advertised@A+500",
        &["0: => check lan", "20: failed lan => select advertised A", "40: validated => stop, done"],
    ),
    (
        "a server that does not come in time is overdue",
        "incoming+2500",
        &["0: => check incoming", "2500: => overdue incoming, exhausted"],
    ),
];

/// What the server's agent does.
const FOLLOWING: &[Scenario] = &[
    (
        "the client's first packet is its path",
        "incoming relayed",
        &[
            "0: => check incoming, check relayed",
            "40: heard X => leave relay, select incoming X, stop won, done",
        ],
    ),
    (
        "a client at the relay is followed to where it goes next",
        "incoming relayed",
        &[
            "0: => check incoming, check relayed",
            "40: heard R by relay => select relayed R",
            "90: heard X => select incoming X, stop won, done",
            "95: heard Y =>",
        ],
    ),
];

#[test]
fn the_leading_side_promotes_and_confirms() {
    for scenario in LEADING {
        play(Side::Leading, scenario);
    }
}

#[test]
fn the_following_side_goes_where_its_peer_goes() {
    for scenario in FOLLOWING {
        play(Side::Following, scenario);
    }
}

#[test]
fn candidates_follow_from_what_the_handshake_has_brought() {
    let cases: &[(&str, Handshake, &str)] = &[
        (
            "nothing else where the server itself has answered",
            Handshake { server: None, ..PUNCHABLE },
            "observed",
        ),
        ("row 1, an open server", Handshake { open: true, ..PUNCHABLE }, "advertised, reserve punched"),
        ("row 1, nothing to punch with", Handshake { relays: 0, ..PUNCHABLE }, "advertised, reserve punched"),
        (
            "row 1 behind one router",
            Handshake { open: true, client: SERVER, named: &[LOCAL], relay: true, ..PUNCHABLE },
            "lan, held advertised, reserve punched, reserve relayed",
        ),
        ("row 2, an open client", Handshake { claims_open: true, ..PUNCHABLE }, "incoming"),
        (
            "row 3 and 4, behind one router",
            Handshake { client: SERVER, named: &[LOCAL], ..PUNCHABLE },
            "lan, punched",
        ),
        (
            "row 3 not with an own address",
            Handshake { client: SERVER, named: &[OWN], ..PUNCHABLE },
            "punched",
        ),
        (
            "row 3 not where that is switched off",
            Handshake { client: SERVER, lan: false, ..PUNCHABLE },
            "punched",
        ),
        ("row 4 and a relay", Handshake { relay: true, ..PUNCHABLE }, "punched, relayed"),
    ];
    for (sentence, handshake, expected) in cases {
        assert_eq!(handshake.candidates(), *expected, "{sentence}");
    }
}

fn play(side: Side, (sentence, candidates, lines): &Scenario) {
    let start = Instant::now();
    let candidates = candidates.split_whitespace().map(|text| candidate(start, text));
    let mut agent = PathAgent::new(start, side, candidates.collect());
    for line in *lines {
        let (at, rest) = line.split_once(": ").expect("a time");
        let (input, expected) = rest.split_once("=>").expect("an input and actions");
        let now = start + Duration::from_millis(at.parse().expect("milliseconds"));
        let words: Vec<_> = input.split_whitespace().collect();
        // What is due before comes first, and is not expected.
        if let Some(due) = agent.poll_timeout().filter(|due| *due < now) {
            agent.handle_timeout(due);
            assert_eq!(actions(&mut agent), "", "{sentence}: before {line}");
        }
        match words[..] {
            [] if at != "0" => agent.handle_timeout(now),
            [] => {}
            ["opened", name, at] => agent.opened(now, kind(name), place(at)),
            ["failed", name] => agent.failed(now, kind(name)),
            ["heard", at] => agent.heard(Kind::Incoming, place(at)),
            ["heard", at, "by", "relay"] => agent.heard(Kind::Relayed, place(at)),
            ["validated"] => agent.validated(),
            _ => panic!("{line}"),
        }
        assert_eq!(actions(&mut agent), expected.trim(), "{sentence}: {line}");
    }
}

/// Reads `kind`, `kind@PLACE`, `kind@PLACE+held`, `kind+until` or `reserve-kind`.
fn candidate(now: Instant, text: &str) -> Candidate {
    if let Some(name) = text.strip_prefix("reserve-") {
        return Candidate::reserve(kind(name));
    }
    let (text, after) = text.split_once('+').unwrap_or((text, ""));
    let until = after.parse().ok().map(|after| now + Duration::from_millis(after));
    match (text.split_once('@'), until) {
        (Some(("observed", at)), _) => Candidate::open(Kind::Observed, place(at)),
        (Some(("advertised", at)), until) => {
            Candidate::held(Kind::Advertised, place(at), until.unwrap_or(now))
        }
        (Some((name, at)), _) => Candidate::checked_at(kind(name), place(at)),
        (None, Some(until)) => Candidate::until(kind(text), until),
        (None, None) => Candidate::checked(kind(text)),
    }
}

fn actions(agent: &mut PathAgent) -> String {
    let actions = std::iter::from_fn(|| agent.poll_action()).map(|action| match action {
        Action::Check { kind, .. } => format!("check {kind}"),
        Action::Select { kind, place } => format!("select {kind} {}", letter(place)),
        Action::Probe { kind, place, is_first } => {
            let first = if is_first { " first" } else { "" };
            format!("probe {kind} {}{first}", letter(place))
        }
        Action::Overdue { kind, .. } => format!("overdue {kind}"),
        Action::StopChecks { won } => if won { "stop won" } else { "stop" }.to_owned(),
        Action::LeaveRelay => "leave relay".to_owned(),
        Action::Exhausted => "exhausted".to_owned(),
        Action::Done => "done".to_owned(),
    });
    actions.collect::<Vec<_>>().join(", ")
}

fn kind(name: &str) -> Kind {
    let kinds = [Kind::Relayed, Kind::Advertised, Kind::Incoming, Kind::Punched, Kind::Observed, Kind::Lan];
    let named = kinds.into_iter().find(|kind| kind.to_string() == name);
    named.unwrap_or_else(|| panic!("{name} is no kind"))
}

fn place(letter: &str) -> Place {
    let host = Ipv4Addr::new(88, 0, 0, letter.as_bytes()[0]);
    Place::new(SocketId::CLIENT, SocketAddrV4::new(host, 1))
}

fn letter(place: Place) -> char {
    place.address.ip().octets()[3].into()
}

/// What a client knows after the handshake.
#[derive(Clone, Copy)]
struct Handshake {
    client: SocketAddrV4,
    server: Option<SocketAddrV4>,
    open: bool,
    claims_open: bool,
    relays: usize,
    named: &'static [SocketAddrV4],
    relay: bool,
    lan: bool,
}

const NODE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(25, 0, 0, 1), 49737);
const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(88, 0, 0, 1), 1000);
const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(88, 0, 0, 2), 2000);
const OWN: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 7), 49737);
const LOCAL: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 8), 49737);
/// Two homes that can punch.
const PUNCHABLE: Handshake = Handshake {
    client: CLIENT,
    server: Some(SERVER),
    open: false,
    claims_open: false,
    relays: 1,
    named: &[LOCAL],
    relay: false,
    lan: true,
};

impl Handshake {
    fn candidates(&self) -> String {
        let relay = RelayInfo { relay_address: NODE, peer_address: SERVER };
        let payload = NoisePayload {
            firewall: if self.open { FIREWALL_OPEN } else { FIREWALL_UNKNOWN },
            addresses4: self.named.to_vec(),
            holepunch: Some(HolepunchInfo { id: 0, relays: vec![relay; self.relays] }),
            ..NoisePayload::default()
        };
        let facts = Facts {
            local: self.lan.then_some(&[OWN]),
            claims_open: self.claims_open,
            request_socket: SocketId::CLIENT,
            heard: None,
            asked: Place::new(SocketId::CLIENT, NODE),
            server: self.server,
            client: self.client,
            payload: &payload,
            relay: self.relay,
        };
        let candidates = gather(Instant::now(), &facts).candidates;
        let described = candidates.iter().map(Candidate::describe);
        described.collect::<Vec<_>>().join(", ")
    }
}
