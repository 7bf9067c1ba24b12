//! Calls over a connection, compatible with npm `@hyperswarm/rpc` 3.5; with the feature `rpc`.
//!
//! A server responds to methods, and a client calls them by the key of the server:
//!
//! ```
//! use hyperprofile::rpc::{self, Client, Responders};
//! use hyperprofile::{KeyPair, Testnet};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let network = Testnet::new(3).await?;
//! # let dht = network.nodes()[1].clone();
//! # let other = network.builder().spawn().await?;
//! let server = dht.listen(KeyPair::generate()).await?;
//! let key = *server.public_key();
//! let responders = Responders::new();
//! responders.respond("shout", |request| async move {
//!     Ok(std::str::from_utf8(&request.value)?.to_uppercase())
//! });
//! tokio::spawn(async move { rpc::serve(&server, &responders).await });
//!
//! let client = Client::new(&other);
//! assert_eq!(client.request(&key, "shout", "hello").await?, "HELLO");
//! // What a function fails with comes back as the cause of the error.
//! let error = client.request(&key, "shout", &b"\xff"[..]).await.unwrap_err();
//! assert!(error.to_string().contains("invalid utf-8"));
//! # Ok(())
//! # }
//! ```
//!
//! [`Client`] keeps a connection to each server that is called, for 10 s after the last call. [`Rpc`] is one
//! channel of calls, on which both sides can call and respond, beside other channels of a
//! [`Mux`](crate::mux::Mux).
//!
//! Values are bytes; what they hold is the application's. See [`Values`] for how they are encoded.
//!
//! # Bounds
//!
//! At most 4,096 requests of a channel are served at once, and 16 MiB of them; further ones are answered with
//! an error whose cause has the code `TOO_MANY`. At most 65,536 calls of a channel wait for their answers.

mod call;
mod calls;
mod capability;
mod client;
mod error;
mod message;
mod responders;
mod serve;
mod session;
#[cfg(test)]
mod tests;
mod values;

pub use call::Call;
pub use client::{Client, ClientCall};
pub use error::{Cause, RemoteError, RpcError};
pub use responders::{Request, Responders};
pub use serve::{Serve, serve};
pub use session::{OpenRpc, Rpc};
pub use values::Values;
