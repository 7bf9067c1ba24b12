//! Holds the list of limits to the source: a bound that is missing there, or a test that is gone, fails.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::source;

#[test]
fn every_bound_stands_in_the_list_of_limits() {
    let listed = listed();
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
fn every_name_in_the_list_of_limits_is_in_the_source() {
    let sources = source::all();
    let declared = |keyword: &str| -> BTreeSet<String> {
        sources.iter().flat_map(|(_, text)| names_after(text, keyword)).collect()
    };
    let (constants, functions) = (declared("const "), declared("fn "));
    let gone = listed().into_iter().filter(|name| {
        // Tests are named by sentences.
        let is_test = name.matches('_').count() > 3 && name.to_lowercase() == *name;
        let is_bound = name.starts_with("MAX_");
        is_test && !functions.contains(name) || is_bound && !constants.contains(name)
    });
    assert_eq!(gone.collect::<Vec<_>>(), Vec::<String>::new());
}

/// Returns the words in backquotes of the list.
fn listed() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/limits.md");
    let text = fs::read_to_string(path).expect("the list of limits");
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Returns the names that stand behind a keyword.
fn names_after(code: &str, keyword: &str) -> Vec<String> {
    let is_name = |c: &char| c.is_alphanumeric() || *c == '_';
    let names = code.split(keyword).skip(1);
    names.map(|rest| rest.chars().take_while(is_name).collect()).collect()
}
