//! Completions for shells and pages of the manual: the files in `packaging` are what the programs print.
//! `UPDATE_PAGES=1` writes them anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::harness::{CLIENT, NODE, SERVER, TOOL, run};

const PROGRAMS: [(&str, &str); 4] =
    [("profile-client", CLIENT), ("profile-server", SERVER), ("dht-node", NODE), ("hyperdht", TOOL)];

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

/// Returns the files of a program, and the commands that print them.
fn files(program: &str) -> [(PathBuf, Vec<&'static str>); 4] {
    [
        (packaging(&format!("completions/{program}.bash")), vec!["completions", "bash"]),
        (packaging(&format!("completions/_{program}")), vec!["completions", "zsh"]),
        (packaging(&format!("completions/{program}.fish")), vec!["completions", "fish"]),
        (packaging(&format!("man/{program}.1")), vec!["man"]),
    ]
}

#[tokio::test]
async fn the_files_in_packaging_are_what_the_programs_print() {
    let update = std::env::var_os("UPDATE_PAGES").is_some();
    for (program, path) in PROGRAMS {
        for (file, command) in files(program) {
            let printed = run(path, &command).await.ended(0);
            assert_eq!(printed.stderr, "");
            if update {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(&file, &printed.stdout).unwrap();
            }
            let kept = fs::read_to_string(&file).unwrap_or_default();
            assert!(
                kept == printed.stdout,
                "{} is old: UPDATE_PAGES=1 cargo test --test cli pages",
                file.display()
            );
        }
    }
}

#[tokio::test]
async fn a_page_needs_no_configuration_and_a_shell_has_to_be_named() {
    run(CLIENT, &["completions"]).await.ended(2);
    let unknown = run(CLIENT, &["completions", "rc"]).await.ended(2);
    assert!(unknown.stderr.contains("[possible values: bash,"), "{unknown:?}");
    run(CLIENT, &["--config", "/nowhere/config.toml", "man"]).await.ended(0);
}

fn start(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// Asks bash what it offers.
#[cfg(target_os = "linux")]
#[test]
fn bash_completes_commands_options_and_values() {
    for (program, words, offered) in [
        ("profile-client", "ser", "servers"),
        ("profile-client", "servers add --time", "--timeout"),
        ("profile-server", "--registration ", "open closed"),
        ("dht-node", "--new", "--new-network"),
        ("hyperdht", "tun", "tunnel"),
    ] {
        let script = "source \"$1\"; complete=$(complete -p $2); complete=${complete#*-F }; \
                      COMP_WORDS=($2 $3); [[ $3 = *' ' ]] && COMP_WORDS+=(''); \
                      COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); \
                      ${complete%% *} $2 \"${COMP_WORDS[-1]}\" \"${COMP_WORDS[-2]}\"; \
                      echo \"${COMPREPLY[*]}\"";
        let file = packaging(&format!("completions/{program}.bash"));
        let completed = start("bash", &["-c", script, "bash", file.to_str().unwrap(), program, words]);
        let shown = String::from_utf8(completed.stdout).unwrap();
        let all: Vec<_> = shown.split_whitespace().collect();
        let expected: Vec<_> = offered.split(' ').collect();
        assert!(expected.iter().all(|word| all.contains(word)), "{program} {words}: {shown:?}");
    }
}

/// Has groff read the pages, with all its warnings.
#[cfg(target_os = "linux")]
#[test]
fn the_manual_is_read_without_a_warning() {
    for (program, _) in PROGRAMS {
        let file = packaging(&format!("man/{program}.1"));
        let read = start("groff", &["-man", "-ww", "-Tutf8", "-z", file.to_str().unwrap()]);
        assert!(read.status.success() && read.stderr.is_empty(), "{program}: {read:?}");
    }
}
