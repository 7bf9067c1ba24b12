//! The profile in an editor, which is a script here.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use hyperprofile::Testnet;
use tokio::process::Command;

use crate::harness::{CLIENT, DEADLINE, Outcome, Person, Running, SERVER, text};
use crate::prompts::{Terminal, end};

/// A person, a server, and what connects them.
struct Scene {
    person: Person,
    server: Running,
    arguments: Vec<String>,
    _network: Testnet,
}

impl Scene {
    async fn new() -> Self {
        let person = Person::new();
        let network = Testnet::new(3).await.unwrap();
        let bootstrap = network.bootstrap().remove(0);
        let data = person.path("server");
        let mut server = Running::start(SERVER, &["--bootstrap", &bootstrap, "--data-dir", text(&data)]);
        let key = server.line().await;
        let identity = person.path("identity");
        fs::create_dir(person.path("tmp")).unwrap();
        let arguments = ["--bootstrap", &bootstrap, "--server", &key, "--identity", text(&identity)];
        let arguments = arguments.map(str::to_owned).to_vec();
        Self { person, server, arguments, _network: network }
    }

    /// Writes the script; `$1` is the file.
    fn editor(&self, script: &str) -> String {
        let editor = self.person.path("editor");
        let client = format!("{CLIENT} {}", self.arguments.join(" "));
        fs::write(&editor, format!("#!/bin/sh\nset -e\nclient='{client}'\n{script}\n")).unwrap();
        fs::set_permissions(&editor, fs::Permissions::from_mode(0o700)).unwrap();
        text(&editor).to_owned()
    }

    async fn run(&self, words: &str, editor: Option<&str>) -> Outcome {
        let mut command = Command::new(CLIENT);
        command.args(&self.arguments).args(words.split(' ')).env_remove("VISUAL").env_remove("EDITOR");
        command.env("XDG_CONFIG_HOME", self.person.path("config")).env("TMPDIR", self.person.path("tmp"));
        command.env("XDG_CACHE_HOME", self.person.path("cache"));
        if let Some(editor) = editor {
            command.env("EDITOR", editor);
        }
        let ran = command.stdin(Stdio::null()).kill_on_drop(true).output();
        let output = tokio::time::timeout(DEADLINE, ran).await.expect("an end in time").unwrap();
        Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Edits with a script.
    async fn edit(&self, script: &str) -> Outcome {
        self.run("edit", Some(&self.editor(script))).await
    }

    /// Returns the files that are left behind.
    fn left(&self) -> Vec<PathBuf> {
        fs::read_dir(self.person.path("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// Returns the one file that is left and named, and removes it.
    fn kept(&self, outcome: &Outcome) -> String {
        let left = self.left();
        assert_eq!(left.len(), 1, "{outcome:?}");
        let note = format!("what you have written is in {}\n", text(&left[0]));
        assert!(outcome.stderr.contains(&note), "{outcome:?}");
        let content = fs::read_to_string(&left[0]).unwrap();
        fs::remove_file(&left[0]).unwrap();
        content
    }
}

const REGISTER: &str = "sed -i 's/^name = \"\"/name = \"Ada\"/' \"$1\"";

#[tokio::test]
async fn a_first_profile_is_written_and_a_stored_one_changed() {
    let scene = Scene::new().await;
    let mode = scene.person.path("mode");
    let script = format!("stat -c %a \"$1\" > {}; {REGISTER}", text(&mode));
    let first = scene.edit(&script).await.ended(0);
    assert!(first.stdout.starts_with("name:    Ada\n"), "{first:?}");
    assert!(first.stderr.contains("anyone who knows your public key"), "{first:?}");
    assert_eq!(fs::read_to_string(&mode).unwrap(), "600\n");
    let change = r#"sed -i 's|^bio = .*|bio = """\nOne "line".\nTwo\\\\\n"""|' "$1"
        sed -i 's|^links.*|links = ["https://a.example"]|' "$1"
        echo '"a b" = "c"' >> "$1""#;
    let changed = scene.edit(change).await.ended(0);
    let shown =
        "name:    Ada\nbio:     One \"line\".\n         Two\\\nlinks:   https://a.example\nfields:  a b: c\n";
    assert!(changed.stdout.starts_with(shown), "{changed:?}");
    // The form has all that is stored: its name alone is changed here.
    let renamed = scene.edit("sed -i 's/Ada/Grace/' \"$1\"").await.ended(0);
    assert!(renamed.stdout.starts_with(&shown.replace("Ada", "Grace")), "{renamed:?}");
    assert!(renamed.stdout.ends_with("version: 3\n"), "{renamed:?}");
    assert_eq!(scene.left(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn nothing_happens_to_a_file_that_is_left_as_it_is_or_made_empty() {
    let scene = Scene::new().await;
    for script in ["true", ": > \"$1\"", "echo '# only this' > \"$1\""] {
        let outcome = scene.edit(script).await.ended(0);
        assert!(outcome.stderr.ends_with("nothing changed\n") && outcome.stdout.is_empty(), "{outcome:?}");
    }
    scene.edit(REGISTER).await.ended(0);
    // Another form of the same.
    for script in ["true", "printf 'name = \"Ada\"' > \"$1\""] {
        let outcome = scene.edit(script).await.ended(0);
        assert!(outcome.stderr.ends_with("nothing changed\n") && outcome.stdout.is_empty(), "{outcome:?}");
    }
    let shown = scene.run("show", None).await.ended(0);
    assert!(shown.stdout.ends_with("version: 1\n"), "{shown:?}");
    assert_eq!(scene.left(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn what_is_wrong_is_shown_above_its_line_until_it_is_right() {
    let scene = Scene::new().await;
    let seen = scene.person.path("seen");
    let script = format!(
        r#"if grep -q '^# error: ' "$1"; then cat "$1" >> {0}; 
               sed -i -e 's/ftp:/https:/' -e 's/^name = ""/name = "Ada"/' "$1"
           else sed -i 's|^links = .*|links = ["ftp://a"]|' "$1"; fi"#,
        text(&seen)
    );
    // The first round breaks the link, and the name is empty: one is shown after the other.
    let stored = scene.edit(&script).await.ended(0);
    assert!(stored.stdout.starts_with("name:    Ada\nlinks:   https://a\n"), "{stored:?}");
    let seen = fs::read_to_string(&seen).unwrap();
    let marks: Vec<_> =
        seen.lines().zip(seen.lines().skip(1)).filter(|(mark, _)| mark.starts_with("# error: ")).collect();
    assert_eq!(
        marks,
        [("# error: a link is an absolute http, https or mailto URL", "links = [\"ftp://a\"]")]
    );
    assert!(stored.stderr.contains("a link is an absolute http, https or mailto URL\n"), "{stored:?}");
    assert_eq!(scene.left(), Vec::<PathBuf>::new());

    // An error that is left as it is ends the program, not what was written.
    let script = "sed -i 's/^name = .*/name = 7/' \"$1\"";
    let refused = scene.edit(script).await.ended(9);
    assert!(refused.stderr.contains("expected a text in quotation marks"), "{refused:?}");
    assert!(scene.kept(&refused).contains("\n# error: expected a text in quotation marks\nname = 7\n"));
    let refused = scene.run("--json edit", Some(&scene.editor(script))).await.ended(9);
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("; what you have written is in "), "{message}");
    scene.run("--json edit", Some(&scene.editor(script))).await.failed(9, "invalid_profile");
}

#[tokio::test]
async fn an_editor_that_fails_stores_nothing() {
    let scene = Scene::new().await;
    let failed = scene.edit("exit 3").await.ended(2);
    let what = "error: the editor has failed: exit status: 3\n\
                hint: nothing was stored; EDITOR and VISUAL name it\n";
    assert!(failed.stderr.ends_with(what), "{failed:?}");
    assert_eq!(scene.left(), Vec::<PathBuf>::new());
    let failed = scene.edit(&format!("{REGISTER}; exit 3")).await.ended(2);
    assert!(scene.kept(&failed).contains("name = \"Ada\""));
    let missing = scene.run("edit", Some("/nowhere/editor")).await.ended(2);
    assert!(missing.stderr.contains("the editor has failed: exit status: 127"), "{missing:?}");
    for editor in [None, Some(" ")] {
        let unnamed = scene.run("edit", editor).await.ended(2);
        let what = "error: no editor is named in VISUAL or EDITOR\n\
                    hint: name one, as with export EDITOR=nano, or change parts with profile-client update\n";
        assert_eq!(unnamed.stderr, what);
    }
    let unasked = scene.run("--no-input edit", Some("true")).await.ended(2);
    assert!(unasked.stderr.contains("--no-input forbids"), "{unasked:?}");
    scene.run("show", None).await.ended(8);
}

#[tokio::test]
async fn an_editor_may_have_arguments() {
    let scene = Scene::new().await;
    let editor = scene
        .editor("test \"$1\" = --wait; shift; test \"$1\" = 'a b'; shift; sed -i 's/\"\"/\"Ada\"/' \"$1\"");
    scene.run("edit", Some(&format!("{editor} --wait 'a b'"))).await.ended(0);
}

/// No connection is open while the editor runs: another one stores a version meanwhile.
#[tokio::test]
async fn a_version_that_another_program_has_stored_is_not_overwritten() {
    let scene = Scene::new().await;
    scene.edit(REGISTER).await.ended(0);
    let script = "$client update --bio other > /dev/null; sed -i 's/^bio = .*/bio = \"mine\"/' \"$1\"";
    let refused = scene.edit(script).await.ended(9);
    let what = "your profile has changed meanwhile: the server has version 2, and you have edited version 1";
    assert!(refused.stderr.contains(what), "{refused:?}");
    assert!(scene.kept(&refused).contains("\nbio = \"mine\"\n"));
    let shown = scene.run("show", None).await.ended(0);
    assert!(shown.stdout.contains("bio:     other\n"), "{shown:?}");
    // The same for one who had no profile.
    scene.run("delete --yes", None).await.ended(0);
    let script = format!("$client register --name Eve > /dev/null; {REGISTER}");
    let refused = scene.edit(&script).await.ended(9);
    assert!(scene.kept(&refused).contains("\nname = \"Ada\"\n"));
}

#[tokio::test]
async fn what_was_written_is_kept_when_the_server_is_gone() {
    let scene = Scene::new().await;
    let pid = scene.server.child.id().unwrap();
    let script = format!("kill -9 {pid}; {REGISTER}");
    let failed = scene.run("--timeout 1s edit", Some(&scene.editor(&script))).await;
    assert!([3, 4, 5].contains(&failed.code), "{failed:?}");
    assert!(scene.kept(&failed).contains("\nname = \"Ada\"\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ctrl_c_belongs_to_the_editor() {
    let scene = Scene::new().await;
    let editor = scene
        .editor(&format!("trap 'echo caught' INT; echo editing; read line || true; read line; {REGISTER}"));
    let mut terminal = Terminal::open();
    let before = terminal.settings();
    let tmp = format!("TMPDIR={}", text(&scene.person.path("tmp")));
    let editor = format!("EDITOR={editor}");
    let mut arguments = vec![tmp.as_str(), &editor, CLIENT];
    arguments.extend(scene.arguments.iter().map(String::as_str));
    arguments.push("edit");
    let child = terminal.start("/usr/bin/env", &arguments);
    terminal.wait_for("editing");
    terminal.press("\u{3}");
    terminal.wait_for("caught");
    terminal.press("\n\n");
    terminal.wait_for("version: 1");
    assert_eq!(end(child).await.code(), Some(0), "{}", terminal.shown);
    terminal.assert_unchanged(&before, "edit");
    assert_eq!(scene.left(), Vec::<PathBuf>::new());
}

/// What waits is shown on a terminal and nowhere else.
#[tokio::test]
async fn a_terminal_shows_what_takes_long() {
    let ada = Person::new();
    let (identity, key) = (ada.path("identity"), ada.key().await);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = socket.local_addr().unwrap().to_string();
    let line =
        ["--identity", text(&identity), "--server", &key, "--server-addr", &silent, "show", "--timeout"];
    let mut terminal = Terminal::open();
    let before = terminal.settings();
    // Longer than the slowest machine takes to show it; the user does not wait for the end.
    let child = terminal.start(CLIENT, &[&line[..], &["10m"]].concat());
    terminal.wait_for(&format!("connecting to {key}"));
    terminal.press("\x03");
    assert_eq!(end(child).await.code(), Some(130), "{}", terminal.shown);
    terminal.assert_unchanged(&before, "a spinner");
    let line = [&line[..], &["1s"]].concat();
    let quiet = crate::harness::run(CLIENT, &line).await.ended(5);
    assert!(!quiet.stderr.contains("connecting"), "{quiet:?}");
    let mut terminal = Terminal::open();
    let child = terminal.start(CLIENT, &[&["--json"], &line[..]].concat());
    terminal.wait_for("timed_out");
    assert_eq!(end(child).await.code(), Some(5));
    assert!(!terminal.shown.contains("connecting"), "{}", terminal.shown);
}
