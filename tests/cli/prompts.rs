//! Questions at a terminal: however the program ends, the terminal is as it was before.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{ControlModes, InputModes, LocalModes, OutputModes, tcgetattr};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use hyperprofile::{KeyPair, Testnet};

use crate::harness::{CLIENT, DEADLINE, Person, TOOL, text};

/// A pseudo terminal, with the side of its user.
pub(crate) struct Terminal {
    keyboard: File,
    screen: mpsc::Receiver<Vec<u8>>,
    pub(crate) shown: String,
    /// The side of the programs, kept open.
    line: File,
}

pub(crate) type Settings = (InputModes, OutputModes, ControlModes, LocalModes);

impl Terminal {
    pub(crate) fn open() -> Self {
        let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&user).unwrap();
        unlockpt(&user).unwrap();
        let name = ptsname(&user, Vec::new()).unwrap().into_string().unwrap();
        let flags = OFlags::NOCTTY.bits() as i32;
        let line = OpenOptions::new().read(true).write(true).custom_flags(flags).open(name).unwrap();
        let keyboard = File::from(user);
        let mut reader = keyboard.try_clone().unwrap();
        let (show, screen) = mpsc::channel();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            // Ends with the test: then the other end of the channel, or of the terminal, is gone.
            while let Ok(length) = reader.read(&mut chunk)
                && show.send(chunk[..length].to_vec()).is_ok()
            {}
        });
        Self { keyboard, screen, shown: String::new(), line }
    }

    pub(crate) fn settings(&self) -> Settings {
        let settings = tcgetattr(&self.line).unwrap();
        (settings.input_modes, settings.output_modes, settings.control_modes, settings.local_modes)
    }

    /// Starts a program whose terminal this is.
    pub(crate) fn start(&self, program: &str, arguments: &[&str]) -> Child {
        let line = || Stdio::from(self.line.try_clone().unwrap());
        let mut command = Command::new("setsid");
        // Without a kind of terminal in the environment, as in CI, nothing that moves is shown.
        command.arg("--ctty").arg(program).args(arguments).env("TERM", "xterm");
        command.stdin(line()).stdout(line()).stderr(line()).kill_on_drop(true).spawn().unwrap()
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen shows a text once more.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let mut new = String::new();
        while !new.contains(text) {
            let chunk = self.screen.recv_timeout(DEADLINE);
            let chunk = chunk.unwrap_or_else(|_| panic!("{text:?} is not shown: {:?}", self.shown));
            let chunk = String::from_utf8(chunk).unwrap();
            new.push_str(&chunk);
            self.shown.push_str(&chunk);
        }
    }

    /// Fails unless the terminal has these settings, and a cursor.
    pub(crate) fn assert_unchanged(&mut self, before: &Settings, after_what: &str) {
        assert_eq!(self.settings(), *before, "after {after_what}");
        while let Ok(chunk) = self.screen.try_recv() {
            self.shown.push_str(&String::from_utf8(chunk).unwrap());
        }
        let last = |sequence| self.shown.rfind(sequence);
        assert!(last("\u{1b}[?25h") >= last("\u{1b}[?25l"), "after {after_what}: {:?}", self.shown);
    }
}

pub(crate) async fn end(mut child: Child) -> ExitStatus {
    timeout(DEADLINE, child.wait()).await.expect("an end in time").unwrap()
}

async fn signal(child: &Child, name: &str) {
    let pid = child.id().expect("the program runs").to_string();
    assert!(Command::new("kill").args([name, &pid]).status().await.unwrap().success());
}

#[tokio::test]
async fn the_terminal_is_as_before_however_a_question_ends() {
    use std::os::unix::process::ExitStatusExt as _;
    let ada = Person::new();
    let (identity, key) = (ada.path("identity"), ada.key().await);
    let terminal = || {
        let terminal = Terminal::open();
        let before = terminal.settings();
        (terminal, before)
    };
    let asking = ["--identity", text(&identity), "--server", &key, "register"];
    // Both are asked before anything is sent.
    let deleting = ["--identity", text(&identity), "--server", &key, "delete"];

    for (keys, name, code) in [("\u{3}", "Ctrl-C", 130), ("\u{4}", "the end of input", 2)] {
        let (mut terminal, before) = terminal();
        let child = terminal.start(CLIENT, &asking);
        terminal.wait_for("Name");
        terminal.press(keys);
        assert_eq!(end(child).await.code(), Some(code), "{name}: {}", terminal.shown);
        terminal.assert_unchanged(&before, name);
    }
    for name in ["-INT", "-TERM"] {
        let (mut terminal, before) = terminal();
        let child = terminal.start(CLIENT, &deleting);
        terminal.wait_for("Remove your profile");
        signal(&child, name).await;
        let ended = end(child).await;
        assert_eq!(
            (ended.code(), ended.signal()),
            if name == "-INT" { (Some(130), None) } else { (None, Some(15)) }
        );
        terminal.assert_unchanged(&before, name);
    }
    for answer in ["\n", "n\n", "perhaps\nNo\n"] {
        let (mut terminal, before) = terminal();
        let child = terminal.start(CLIENT, &deleting);
        terminal.wait_for("Remove your profile");
        terminal.press(answer);
        assert_eq!(end(child).await.code(), Some(0), "{answer:?}: {}", terminal.shown);
        terminal.assert_unchanged(&before, answer);
    }
}

#[tokio::test]
async fn the_words_of_an_identity_are_shown_on_a_terminal_and_bring_it_back() {
    let (ada, other) = (Person::new(), Person::new());
    let key = ada.key().await;
    let mut terminal = Terminal::open();
    let before = terminal.settings();
    let identity = ada.path("identity");
    let child = terminal.start(CLIENT, &["--identity", text(&identity), "identity", "words"]);
    terminal.wait_for("Show the words?");
    terminal.press("y\n");
    terminal.wait_for("bring the identity back with");
    assert_eq!(end(child).await.code(), Some(0), "{}", terminal.shown);
    terminal.assert_unchanged(&before, "words");
    let shown = terminal.shown.split("Show the words?").nth(1).unwrap();
    let mut words: Vec<(usize, &str)> = Vec::new();
    let parts: Vec<&str> = shown.split_whitespace().collect();
    for pair in parts.windows(2) {
        if let Ok(number) = pair[0].parse() {
            words.push((number, pair[1]));
        }
    }
    words.sort_unstable();
    let words: Vec<&str> = words.into_iter().map(|(_, word)| word).collect();
    assert_eq!(words.len(), 24, "{shown}");

    let mut terminal = Terminal::open();
    let copy = other.path("copy");
    let child = terminal.start(CLIENT, &["--identity", text(&copy), "identity", "restore"]);
    terminal.wait_for("24 words");
    terminal.press(&format!("{}\n", words.join(" ")));
    terminal.wait_for(&key);
    assert_eq!(end(child).await.code(), Some(0), "{}", terminal.shown);
    assert_eq!(KeyPair::load(&copy).unwrap(), KeyPair::load(&identity).unwrap());
    // Nothing is shown to those who say no.
    let mut terminal = Terminal::open();
    let child = terminal.start(CLIENT, &["--identity", text(&copy), "identity", "words"]);
    terminal.wait_for("Show the words?");
    terminal.press("n\n");
    assert_eq!(end(child).await.code(), Some(0), "{}", terminal.shown);
    assert!(!terminal.shown.contains(words[0]), "{}", terminal.shown);
}

#[tokio::test]
async fn a_question_outlives_a_stop() {
    let ada = Person::new();
    let (identity, key) = (ada.path("identity"), ada.key().await);
    let mut terminal = Terminal::open();
    let before = terminal.settings();
    // A shell that has job control: without one nothing is stopped from the keyboard.
    let script = "set -m; \"$@\"; echo the job stopped; read line; fg";
    let client = [CLIENT, "--identity", text(&identity), "--server", &key, "register"];
    let shell = terminal.start("/bin/sh", &[&["-c", script, "sh"], &client[..]].concat());
    terminal.wait_for("Name");
    terminal.press("\u{1a}");
    terminal.wait_for("the job stopped");
    terminal.assert_unchanged(&before, "the stop");
    terminal.press("\n");
    terminal.press("Ada\n");
    terminal.wait_for("Bio");
    terminal.press("\u{3}");
    assert_eq!(end(shell).await.code(), Some(130), "{}", terminal.shown);
    terminal.assert_unchanged(&before, "the end");
}

#[tokio::test]
async fn what_is_typed_becomes_the_profile() {
    let ada = Person::new();
    let (identity, key) = (ada.path("identity"), ada.key().await);
    let mut terminal = Terminal::open();
    let nowhere = format!("127.0.0.1:{}", crate::harness::free_port());
    let arguments = ["--identity", text(&identity), "--server", &key, "--server-addr", &nowhere, "register"];
    let child = terminal.start(CLIENT, &arguments);
    // A name is needed, and what is not valid is asked for again.
    for (question, answer) in [
        ("Name", "\n"),
        ("Name", "Bob\u{7f}\u{7f}\u{7f}Ada\n"),
        ("Bio", "\n"),
        ("Link", "nonsense\n"),
        ("Name", "Ada\n"),
        ("Bio", "Writes programs.\n"),
        ("Link", "https://example.org\n"),
    ] {
        terminal.wait_for(question);
        terminal.press(answer);
    }
    // The profile is complete; nobody is there to take it.
    assert_eq!(end(child).await.code(), Some(4), "{}", terminal.shown);
}

/// A value that anyone can store, and what a peer sends: neither moves the cursor, and what a value holds
/// begins no line.
#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_does_not_obey_what_others_store_and_send() {
    const HOSTILE: &[u8] = b"\x1b[2J\x1b]0;title\x07one\nerror: two\n\xff three";
    let network = Testnet::new(3).await.unwrap();
    let node = &network.nodes()[1];
    let bootstrap = network.bootstrap().remove(0);
    let stored = node.immutable_put(HOSTILE).await.unwrap();
    let hash = data_encoding::HEXLOWER.encode(&stored.target);
    let server = node.listen(KeyPair::generate()).await.unwrap();
    let key = server.public_key().to_z32();
    let (mut get, mut pipe) = (Terminal::open(), Terminal::open());
    let getting = get.start(TOOL, &["--bootstrap", &bootstrap, "get", &hash]);
    let piping = pipe.start(TOOL, &["--bootstrap", &bootstrap, "pipe", &key]);
    get.wait_for("three");
    assert!(end(getting).await.success());
    let mut connection = timeout(DEADLINE, server.accept()).await.unwrap().unwrap();
    connection.write_message(HOSTILE).await.unwrap();
    pipe.wait_for("three");
    // The peer ends, and so does the user.
    drop(connection);
    pipe.press("\u{4}");
    assert!(end(piping).await.success());
    for shown in [&get.shown, &pipe.shown] {
        assert!(shown.contains("\\u{1b}[2J\\u{1b}]0;title\\u{7}one"), "{shown:?}");
        assert!(shown.contains("error: two\r\n"), "{shown:?}");
        assert!(!shown.contains("\u{1b}[2J") && !shown.contains('\u{7}'), "{shown:?}");
    }
    assert!(!get.shown.contains("\nerror: two"), "{:?}", get.shown);
}

/// A passphrase is not shown, and however the question ends, the terminal shows again what is typed.
#[tokio::test]
async fn a_passphrase_is_hidden_and_the_terminal_is_as_before_however_that_ends() {
    let ada = Person::new();
    let key = ada.key().await;
    let identity = ada.path("identity");
    let plain = std::fs::read_to_string(&identity).unwrap();
    let protect = ["--identity", text(&identity), "identity", "protect"];
    let unprotect = ["--identity", text(&identity), "identity", "unprotect"];
    // What is typed before the question is asked would be shown.
    let hidden = |terminal: &Terminal| !terminal.settings().3.contains(LocalModes::ECHO);

    let mut terminal = Terminal::open();
    let before = terminal.settings();
    let child = terminal.start(CLIENT, &protect);
    terminal.wait_for("New passphrase: ");
    assert!(hidden(&terminal));
    terminal.press("correct horse\n");
    terminal.wait_for("once more: ");
    terminal.press("correct house\n");
    assert_eq!(end(child).await.code(), Some(2), "{}", terminal.shown);
    terminal.assert_unchanged(&before, "two passphrases");
    assert_eq!(std::fs::read_to_string(&identity).unwrap(), plain);

    let child = terminal.start(CLIENT, &protect);
    for question in ["New passphrase: ", "once more: "] {
        terminal.wait_for(question);
        terminal.press("correct horse\n");
    }
    terminal.wait_for(&key);
    assert_eq!(end(child).await.code(), Some(0), "{}", terminal.shown);
    terminal.assert_unchanged(&before, "a passphrase");

    for (signal_or_keys, code) in [("\u{3}", 130), ("\u{4}", 2), ("-INT", 130), ("-TERM", 143), ("-HUP", 129)]
    {
        let child = terminal.start(CLIENT, &unprotect);
        terminal.wait_for("Passphrase of ");
        assert!(hidden(&terminal));
        match signal_or_keys.starts_with('-') {
            true => signal(&child, signal_or_keys).await,
            false => terminal.press(signal_or_keys),
        }
        assert_eq!(end(child).await.code(), Some(code), "{signal_or_keys:?}: {}", terminal.shown);
        terminal.assert_unchanged(&before, signal_or_keys);
    }
    let child = terminal.start(CLIENT, &unprotect);
    terminal.wait_for("Passphrase of ");
    terminal.press("correct horse\n");
    assert_eq!(end(child).await.code(), Some(0), "{}", terminal.shown);
    assert!(!terminal.shown.contains("horse") && !terminal.shown.contains("house"), "{}", terminal.shown);
}
