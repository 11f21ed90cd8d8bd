//! Every rule on an input that keeps it and one that breaks it.

use super::*;

const NONE: [usize; 0] = [];

/// The lines that a file's violations name, and their reasons.
fn violations(file: &str, text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    check_file(file, text, &mut found);
    found.into_iter().map(|violation| (violation.line, violation.why)).collect()
}

fn lines(file: &str, text: &str) -> Vec<usize> {
    violations(file, text).into_iter().map(|(line, _)| line).collect()
}

#[test]
fn a_file_may_be_as_long_as_the_limit_and_no_longer() {
    let long = |count: usize| format!("//! x\n{}", "fn f() {}\n".repeat(count - 1));
    assert_eq!(lines("crates/a/src/b.rs", &long(800)), NONE);
    assert_eq!(lines("crates/a/src/b.rs", &long(801)), [801]);
    assert_eq!(lines("crates/a/tests/b.rs", &long(801)), [801]);
}

#[test]
fn a_source_file_opens_with_its_doc() {
    assert_eq!(lines("crates/a/src/b.rs", "//! x\n"), NONE);
    assert_eq!(lines("crates/a/src/b/tests.rs", "use x;\n"), [1]);
    assert_eq!(lines("xtask/src/b.rs", "\n//! x\n"), [1]);
    assert_eq!(lines("crates/a/build.rs", "fn main() {}\n"), NONE);
}

#[test]
fn leftovers_are_found_in_code_and_not_in_words() {
    let text =
        "//! x\nfn f() {\n    todo!();\n    dbg!(1);\n    unimplemented!()\n}\n#[ignore]\n#[ignore = \"slow\"]\n";
    assert_eq!(lines("crates/a/src/b.rs", text), [3, 4, 5, 7, 8]);
    let text = "//! todo!() dbg!()\nlet x = \"#[ignore]\"; // unimplemented!()\nmy_todo!();\n";
    assert_eq!(lines("crates/a/src/b.rs", text), NONE);
}

#[test]
fn unsafe_is_found_as_a_word_of_code() {
    assert_eq!(lines("crates/a/src/b.rs", "//! x\nunsafe { f() }\n"), [2]);
    let text = "//! unsafe\n#![deny(unsafe_code)]\nlet not_unsafe = \"unsafe\";\n";
    assert_eq!(lines("crates/a/src/b.rs", text), NONE);
}

#[test]
fn pure_crates_have_no_std_outside_tests() {
    let file = "crates/resp/src/lib.rs";
    assert_eq!(lines(file, "//! x\n#![no_std]\nextern crate alloc;\n#[cfg(test)]\nextern crate std;\n"), NONE);
    assert_eq!(lines(file, "//! x\n//! #![no_std]\n"), [1]);
    assert_eq!(lines(file, "//! x\n#![no_std]\nextern crate std;\n"), [3]);
    assert_eq!(lines("crates/engine/src/lib.rs", "//! x\n"), NONE);
}

#[test]
fn edges_come_from_metadata_and_point_into_the_manifest() {
    let metadata = r#"{"packages": [{"name": "commands", "manifest_path": "/clone/crates/commands/Cargo.toml",
        "dependencies": [
            {"name": "resp", "kind": null},
            {"name": "engine", "kind": null},
            {"name": "rust-rocksdb", "kind": "build"},
            {"name": "server", "kind": "dev"}]}]}"#;
    let manifest = "[dependencies]\nresp = { workspace = true }\nengine.workspace = true\nrust-rocksdb = \"1\"\n";
    let mut found = Vec::new();
    for package in packages(metadata).unwrap() {
        check_edges(&package, Path::new("/clone"), manifest, &mut found);
    }
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "crates/commands/Cargo.toml:3: commands must not know engine (xtask/src/edges.rs)",
            "crates/commands/Cargo.toml:4: only rocks, haypile may use rust-rocksdb",
        ]
    );
}

#[test]
fn metadata_that_is_none_is_an_error() {
    assert!(packages("{}").is_err());
    assert!(packages("nothing").is_err());
}
