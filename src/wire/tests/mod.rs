//! Golden bytes of the reference, and properties that hold for all messages.

mod address;
mod compact;
mod handshake;
mod properties;
mod recordings;
mod records;
mod relay;
mod rpc;
