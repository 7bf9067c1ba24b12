//! Worlds of whole peers in virtual time.

mod eclipse;
mod hostile;
mod lossy;
mod moving;
mod neighbours;
mod paths;
mod punching;
mod punching_hostile;
mod relaying;
mod reuse;
mod story;
mod straight;
mod traces;
mod trains;
mod world;
