//! Holds the lists of limits and promises to the source: a bound that is missing there, or a test that is
//! gone, fails.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::source;

#[test]
fn every_bound_stands_in_the_list_of_limits() {
    let listed = listed(LIMITS);
    // The simulator meets no remote host.
    let files = source::shipped().into_iter().filter(|file| file.layer() != "sim");
    let bounds = files.flat_map(|file| {
        let names = names_after(&file.code, "const ").into_iter();
        let bounds = names.filter(|name| name.starts_with("MAX_"));
        bounds.map(|name| (name, file.path.clone())).collect::<Vec<_>>()
    });
    let missing: Vec<_> = bounds.filter(|(name, _)| !listed.contains(name)).collect();
    assert!(missing.is_empty(), "add a row to docs/limits.md, with the test that fills it: {missing:#?}");
}

#[test]
fn every_name_in_the_lists_of_limits_and_promises_is_in_the_source() {
    let sources = source::all();
    let declared = |keyword: &str| -> BTreeSet<String> {
        sources.iter().flat_map(|(_, text)| names_after(text, keyword)).collect()
    };
    let (constants, functions) = (declared("const "), declared("fn "));
    let named = listed(LIMITS).into_iter().chain(listed(PROMISES));
    let gone = named.filter(|name| {
        // Tests are named by sentences.
        let is_test = name.matches('_').count() > 3 && name.to_lowercase() == *name;
        let is_bound = name.starts_with("MAX_");
        let is_path = (name.starts_with("src/") || name.starts_with("tests/")) && !name.contains(' ');
        is_test && !functions.contains(name)
            || is_bound && !constants.contains(name)
            || is_path && !root().join(name).exists()
    });
    assert_eq!(gone.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn every_row_of_the_list_of_limits_names_a_test() {
    let sources = source::all();
    let functions: BTreeSet<_> = sources.iter().flat_map(|(_, text)| names_after(text, "fn ")).collect();
    let list = read(LIMITS);
    let rows = list.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what |"));
    let without = rows.filter(|row| {
        let tests = row.trim_end().trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        // Files may stand beside the test.
        let mut named = in_backquotes(tests).filter(|name| !name.contains('/'));
        let is_gone = named.clone().any(|name| !functions.contains(name));
        tests.trim() != "the same" && (is_gone || named.next().is_none())
    });
    assert_eq!(without.collect::<Vec<_>>(), Vec::<&str>::new());
}

const LIMITS: &str = "docs/limits.md";
const PROMISES: &str = "docs/security.md";

/// Returns the words in backquotes of a list.
fn listed(list: &str) -> BTreeSet<String> {
    in_backquotes(&read(list)).map(str::to_owned).collect()
}

fn read(list: &str) -> String {
    fs::read_to_string(root().join(list)).expect(list)
}

fn in_backquotes(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.split('`').skip(1).step_by(2)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the names that stand behind a keyword.
fn names_after(code: &str, keyword: &str) -> Vec<String> {
    let is_name = |c: &char| c.is_alphanumeric() || *c == '_';
    let names = code.split(keyword).skip(1);
    names.map(|rest| rest.chars().take_while(is_name).collect()).collect()
}
