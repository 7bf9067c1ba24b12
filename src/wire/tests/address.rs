use std::net::{Ipv4Addr, SocketAddrV4};

use super::super::address::{ConnectAddress, best_match, is_bogon, is_private, is_reserved};
use super::super::compact::{Decode, Encode};
use super::super::vectors::{addrs4, fixed, hex, list, load, option, text};
use crate::keys::PublicKey;

#[test]
fn connect_addresses_match_the_reference() {
    let cases = [
        (load("noise-payload.json"), "connectAddress", "bytes"),
        (load("rpc.json"), "hyperdhtAddress", "hex"),
    ];
    for (vectors, name, bytes) in cases {
        for case in list(&vectors[name]) {
            let bytes = hex(&case[bytes]);
            let fields = case.get("decoded").unwrap_or(case);
            let address = ConnectAddress {
                key: PublicKey::from_bytes(fixed(&fields["key"])),
                nodes: option(&fields["nodes"], addrs4).unwrap_or_default(),
            };
            assert_eq!(ConnectAddress::from_bytes(&bytes).as_ref(), Ok(&address), "{case}");
            let bare = case.get("name").is_some_and(|name| text(name).starts_with("bare"));
            if !bare {
                assert_eq!(address.to_bytes(), bytes, "{case}");
            }
        }
    }
}

#[test]
fn classes_end_where_their_networks_end() {
    let private = [
        ("10.0.0.0", "10.255.255.255"),
        ("100.64.0.0", "100.127.255.255"),
        ("127.0.0.0", "127.255.255.255"),
        ("169.254.0.0", "169.254.255.255"),
        ("172.16.0.0", "172.31.255.255"),
        ("192.168.0.0", "192.168.255.255"),
    ];
    let reserved = [
        ("0.0.0.0", "0.255.255.255"),
        ("192.0.0.0", "192.0.0.255"),
        ("192.0.2.0", "192.0.2.255"),
        ("198.18.0.0", "198.19.255.255"),
        ("198.51.100.0", "198.51.100.255"),
        ("203.0.113.0", "203.0.113.255"),
        ("224.0.0.0", "255.255.255.255"),
    ];
    let class = |ip: u32| {
        let ip = Ipv4Addr::from(ip);
        assert_eq!(is_bogon(ip), is_private(ip) || is_reserved(ip));
        (is_private(ip), is_reserved(ip))
    };
    for (networks, expected) in [(&private[..], (true, false)), (&reserved[..], (false, true))] {
        for (first, last) in networks {
            let [first, last] = [first, last].map(|ip| u32::from(ip.parse::<Ipv4Addr>().unwrap()));
            assert_eq!(class(first), expected);
            assert_eq!(class(last), expected);
            // Every neighbour of these networks is public but the end of the address space.
            if first > 0 {
                assert_eq!(class(first - 1), (false, false));
            }
            if last < u32::MAX {
                assert_eq!(class(last + 1), (false, false));
            }
        }
    }
}

#[test]
fn three_shared_octets_win_at_once() {
    let other = ["192.168.9.1:1", "192.168.1.7:2", "192.168.1.8:3"].map(addr);
    assert_eq!(best_match(&[ip("192.168.1.5")], &other), Some(other[1]));
}

#[test]
fn otherwise_the_first_with_most_shared_octets_wins() {
    let other = ["10.9.9.9:1", "192.1.1.1:2", "192.168.2.2:3", "192.168.3.3:4"].map(addr);
    assert_eq!(best_match(&[ip("10.0.0.1"), ip("192.168.1.5")], &other), Some(other[2]));
    assert_eq!(best_match(&[ip("192.2.0.1"), ip("10.0.0.1")], &other), Some(other[1]));
    assert_eq!(best_match(&[ip("172.16.0.1")], &other), None);
    assert_eq!(best_match(&[], &other), None);
    assert_eq!(best_match(&[ip("10.0.0.1")], &[]), None);
}

#[test]
fn octets_after_a_different_one_do_not_count() {
    let other = ["11.0.0.1:1", "10.5.0.1:2"].map(addr);
    assert_eq!(best_match(&[ip("10.0.0.1")], &other), Some(other[1]));
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn addr(text: &str) -> SocketAddrV4 {
    text.parse().unwrap()
}
