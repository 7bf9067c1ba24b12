//! What two peers exchange while they connect: handshake and holepunch messages and their payloads.

mod message;
mod payload;
mod punch;

pub use message::{HandshakeMessage, HolepunchMessage, Mode};
pub use payload::{HolepunchInfo, NoisePayload, RelayInfo, RelayThrough, UdxInfo, VERSION};
pub use punch::{
    ERROR_ABORTED, ERROR_NONE, ERROR_TRY_LATER, ERROR_VERSION_MISMATCH, FIREWALL_CONSISTENT, FIREWALL_OPEN,
    FIREWALL_RANDOM, FIREWALL_UNKNOWN, HolepunchPayload,
};
