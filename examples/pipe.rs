//! Joins standard input and output of two computers by a public key.
//!
//! ```text
//! pipe listen          prints its key and waits for one peer
//! pipe connect KEY
//! ```
//!
//! `BOOTSTRAP=HOST:PORT` names a node of another network than the public one.

#![allow(clippy::print_stderr)]

use std::error::Error;

use hyperprofile::{ConnectAddress, Dht, KeyPair};
use tokio::io::{AsyncWriteExt, copy, stdin, stdout};

#[tokio::main]
async fn main() {
    let code = match run().await {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{error}");
            1
        }
    };
    // A return would wait for the thread that still reads standard input.
    std::process::exit(code);
}

async fn run() -> Result<(), Box<dyn Error>> {
    let dht = match std::env::var("BOOTSTRAP") {
        Ok(node) => Dht::builder().bootstrap([node]).spawn().await?,
        Err(_) => Dht::builder().spawn().await?,
    };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let connection = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["listen"] => {
            let server = dht.listen(KeyPair::generate()).await?;
            eprintln!("{}", server.public_key());
            server.accept().await.ok_or("the node has ended")?
        }
        ["connect", key] => dht.connect(key.parse::<ConnectAddress>()?).await?,
        _ => return Err("usage: pipe listen | pipe connect KEY".into()),
    };
    let (mut read, mut write) = connection.into_split();
    let send = async {
        copy(&mut stdin(), &mut write).await?;
        // Ends this direction, and waits until the peer has all of it.
        write.shutdown().await
    };
    let receive = async {
        let mut out = stdout();
        copy(&mut read, &mut out).await?;
        out.flush().await
    };
    tokio::try_join!(send, receive)?;
    dht.close().await;
    Ok(())
}
