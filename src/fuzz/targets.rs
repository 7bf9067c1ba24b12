//! The list of targets.

/// A target's body: panics if something that must hold does not.
type Body = fn(&[u8]);

/// All targets by name.
pub const TARGETS: &[(&str, Body)] = &[
    ("decoders", super::decoders::decode),
    ("messages", super::decoders::round_trip),
    ("packets", super::decoders::stream_packet),
    ("frames", super::secrets::frames),
    ("boxes", super::secrets::boxes),
    ("handshakes", super::secrets::handshakes),
    #[cfg(feature = "cli")]
    ("files", super::files::read),
    #[cfg(feature = "profile")]
    ("backups", super::backups::read),
    #[cfg(feature = "profile")]
    ("lines", super::lines::read),
    #[cfg(feature = "profile")]
    ("session", super::lines::session),
    #[cfg(feature = "mux")]
    ("channels", crate::mux::hostile),
    ("streams", super::streams::transfer),
    ("forged", super::streams::forged),
    ("node", super::node::run),
    ("endpoint", super::endpoint::run),
];

/// Runs one target.
///
/// # Panics
///
/// Panics if there is no such target, or if it has found a fault.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, body) = target.unwrap_or_else(|| panic!("no target {name}"));
    body(data);
}
