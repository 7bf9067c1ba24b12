//! The store under damaged files, failing disks and power failures.

mod crash;
mod damage;
mod erase;
mod failing;
mod folders;
mod restore;
mod strace;
mod writer;
