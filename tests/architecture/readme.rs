//! What the README shows is what is tested.

use std::fs;

/// The crate page's examples run as documentation tests; those of the README are among them.
#[test]
fn the_examples_of_the_readme_are_on_the_crate_page() {
    let [readme, page] = ["README.md", "src/lib.rs"].map(|path| {
        fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).expect("the file is there")
    });
    let page: String = page
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect();
    let examples: Vec<&str> =
        readme.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        assert!(page.contains(example), "{example}");
    }
}
