//! Holds the source to its layer map: who may name whom, and which layers stay free of clocks, sockets and
//! chance.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What each module under `src` may name besides itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("keys", &["wire"]),
    ("wire", &["keys"]),
    ("buffer", &[]),
    ("dht", &["wire", "keys"]),
    ("udx", &["wire", "keys", "buffer"]),
    ("secret_stream", &["wire", "keys", "buffer"]),
    ("connect", &["wire", "keys", "dht", "udx", "secret_stream"]),
    (
        "net",
        &["wire", "keys", "buffer", "dht", "udx", "secret_stream", "connect"],
    ),
    (
        "api",
        &["wire", "keys", "dht", "udx", "secret_stream", "connect", "net"],
    ),
    ("profile", &["wire", "keys", "api"]),
    ("cli", &["keys", "wire", "api", "profile"]),
    ("sim", &["wire", "keys", "dht", "udx", "secret_stream", "connect"]),
];

/// Layers without I/O, and what nothing in them may name.
const SANS_IO: &[&str] = &["wire", "buffer", "dht", "udx", "secret_stream", "connect"];
const IMPURE: &[&str] = &[
    "tokio",
    "Instant::now",
    "SystemTime",
    "OsRng",
    "thread_rng",
    "from_entropy",
    "UdpSocket",
    "std::fs",
    "std::env",
];

/// What only `cli` may do.
const PRINTING: &[&str] = &[
    "print!",
    "println!",
    "eprint!",
    "eprintln!",
    "dbg!",
    "stdout()",
    "stderr()",
];

#[test]
fn each_layer_names_only_those_below_it() {
    let names = root_names();
    let mut wrong = Vec::new();
    for (path, layer, code) in sources() {
        let Some((_, below)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            // The root and the programs stand on everything.
            assert!(
                ["lib.rs", "bin"].contains(&layer.as_str()),
                "{layer} is not in the layer map"
            );
            continue;
        };
        for named in crate_paths(&code) {
            let target = names.get(&named).unwrap_or(&named);
            if *target != layer && !below.contains(&target.as_str()) {
                wrong.push(format!("{} names crate::{named}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_cores_know_no_clock_no_socket_and_no_chance() {
    forbid(IMPURE, |layer| SANS_IO.contains(&layer));
}

#[test]
fn only_the_command_line_prints() {
    forbid(PRINTING, |layer| !["cli", "bin"].contains(&layer));
}

#[test]
fn a_module_file_declares_and_holds_no_code() {
    let mut wrong = Vec::new();
    for (path, _, code) in sources() {
        let is_module_file = path.file_name().is_some_and(|name| name == "mod.rs");
        if is_module_file
            && words(&code).any(|word| ["fn", "struct", "enum", "impl", "trait"].contains(&word))
        {
            wrong.push(path.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "code in {}", wrong.join(", "));
}

#[test]
fn comments_strings_and_tests_are_left_out() {
    let source = r##"
        use crate::a; // crate::b
        /* crate::c /* nested */ crate::d */
        const TEXT: &str = "crate::e \" crate::f";
        const RAW: &str = r#"crate::g"#;
        const QUOTE: char = '"'; fn lifetime<'a>(x: &'a str) {}
        #[cfg(test)]
        use crate::h;
        #[cfg(test)]
        mod tests { fn f() { { crate::i } } }
        use crate::{j::K, l};
        #[cfg(test)]
        mod other;
        fn last() { crate::m::n() }
    "##;
    let named: Vec<_> = crate_paths(&without_tests(&strip(source))).collect();
    assert_eq!(named, ["a", "j", "l", "m"]);
}

/// Fails for every layer that `applies` picks and that names one of `words`.
fn forbid(forbidden: &[&str], applies: impl Fn(&str) -> bool) {
    let mut wrong = Vec::new();
    for (path, layer, code) in sources() {
        if !applies(&layer) {
            continue;
        }
        for word in forbidden {
            if contains_word(&code, word) {
                wrong.push(format!("{} names {word}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Reads all files under `src` that are not for tests alone: path, layer, code without comments, strings and
/// tests.
fn sources() -> Vec<(PathBuf, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut stripped = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).expect("a source");
                stripped.push((path, strip(&source)));
            }
        }
    }
    let for_tests: Vec<_> = stripped
        .iter()
        .flat_map(|(path, code)| test_modules(path, code))
        .collect();
    let sources: Vec<_> = stripped
        .into_iter()
        .filter(|(path, _)| {
            let module = path.with_extension("");
            !for_tests.iter().any(|test| module.starts_with(test))
        })
        .map(|(path, code)| {
            let relative = path.strip_prefix(&root).expect("a path under src");
            let first = relative.iter().next().and_then(|name| name.to_str());
            let first = first.expect("a file name");
            let layer = if first == "lib.rs" {
                first
            } else {
                first.trim_end_matches(".rs")
            };
            let layer = layer.to_owned();
            (path, layer, without_tests(&code))
        })
        .collect();
    assert!(sources.len() > 20, "the sources were found");
    sources
}

/// Returns where the modules lie that a file declares with `#[cfg(test)] mod name;`.
fn test_modules(path: &Path, code: &str) -> Vec<PathBuf> {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let folder = if matches!(stem, Some("lib" | "mod")) {
        path.with_file_name("")
    } else {
        path.with_extension("")
    };
    code.split("#[cfg(test)]")
        .skip(1)
        .filter_map(|item| {
            let (declaration, _) = item.split_once(';')?;
            let (visibility, name) = declaration.split_once("mod ")?;
            (!visibility.contains(['{', ';'])).then(|| folder.join(name.trim()))
        })
        .collect()
}

/// Maps what `lib.rs` re-exports at the root to the module it comes from.
fn root_names() -> BTreeMap<String, String> {
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"));
    let code = strip(&source.expect("lib.rs"));
    let mut names = BTreeMap::new();
    for export in code.split("pub use ").skip(1) {
        let Some((export, _)) = export.split_once(';') else {
            continue;
        };
        let Some((module, exported)) = export.trim_start_matches("crate::").split_once("::") else {
            continue;
        };
        for name in words(exported) {
            names.insert(name.to_owned(), module.trim().to_owned());
        }
    }
    names
}

/// Yields the first segment of each `crate::` path, of each branch of a group too.
fn crate_paths(code: &str) -> impl Iterator<Item = String> + '_ {
    code.match_indices("crate::").flat_map(|(at, found)| {
        let rest = &code[at + found.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            return group_heads(group);
        }
        words(rest).next().map(str::to_owned).into_iter().collect()
    })
}

/// Returns the first segments inside the braces of `use crate::{…}`.
fn group_heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut start = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                heads.extend(words(&group[start..at]).next().map(str::to_owned));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    heads
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

fn contains_word(code: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(is_name))
}

/// Blanks comments and the contents of strings and characters.
fn strip(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let taken = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' if !code.ends_with(|c: char| c.is_alphanumeric() || c == '_') => raw_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if taken == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.push(' ');
            rest = &rest[taken..];
        }
    }
    code
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

fn string(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> usize {
    let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
    if !rest[1 + hashes..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let body = 2 + hashes;
    rest[body..]
        .find(&end)
        .map_or(rest.len(), |at| body + at + end.len())
}

/// Returns the length of a character literal, 0 for a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => rest[3..].find('\'').map_or(0, |at| at + 4),
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

/// Removes each item that `#[cfg(test)]` stands before.
fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some((before, after)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        let mut depth = 0;
        let end = after.char_indices().find_map(|(at, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            (depth == 0 && (c == ';' || c == '}')).then_some(at + 1)
        });
        rest = &after[end.unwrap_or(after.len())..];
    }
    kept.push_str(rest);
    kept
}
