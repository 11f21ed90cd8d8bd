//! Golden scripts: the files of `tests/scripts`, at least one for each row of the two tables of states.
//!
//! A script is lines. `# ..` says what it shows. `start ..` begins with a node of that ledger (`primary=host:port`) and
//! parameters. `> time input` is a step; the indented lines after it are everything that comes of it, and the states then.
//! `HAYPILE_WRITE_SCRIPTS=1 cargo test -p replication-proto` writes the indented lines anew; read what it changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use replication_proto::{Address, Ledger, Millis, Node, Occurrence, TRANSITIONS, Transition};

use crate::text;

#[test]
fn scripts_play_as_written() {
    let mut stale = Vec::new();
    for file in files() {
        let present = fs::read_to_string(&file).unwrap();
        let fresh = play(&present).text;
        if fresh != present {
            if std::env::var_os("HAYPILE_WRITE_SCRIPTS").is_some() {
                fs::write(&file, fresh).unwrap();
            } else {
                stale.push(format!("{}:\n{}", file.display(), first_difference(&present, &fresh)));
            }
        }
    }
    assert!(stale.is_empty(), "{}", stale.join("\n"));
}

/// The scripts are worth something only if together they make every transition there is.
#[test]
fn scripts_make_every_transition_of_the_table() {
    let mut made = BTreeSet::new();
    for file in files() {
        made.extend(play(&fs::read_to_string(&file).unwrap()).transitions);
    }
    let missing: Vec<_> = TRANSITIONS
        .iter()
        .filter(|Transition { from, to, .. }| !made.contains(&(*from, *to)))
        .map(|Transition { from, to, on }| format!("{from:?} -> {to:?} on {on}"))
        .collect();
    assert!(missing.is_empty(), "no script makes:\n{}", missing.join("\n"));
}

fn files() -> Vec<PathBuf> {
    let folder = PathBuf::from("tests/scripts");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// A script as it should be, and the transitions that it makes.
struct Played {
    text: String,
    transitions: BTreeSet<(replication_proto::StateName, replication_proto::StateName)>,
}

fn play(script: &str) -> Played {
    let mut played = Played { text: String::new(), transitions: BTreeSet::new() };
    let mut node: Option<Node> = None;
    for line in script.lines().filter(|line| !line.starts_with("    ")) {
        played.text += line;
        played.text.push('\n');
        if let Some(rest) = line.strip_prefix("start") {
            node = Some(begin(rest));
        } else if let Some(step) = line.strip_prefix("> ") {
            let (time, input) = step.split_once(' ').unwrap_or_else(|| panic!("no step: {line}"));
            let node = node.as_mut().expect("a script says `start` before its first step");
            let output = node.step(Millis(time.parse().unwrap()), text::parse(input));
            node.invariants();
            for event in &output.events {
                if let Occurrence::Transition { from, to, .. } = event.what {
                    played.transitions.insert((from, to));
                }
            }
            for line in text::output(&output) {
                played.text += &format!("    {line}\n");
            }
            played.text += &format!("    = {}\n", text::states(node));
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "what is this? {line}");
        }
    }
    played
}

/// A node `a` with the ledger and parameters of a `start` line.
fn begin(line: &str) -> Node {
    let mut ledger = Ledger::new(text::node("a"));
    let mut parameters = String::new();
    for word in line.split_whitespace() {
        match word.split_once('=') {
            Some(("primary", address)) => {
                let (host, port) = address.rsplit_once(':').unwrap();
                ledger.primary = Some(Address { host: host.into(), port: port.parse().unwrap() });
            }
            _ => parameters += &format!("{word} "),
        }
    }
    Node::new(Millis(0), text::config(&parameters), ledger, 1)
}

fn first_difference(present: &str, fresh: &str) -> String {
    let lines = present.lines().chain([""]).zip(fresh.lines().chain([""])).enumerate();
    let different = lines.filter(|(_, (one, other))| one != other).map(|(at, pair)| (at + 1, pair)).next();
    different
        .map_or("lengths differ".into(), |(at, (one, other))| format!("line {at}\n  is     {one}\n  plays  {other}"))
}
