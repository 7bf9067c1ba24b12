//! Tests of the node as a whole, and of its parts against the reference.

mod bounds;
mod diversity;
mod elsewhere;
mod exchanges;
mod free_commands;
mod hostile;
mod life;
mod network;
mod operations;
mod put_off;
mod requests;
mod restart;
mod store;
mod table;
mod values;
mod vectors;
mod world;
