//! Replays the fuzz corpus through the check of its fuzz target, so that what was found once stays found.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../fuzz/checks.rs"]
mod checks;

#[test]
fn wire_corpus() {
    let folder = Path::new("fuzz/corpus/wire");
    let entries = fs::read_dir(folder).expect("the corpus folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder entry").path()).collect();
    files.sort();
    assert!(files.len() >= 20, "the corpus is not there");
    for file in files {
        println!("{}", file.display());
        checks::wire(&fs::read(&file).expect("a corpus file"));
    }
}
