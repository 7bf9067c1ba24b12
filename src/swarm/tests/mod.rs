//! The decisions of a swarm: step by step, and two hundred swarms in virtual time.

mod bounds;
mod model;
mod peers;
mod rivals;
mod script;
mod topics;
mod world;
