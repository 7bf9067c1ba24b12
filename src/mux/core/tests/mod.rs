//! Two state machines joined by a link that keeps the order of messages, and one alone with a hostile peer.

mod bounds;
mod channels;
mod hostile;
mod random;
mod support;
mod windows;
