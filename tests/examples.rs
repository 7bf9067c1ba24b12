//! Runs the programs in `examples` as a reader of them would, on a private network.

// The lint knows test functions, not the helpers below them; the message of a skipped test is the one thing
// printed.
#![allow(clippy::print_stderr, clippy::unwrap_used)]

// Each program of tests uses a part of it.
#[allow(dead_code)]
mod support;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use hyperprofile::Testnet;
use support::{Process, Reference, reference_installed};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

#[tokio::test]
async fn pipe_joins_two_standard_inputs_and_outputs() {
    let network = Testnet::new(5).await.unwrap();
    let mut listener = example(&network, "pipe", &["listen"]).spawn().unwrap();
    let key = lines(listener.stderr.take()).next_line().await.unwrap().unwrap();
    let mut connector = example(&network, "pipe", &["connect", &key]).spawn().unwrap();
    for (process, text) in [(&mut listener, "from the listener"), (&mut connector, "from the other")] {
        // Dropped, so that standard input ends.
        process.stdin.take().unwrap().write_all(text.as_bytes()).await.unwrap();
    }
    for (process, text) in [(connector, "from the listener"), (listener, "from the other")] {
        let output = process.wait_with_output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
    }
}

#[tokio::test]
async fn tunnel_forwards_tcp_for_clients_that_are_on_the_list() {
    let network = Testnet::new(5).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [list, identity] = ["allowed", "identity"].map(|name| path(folder.path(), name));
    let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = echo.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = echo.accept().await {
            let (mut read, mut write) = stream.split();
            tokio::io::copy(&mut read, &mut write).await.unwrap();
        }
    });
    std::fs::write(&list, "").unwrap();
    let mut server = example(&network, "tunnel", &["serve", &target, &list]).spawn().unwrap();
    let key = lines(server.stdout.take()).next_line().await.unwrap().unwrap();
    let open = ["open", &key, "127.0.0.1:0", &identity];
    let mut client = example(&network, "tunnel", &open).spawn().unwrap();
    let (mut printed, mut errors) = (lines(client.stdout.take()), lines(client.stderr.take()));
    let own = printed.next_line().await.unwrap().unwrap();
    let address = printed.next_line().await.unwrap().unwrap();
    let refused = errors.next_line().await.unwrap().unwrap();
    assert!(refused.contains("refuses this identity"), "{refused}");
    std::fs::write(&list, format!("not a key\n{own}\n")).unwrap();

    // Some at once, over one connection.
    let echoed: Vec<_> = (0..20)
        .map(|n| {
            let address = address.clone();
            tokio::spawn(async move {
                let text = vec![n; 500_000];
                let stream = TcpStream::connect(&address).await.unwrap();
                let (mut read, mut write) = stream.into_split();
                let written = text.clone();
                tokio::spawn(async move {
                    write.write_all(&written).await.unwrap();
                    write.shutdown().await.unwrap();
                });
                let mut came = Vec::new();
                read.read_to_end(&mut came).await.unwrap();
                assert!(came == text, "{} bytes", came.len());
            })
        })
        .collect();
    for one in echoed {
        one.await.unwrap();
    }
}

#[tokio::test]
async fn rpc_calls_a_method_by_the_key_of_the_server() {
    let network = Testnet::new(5).await.unwrap();
    let mut server = example(&network, "rpc", &["serve"]).spawn().unwrap();
    let key = lines(server.stdout.take()).next_line().await.unwrap().unwrap();
    assert_eq!(output(&network, "rpc", &["call", &key, "shout", "hello"]).await, "HELLO\n");
    let unknown = example(&network, "rpc", &["call", &key, "whisper", "x"]).output().await.unwrap();
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("UNKNOWN_METHOD"));
}

#[tokio::test]
async fn profile_knows_each_client_by_its_key() {
    let network = Testnet::new(5).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [ada, bob] = ["ada", "bob"].map(|name| path(folder.path(), name));
    let mut server = example(&network, "profile", &["serve"]).spawn().unwrap();
    let key = lines(server.stdout.take()).next_line().await.unwrap().unwrap();
    let long = "x".repeat(65);
    for (identity, name, answer) in [
        (&ada, "Ada", "registered, Ada\n"),
        (&ada, "Bob", "welcome back, Ada\n"),
        (&bob, &long, "refused\n"),
        (&bob, "Bob", "registered, Bob\n"),
    ] {
        assert_eq!(output(&network, "profile", &["visit", &key, identity, name]).await, answer);
    }
}

#[tokio::test]
async fn records_are_found_by_hash_and_by_key() {
    let network = Testnet::new(5).await.unwrap();
    let hash = output(&network, "records", &["put", "a value"]).await;
    assert_eq!(output(&network, "records", &["get", hash.trim()]).await, "a value\n");
    let seed = "0123456789abcdef".repeat(4);
    for (seq, text) in ["first", "second"].into_iter().enumerate() {
        let key = output(&network, "records", &["publish", text, &seed]).await;
        let read = output(&network, "records", &["read", key.trim()]).await;
        assert_eq!(read, format!("{seq} {text}\n"));
    }
}

#[tokio::test]
async fn chat_carries_lines_to_all_in_the_room_and_a_peer_in_javascript_is_one() {
    let network = Testnet::new(5).await.unwrap();
    let mut chats = Vec::new();
    for _ in 0..2 {
        let mut chat = example(&network, "chat", &["tea"]).spawn().unwrap();
        let (said, heard) = (chat.stdin.take().unwrap(), lines(chat.stdout.take()));
        chats.push((chat, said, heard));
    }
    // Each says who has come, and then what that says.
    for (_, said, heard) in &mut chats {
        assert!(heard.next_line().await.unwrap().unwrap().ends_with(" joined"));
        said.write_all(b"good morning\n").await.unwrap();
    }
    for (_, _, heard) in &mut chats {
        assert!(until(heard, ": good morning").await);
    }
    if reference_installed() {
        let room: String = "tea".bytes().cycle().take(32).map(|byte| format!("{byte:02x}")).collect();
        let arguments = [&network.bootstrap()[0], &room, "--client", "--say", "hello from node"];
        let mut node = Process::script(Reference::Latest, "swarm.mjs", &arguments);
        for (_, said, heard) in &mut chats {
            assert!(until(heard, ": hello from node").await);
            said.write_all(b"and to you\n").await.unwrap();
        }
        for _ in &chats {
            assert!(node.event("said").await.ends_with(" and to you"));
        }
    }
    for (mut chat, said, _) in chats {
        drop(said);
        assert!(chat.wait().await.unwrap().success());
    }
}

/// Reads until a line ends as said; returns whether there is one.
async fn until<R: AsyncRead + Unpin>(lines: &mut Lines<BufReader<R>>, end: &str) -> bool {
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.ends_with(end) {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn wrong_arguments_end_with_how_to_call() {
    let network = Testnet::new(1).await.unwrap();
    let nonsense = &["nonsense"][..];
    let empty_name = &["visit", "key", "identity", ""][..];
    let calls = ["pipe", "tunnel", "profile", "records", "rpc"].map(|name| (name, nonsense));
    let calls = calls.into_iter().chain([("chat", &[][..])]);
    for (name, words) in calls.into_iter().chain([("profile", empty_name)]) {
        let output = example(&network, name, words).output().await.unwrap();
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(&format!("usage: {name} ")), "{error}");
    }
}

/// Returns what an example prints, which ends well.
async fn output(network: &Testnet, name: &str, arguments: &[&str]) -> String {
    let output = example(network, name, arguments).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn example(network: &Testnet, name: &str, arguments: &[&str]) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_dht-node")).with_file_name("examples").join(name);
    assert!(program.exists(), "the examples are not built: cargo build --examples");
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("BOOTSTRAP", &network.bootstrap()[0])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

fn lines<R: AsyncRead + Unpin>(output: Option<R>) -> Lines<BufReader<R>> {
    BufReader::new(output.unwrap()).lines()
}

fn path(folder: &Path, name: &str) -> String {
    let path: PathBuf = folder.join(name);
    path.into_os_string().into_string().unwrap()
}
