//! Standard input to a peer, and what comes from it to standard output.

use std::io::{self, IsTerminal as _};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, stdin, stdout};

use super::super::exit::{Exit, Failure};
use super::super::foreign::Screen;
use super::super::output::check_writable;
use super::session::{Tool, local};
use crate::api::{ReadHalf, WriteHalf};
use crate::{ConnectAddress, Connection, PublicKey};

pub(super) async fn dial(tool: &Tool<'_>, peer: &ConnectAddress) -> Result<(), Failure> {
    let connection = tool.connect(peer).await?;
    join(tool, connection).await
}

/// Waits for one peer; all may come if none are named.
pub(super) async fn listen(tool: &Tool<'_>, allowed: &[PublicKey]) -> Result<(), Failure> {
    let server = tool.listen(allowed).await?;
    let key = server.public_key();
    tool.aside(
        &format!("the peer types: hyperdht pipe {key}"),
        &json!({"event": "listening", "public_key": key}),
    );
    let connection = loop {
        let ended = || Failure::new(Exit::Internal, "the node has ended");
        let connection = server.accept().await.ok_or_else(ended)?;
        // A recorded handshake names an allowed key, and proves none.
        if allowed.is_empty()
            || tool.within("the peer", connection.proven()).await.is_ok_and(|key| key.is_ok())
        {
            break connection;
        }
    };
    // Nobody else is let in.
    server.close().await;
    join(tool, connection).await
}

/// Ends once both directions have.
async fn join(tool: &Tool<'_>, connection: Connection) -> Result<(), Failure> {
    let (path, address) = (connection.path(), connection.remote_addr());
    let event = json!({"event": "connected", "path": path, "address": address});
    tool.aside(&format!("connected, {path} at {address}"), &event);
    let (read, write) = connection.into_split();
    tokio::try_join!(send(write), receive(read))?;
    Ok(())
}

async fn send(mut write: WriteHalf) -> Result<(), Failure> {
    let mut input = stdin();
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = input.read(&mut buffer).await.map_err(|error| local("read standard input", error))?;
        if length == 0 {
            // Waits until the peer has all of it.
            return write.shutdown().await.map_err(|error| Failure::from_error(Exit::NoPath, error));
        }
        write.write_message(&buffer[..length]).await?;
    }
}

async fn receive(mut read: ReadHalf) -> Result<(), Failure> {
    check_writable().map_err(|error| local("write to standard output", error))?;
    let mut screen = io::stdout().is_terminal().then(Screen::default);
    // A reader that stops must not stop the node: the runtime has a thread for it.
    let mut output = stdout();
    while let Some(bytes) = read.read_message().await? {
        let written = async {
            match &mut screen {
                Some(screen) => output.write_all(screen.show(&bytes).as_bytes()).await?,
                None => output.write_all(&bytes).await?,
            }
            output.flush().await
        };
        match written.await {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Err(Failure::new(Exit::Ok, "nobody reads standard output").printed());
            }
            written => written.map_err(|error| local("write to standard output", error))?,
        }
    }
    Ok(())
}

/// Bytes of standard input in one message, at most.
const CHUNK: usize = 64 << 10;
