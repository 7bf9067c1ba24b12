//! Reads the source: which files there are, and their code without comments, strings and tests.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of Rust.
pub(crate) struct File {
    /// Where it lies, from the root of the repository, with `/` between folders.
    pub(crate) path: String,
    /// Its text without comments and the contents of strings; the lines are those of the file.
    pub(crate) code: String,
}

impl File {
    /// Returns the module right under `src` that holds the file: `lib` for the root.
    pub(crate) fn layer(&self) -> &str {
        let first = self.path.trim_start_matches("src/").split('/').next();
        first.unwrap_or_default().trim_end_matches(".rs")
    }

    /// Returns the path of the module that the file is, from the root of the crate.
    pub(crate) fn module(&self) -> Vec<String> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let segments = path.split('/').filter(|name| !["lib", "mod"].contains(name));
        segments.map(str::to_owned).collect()
    }

    /// Returns whether the file only declares the modules of its folder.
    pub(crate) fn is_module_file(&self) -> bool {
        self.path.ends_with("/mod.rs")
    }
}

/// Returns every file of Rust in the repository, with the text as it stands.
pub(crate) fn all() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let entry = entry.expect("an entry");
            let path = entry.path();
            let kind = entry.file_type().expect("a kind of file");
            if kind.is_dir() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if !name.starts_with('.') && !["target", "node_modules"].contains(&&*name) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(root).expect("a path in the repository");
                let relative = relative.to_string_lossy().replace('\\', "/");
                files.push((relative, fs::read_to_string(&path).expect("a source")));
            }
        }
    }
    files.sort();
    assert!(files.len() > 20, "the sources were found");
    files
}

/// Returns the files under `src` that are not for tests alone, without their tests.
pub(crate) fn shipped() -> Vec<File> {
    let files: Vec<_> = all()
        .into_iter()
        .filter(|(path, _)| path.starts_with("src/"))
        .map(|(path, text)| (path, strip(&text).replace(FUZZ_ATTRIBUTE, TEST_ATTRIBUTE)))
        .collect();
    let for_tests: Vec<_> =
        files.iter().flat_map(|(path, code)| test_modules(Path::new(path), code)).collect();
    let is_shipped = |path: &str| {
        let module = Path::new(path).with_extension("");
        !for_tests.iter().any(|test| module.starts_with(test))
    };
    files
        .into_iter()
        .filter(|(path, _)| is_shipped(path))
        .map(|(path, code)| File { path, code: without_tests(&code) })
        .collect()
}

/// Returns where the modules lie that a file declares with `#[cfg(test)] mod name;`.
fn test_modules(path: &Path, code: &str) -> Vec<PathBuf> {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let folder =
        if matches!(stem, Some("lib" | "mod")) { path.with_file_name("") } else { path.with_extension("") };
    code.split(TEST_ATTRIBUTE)
        .skip(1)
        .filter_map(|item| {
            let (declaration, _) = item.split_once(';')?;
            let (_, name) = declaration.split_once("mod ")?;
            (!declaration.contains('{')).then(|| folder.join(name.trim()))
        })
        .collect()
}

/// Removes each item that `#[cfg(test)]` stands before.
fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some((before, after)) = rest.split_once(TEST_ATTRIBUTE) {
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

const TEST_ATTRIBUTE: &str = "#[cfg(test)]";

/// What is there for tests and for fuzzing.
const FUZZ_ATTRIBUTE: &str = "#[cfg(any(test, fuzzing))]";

pub(crate) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Blanks comments and the contents of strings and characters. Line breaks stay.
pub(crate) fn strip(source: &str) -> String {
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
            code.extend(rest[..taken].chars().filter(|c| *c == '\n'));
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
    rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len())
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

#[test]
fn comments_strings_and_tests_are_left_out() {
    let source = r##"
        use crate::a; // crate::b
        /* crate::c /* nested */ crate::d */
        const TEXT: &str = "crate::e \" crate::f
            and more";
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
    let code = strip(source);
    assert_eq!(code.lines().count(), source.lines().count(), "lines stay where they are");
    assert_eq!(test_modules(Path::new("src/a/mod.rs"), &code), [Path::new("src/a/other")]);
    let code = without_tests(&code);
    let left: Vec<_> = words(&code).filter(|word| word.len() == 1).collect();
    assert_eq!(left, ["a", "a", "x", "a", "j", "K", "l", "m", "n"]);
}
