//! Scenarios in virtual time.

mod claims;
mod conformance;
mod congestion;
mod credit;
mod division;
mod ending;
mod helpers;
mod hostile;
mod liveness;
mod memory;
mod paths;
mod sending;
mod stats;
mod tables;
mod tail;
mod transfer;
mod window;
