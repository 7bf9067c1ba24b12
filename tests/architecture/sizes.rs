//! How long files, functions and lines are, those of tests included.

use std::collections::BTreeSet;

use crate::source::{self, strip};

const MAX_COLUMNS: usize = 110;
const MAX_FILE: usize = 600;
const MAX_FUNCTION: usize = 80;

#[test]
fn lines_have_at_most_110_columns() {
    let is_wide = |text: &str| text.lines().any(|line| line.chars().count() > MAX_COLUMNS);
    let files = source::all().into_iter();
    let wide = files.filter_map(|(path, text)| is_wide(&text).then_some(path));
    none(wide);
}

#[test]
fn files_have_at_most_600_lines() {
    let files = source::all().into_iter();
    let long = files.filter_map(|(path, text)| (text.lines().count() > MAX_FILE).then_some(path));
    none(long);
}

#[test]
fn functions_have_at_most_80_lines() {
    let long = source::all().into_iter().flat_map(|(path, text)| {
        let functions = functions(&strip(&text)).into_iter();
        let long = functions.filter(|(_, lines)| *lines > MAX_FUNCTION);
        long.map(|(name, _)| format!("{path} {name}")).collect::<Vec<_>>()
    });
    none(long);
}

fn none(found: impl Iterator<Item = String>) {
    let found: BTreeSet<_> = found.collect();
    assert!(found.is_empty(), "too long: {found:#?}");
}

/// Returns the name of each function with a body, and the lines from `fn` to its last brace.
fn functions(code: &str) -> Vec<(String, usize)> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut functions = Vec::new();
    for (at, found) in code.match_indices("fn ") {
        let rest = &code[at + found.len()..];
        let name: String = rest.chars().take_while(|c| is_name(*c)).collect();
        if name.is_empty() || code[..at].ends_with(is_name) {
            continue;
        }
        // Parentheses and brackets hold no body, but types such as `[u8; 32]`.
        let (mut nested, mut depth) = (0, 0);
        let end = rest.char_indices().find_map(|(at, c)| {
            match c {
                '(' | '[' => nested += 1,
                ')' | ']' => nested -= 1,
                '{' => depth += 1,
                '}' => depth -= 1,
                ';' if nested == 0 && depth == 0 => return Some(None),
                _ => {}
            }
            (c == '}' && depth == 0).then_some(Some(at))
        });
        if let Some(Some(end)) = end {
            functions.push((name, rest[..end].matches('\n').count() + 1));
        }
    }
    functions
}

#[test]
fn the_lines_of_a_function_are_counted_to_its_last_brace() {
    let code = "
        fn one(x: [u8; 4]) -> fn(u8) { x }
        trait T { fn none(&self) -> [u8; 2]; }
        fn three() {
            if x { y } else { fn inner() {} }
        }
    ";
    let counted = functions(code);
    let counted: Vec<_> = counted.iter().map(|(name, lines)| (name.as_str(), *lines)).collect();
    assert_eq!(counted, [("one", 1), ("three", 3), ("inner", 1)]);
}
