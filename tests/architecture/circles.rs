//! Files of one layer that import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};

use crate::imports::Imports;
use crate::source;

/// The imports that may close circles, under `src`: a file and what it imports. The list only shrinks.
const ALLOWED: &[(&str, &[&str])] = &[];

#[test]
fn no_files_of_a_layer_import_each_other_in_a_circle_but_those_listed() {
    let imports = Imports::of(source::shipped());
    let edges = imports.within_layers();
    let found: BTreeSet<_> = in_circles(&edges).into_iter().map(short).collect();
    let allowed = ALLOWED.iter();
    let allowed: BTreeSet<_> = allowed.flat_map(|(from, to)| to.iter().map(|to| (*from, *to))).collect();
    let list = |edges: Vec<&(&str, &str)>| {
        let lines = edges.iter().map(|(from, to)| format!("    {from} -> {to}\n"));
        lines.collect::<String>()
    };
    let new: Vec<_> = found.difference(&allowed).collect();
    let gone: Vec<_> = allowed.difference(&found).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "in a circle and not listed:\n{}listed and in no circle any more:\n{}",
        list(new),
        list(gone)
    );
}

fn short<'a>((from, to): (&'a str, &'a str)) -> (&'a str, &'a str) {
    (from.trim_start_matches("src/"), to.trim_start_matches("src/"))
}

/// Returns the edges that lie on a circle: those whose end leads back to their start.
fn in_circles<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<(&'a str, &'a str)> {
    let leads_to = |from: &'a str, goal: &'a str| {
        let mut seen = BTreeSet::from([from]);
        let mut next = vec![from];
        while let Some(file) = next.pop() {
            if file == goal {
                return true;
            }
            let targets = edges.get(file).into_iter().flatten();
            next.extend(targets.filter(|target| seen.insert(**target)));
        }
        false
    };
    let all = edges.iter().flat_map(|(from, to)| to.iter().map(move |to| (*from, *to)));
    all.filter(|(from, to)| leads_to(to, from)).collect()
}

#[test]
fn an_edge_is_in_a_circle_if_its_end_leads_back() {
    let edges = BTreeMap::from([
        ("a", BTreeSet::from(["b"])),
        ("b", BTreeSet::from(["c", "d"])),
        ("c", BTreeSet::from(["a"])),
        ("d", BTreeSet::from(["e"])),
    ]);
    assert_eq!(in_circles(&edges), [("a", "b"), ("b", "c"), ("c", "a")]);
}
