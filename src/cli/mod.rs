//! The programs: arguments, key files, output, exit codes. Each program under `src/bin` calls one `main` of
//! this module.
//!
//! | module | what it does |
//! |---|---|
//! | [`client`] | `profile-client`: the commands of a person with an identity |
//! | [`server`] | `profile-server`: a store, a node and a service |
//! | [`node`] | `dht-node`: nodes of a new network, or of an existing one |
//! | [`tool`] | `hyperdht`: any key, topic and value |
//! | [`network`] | which DHT to join, from where |
//! | `config`, `toml_file` | arguments from a configuration file |
//! | `database` | URLs of databases, without their passwords |
//! | `pages` | completions for shells, pages of the manual |
//! | `key_access`, [`versions`], [`routes`] | files of a program beside the store; `files` replaces them |
//! | `room` | how many connections fit into limited memory |
//! | `store` | the store of a server, of whichever kind |
//! | [`output`], `stderr`, `foreign` | what it prints, text from elsewhere included |
//! | `prompt`, `show` | questions at the terminal, and profiles on it |
//! | `supervisor` | notifies systemd |
//! | [`exit`] | its exit code |
//! | `web`, `warnings` | the page for the operator, and numbers for Prometheus |

pub mod client;
mod config;
mod database;
mod demo;
mod duration;
pub mod exit;
mod files;
mod foreign;
mod key_access;
pub mod network;
mod new_network;
pub mod node;
mod node_state;
pub mod output;
mod pages;
mod prompt;
mod room;
pub mod routes;
mod runtime;
pub mod server;
mod show;
mod stderr;
mod store;
mod supervisor;
mod toml_file;
pub mod tool;
pub mod versions;
#[cfg(feature = "web")]
mod warnings;
#[cfg(feature = "web")]
mod web;
#[cfg(not(feature = "web"))]
#[path = "no_web.rs"]
mod web;
