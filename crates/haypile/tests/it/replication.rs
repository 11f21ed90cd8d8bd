//! A replica follows its primary, loses it in every way that a network and a process can, and heals by itself.
//!
//! What went wrong in other databases has a test of its own in `replication_cases`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use resp::Value;

use crate::cluster::{Pair, QUICK, fill, info, number, until_down, until_equal, until_up};
use crate::proxy::{Accident, Weather};
use crate::server::{Server, until};
use crate::wire::{Client, error, ok};

/// Writes of every kind, until it is stopped or the server goes away.
pub struct Load {
    over: Arc<AtomicBool>,
    writes: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    pub fn on(server: &Server) -> Self {
        let (over, writes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (client, stop, count) = (server.connect(), Arc::clone(&over), Arc::clone(&writes));
        let thread = std::thread::spawn(move || write(client, &stop, &count));
        Self { over, writes, thread: Some(thread) }
    }

    /// Waits for so many more writes.
    pub fn more(&self, count: u64) {
        let enough = self.writes.load(Ordering::SeqCst) + count;
        until("the load to go on", || self.writes.load(Ordering::SeqCst) >= enough);
    }

    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end();
        }
    }
}

fn write(mut client: Client, over: &AtomicBool, writes: &AtomicU64) {
    let mut n = 0_u64;
    while !over.load(Ordering::SeqCst) {
        let mut bytes = Vec::new();
        for _ in 0..20 {
            n += 1;
            let (key, value) = (format!("key:{}", n * 7919 % 500), format!("value-{n}"));
            let (key, value, number) = (key.as_bytes(), value.as_bytes(), n.to_string());
            let line: &[&[u8]] = match n % 8 {
                0 => &[b"INCR", b"counter"],
                1 => &[b"APPEND", key, value],
                2 => &[b"DEL", key],
                3 => &[b"SETRANGE", key, b"3", value],
                4 => &[b"SET", key, value, b"EX", b"10000"],
                5 => &[b"SETBIT", b"bits", number.as_bytes(), b"1"],
                6 => &[b"MSET", key, value, b"both", value],
                _ => &[b"SET", key, value],
            };
            resp::encode_command(line, &mut bytes);
        }
        if client.try_send_raw(&bytes).is_err() {
            return;
        }
        for _ in 0..20 {
            if client.try_read().is_none() {
                return;
            }
        }
        writes.fetch_add(20, Ordering::SeqCst);
    }
}

#[test]
fn a_replica_follows_under_load() {
    let pair = Pair::begin(&[], &[]);
    let load = Load::on(&pair.primary);
    until_up(&pair.replica);
    load.more(5_000);
    load.stop();
    pair.until_equal();
    let mut replica = pair.replica.connect();
    assert_eq!(error(&replica.ask("SET a b")), "READONLY You can't write against a read only replica.");
    assert_eq!(info(&mut replica, "role"), "slave");
    assert_eq!(info(&mut replica, "master_port"), pair.proxy.port.to_string());
}

#[test]
fn flushes_and_new_databases_arrive() {
    let pair = Pair::start(&[], &[]);
    let mut primary = pair.primary.connect();
    fill(&mut primary, "a", 100, 10);
    assert_eq!(primary.ask("SELECT 3"), ok());
    fill(&mut primary, "b", 50, 10);
    let mut replica = pair.replica.connect();
    assert_eq!(replica.ask("SELECT 3"), ok());
    until("the new database", || replica.ask("DBSIZE") == Value::Integer(50));
    pair.until_equal();
    assert_eq!(primary.ask("FLUSHDB"), ok());
    until("FLUSHDB", || replica.ask("DBSIZE") == Value::Integer(0));
    assert_eq!(primary.ask("FLUSHALL"), ok());
    assert_eq!(replica.ask("SELECT 0"), ok());
    until("FLUSHALL", || replica.ask("DBSIZE") == Value::Integer(0));
    pair.until_equal();
}

#[test]
fn a_link_that_is_cut_and_restored_heals_with_what_it_missed() {
    let pair = Pair::start(&[], &[]);
    let load = Load::on(&pair.primary);
    load.more(500);
    let mut replica = pair.replica.connect();
    until("some of it", || matches!(replica.ask("GET counter"), Value::Bulk(_)));
    pair.proxy.set(Weather::Cut);
    until_down(&pair.replica);
    load.more(500);
    assert!(matches!(replica.ask("GET counter"), Value::Bulk(_)), "a replica that is cut off serves what it has");
    pair.proxy.set(Weather::Fair);
    until_up(&pair.replica);
    load.stop();
    pair.until_equal();
    assert_eq!(full_syncs(&pair.replica), 0);
}

/// How many full syncs the events of a replica tell of.
pub fn full_syncs(replica: &Server) -> usize {
    let events = std::fs::read_to_string(replica.path("data/events.jsonl")).unwrap_or_default();
    events.lines().filter(|line| line.contains("\"to\":\"WaitDbSync\"")).count()
}

#[test]
fn stale_data_is_refused_if_the_operator_wants_it() {
    let pair = Pair::start(&[], &["--replica-serve-stale-data", "no"]);
    fill(&mut pair.primary.connect(), "a", 10, 10);
    pair.until_equal();
    pair.proxy.set(Weather::Cut);
    until_down(&pair.replica);
    let mut replica = pair.replica.connect();
    let refused = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
    assert_eq!(error(&replica.ask("GET a:1")), refused);
    assert!(number(&mut replica, "master_link_down_since_seconds") < 60);
    pair.proxy.set(Weather::Fair);
    until_up(&pair.replica);
    assert!(matches!(replica.ask("GET a:1"), Value::Bulk(_)));
}

#[test]
fn bytes_that_were_changed_on_the_way_are_not_applied() {
    let pair = Pair::start(&[], &[]);
    let load = Load::on(&pair.primary);
    for n in 0..5 {
        pair.proxy.arrange(Accident::Corrupt(3_000 + 1_777 * n));
        until("the accident", || pair.proxy.has_happened());
        until_up(&pair.replica);
    }
    load.stop();
    pair.until_equal();
}

#[test]
fn a_stream_that_ends_in_the_middle_of_a_frame_goes_on_there() {
    let pair = Pair::start(&[], &[]);
    let load = Load::on(&pair.primary);
    for n in 0..5 {
        pair.proxy.arrange(Accident::Truncate(1_000 + 777 * n));
        until("the accident", || pair.proxy.has_happened());
        until_up(&pair.replica);
    }
    load.stop();
    pair.until_equal();
    assert_eq!(full_syncs(&pair.replica), 0);
}

#[test]
fn a_slow_network_slows_the_replica_only() {
    let pair = Pair::start(&[], &[]);
    let before = pair.proxy.passed();
    pair.proxy.set(Weather::Slow(Duration::from_millis(20)));
    let load = Load::on(&pair.primary);
    load.more(2_000);
    load.stop();
    pair.until_equal();
    pair.proxy.set(Weather::Throttled(200_000));
    fill(&mut pair.primary.connect(), "large", 50, 4_000);
    pair.until_equal();
    assert!(pair.proxy.passed() > before + 200_000, "it all came this way");
}

#[test]
fn a_primary_that_is_killed_and_comes_back_is_followed_again() {
    let mut pair = Pair::start(&[], &[]);
    let load = Load::on(&pair.primary);
    load.more(1_000);
    pair.primary = pair.primary.crash_and_restart();
    pair.proxy.retarget(pair.primary.port);
    load.stop();
    until_up(&pair.replica);
    fill(&mut pair.primary.connect(), "after", 10, 10);
    pair.until_equal();
    assert_eq!(full_syncs(&pair.replica), 0, "a killed process has lost nothing that its replica has");
}

#[test]
fn a_primary_that_stands_still_is_followed_again_when_it_goes_on() {
    let pair = Pair::start(&[], &[]);
    fill(&mut pair.primary.connect(), "a", 100, 10);
    pair.primary.freeze();
    until_down(&pair.replica);
    pair.primary.thaw();
    until_up(&pair.replica);
    fill(&mut pair.primary.connect(), "b", 100, 10);
    pair.until_equal();
}

#[test]
fn config_rewrite_keeps_the_primary() {
    let primary = Server::start(QUICK);
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("haypile.conf");
    std::fs::write(&file, "repl-timeout 1\n").unwrap();
    let replica = Server::start(&[&[file.to_str().unwrap()], QUICK].concat());
    let mut client = replica.connect();
    assert_eq!(client.ask(&format!("SLAVEOF localhost {}", primary.port)), ok());
    assert_eq!(client.ask("CONFIG REWRITE"), ok());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(&format!("replicaof localhost {}", primary.port)), "{text}");
    assert_eq!(client.ask("REPLICAOF NO ONE"), ok());
    assert_eq!(client.ask("CONFIG REWRITE"), ok());
    assert!(!std::fs::read_to_string(&file).unwrap().contains(&primary.port.to_string()));
}

#[test]
fn a_chain_follows_its_root() {
    let pair = Pair::start(&[], &[]);
    let follows = format!("127.0.0.1 {}", pair.replica.port);
    let last = Server::start(&[QUICK, &["--replicaof", &follows]].concat());
    let load = Load::on(&pair.primary);
    until_up(&last);
    load.more(1_000);
    load.stop();
    pair.until_equal();
    until_equal(&pair.primary, &last);
    pair.proxy.set(Weather::Cut);
    until_down(&pair.replica);
    fill(&mut pair.primary.connect(), "b", 100, 10);
    pair.proxy.set(Weather::Fair);
    pair.until_equal();
    until_equal(&pair.primary, &last);
}

#[test]
fn a_promoted_replica_is_followed_without_a_copy_by_those_who_have_no_more() {
    let pair = Pair::start(&[], &[]);
    let follows = format!("127.0.0.1 {}", pair.primary.port);
    let other = Server::start(&[QUICK, &["--replicaof", &follows]].concat());
    fill(&mut pair.primary.connect(), "a", 200, 20);
    pair.until_equal();
    until_equal(&pair.primary, &other);
    // The old primary has no more than the new one.
    assert_eq!(pair.replica.connect().ask("REPLICAOF NO ONE"), ok());
    let promoted = &pair.replica;
    let mut client = promoted.connect();
    until("the promotion", || info(&mut client, "role") == "master");
    fill(&mut client, "b", 200, 20);
    for old in [&other, &pair.primary] {
        assert_eq!(old.connect().ask(&format!("REPLICAOF 127.0.0.1 {}", promoted.port)), ok());
        until_equal(promoted, old);
        assert_eq!(full_syncs(old), 0);
    }
}

/// What a fail-over leaves: the old primary was killed, comes back as one that nobody writes to, and is pointed at the new one.
#[test]
fn an_old_primary_that_was_started_again_follows_without_a_copy() {
    let mut pair = Pair::start(&[], &[]);
    let mut client = pair.primary.connect();
    fill(&mut client, "a", 200, 20);
    assert_eq!(client.ask("SET short lived PX 200"), ok());
    pair.until_equal();
    pair.primary.crash();
    let mut client = pair.replica.connect();
    assert_eq!(client.ask("REPLICAOF NO ONE"), ok());
    until("the promotion", || info(&mut client, "role") == "master");
    fill(&mut client, "b", 200, 20);

    pair.primary = pair.primary.again();
    let mut old = pair.primary.connect();
    until("a key to expire", || old.ask("EXISTS short") == Value::Integer(0));
    assert!(matches!(old.ask("GET a:1"), Value::Bulk(_)));
    assert_ne!(info(&mut old, "master_replid"), info(&mut client, "master_replid"));
    assert_eq!(old.ask(&format!("REPLICAOF 127.0.0.1 {}", pair.replica.port)), ok());
    until_equal(&pair.replica, &pair.primary);
    assert_eq!(full_syncs(&pair.primary), 0);
    assert!(!pair.primary.path("data/quarantine").exists());
}

#[test]
fn operators_see_what_goes_on() {
    let pair = Pair::start(&[], &[]);
    fill(&mut pair.primary.connect(), "a", 10, 10);
    pair.until_equal();
    let mut replica = pair.replica.connect();
    let Value::Bulk(status) = replica.ask("REPLICATION STATUS") else { panic!("no status") };
    let status = String::from_utf8(status).unwrap();
    assert!(status.contains("instance: Connected") && status.contains("db0: Connected"), "{status}");
    let Value::Array(events) = replica.ask("REPLICATION HISTORY db0 5") else { panic!("no history") };
    assert!(!events.is_empty() && events.len() <= 5);
    assert_eq!(replica.ask("REPLICATION ALARMS"), Value::Array(Vec::new()));
    assert_eq!(replica.ask("REPLICATION RESET"), ok());
    let Value::Array(role) = replica.ask("ROLE") else { panic!("no role") };
    assert_eq!(role[0], Value::Bulk(b"slave".to_vec()));
    until_up(&pair.replica);
    let file = pair.replica.path("data/events.jsonl");
    let report = crate::server::haypile(&["events", file.to_str().unwrap()]).output().unwrap();
    let report = String::from_utf8(report.stdout).unwrap();
    assert!(report.contains("WaitReply -> Connected") && report.contains("Open alarms"), "{report}");
}
