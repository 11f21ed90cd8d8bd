//! Clocks that jump, on either side: a library that is loaded before the C library moves what a process takes for the time.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use resp::Value;
use tempfile::TempDir;

use crate::cluster::{QUICK, fill, info, number, until_equal, until_up};
use crate::replication::{Load, full_syncs};
use crate::server::{Server, until};
use crate::wire::{Client, ok};

const SOURCE: &str = "tests/clock/offset.c";
const DAY: i64 = 24 * 3600;

/// The library, and a file with the seconds by which a process is off.
struct Clock {
    folder: TempDir,
}

impl Clock {
    /// `None`: there is no C compiler, and that has been said.
    fn build() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let library = folder.path().join("offset.so");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(SOURCE).output();
        match built {
            Ok(built) if built.status.success() => Some(Self { folder }),
            Ok(built) => panic!("{}", String::from_utf8_lossy(&built.stderr)),
            Err(why) => {
                println!("left out, no C compiler: {why}");
                None
            }
        }
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("offset.so")
    }

    /// A server whose clock can be moved by this name.
    fn start(&self, name: &str, args: &[&str]) -> Server {
        self.set(name, 0);
        let file = self.folder.path().join(name);
        let set = [("LD_PRELOAD", self.library()), ("CLOCK_OFFSET_FILE", file)];
        Server::start_with(&set, args)
    }

    /// Moves the clock of a process to so many seconds from the true time.
    fn set(&self, name: &str, seconds: i64) {
        let path = self.folder.path().join(name);
        // In place: the process has the file mapped.
        let file = fs::File::options().write(true).create(true).truncate(false).open(path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &seconds.to_ne_bytes(), 0).unwrap();
    }
}

fn time(client: &mut Client) -> i64 {
    match client.ask("TIME") {
        Value::Array(parts) => match &parts[0] {
            Value::Bulk(seconds) => std::str::from_utf8(seconds).unwrap().parse().unwrap(),
            other => panic!("no seconds: {other:?}"),
        },
        other => panic!("no time: {other:?}"),
    }
}

/// Clocks that jump on either side broke time-outs and the order of things.
#[test]
fn case_21_clocks_that_jump_on_either_side_change_nothing() {
    let Some(clock) = Clock::build() else { return };
    let primary = clock.start("primary", QUICK);
    let follows = format!("127.0.0.1 {}", primary.port);
    let replica = clock.start("replica", &[QUICK, &["--replicaof", &follows]].concat());
    until_up(&replica);
    let mut client = primary.connect();
    assert_eq!(client.ask("SET long lived EX 1000000"), ok());
    until_equal(&primary, &replica);
    let losses =
        || fs::read_to_string(replica.path("data/events.jsonl")).unwrap().matches("\"from\":\"Connected\"").count();
    let before = losses();
    let began = time(&mut client);
    let load = Load::on(&primary);
    for (name, seconds) in [("replica", DAY), ("primary", DAY), ("replica", -DAY), ("primary", 0), ("replica", 0)] {
        clock.set(name, seconds);
        let off = time(&mut primary.connect()) - time(&mut replica.connect());
        assert!(seconds == 0 || off.abs() > DAY / 2 || name == "primary", "the clock was not moved: {off} s");
        load.more(500);
        let mut client = replica.connect();
        // Signs of life pass, and what one side says of its time.
        let start = number(&mut client, "uptime_in_seconds");
        until("some time to pass", || number(&mut client, "uptime_in_seconds").abs_diff(start) >= 1);
        assert_eq!(info(&mut client, "master_link_status"), "up");
    }
    load.stop();
    until_equal(&primary, &replica);
    assert!(time(&mut client) - began < DAY, "and it is back");
    assert_eq!((losses(), full_syncs(&replica)), (before, 0), "{}", replica.log());
    assert_eq!(replica.connect().ask("REPLICATION ALARMS"), Value::Array(Vec::new()));
    // What a clock has brought into the log does not keep it from going on after a restart, either side with its true time.
    let (primary, replica) = (primary.crash_and_restart(), replica);
    fill(&mut primary.connect(), "b", 10, 10);
    assert_eq!(replica.connect().ask(&format!("REPLICAOF 127.0.0.1 {}", primary.port)), ok());
    until_equal(&primary, &replica);
    assert!(matches!(replica.connect().ask("TTL long"), Value::Integer(left) if left > 0));
}
