//! A process killed while it writes and flushes leaves the same whole batch in all families.
//!
//! The test starts itself as the process that will be killed.

use std::env;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};

use super::*;

/// Names the directory of the store to the process that will be killed.
const PLACE: &str = "HAYPILE_CRASH_PLACE";
const ROUNDS: u64 = 8;

/// Batch `n` writes `n` in all three families. The rows fill their memtable long before the records do, every twenty
/// batches or so, and make RocksDB flush by itself; about every sixtieth batch is flushed by call, and told to the other
/// process.
fn write_until_killed(place: &Path) {
    let store = open(place);
    let mut n = store.system("n").unwrap().map_or(0, |n| number(&n));
    loop {
        n += 1;
        let text = n.to_string();
        let load = vec![n as u8; 50_000];
        let batch = [
            put(b"n", text.as_bytes()),
            put(format!("load{}", n % 50).as_bytes(), &load[..5_000]),
            put_row(1, b"n", text.as_bytes()),
            put_row(2 + n % 50, b"load", &load),
            system("n", text.as_bytes()),
        ];
        store.write(&batch).unwrap();
        if n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58 == 0 {
            store.flush().unwrap();
            println!("flushed {n}");
        } else {
            println!("wrote {n}");
        }
        std::io::stdout().flush().unwrap();
    }
}

fn number(text: &[u8]) -> u64 {
    std::str::from_utf8(text).unwrap().parse().unwrap()
}

/// Starts the writer, kills it after `lines` of its lines, and returns the last batch it said was flushed.
fn kill_a_writer(place: &Path, lines: usize) -> u64 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "crash::a_killed_writer_leaves_one_batch_in_all_families", "--nocapture"])
        .env(PLACE, place)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut flushed = 0;
    let said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    for (count, line) in said.enumerate() {
        // The harness prints the test's name in front of the first line.
        if let Some((_, n)) = line.split_once("flushed ") {
            flushed = number(n.as_bytes());
        }
        if count == lines {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    flushed
}

#[test]
fn a_killed_writer_leaves_one_batch_in_all_families() {
    if let Some(place) = env::var_os(PLACE) {
        write_until_killed(Path::new(&place));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 0..ROUNDS {
        let flushed = kill_a_writer(dir.path(), 40 + 37 * usize::try_from(round).unwrap());
        let store = RocksFactory::new(small()).open(dir.path(), Presence::Required).unwrap();
        let found = store.system("n").unwrap().map_or(0, |n| number(&n));
        assert_eq!(record(&*store, b"n").map_or(0, |n| number(&n)), found);
        assert_eq!(row(&*store, 1, b"n").map_or(0, |n| number(&n)), found);
        assert!(found >= flushed, "batch {flushed} was flushed, {found} is there");
        assert!(found >= last, "batch {last} was there, and only {found} is now");
        last = found;
    }
    assert!(last > 0, "nothing was ever flushed");
}
