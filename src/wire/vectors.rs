//! Reads the golden bytes in `tests/vectors`, for the tests of all modules.

use std::net::{Ipv6Addr, SocketAddrV4, SocketAddrV6};

use data_encoding::HEXLOWER;
use serde_json::Value;

/// Reads `tests/vectors/<name>`.
pub(crate) fn load(name: &str) -> Value {
    let path = format!("{}/tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the elements of a list that is not empty: a test over none would prove nothing.
pub(crate) fn list(value: &Value) -> &[Value] {
    let list = value.as_array().expect("a list");
    assert!(!list.is_empty(), "a list of vectors has elements");
    list
}

/// Reads hexadecimal text.
pub(crate) fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(text(value).as_bytes()).expect("hexadecimal")
}

/// Reads hexadecimal text of a known length.
pub(crate) fn fixed<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().expect("the right length")
}

/// Reads a text.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}"))
}

/// Reads an integer, written as a number or as decimal digits.
pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| text(value).parse().expect("an integer"))
}

/// Applies a reader to a field that may be `null` or missing.
pub(crate) fn option<T>(value: &Value, read: impl FnOnce(&Value) -> T) -> Option<T> {
    (!value.is_null()).then(|| read(value))
}

/// Reads `{"host": "1.2.3.4", "port": 5}`.
pub(crate) fn addr4(value: &Value) -> SocketAddrV4 {
    SocketAddrV4::new(text(&value["host"]).parse().expect("IPv4"), port(value))
}

/// Reads `{"host": "::1", "port": 5}`.
pub(crate) fn addr6(value: &Value) -> SocketAddrV6 {
    let ip: Ipv6Addr = text(&value["host"]).parse().expect("IPv6");
    SocketAddrV6::new(ip, port(value), 0, 0)
}

/// Reads a list of addresses, which may be empty.
pub(crate) fn addrs4(value: &Value) -> Vec<SocketAddrV4> {
    value.as_array().expect("a list").iter().map(addr4).collect()
}

fn port(value: &Value) -> u16 {
    number(&value["port"]).try_into().expect("a port")
}
