//! What a change of role, a stopped replica and an empty one come to.

use std::fs;
use std::path::Path;

use resp::Value;

use crate::cluster::{Pair, QUICK, field, fill, info, number, until_equal, until_up};
use crate::proxy::Weather;
use crate::replication::full_syncs;
use crate::replication_copy::fill_much;
use crate::server::{Server, until};
use crate::wire::{bulk, error, ok};

#[test]
fn who_had_nothing_follows_without_a_copy_and_without_an_alarm() {
    let primary = Server::start(QUICK);
    fill(&mut primary.connect(), "a", 100, 10);
    // A primary until now, with an era of its own and nothing in it; started twice, so two of them.
    let replica = Server::start(QUICK).restart();
    let mut client = replica.connect();
    assert_eq!(client.ask(&format!("REPLICAOF 127.0.0.1 {}", primary.port)), ok());
    until_equal(&primary, &replica);
    let events = fs::read_to_string(replica.path("data/events.jsonl")).unwrap();
    assert!(full_syncs(&replica) == 0 && !events.contains("diverged"), "{events}");
    assert!(!replica.path("data/quarantine").exists(), "there was nothing to keep");
    // It is the same with one that follows, and with one that comes back.
    let replica = replica.crash_and_restart();
    until_equal(&primary, &replica);
    assert_eq!(replica.connect().ask("REPLICAOF NO ONE"), ok());
    until("the promotion", || info(&mut replica.connect(), "role") == "master");
    assert_eq!(replica.connect().ask("SET own write"), ok());
    assert_eq!(replica.connect().ask(&format!("REPLICAOF 127.0.0.1 {}", primary.port)), ok());
    until_equal(&primary, &replica);
    assert_eq!(full_syncs(&replica), 1, "one write is something");
    assert!(replica.path("data/quarantine").exists());
}

#[test]
fn who_waits_for_replicas_is_told_when_the_server_becomes_one() {
    let (one, two) = (Server::start(QUICK), Server::start(QUICK));
    let mut waiting: Vec<_> = ["WAIT 1 0", "WAITAOF 0 1 0"]
        .into_iter()
        .map(|command| {
            let mut client = two.connect();
            assert_eq!(client.ask("SET own write"), ok());
            client.send_raw(format!("{command}\r\n").as_bytes());
            client
        })
        .collect();
    let mut client = two.connect();
    until("the clients to wait", || {
        let Value::Bulk(list) = client.ask("CLIENT LIST") else { panic!("no list") };
        let list = String::from_utf8(list).unwrap();
        list.lines().filter(|line| line.contains("cmd=wait")).count() == 2
    });
    assert_eq!(client.ask(&format!("REPLICAOF 127.0.0.1 {}", one.port)), ok());
    for client in &mut waiting {
        assert!(error(&client.read()).starts_with("UNBLOCKED"), "never a success");
    }
}

/// A replica that stands still does not fill its primary's disk, and gets a copy when it goes on.
#[test]
fn a_stopped_replica_is_not_waited_for_with_more_log_than_may_be() {
    const RETAIN: u64 = 4 << 20;
    /// What sockets between the two may hold: the replica has that, once it goes on.
    const UNDER_WAY: u64 = 24 << 20;
    let small = ["--log-segment-bytes", "1mb", "--log-retain-bytes", "0", "--recovery-log-max", "1mb"];
    // The link is not given up meanwhile: it is the bound that ends the waiting.
    let more = ["--settle-interval-ms", "10", "--repl-log-retain-max", "4mb", "--repl-timeout", "600"];
    let pair = Pair::start(&[&small[..], &more].concat(), &[]);
    let mut primary = pair.primary.connect();
    fill(&mut primary, "a", 100, 100);
    pair.until_equal();
    pair.replica.freeze();
    let log = pair.primary.path("data/db0/log");
    let here = number(&mut primary, "master_repl_offset");
    until("the log to be given up", || {
        fill_much(&mut primary, "much", 100);
        segments(&log).into_iter().all(|(first, _)| first > here + UNDER_WAY)
    });
    until("the disk to be bounded", || {
        fill_much(&mut primary, "much", 100);
        segments(&log).into_iter().map(|(_, bytes)| bytes).sum::<u64>() < RETAIN + (4 << 20)
    });
    pair.replica.thaw();
    until_up(&pair.replica);
    pair.until_equal();
    assert_eq!(full_syncs(&pair.replica), 1, "by itself");
    assert!(fs::read_to_string(pair.replica.path("data/events.jsonl")).unwrap().contains("trimmed"));
}

/// Where each segment of a log begins, and its bytes.
fn segments(folder: &Path) -> Vec<(u64, u64)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let first = |entry: &fs::DirEntry| entry.file_name().to_str()?.strip_suffix(".seg")?.parse().ok();
    entries.filter_map(|entry| Some((first(&entry)?, entry.metadata().ok()?.len()))).collect()
}

/// An era of an ex-primary is replaced database by database: who has something in one keeps that.
#[test]
fn an_empty_database_beside_one_with_data_costs_no_copy() {
    let primary = Server::start(QUICK);
    let mut client = primary.connect();
    fill(&mut client, "a", 10, 10);
    let replica = Server::start(QUICK);
    let mut other = replica.connect();
    assert_eq!(other.ask("SELECT 3"), ok());
    assert_eq!(other.ask("SET own write"), ok());
    assert_eq!(other.ask(&format!("REPLICAOF 127.0.0.1 {}", primary.port)), ok());
    until_equal(&primary, &replica);
    until("the database that the primary does not have to be empty", || other.ask("DBSIZE") == Value::Integer(0));
    let kept: Vec<_> = fs::read_dir(replica.path("data/quarantine")).unwrap().collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
}

#[test]
fn a_database_that_does_not_follow_holds_up_no_reads_of_others() {
    let pair = Pair::start(&["--requirepass", "one"], &["--masterauth", "one", "--replica-serve-stale-data", "no"]);
    let (mut primary, mut replica) = (pair.primary.connect(), pair.replica.connect());
    assert_eq!(primary.ask("AUTH one"), ok());
    assert_eq!(primary.ask("SET k v"), ok());
    until("the write to come", || replica.ask("GET k") == bulk("v"));
    let mut watcher = pair.replica.connect();
    for db in 1..6 {
        assert_eq!(primary.ask(&format!("SELECT {db}")), ok());
        assert_eq!(primary.ask("SET k v"), ok());
        assert_eq!(watcher.ask(&format!("SELECT {db}")), ok());
        while watcher.ask("GET k") != bulk("v") {
            assert_eq!(replica.ask("GET k"), bulk("v"), "database {db} is made");
        }
    }
    // New links are refused, those that are up go on.
    assert_eq!(primary.ask("CONFIG SET requirepass two"), ok());
    assert_eq!(primary.ask("SELECT 9"), ok());
    assert_eq!(primary.ask("SET k v"), ok());
    until("the refusal", || field(&mut replica, 9, "cause") == "auth_refused");
    assert_eq!(watcher.ask("SELECT 9"), ok());
    let down = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
    assert_eq!(error(&watcher.ask("GET k")), down);
    assert_eq!(replica.ask("GET k"), bulk("v"));
    assert_eq!(info(&mut replica, "master_link_status"), "down");
    pair.proxy.set(Weather::Cut);
    until("all to be cut off", || replica.ask("GET k") != bulk("v"));
    assert_eq!(error(&replica.ask("GET k")), down);
}

#[test]
fn the_offset_of_a_promotion_is_a_sum_as_offsets_are() {
    let pair = Pair::start(&[], &[]);
    let mut primary = pair.primary.connect();
    fill(&mut primary, "a", 100, 20);
    assert_eq!(primary.ask("SELECT 3"), ok());
    fill(&mut primary, "b", 100, 20);
    pair.until_equal();
    let mut replica = pair.replica.connect();
    let before = number(&mut replica, "slave_repl_offset");
    assert_eq!(replica.ask("REPLICAOF NO ONE"), ok());
    until("the promotion", || info(&mut replica, "role") == "master");
    // The reign of one of both has begun.
    assert_eq!(replica.ask("SET own write"), ok());
    assert_eq!(number(&mut replica, "second_repl_offset"), before);
    assert!(number(&mut replica, "master_repl_offset") > before);
}
