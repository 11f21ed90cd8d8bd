//! `cargo xtask tidy`: the checks of layout and style that the compiler does not make.
//!
//! Each rule is a function from made-up-able inputs (a path and a text, or the output of `cargo metadata`) to
//! violations, so that each has a test that shows it biting.

use std::fmt::{self, Display};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::edges;
use crate::failure::{Context, Failure, Outcome};
use crate::source::{code_of, is_word};
use crate::workspace::{Workspace, output_of};

const MAX_LINES: usize = 800;

/// Files that may hold `unsafe`; each says at its top why it is sound.
const UNSAFE_FILES: &[&str] =
    &["crates/engine/src/prefetch.rs", "crates/haypile/src/malloc_conf.rs", "crates/replog/src/checksum.rs"];

/// What must not be committed, and why.
const FORBIDDEN: &[(&str, &str)] = &[
    ("todo!", "unfinished code"),
    ("unimplemented!", "unfinished code"),
    ("dbg!", "a leftover of debugging"),
    ("#[ignore", "an ignored test checks nothing"),
];

#[derive(PartialEq, Eq, Debug)]
struct Violation {
    /// Relative to the root folder.
    file: String,
    /// Counted from 1.
    line: usize,
    why: String,
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.why)
    }
}

/// # Errors
/// There are violations (printed before), or a file cannot be read.
pub fn run(workspace: &Workspace) -> Outcome {
    let mut violations = Vec::new();
    for file in rust_files(&workspace.root)? {
        let text = read(&file)?;
        let name = file.strip_prefix(&workspace.root).unwrap_or(&file).to_string_lossy();
        check_file(&name, &text, &mut violations);
    }
    let metadata = output_of(workspace.cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    for package in packages(&metadata)? {
        let manifest = read(Path::new(&package.manifest))?;
        check_edges(&package, &workspace.root, &manifest, &mut violations);
    }
    for violation in &violations {
        println!("{violation}");
    }
    match violations.len() {
        0 => Ok(()),
        1 => Err(Failure::new("tidy: 1 violation")),
        count => Err(Failure::new(format!("tidy: {count} violations"))),
    }
}

fn read(file: &Path) -> Outcome<String> {
    fs::read_to_string(file).context(format_args!("reading {}", file.display()))
}

/// Every `.rs` file below `crates` and `xtask`, sorted.
fn rust_files(root: &Path) -> Outcome<Vec<PathBuf>> {
    let mut folders = vec![root.join("crates"), root.join("xtask")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).context(format_args!("listing {}", folder.display()))?;
        for entry in entries {
            let path = entry.context(format_args!("listing {}", folder.display()))?.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn check_file(file: &str, text: &str, violations: &mut Vec<Violation>) {
    let mut report = |line: usize, why: String| violations.push(Violation { file: file.to_owned(), line, why });
    let count = text.lines().count();
    if count > MAX_LINES {
        report(MAX_LINES + 1, format!("{count} lines; at most {MAX_LINES} (move tests to name/tests.rs, or split)"));
    }
    if file.contains("/src/") && !text.starts_with("//!") {
        report(1, "the file must open with a `//!` sentence that says what it is".to_owned());
    }
    let code = code_of(text);
    if is_root_of_pure_crate(file) {
        check_purity(&code, &mut report);
    }
    for (at, line) in code.lines().enumerate() {
        for (pattern, why) in FORBIDDEN {
            if contains_word(line, pattern) {
                report(at + 1, format!("`{pattern}`: {why}"));
            }
        }
        if contains_word(line, "unsafe") && !UNSAFE_FILES.contains(&file) {
            report(at + 1, "`unsafe` in a file that xtask/src/tidy.rs does not list".to_owned());
        }
    }
}

fn is_root_of_pure_crate(file: &str) -> bool {
    edges::PURE.iter().any(|name| file == format!("crates/{name}/src/lib.rs"))
}

/// A pure crate is `no_std`, and may bring `std` back for its tests only.
fn check_purity(code: &str, report: &mut impl FnMut(usize, String)) {
    if !code.lines().any(|line| line.trim() == "#![no_std]") {
        report(1, "a pure crate says `#![no_std]`".to_owned());
    }
    let mut before = "";
    for (at, line) in code.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line = line.trim();
        if line.contains("extern crate std") && before != "#[cfg(test)]" && !line.starts_with("#[cfg(test)]") {
            report(at + 1, "a pure crate may use `std` under `#[cfg(test)]` only".to_owned());
        }
        before = line;
    }
}

/// Whether `pattern` stands in `line` and is not the middle of a longer name.
fn contains_word(line: &str, pattern: &str) -> bool {
    let ends_as_word = pattern.ends_with(is_word);
    line.match_indices(pattern).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + pattern.len()..].chars().next();
        let continues = before.is_some_and(is_word) || (ends_as_word && after.is_some_and(is_word));
        !continues
    })
}

/// What `cargo metadata` says of one crate of ours.
struct Package {
    name: String,
    manifest: String,
    /// Names of everything it needs outside its tests.
    uses: Vec<String>,
}

fn packages(metadata: &str) -> Outcome<Vec<Package>> {
    let metadata: Value = serde_json::from_str(metadata).context("reading cargo metadata")?;
    let list = metadata["packages"].as_array().context("reading the packages of cargo metadata")?;
    Ok(list.iter().map(package).collect())
}

fn package(value: &Value) -> Package {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let uses = value["dependencies"].as_array().into_iter().flatten();
    Package {
        name: text(&value["name"]),
        manifest: text(&value["manifest_path"]),
        uses: uses.filter(|used| used["kind"] != "dev").map(|used| text(&used["name"])).collect(),
    }
}

fn check_edges(package: &Package, root: &Path, manifest: &str, violations: &mut Vec<Violation>) {
    let file = Path::new(&package.manifest);
    let file = file.strip_prefix(root).unwrap_or(file).to_string_lossy();
    let lines_up_to = |name: &str| {
        let at = manifest.lines().position(|line| line.split(['=', '.', ' ']).next() == Some(name));
        at.map_or(1, |at| at + 1)
    };
    for used in &package.uses {
        if let Some(why) = edges::objection(&package.name, used) {
            violations.push(Violation { file: file.clone().into_owned(), line: lines_up_to(used), why });
        }
    }
}

#[cfg(test)]
mod tests;
