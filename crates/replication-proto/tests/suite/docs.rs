//! The tables of `docs/replication.md` that come from the code.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use replication_proto::{Alarm, Cause, Class, StateName, TRANSITIONS};

use crate::model;

#[test]
fn the_tables_in_the_docs_are_fresh() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/replication.md");
    let present = fs::read_to_string(&file).unwrap();
    let mut fresh = present.clone();
    for (name, text) in [
        ("diagrams", diagrams()),
        ("transitions", transitions()),
        ("causes", causes()),
        ("alarms", alarms()),
        ("model", model::found()),
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
