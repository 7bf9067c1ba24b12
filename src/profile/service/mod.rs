//! The server's side: greets, answers, keeps peers within their limits.
//!
//! A connection is read one request at a time: the next line is taken when the last one is answered and its
//! answer has been handed over. So answers come in the order of the requests, a peer that does not read its
//! answers is not read from either, and what a stranger can keep in memory is one line, and which of the keys
//! that it watches have changed.

mod admission;
mod answer;
#[cfg(test)]
mod away;
mod config;
#[cfg(test)]
mod model;
#[cfg(test)]
mod operator;
mod rotating;
#[cfg(test)]
mod rotations;
mod serve;
#[cfg(test)]
mod spoofing;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
#[cfg(feature = "postgres")]
mod together;
#[cfg(test)]
mod watching;

pub use admission::{Admission, Ipv4Network, ParseNetworkError};
pub use config::{Access, ServiceConfig};
pub use serve::{Ended, Service};
