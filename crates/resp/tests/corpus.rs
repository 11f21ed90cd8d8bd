//! Replays the fuzz corpus: each file through the check its fuzz target makes, so that what was found once stays found.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../fuzz/checks.rs"]
mod checks;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new("fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).expect("the corpus folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder entry").path()).collect();
    files.sort();
    assert!(files.len() >= 10, "the corpus of {target} is not there");
    for file in files {
        println!("{}", file.display());
        check(&fs::read(&file).expect("a corpus file"));
    }
}

#[test]
fn request_corpus() {
    replay("request", checks::request);
}

#[test]
fn reply_corpus() {
    replay("reply", checks::reply);
}

#[test]
fn number_corpus() {
    replay("number", checks::number);
}
