//! Which file names which: reads the paths in the code of each file and follows each to the file that
//! defines what it names.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{File, words};

/// The files of the crate and what each brings into its scope.
pub(crate) struct Imports {
    files: Vec<File>,
    /// Which file is which module.
    modules: BTreeMap<Path, usize>,
    /// What the `use` items of each file bind.
    bindings: Vec<Vec<Binding>>,
}

/// The file that defines an item, and the name that the item has there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) file: String,
    pub(crate) name: String,
}

/// Segments of a path.
pub(crate) type Path = Vec<String>;

/// What one branch of a `use` item binds: a path as it is written to a name, or to all names of a module.
#[derive(Debug, PartialEq, Eq)]
struct Binding {
    /// `*` for all names.
    name: String,
    path: Path,
}

impl Imports {
    pub(crate) fn of(files: Vec<File>) -> Self {
        let modules = files.iter().enumerate();
        Self {
            modules: modules.map(|(index, file)| (file.module(), index)).collect(),
            bindings: files.iter().map(|file| bindings(&file.code)).collect(),
            files,
        }
    }

    /// Returns each file with the paths of this crate that it names, from the root and as they are written.
    pub(crate) fn named_paths(&self) -> impl Iterator<Item = (&File, BTreeSet<Path>)> {
        self.files.iter().enumerate().map(|(index, file)| {
            let imported = self.bindings[index].iter().map(|binding| binding.path.clone());
            let paths = imported.chain(inline_paths(&file.code));
            (file, paths.filter_map(|path| self.root_path(index, &path)).collect())
        })
    }

    pub(crate) fn files(&self) -> &[File] {
        &self.files
    }

    /// Returns the names that the `use` items of a file bind, in order.
    pub(crate) fn handed_on(&self, file: &str) -> BTreeSet<&str> {
        let file = self.files.iter().position(|other| other.path == file);
        let bindings = file.into_iter().flat_map(|file| &self.bindings[file]);
        bindings.map(|binding| binding.name.as_str()).collect()
    }

    /// Follows a name that a file uses to where it is defined in this crate.
    pub(crate) fn definition(&self, file: &str, name: &str) -> Option<Definition> {
        let mut file = self.files.iter().position(|other| other.path == file)?;
        let mut path = vec![name.to_owned()];
        for _ in 0..MAX_DEPTH {
            let Some(root) = self.root_path(file, &path) else {
                break;
            };
            let depth = (0..root.len()).rev().find(|depth| self.modules.contains_key(&root[..*depth]))?;
            file = self.modules[&root[..depth]];
            path = root[depth..].to_vec();
            if let Some(binding) = self.bindings[file].iter().find(|binding| binding.name == path[0]) {
                path.splice(..1, binding.path.clone());
            }
        }
        let [name] = &path[..] else {
            return None;
        };
        let file = &self.files[file];
        // What is indented is a type or a function of another item.
        let mut items = file.code.lines().filter(|line| !line.starts_with(' '));
        let is_item = items.any(|line| defines(line, name));
        is_item.then(|| Definition { file: file.path.clone(), name: name.clone() })
    }

    /// Returns the module right under `src` that a path leads into.
    pub(crate) fn layer<'a>(&'a self, path: &'a Path) -> &'a str {
        let Some(first) = path.first() else {
            return "lib";
        };
        if self.modules.contains_key(&path[..1]) {
            return first;
        }
        // A name that the root hands on.
        let root = self.modules.get(&[][..]);
        let mut exports = root.into_iter().flat_map(|root| &self.bindings[*root]);
        let export = exports.find(|export| export.name == *first);
        export.map_or("lib", |export| {
            let segments = export.path.iter();
            let mut below = segments.filter(|name| !["crate", "self"].contains(&name.as_str()));
            below.next().map_or("lib", String::as_str)
        })
    }

    /// Returns for each file of the layers the other files of its own layer that it imports; those that only
    /// declare modules are passed through.
    pub(crate) fn within_layers(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (file, paths) in self.named_paths() {
            if file.is_module_file() || file.layer() == "lib" {
                continue;
            }
            let targets = paths.iter().filter_map(|path| self.locate(path, &mut BTreeSet::new()));
            let targets = targets.filter(|target| {
                target.path != file.path && target.layer() == file.layer() && !target.is_module_file()
            });
            edges.entry(&file.path).or_default().extend(targets.map(|target| target.path.as_str()));
        }
        edges
    }

    /// Returns the path from the root of the crate, or `None` if it leads to another crate or is no path of a
    /// module.
    fn root_path(&self, file: usize, path: &[String]) -> Option<Path> {
        self.root_path_within(file, path, 0)
    }

    fn root_path_within(&self, file: usize, path: &[String], depth: usize) -> Option<Path> {
        let (first, rest) = path.split_first()?;
        let mut base = self.files[file].module();
        match first.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                base.pop();
            }
            name => {
                let child = [base.as_slice(), &[name.to_owned()]].concat();
                if self.modules.contains_key(&child) {
                    return Some([&child, rest].concat());
                }
                // One `use` may build on another.
                let binding = self.bindings[file].iter().find(|binding| binding.name == name)?;
                if depth >= MAX_DEPTH || binding.path.first() == Some(first) {
                    return None;
                }
                let bound = self.root_path_within(file, &binding.path, depth + 1)?;
                return Some([&bound, rest].concat());
            }
        }
        let mut rest = rest;
        while let Some((first, others)) = rest.split_first()
            && first == "super"
        {
            base.pop();
            rest = others;
        }
        Some([&base, rest].concat())
    }

    /// Follows a path from the root, through what modules hand on, to the file that defines what it names.
    fn locate(&self, path: &[String], seen: &mut BTreeSet<Path>) -> Option<&File> {
        if !seen.insert(path.to_vec()) {
            return None;
        }
        let depth = (0..=path.len()).rev().find(|depth| self.modules.contains_key(&path[..*depth]))?;
        let file = *self.modules.get(&path[..depth])?;
        let rest = &path[depth..];
        let Some(name) = rest.first() else {
            return Some(&self.files[file]);
        };
        if let Some(binding) = self.bindings[file].iter().find(|binding| binding.name == *name) {
            let bound = self.root_path(file, &binding.path)?;
            return self.locate(&[&bound, &rest[1..]].concat(), seen);
        }
        if defines(&self.files[file].code, name) {
            return Some(&self.files[file]);
        }
        let globs = self.bindings[file].iter().filter(|binding| binding.name == "*");
        for glob in globs {
            let Some(module) = self.root_path(file, &glob.path) else {
                continue;
            };
            let found = self.locate(&[&module, rest].concat(), seen);
            if let Some(found) = found.filter(|found| defines(&found.code, name)) {
                return Some(found);
            }
        }
        Some(&self.files[file])
    }
}

/// Returns whether code defines an item of that name.
fn defines(code: &str, name: &str) -> bool {
    let kinds = ["struct", "enum", "union", "trait", "fn", "type", "const", "static", "macro_rules"];
    let items = words(code).zip(words(code).skip(1));
    items.into_iter().any(|(kind, item)| item == name && kinds.contains(&kind))
}

/// Returns what the `use` items in code bind.
fn bindings(code: &str) -> Vec<Binding> {
    let mut bindings = Vec::new();
    for item in use_items(code) {
        branch(item, &Path::new(), &mut bindings);
    }
    bindings
}

/// Returns the trees of the `use` items in code.
fn use_items(code: &str) -> impl Iterator<Item = &str> {
    code.match_indices("use ").filter_map(|(at, found)| {
        let is_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let (tree, _) = code[at + found.len()..].split_once(';')?;
        is_word.then_some(tree)
    })
}

/// Adds what one branch of a tree binds.
fn branch(tree: &str, prefix: &Path, bindings: &mut Vec<Binding>) {
    let tree = tree.trim();
    let (head, group) = match tree.split_once('{') {
        Some((head, group)) => (head, Some(group.trim_end().trim_end_matches('}'))),
        None => (tree, None),
    };
    let (head, alias) = match head.split_once(" as ") {
        Some((head, alias)) => (head, Some(alias.trim())),
        None => (head, None),
    };
    let mut path = prefix.clone();
    let segments = head.split("::").map(str::trim);
    path.extend(segments.filter(|name| !name.is_empty()).map(str::to_owned));
    if let Some(group) = group {
        for tree in branches(group) {
            branch(tree, &path, bindings);
        }
        return;
    }
    if path.len() > 1 && path.last().is_some_and(|name| name == "self") {
        path.pop();
    }
    let Some(last) = path.last().cloned() else {
        return;
    };
    if last == "*" {
        path.pop();
    }
    let name = alias.map_or(last, str::to_owned);
    bindings.push(Binding { name, path });
}

/// Splits a group at the commas that are in no other group.
fn branches(group: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let split = group.split(|c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    split.filter(|tree| !tree.trim().is_empty()).collect()
}

/// Returns the paths of two segments and more in code, outside `use` items.
fn inline_paths(code: &str) -> Vec<Path> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut code = code.to_owned();
    for item in use_items(&code.clone()) {
        code = code.replacen(item, "", 1);
    }
    code.split(|c: char| !is_name(c) && c != ':')
        .filter(|path| path.contains("::"))
        .map(|path| {
            let segments = path.split("::").take_while(|name| !name.is_empty());
            segments.map(|name| name.trim_matches(':').to_owned()).collect()
        })
        .filter(|path: &Path| !path.is_empty())
        .collect()
}

/// How many `use` items of one file may build on one another.
const MAX_DEPTH: usize = 8;

#[test]
fn use_items_are_read_with_groups_and_other_names() {
    let code = "
        use std::fmt;
        pub(crate) use super::{a::{B, c::*}, d as e, self};
        use super::super::f::G as H;
        fn reused<'a>() -> impl Iterator + use<'a> { use self::i; }
    ";
    let read: Vec<_> =
        bindings(code).into_iter().map(|binding| (binding.path.join("::"), binding.name)).collect();
    let expected = [
        ("std::fmt", "fmt"),
        ("super::a::B", "B"),
        ("super::a::c", "*"),
        ("super::d", "e"),
        ("super", "super"),
        ("super::super::f::G", "H"),
        ("self::i", "i"),
    ];
    assert_eq!(read, expected.map(|(path, name)| (path.to_owned(), name.to_owned())));
    assert_eq!(
        inline_paths("let x: crate::a::B = c::d::<E>(f);"),
        [["crate", "a", "B"].as_slice(), &["c", "d"]]
    );
}

#[test]
fn names_are_followed_to_the_file_that_defines_them() {
    let file = |path: &str, code: &str| File { path: path.to_owned(), code: code.to_owned() };
    let imports = Imports::of(vec![
        file("src/lib.rs", "mod a; mod b; pub use b::Other;"),
        file("src/a/mod.rs", "mod one; mod two; mod three; mod deep; pub use one::One; use two::*;"),
        file("src/a/one.rs", "use super::Two; use crate::Other; pub struct One;"),
        file("src/a/two.rs", "pub struct Two; fn f() -> super::three::Three {}"),
        file("src/a/three.rs", "use crate::a; pub struct Three; fn f() { a::One::new() }"),
        file("src/a/deep/mod.rs", "mod four; pub use four::Four;"),
        file("src/a/deep/four.rs", "use super::super::{deep, three}; fn f() { three::g(); Self::h() }"),
        file("src/b.rs", "use crate::a::One; pub struct Other;"),
    ]);
    let edges: Vec<_> = imports
        .within_layers()
        .into_iter()
        .flat_map(|(from, to)| to.into_iter().map(move |to| (from, to)))
        .collect();
    let expected = [
        ("src/a/deep/four.rs", "src/a/three.rs"),
        ("src/a/one.rs", "src/a/two.rs"),
        ("src/a/three.rs", "src/a/one.rs"),
        ("src/a/two.rs", "src/a/three.rs"),
    ];
    assert_eq!(edges, expected);
    let path = |path: &str| path.split("::").map(str::to_owned).collect::<Path>();
    assert_eq!(imports.layer(&path("Other")), "b");
    assert_eq!(imports.layer(&path("a::One")), "a");
}
