//! Golden scripts as `crates/commands/tests/scripts/README.md` describes them, without their replies.

use std::path::Path;
use std::time::Duration;

use super::Command;

/// One thing to do.
pub enum Step {
    Command(Command),
    Protocol(u64),
    Wait(Duration),
}

/// The scripts that Redis 7 must answer alike, by name.
pub fn shareable() -> Vec<(String, Vec<Step>)> {
    let folder = Path::new("../commands/tests/scripts");
    let mut scripts = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.file_name().unwrap().to_str().unwrap().strip_suffix(".txt") else { continue };
        let script = std::fs::read_to_string(&path).unwrap();
        let local = script.lines().any(|line| line == "!local");
        if !local && !name.starts_with("own-") && !name.starts_with("new-") {
            scripts.push((name.to_owned(), script.lines().filter_map(step).collect()));
        }
    }
    assert!(!scripts.is_empty());
    scripts.sort_by(|(one, _), (other, _)| one.cmp(other));
    scripts
}

fn step(line: &str) -> Option<Step> {
    if let Some(command) = line.strip_prefix("> ") {
        return Some(Step::Command(words(command)));
    }
    let directive: Vec<&str> = line.strip_prefix('!')?.split_whitespace().collect();
    Some(match directive[..] {
        ["resp", protocol] => Step::Protocol(protocol.parse().unwrap()),
        ["db", database] => Step::Command(vec![b"SELECT".to_vec(), database.as_bytes().to_vec()]),
        ["advance", millis] => Step::Wait(Duration::from_millis(millis.parse().unwrap())),
        _ => panic!("no directive for a socket: {line:?}"),
    })
}

/// Splits a line at blanks; `"..."` may hold blanks and escapes, and be followed by `*count`.
fn words(line: &str) -> Command {
    let mut words = Vec::new();
    let mut rest = line.as_bytes().trim_ascii();
    while !rest.is_empty() {
        let word;
        (word, rest) = match rest {
            [b'"', after @ ..] => quoted(after),
            _ => bare(rest),
        };
        words.push(word);
        rest = rest.trim_ascii_start();
    }
    words
}

fn bare(rest: &[u8]) -> (Vec<u8>, &[u8]) {
    let (word, rest) = rest.split_at(rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len()));
    (word.to_vec(), rest)
}

fn quoted(mut rest: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut word = Vec::new();
    loop {
        let (byte, after) = match rest {
            [b'"', after @ ..] => {
                rest = after;
                break;
            }
            [b'\\', b'x', high, low, after @ ..] => {
                let digits = String::from_utf8(vec![*high, *low]).unwrap();
                (u8::from_str_radix(&digits, 16).unwrap(), after)
            }
            [b'\\', b'r', after @ ..] => (b'\r', after),
            [b'\\', b'n', after @ ..] => (b'\n', after),
            [b'\\', b't', after @ ..] => (b'\t', after),
            [b'\\', byte, after @ ..] | [byte, after @ ..] => (*byte, after),
            [] => panic!("a word is not closed"),
        };
        word.push(byte);
        rest = after;
    }
    let Some(after) = rest.strip_prefix(b"*") else { return (word, rest) };
    let (count, rest) = bare(after);
    (word.repeat(String::from_utf8(count).unwrap().parse().unwrap()), rest)
}
