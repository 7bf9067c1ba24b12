//! The programs as a person uses them: what they print, how they end, what they leave.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

mod backup;
mod config;
#[cfg(unix)]
mod control;
mod damage;
#[cfg(all(target_os = "linux", feature = "postgres"))]
mod database;
#[cfg(unix)]
mod diagnostics;
mod durability;
#[cfg(target_os = "linux")]
mod edit;
#[cfg(unix)]
mod files;
mod harness;
mod identity;
mod network;
mod offline;
#[cfg(target_os = "linux")]
mod operator;
mod others;
#[cfg(target_os = "linux")]
mod packaging;
mod pages;
mod picture;
#[cfg(all(target_os = "linux", feature = "postgres"))]
#[path = "../support/postgres.rs"]
mod postgres;
#[cfg(target_os = "linux")]
mod prompts;
mod qr;
mod remembering;
mod rotation;
mod servers;
mod signals;
mod store;
#[cfg(target_os = "linux")]
mod supervisor;
mod tool;
mod ways;
#[cfg(unix)]
mod web;
