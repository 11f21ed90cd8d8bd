//! The tables of `docs/replication.md` that come from the code.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use replication_proto::{Alarm, Cause, Class, StateName, TRANSITIONS};

use crate::model;

#[test]
fn the_tables_in_the_docs_are_fresh() {
    let file = PathBuf::from("../../docs/replication.md");
    let present = fs::read_to_string(&file).unwrap();
    let mut fresh = present.clone();
    for (name, text) in [
        ("diagrams", diagrams()),
        ("transitions", transitions()),
        ("causes", causes()),
        ("alarms", alarms()),
        ("model", model::found()),
        ("cases", cases()),
    ] {
        fresh = replace(&fresh, name, &text);
    }
    if std::env::var_os("HAYPILE_WRITE_DOCS").is_some() {
        fs::write(&file, fresh).unwrap();
    } else {
        assert!(
            fresh == present,
            "stale: write it again with HAYPILE_WRITE_DOCS=1 cargo test -p replication-proto docs"
        );
    }
}

/// The document with the text between the marks of this name.
fn replace(document: &str, name: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- generated: {name} -->\n"), "<!-- end -->");
    let (before, rest) = document.split_once(&begin).unwrap_or_else(|| panic!("no mark for {name}"));
    let (_, after) = rest.split_once(end).unwrap();
    format!("{before}{begin}{text}{end}{after}")
}

fn is_node(name: StateName) -> bool {
    matches!(name, StateName::Node(_))
}

fn diagrams() -> String {
    let mut text = String::new();
    for (title, wanted) in [("The node:", true), ("A shard:", false)] {
        write!(text, "{title}\n\n```mermaid\nstateDiagram-v2\n    [*] --> NoConnect\n").unwrap();
        for row in TRANSITIONS.iter().filter(|row| is_node(row.from) == wanted) {
            let on = row.on.replace('`', "").replace(';', ",");
            writeln!(text, "    {} --> {}: {on}", row.from, row.to).unwrap();
        }
        text += "```\n\n";
    }
    text
}

fn transitions() -> String {
    let mut text = String::from("| level | from | to | on |\n|---|---|---|---|\n");
    for row in TRANSITIONS {
        let level = if is_node(row.from) { "node" } else { "shard" };
        writeln!(text, "| {level} | `{}` | `{}` | {} |", row.from, row.to, row.on).unwrap();
    }
    text
}

fn causes() -> String {
    let mut text = String::from("| cause | class | meaning |\n|---|---|---|\n");
    for cause in Cause::ALL {
        let class = match cause.class() {
            Class::Transient => "transient",
            Class::Waiting => "waiting",
            Class::SelfInflicted => "self-inflicted",
            Class::Wanted => continue,
        };
        writeln!(text, "| `{cause}` | {class} | {} |", cause.meaning()).unwrap();
    }
    text
}

fn alarms() -> String {
    let mut text = String::from("| alarm | raised when | cleared when |\n|---|---|---|\n");
    for alarm in Alarm::ALL {
        writeln!(text, "| `{alarm}` | {} | {} |", alarm.raised_when(), alarm.cleared_when()).unwrap();
    }
    text
}

/// What went wrong in other databases.
const CASES: [&str; 23] = [
    "an error state is skipped for ever, and `REPLICAOF` with the same address does nothing",
    "a lost reply is waited for without a timer",
    "a healthy database keeps the link alive, a bad one is never retried",
    "a slow snapshot counts as a failure",
    "an aborted transfer forgets what it had, and that it is needed",
    "the primary's log is shorter than the replica's: an error for ever",
    "an old primary's own writes end at a valid position: accepted, and silently different",
    "a position inside a batch means a full copy",
    "old files of equal names are mixed into a transfer",
    "a crash in the middle of the swap leaves an empty database",
    "a dial blocks who also sends keepalives",
    "a snapshot is deleted while it is fetched",
    "acknowledged before it is applied, and lost in a crash",
    "the feed cannot read its log and pings on: up, and frozen",
    "a replica without data is elected",
    "sleeps and joins of threads under a global lock",
    "storms of retries and copies",
    "a password that is corrected later",
    "host names, IPv6, `localhost`",
    "half-open connections",
    "clocks that jump",
    "a full disk, then room",
    "a replica of itself, and cycles",
];

/// Each case with the tests that carry its number: with real processes, and beneath.
fn cases() -> String {
    let mut found: BTreeMap<String, Vec<(&str, String)>> = BTreeMap::new();
    search(&PathBuf::from(".."), &mut found);
    let mut text = String::from("| case | what went wrong elsewhere | processes | beneath |\n|---|---|---|---|\n");
    for (number, what) in (1..).zip(CASES) {
        let tests = found.remove(&format!("{number:02}")).unwrap_or_default();
        assert!(!tests.is_empty(), "no test carries the number of case {number}: {what}");
        let of = |wanted: &str| {
            let files = tests.iter().filter(|(level, _)| *level == wanted).map(|(_, file)| format!("`{file}`"));
            files.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
        };
        writeln!(text, "| {number:02} | {what} | {} | {} |", of("processes"), of("beneath")).unwrap();
    }
    assert!(found.is_empty(), "tests of cases that are not in the list: {found:?}");
    text
}

/// Finds the tests of cases in a folder of crates: by number, at which level and in which file.
fn search(folder: &Path, found: &mut BTreeMap<String, Vec<(&'static str, String)>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path, found);
        }
        if path.extension().is_none_or(|end| end != "rs") {
            continue;
        }
        let level = if path.components().any(|part| part.as_os_str() == "haypile") { "processes" } else { "beneath" };
        for line in fs::read_to_string(&path).unwrap().lines() {
            let Some(name) = line.trim_start().strip_prefix("fn case_") else { continue };
            let crates = path.components().skip_while(|part| part.as_os_str() != "..").skip(1).collect::<PathBuf>();
            let number = name.split('_').next().unwrap();
            if number.parse::<u32>().is_err() {
                continue;
            }
            found.entry(number.to_owned()).or_default().push((level, crates.display().to_string()));
        }
    }
}
