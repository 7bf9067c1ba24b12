//! Worlds of whole peers in virtual time.

mod hostile;
mod paths;
mod traces;
mod world;
