//! What dialling and serving share.

use super::context::Context;
use super::intake::Intake;
use super::options::Config;
use super::punch::Kit;
use super::relay::Exits;
use super::remembered::Remembered;
use crate::dht::Node;
use crate::udx::Streams;

#[derive(Debug)]
pub(super) struct Core {
    pub(super) cx: Context,
    /// Opens NATs.
    pub(super) punch: Kit,
    /// Streams that leave their relays.
    pub(super) exits: Exits,
    pub(super) remembered: Remembered,
    pub(super) intake: Intake,
}

impl Core {
    pub(super) fn new(node: Node, streams: Streams, config: &Config, seed: [u8; 32]) -> Self {
        Self {
            cx: Context::new(node, streams, config, seed),
            punch: Kit::new(config),
            exits: Exits::default(),
            remembered: Remembered::new(config.limits.max_routes),
            intake: Intake::new(&config.limits),
        }
    }
}
