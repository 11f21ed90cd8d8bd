//! A replica whose disk is full: it says so, serves what it has, and goes on when there is room.

use std::fs;

use resp::Value;

use crate::cluster::{Pair, QUICK, field, fill, until_down, until_up};
use crate::proxy::{Proxy, Weather};
use crate::replication::full_syncs;
use crate::replication_copy::fill_much;
use crate::server::{Server, folder_of, until};
use crate::small_disk::SmallDisk;
use crate::wire::{Client, bulk, ok};

const SMALL_SEGMENTS: [&str; 2] = ["--log-segment-bytes", "1mb"];

/// A pair whose replica has a small disk.
fn begin(disk: &SmallDisk, primary: &[&str], replica: &[&str]) -> Pair {
    let primary = Server::start(&[QUICK, &SMALL_SEGMENTS, primary].concat());
    let proxy = Proxy::to(primary.port);
    let follows = format!("127.0.0.1 {}", proxy.port);
    let replica = [QUICK, &SMALL_SEGMENTS, &["--replicaof", &follows], replica].concat();
    let replica = Server::start_in(folder_of(disk.path()), &replica);
    let pair = Pair { primary, proxy, replica };
    until_up(&pair.replica);
    fill(&mut pair.primary.connect(), "a", 100, 100);
    pair.until_equal();
    pair
}

/// It says what it lacks, wherever one may look, and serves what it has.
fn until_told(replica: &Server) {
    let mut client = replica.connect();
    until("the cause to be told", || field(&mut client, 0, "cause") == "no_space");
    until("the alarm", || alarms(&mut client).contains("shard_error"));
    assert!(matches!(client.ask("GET a:1"), Value::Bulk(_)));
    let told = |client: &mut Client| matches!(client.ask("REPLICATION STATUS"), Value::Bulk(text) if contains(&text, "no_space"));
    // Not while the next try is made.
    until("the state to be told", || told(&mut client));
}

fn contains(text: &[u8], what: &str) -> bool {
    String::from_utf8_lossy(text).contains(what)
}

fn alarms(client: &mut Client) -> String {
    format!("{:?}", strings(client.ask("REPLICATION ALARMS")))
}

fn strings(value: Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.into_iter().flat_map(strings).collect(),
        Value::Bulk(text) | Value::Simple(text) => vec![String::from_utf8(text).unwrap()],
        other => vec![format!("{other:?}")],
    }
}

#[test]
fn case_22_a_copy_that_finds_no_room_is_made_when_there_is_some() {
    let Some(disk) = SmallDisk::mount(128) else { return };
    let pair =
        begin(&disk, &["--log-retain-bytes", "0", "--recovery-log-max", "1mb", "--settle-interval-ms", "10"], &[]);
    pair.proxy.set(Weather::Cut);
    until_down(&pair.replica);
    let filler = disk.fill(112);
    let first = pair.primary.path("data/db0/log/00000000000000000000.seg");
    until("the log to be trimmed", || {
        fill_much(&mut pair.primary.connect(), "much", 3_000);
        !first.exists()
    });
    pair.proxy.set(Weather::Fair);
    until_told(&pair.replica);
    assert!(disk.free() > 1 << 20, "what was known not to fit was not begun with");
    let pid = pair.replica.pid();
    let tried = full_syncs(&pair.replica);
    assert!((1..10).contains(&tried), "{tried} attempts");
    fs::remove_file(filler).unwrap();
    pair.until_equal();
    assert_eq!(pair.replica.pid(), pid);
    until("the alarm to end", || !alarms(&mut pair.replica.connect()).contains("shard_error"));
    let pair = Pair { replica: pair.replica.restart(), ..pair };
    pair.until_equal();
}

/// Writes until the replica's disk is full.
fn until_full(pair: &Pair) {
    until("the disk to be full", || {
        fill_much(&mut pair.primary.connect(), "much", 1_000);
        field(&mut pair.replica.connect(), 0, "cause") == "no_space"
    });
}

#[test]
fn case_22_a_log_that_finds_no_room_goes_on_where_it_was() {
    let Some(disk) = SmallDisk::mount(96) else { return };
    let pair = begin(&disk, &[], &[]);
    let filler = disk.fill(60);
    until_full(&pair);
    until_told(&pair.replica);
    fs::remove_file(filler).unwrap();
    pair.until_equal();
    until("the alarm to end", || !alarms(&mut pair.replica.connect()).contains("shard_error"));
    assert_eq!(full_syncs(&pair.replica), 0, "nothing was lost");
    let pair = Pair { replica: pair.replica.crash_and_restart(), ..pair };
    pair.until_equal();
}

/// The ledger is a file: a promotion waits for room, unless that finds some, and so do writes. Reads do not.
#[test]
fn a_replica_without_room_starts_and_is_promoted_when_there_is_some() {
    let Some(disk) = SmallDisk::mount(96) else { return };
    // What it says needs room, too.
    let elsewhere = tempfile::tempdir().unwrap();
    let log = elsewhere.path().join("log").to_str().unwrap().to_owned();
    let mut pair = begin(&disk, &[], &["--logfile", &log]);
    let filler = disk.fill(60);
    until_full(&pair);
    pair.replica.crash();
    let rest = disk.fill_up();
    pair.replica = pair.replica.again();
    assert!(fs::read_to_string(&log).unwrap().contains("the start uses the room that was kept for it"));
    until_told(&pair.replica);

    let mut operator = pair.replica.connect();
    operator.send(&[b"REPLICAOF", b"NO", b"ONE"]);
    let mut client = pair.replica.connect();
    for n in 0..100 {
        assert!(matches!(client.ask(&format!("GET a:{n}")), Value::Bulk(_)));
    }
    let refused = client.ask("SET promoted yes");
    // The promotion may be over, if the ledger found room: then it is the log that has none.
    let is_refusal = |text: &[u8]| text.starts_with(b"READONLY") || text.starts_with(b"MISCONF");
    assert!(matches!(&refused, Value::Error(text) if is_refusal(text)), "{refused:?}");
    [filler, rest].into_iter().for_each(|file| fs::remove_file(file).unwrap());
    assert_eq!(operator.read(), ok());
    assert_eq!(client.ask("SET promoted yes"), ok());
    pair.replica = pair.replica.crash_and_restart();
    let mut client = pair.replica.connect();
    assert_eq!(client.ask("GET promoted"), bulk("yes"));
    assert!(matches!(client.ask("GET a:99"), Value::Bulk(_)));
}

/// Each change of roles may keep a copy of what was discarded; at some point one must make room for the next.
#[test]
fn a_copy_finds_room_where_the_quarantine_was() {
    let Some(disk) = SmallDisk::mount(128) else { return };
    let pair = begin(&disk, &[], &[]);
    fill_much(&mut pair.primary.connect(), "much", 1_500);
    pair.until_equal();
    let mut client = pair.replica.connect();
    let kept = || fs::read_dir(pair.replica.path("data/quarantine")).map_or(0, Iterator::count);
    let told = "was removed from quarantine before its time";
    let follow = format!("REPLICAOF 127.0.0.1 {}", pair.proxy.port);
    let mut most = 0;
    for round in 0..8 {
        assert_eq!(client.ask("REPLICAOF NO ONE"), ok());
        until("the promotion", || client.ask("SET mine alone") == ok());
        assert_eq!(client.ask(&follow), ok());
        pair.until_equal();
        most = most.max(kept());
        assert!(kept() > 0, "round {round}: what was discarded last is kept");
    }
    assert!((1..8).contains(&most), "{most} were kept at the same time");
    until("it to be told", || strings(client.ask("REPLICATION HISTORY 0 1000")).iter().any(|line| line.contains(told)));
    assert!(pair.replica.log().contains("a shard in quarantine was removed before its time"));
    assert_eq!(client.ask("CONFIG SET quarantine-keep 0"), ok());
    until("nothing to be kept", || kept() == 0);
    let pair = Pair { replica: pair.replica.restart(), ..pair };
    pair.until_equal();
}
