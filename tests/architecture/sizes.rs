//! How long files, functions and lines are, those of tests included.

use std::collections::BTreeSet;

use crate::source::{self, strip};

const MAX_COLUMNS: usize = 110;
const MAX_FILE: usize = 600;
const MAX_FUNCTION: usize = 80;

/// Files with lines that are wider. The list only shrinks.
const WIDE: &[&str] = &[
    "examples/flood.rs",
    "examples/peer.rs",
    "examples/plain.rs",
    "examples/simulate/main.rs",
    "examples/simulate/plot.rs",
    "examples/simulate/report.rs",
    "src/api/error.rs",
    "src/cli/client/explain.rs",
    "src/cli/client/run.rs",
    "src/cli/demo.rs",
    "src/cli/exit.rs",
    "src/cli/metrics.rs",
    "src/cli/new_network.rs",
    "src/cli/node.rs",
    "src/connect/punch/strategy.rs",
    "src/dht/mod.rs",
    "src/dht/tests/table.rs",
    "src/net/connections.rs",
    "src/profile/client/error.rs",
    "src/profile/content.rs",
    "src/profile/entry.rs",
    "src/profile/message.rs",
    "src/profile/sled_store/memory.rs",
    "src/udx/mod.rs",
    "src/udx/seq.rs",
    "src/udx/tests/hostile.rs",
    "src/udx/tests/tables.rs",
    "src/wire/records.rs",
    "src/wire/relay.rs",
    "src/wire/tests/properties.rs",
];

/// Files that are longer. The list only shrinks.
const LONG_FILES: &[&str] = &[];

/// Functions that are longer, each as its file and name. The list only shrinks.
const LONG_FUNCTIONS: &[&str] = &[
    "src/cli/client/explain.rs a_timeline_tells_each_step_and_how_it_ended",
    "src/cli/client/explain.rs timeline",
    "src/connect/path.rs choose",
    "src/connect/punch/server.rs handle_message",
    "src/connect/punch/strategy.rs advance",
    "src/connect/server.rs handle_handshake",
    "src/connect/server.rs handle_responded",
];

#[test]
fn lines_have_at_most_110_columns() {
    let is_wide = |text: &str| text.lines().any(|line| line.chars().count() > MAX_COLUMNS);
    let files = source::all().into_iter();
    let wide = files.filter_map(|(path, text)| is_wide(&text).then_some(path));
    only_those_listed(wide, WIDE);
}

#[test]
fn files_have_at_most_600_lines() {
    let files = source::all().into_iter();
    let long = files.filter_map(|(path, text)| (text.lines().count() > MAX_FILE).then_some(path));
    only_those_listed(long, LONG_FILES);
}

#[test]
fn functions_have_at_most_80_lines() {
    let long = source::all().into_iter().flat_map(|(path, text)| {
        let functions = functions(&strip(&text)).into_iter();
        let long = functions.filter(|(_, lines)| *lines > MAX_FUNCTION);
        long.map(|(name, _)| format!("{path} {name}")).collect::<Vec<_>>()
    });
    only_those_listed(long, LONG_FUNCTIONS);
}

fn only_those_listed(found: impl Iterator<Item = String>, listed: &[&str]) {
    let found: BTreeSet<_> = found.collect();
    let listed: BTreeSet<_> = listed.iter().map(|&path| path.to_owned()).collect();
    let new: Vec<_> = found.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "too long: {new:#?}\nlisted and no longer too long: {gone:#?}"
    );
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
