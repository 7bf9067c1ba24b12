//! Worlds of whole peers in virtual time.

mod hostile;
mod paths;
mod punching;
mod traces;
mod world;
