//! Calls a computer by its public key. A peer in JavaScript has `@hyperswarm/rpc`.
//!
//! ```text
//! rpc serve                     prints its key, and responds to the method `shout`
//! rpc call KEY METHOD VALUE     prints what the server responds
//! ```
//!
//! `BOOTSTRAP=HOST:PORT` names a node of another network than the public one.

#![allow(clippy::print_stdout)]

use hyperprofile::rpc::{self, Client, Responders};
use hyperprofile::{Dht, KeyPair};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dht = match std::env::var("BOOTSTRAP") {
        Ok(node) => Dht::builder().bootstrap([node]).spawn().await?,
        Err(_) => Dht::builder().spawn().await?,
    };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => {
            let server = dht.listen(KeyPair::generate()).await?;
            println!("{}", server.public_key());
            let responders = Responders::new();
            responders.respond("shout", |request| async move {
                Ok(std::str::from_utf8(&request.value)?.to_uppercase())
            });
            rpc::serve(&server, &responders).await;
        }
        ["call", key, method, value] => {
            let answer = Client::new(&dht).request(&key.parse()?, method, value.to_owned()).await?;
            println!("{}", String::from_utf8_lossy(&answer));
        }
        _ => return Err("usage: rpc serve | rpc call KEY METHOD VALUE".into()),
    }
    Ok(())
}
