//! Worlds of whole peers in virtual time.

mod eclipse;
mod hostile;
mod lossy;
mod moving;
mod paths;
mod punching;
mod punching_hostile;
mod relaying;
mod reuse;
mod traces;
mod trains;
mod world;
