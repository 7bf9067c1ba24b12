//! What the driver and the tasks of connections synchronise with. Built with `--cfg shuttle`, tests have
//! these from a scheduler that tries their interleavings (`link/model.rs`).

#[cfg(all(test, shuttle))]
pub(super) use shuttle::sync::atomic::AtomicBool;
#[cfg(all(test, shuttle))]
pub(super) use shuttle::sync::{Mutex, MutexGuard};
#[cfg(not(all(test, shuttle)))]
pub(super) use std::sync::atomic::AtomicBool;
#[cfg(not(all(test, shuttle)))]
pub(super) use std::sync::{Mutex, MutexGuard};
