//! Worlds of whole peers in virtual time.

mod advertised;
mod announcing;
mod eclipse;
mod flooded;
mod hostile;
mod lan;
mod lossy;
mod migrating;
mod paths;
mod punching;
mod punching_hostile;
mod relaying;
mod reuse;
mod several_servers;
mod soak;
mod story;
mod traces;
mod trains;
mod world;
