//! Holds what the root of the crate and its module `crypto` hand on to `docs/api.txt`, so that it changes on
//! purpose only.
//!
//! The list is read from the source. It has no traits that the compiler implements by itself, or that a crate
//! implements for all types, nothing that a macro makes, and nothing of the modules `profile` and `cli`.

use std::fs;
use std::iter;
use std::path::Path;

use crate::imports::{Definition, Imports};
use crate::source::{self, words};

#[test]
fn the_public_api_is_the_one_that_is_listed() {
    let imports = Imports::of(source::shipped());
    let exports = exports(&imports);
    let implementations = implementations(&imports, &exports);
    let mut found = String::new();
    for (name, item) in &exports {
        let implemented = implementations.iter().filter(|(of, _)| of == item);
        let lines = declared(&imports, item).into_iter();
        for line in lines.chain(implemented.flat_map(|(_, lines)| lines.clone())) {
            found.push_str(&format!("{name}: {line}\n"));
        }
    }
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.txt");
    if std::env::var_os("UPDATE_API").is_some() {
        fs::write(&list, &found).expect("the folder is there");
    }
    let listed = fs::read_to_string(&list).expect("the list is there");
    let only_in = |list: &str, other: &str, mark: &str| {
        let lines = list.lines().filter(|line| !other.lines().any(|other| other == *line));
        lines.map(|line| format!("{mark} {line}\n")).collect::<String>()
    };
    assert!(
        found == listed,
        "the public API has changed; if it is meant, store it with UPDATE_API=1\n{}{}",
        only_in(&listed, &found, "-"),
        only_in(&found, &listed, "+")
    );
}

#[test]
fn the_root_hands_on_all_that_the_api_does() {
    let imports = Imports::of(source::shipped());
    let (root, api) = (imports.handed_on("src/lib.rs"), imports.handed_on("src/api/mod.rs"));
    let missing: Vec<_> = api.into_iter().filter(|name| !root.contains(name)).collect();
    assert!(missing.is_empty(), "not in the root: {missing:?}");
}

/// Returns the names that the public modules hand on, in order, each with what it stands for.
fn exports(imports: &Imports) -> Vec<(String, Definition)> {
    let exports =
        [("src/lib.rs", ""), ("src/crypto/mod.rs", "crypto::")].into_iter().flat_map(|(file, prefix)| {
            imports.handed_on(file).into_iter().map(move |name| {
                let definition = imports.definition(file, name);
                (format!("{prefix}{name}"), definition.unwrap_or_else(|| panic!("{name} is defined nowhere")))
            })
        });
    exports.collect()
}

/// Returns the declaration of an item, and a line for each of its public fields or variants.
fn declared(imports: &Imports, item: &Definition) -> Vec<String> {
    let file = imports.files().iter().find(|file| file.path == item.file).expect("it was found there");
    let items = items(&file.code).into_iter().map(|(head, body)| (declaration(&head), body));
    let mut declared = items.filter(|(head, _)| declares(head, &item.name));
    let (head, body) = declared.next().unwrap_or_else(|| panic!("no declaration of {item:?}"));
    let is_enum = head.contains("pub enum ");
    let parts = parts(body).into_iter().map(|part| declaration(&part));
    let parts = parts.filter(|part| !part.is_empty() && (is_enum || part.starts_with("pub ")));
    // Without the value of a constant and the private field of a tuple.
    let name = format!("pub struct {}", item.name);
    let end = head
        .find(&name)
        .map(|at| at + name.len())
        .or_else(|| head.find(" = ").filter(|_| head.contains("pub const ")));
    let head = head[..end.unwrap_or(head.len())].to_owned();
    [head].into_iter().chain(parts).collect()
}

/// Returns what is implemented for the exports: the last type of this crate that the head of an `impl` names
/// is what it is for, and none of them is hidden.
fn implementations(imports: &Imports, exports: &[(String, Definition)]) -> Vec<(Definition, Vec<String>)> {
    let mut found = Vec::new();
    for file in imports.files() {
        for (head, body) in items(&file.code) {
            let head = declaration(&head);
            if !head.starts_with("impl") {
                continue;
            }
            let names = words(&head).filter(|word| word.starts_with(char::is_uppercase));
            let mut types: Vec<_> = names.filter_map(|name| imports.definition(&file.path, name)).collect();
            let is_public = types.iter().all(|named| exports.iter().any(|(_, export)| export == named));
            if let Some(last) = types.pop().filter(|_| is_public) {
                found.push((last, implementation(&head, body)));
            }
        }
    }
    found
}

/// Returns the public methods of an inherent implementation, or a trait with its types.
fn implementation(head: &str, body: &str) -> Vec<String> {
    let inner = items(body);
    let inner = inner.iter().map(|(head, _)| declaration(head));
    if !head.contains(" for ") {
        return inner.filter(|head| head.contains("pub ")).collect();
    }
    let types = inner.filter(|head| head.starts_with("type "));
    let parts: Vec<String> = iter::once(head.to_owned()).chain(types).collect();
    vec![parts.join(", ")]
}

/// Splits code into items: each with its head, and the body in braces if there is one.
fn items(code: &str) -> Vec<(String, &str)> {
    let mut items = Vec::new();
    let (mut start, mut nested, mut depth, mut body) = (0, 0, 0, 0);
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => nested += 1,
            ')' | ']' => nested -= 1,
            '{' => {
                depth += 1;
                if depth == 1 {
                    body = at;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
        if c == '}' && depth == 0 {
            items.push((code[start..body].to_owned(), &code[body + 1..at]));
            start = at + 1;
        } else if c == ';' && depth == 0 && nested == 0 {
            items.push((code[start..at].to_owned(), ""));
            start = at + 1;
        }
    }
    items
}

/// Splits code at the commas that are in no brackets.
fn parts(code: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut nested, mut before) = (0, ' ');
    for c in code.chars() {
        match c {
            '(' | '[' | '{' | '<' => nested += 1,
            '>' if before == '-' || before == '=' => {}
            ')' | ']' | '}' | '>' => nested -= 1,
            _ => {}
        }
        before = c;
        if c == ',' && nested == 0 {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

/// Returns a head on one line, with those of its attributes that users notice.
fn declaration(head: &str) -> String {
    let mut rest = head.trim();
    let mut kept = String::new();
    while let Some(attribute) = rest.strip_prefix("#[") {
        let mut nested = 1;
        let end = attribute.find(|c: char| {
            nested += i32::from(c == '[') - i32::from(c == ']');
            nested == 0
        });
        let (attribute, after) = attribute.split_at(end.expect("an attribute has an end"));
        if attribute.starts_with("derive") || attribute == "non_exhaustive" {
            kept.push_str(&format!("#[{attribute}] "));
        } else if attribute.contains("serde::Serialize") {
            kept.push_str("#[serde::Serialize] ");
        }
        rest = after[1..].trim();
    }
    let words: Vec<_> = rest.split_whitespace().collect();
    let line = words.join(" ").replace("( ", "(").replace(", )", ")").replace(" )", ")").replace(", }", " }");
    kept + line.trim_end_matches(',')
}

/// Returns whether a head declares an item of that name to everyone.
fn declares(head: &str, name: &str) -> bool {
    let words: Vec<_> = words(head).collect();
    let kinds = ["struct", "enum", "const", "type", "fn", "trait"];
    words.windows(3).any(|words| words[0] == "pub" && kinds.contains(&words[1]) && words[2] == name)
}

#[test]
fn items_are_read_with_their_parts() {
    let code = "use a::{b, c}; #[derive(A)] #[must_use] pub struct S<T> { pub a: [u8; 2], b: M<T, T> }
        impl S { pub fn f(\n &self,\n ) -> [u8; 2] { g(); } fn h() {} }";
    let found: Vec<_> = items(code).iter().map(|(head, _)| declaration(head)).collect();
    assert_eq!(found, ["use a::", "", "#[derive(A)] pub struct S<T>", "impl S"]);
    let all = items(code);
    assert_eq!(parts(all[2].1).len(), 2);
    assert_eq!(implementation("impl S", all[3].1), ["pub fn f(&self) -> [u8; 2]"]);
    assert!(declares(&found[2], "S") && !declares(&found[2], "T"));
}
