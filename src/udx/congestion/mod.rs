//! How much may be in flight, and how fast it leaves.

mod acceleration;
mod aggregation;
mod bandwidth;
mod bbr;
mod bounds;
mod controller;
mod cubic;
mod probe;
mod shortest;

pub(super) use bbr::Bbr;
pub(super) use controller::{Beliefs, Controller, Loss, Outcome};
pub(super) use cubic::Cubic;
