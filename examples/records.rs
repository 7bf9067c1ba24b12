//! Keeps small values in the DHT, by their hash or under a key.
//!
//! ```text
//! records put TEXT              stores a text under its hash, which is printed
//! records get HASH
//! records publish TEXT SEED     signs a text and prints the key that it is stored under; a later text
//!                               with the same SEED, 64 hexadecimal digits, replaces it
//! records read KEY
//! ```
//!
//! `BOOTSTRAP=HOST:PORT` names a node of another network than the public one.

#![allow(clippy::print_stdout)]

use std::error::Error;

use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use hyperprofile::{Dht, KeyPair, PublicKey};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dht = match std::env::var("BOOTSTRAP") {
        Ok(node) => Dht::builder().bootstrap([node]).spawn().await?,
        Err(_) => Dht::builder().spawn().await?,
    };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["put", text] => {
            let stored = dht.immutable_put(text.as_bytes()).await?;
            println!("{}", HEX.encode(&stored.target));
        }
        ["get", hash] => {
            // Whatever node answers: the value has this hash.
            let value = dht.immutable_get(digits(hash)?).await?.ok_or("no node has it")?;
            println!("{}", String::from_utf8_lossy(&value));
        }
        ["publish", text, seed] => {
            let key_pair = KeyPair::from_seed(&digits(seed)?);
            let found = dht.mutable_get(key_pair.public_key()).await?;
            // Of two values under one key, nodes keep that with the higher number.
            let seq = found.map_or(0, |found| found.seq + 1);
            dht.mutable_put(&key_pair, seq, text.as_bytes()).await?;
            println!("{}", key_pair.public_key());
        }
        ["read", key] => {
            let found = dht.mutable_get(&key.parse::<PublicKey>()?).await?.ok_or("no node has it")?;
            println!("{} {}", found.seq, String::from_utf8_lossy(&found.value));
        }
        _ => return Err("usage: records put TEXT | get HASH | publish TEXT SEED | read KEY".into()),
    }
    dht.close().await;
    Ok(())
}

fn digits(text: &str) -> Result<[u8; 32], Box<dyn Error>> {
    let bytes = HEX.decode(text.as_bytes()).map_err(|_| "not hexadecimal digits")?;
    Ok(bytes[..].try_into().map_err(|_| "not 64 digits")?)
}
