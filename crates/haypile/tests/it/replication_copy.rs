//! Full copies: interrupted, damaged, resumed, and never half-served.

use std::time::Duration;

use resp::Value;

use crate::cluster::{Pair, QUICK, field, fill, info, number, until_equal, until_up};
use crate::proxy::{Accident, Weather};
use crate::replication::{Load, full_syncs};
use crate::server::{Server, folder_of, until};
use crate::wire::{Client, error, ok};

/// A few megabytes that do not compress well.
pub fn fill_much(client: &mut Client, prefix: &str, keys: usize) {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut values = Vec::new();
    for _ in 0..keys {
        let value: Vec<u8> = (0..1024)
            .flat_map(|_| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random.to_le_bytes()
            })
            .collect();
        values.push(value);
    }
    let command = |n: usize| vec![b"SET".to_vec(), format!("{prefix}:{n}").into_bytes(), values[n].clone()];
    client.each(keys, command, |_, reply| assert_eq!(reply, ok()));
}

/// Orders a full copy and waits until its files come.
pub fn begin_copy(pair: &Pair) {
    let mut replica = pair.replica.connect();
    assert_eq!(replica.ask("DBSLAVEOF 0 FORCE"), ok());
    until("files to come", || field(&mut replica, 0, "sync") == "transferring");
}

#[test]
fn a_copy_is_made_while_writes_go_on() {
    let pair = Pair::start(&[], &[]);
    fill_much(&mut pair.primary.connect(), "much", 500);
    let load = Load::on(&pair.primary);
    assert_eq!(pair.replica.connect().ask("DBSLAVEOF 0 FORCE"), ok());
    until("the full sync", || full_syncs(&pair.replica) == 1);
    load.more(1_000);
    until_up(&pair.replica);
    load.stop();
    pair.until_equal();
    let pair = Pair { replica: pair.replica.restart(), ..pair };
    until_up(&pair.replica);
    pair.until_equal();
    assert_eq!(full_syncs(&pair.replica), 1, "the copy is there after a restart");
}

/// An aborted transfer deleted what it had, and forgot that a full sync was needed.
#[test]
fn case_05_a_copy_that_is_interrupted_goes_on_with_what_it_has() {
    const CUTS: u64 = 10;
    let pair = Pair::start(&[], &["--repl-fullsync-rate", "16mb"]);
    fill_much(&mut pair.primary.connect(), "much", 3_000);
    assert_eq!(pair.primary.connect().ask("BGREWRITEAOF"), started());
    pair.until_equal();
    let mut replica = pair.replica.connect();
    let before = pair.proxy.passed();
    begin_copy(&pair);
    let total: u64 = field(&mut replica, 0, "sync_total").parse().unwrap();
    for cut in 1..=CUTS {
        let enough = before + total * cut / (CUTS + 1);
        until("some of it", || pair.proxy.passed() >= enough || info(&mut replica, "master_link_status") == "up");
        pair.proxy.set(Weather::Cut);
        until("the loss", || field(&mut replica, 0, "sync") != "transferring");
        pair.proxy.set(Weather::Fair);
    }
    pair.until_equal();
    let fetched = pair.proxy.passed() - before;
    assert!(fetched <= total + total / 5, "{fetched} bytes were fetched for a copy of {total}");
}

fn started() -> Value {
    Value::Simple(b"Background append only file rewriting started".to_vec())
}

/// Crashes of the replica in the middle of a copy, and of its installation.
#[test]
fn case_10_a_replica_that_is_killed_while_it_copies_has_the_old_or_the_new() {
    let mut pair = Pair::start(&[], &["--repl-fullsync-rate", "8mb"]);
    fill_much(&mut pair.primary.connect(), "much", 1_000);
    pair.until_equal();
    begin_copy(&pair);
    for n in 0..4 {
        let mut client = pair.replica.connect();
        let enough = pair.proxy.passed() + 700_000 * n;
        until("more of it", || pair.proxy.passed() >= enough || info(&mut client, "master_link_status") == "up");
        pair.replica = pair.replica.crash_and_restart();
        assert_eq!(pair.replica.connect().ask("DBSIZE"), Value::Integer(1_000), "never neither");
    }
    pair.until_equal();
}

/// Files with equal names but different content were mixed into a transfer.
#[test]
fn case_09_files_that_are_not_what_they_seem_are_fetched_again() {
    let mut pair = Pair::start(&[], &["--repl-fullsync-rate", "8mb"]);
    fill_much(&mut pair.primary.connect(), "much", 1_000);
    pair.until_equal();
    begin_copy(&pair);
    let enough = pair.proxy.passed() + 3_000_000;
    until("some of it", || pair.proxy.passed() >= enough);
    pair.replica.crash();
    let parts = pair.replica.path("data/incoming/db0/parts");
    let mut damaged = 0;
    for part in std::fs::read_dir(&parts).unwrap() {
        let path = part.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        if path.extension().is_none() && bytes.len() > 1_000 {
            let at = bytes.len() / 2;
            bytes[at] ^= 1;
            // A file of its own, as an old store's may not be written to.
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, &bytes).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 0, "something had come");
    pair.replica = pair.replica.again();
    pair.until_equal();
}

#[test]
fn a_chunk_that_was_damaged_on_the_way_is_fetched_again() {
    let pair = Pair::start(&[], &["--repl-fullsync-rate", "16mb"]);
    fill_much(&mut pair.primary.connect(), "much", 1_000);
    pair.until_equal();
    begin_copy(&pair);
    pair.proxy.arrange(Accident::Corrupt(1_000_000));
    until("the accident", || pair.proxy.has_happened());
    pair.until_equal();
}

/// The snapshot was deleted by a user's BGSAVE, or by age, while it was being fetched.
#[test]
fn case_12_snapshots_of_users_do_not_disturb_a_copy() {
    let pair = Pair::start(&[], &["--repl-fullsync-rate", "4mb"]);
    fill_much(&mut pair.primary.connect(), "much", 1_000);
    pair.until_equal();
    begin_copy(&pair);
    let mut primary = pair.primary.connect();
    for _ in 0..3 {
        assert_eq!(primary.ask("BGSAVE"), Value::Simple(b"Background saving started".to_vec()));
        until("the snapshot", || info(&mut primary, "rdb_bgsave_in_progress") == "0");
    }
    pair.until_equal();
    assert_eq!(full_syncs(&pair.replica), 1);
}

/// A replica without data was elected primary.
#[test]
fn case_15_a_replica_that_is_being_copied_is_no_candidate() {
    let pair = Pair::start(&[], &["--repl-fullsync-rate", "4mb"]);
    fill_much(&mut pair.primary.connect(), "much", 1_000);
    pair.until_equal();
    let mut replica = pair.replica.connect();
    assert_eq!(info(&mut replica, "slave_priority"), "100");
    assert!(number(&mut replica, "slave_repl_offset") > 0);
    begin_copy(&pair);
    assert_eq!(info(&mut replica, "slave_priority"), "0");
    assert_eq!(info(&mut replica, "slave_repl_offset"), "0");
    assert_eq!(info(&mut replica, "master_sync_in_progress"), "1");
    assert!(number(&mut replica, "master_sync_total_bytes") > 1_000_000);
    assert_eq!(replica.ask("EXISTS much:1"), Value::Integer(1), "the old data is served meanwhile");
    pair.until_equal();
    assert_eq!(info(&mut replica, "slave_priority"), "100");
}

#[test]
fn a_stalled_copy_is_given_up_and_resumed() {
    let pair = Pair::start(&[], &["--repl-fullsync-rate", "8mb"]);
    fill_much(&mut pair.primary.connect(), "much", 1_000);
    pair.until_equal();
    begin_copy(&pair);
    pair.proxy.set(Weather::Throttled(1_000));
    let mut replica = pair.replica.connect();
    until("the transfer to be given up", || field(&mut replica, 0, "sync") == "interrupted");
    pair.proxy.set(Weather::Slow(Duration::from_millis(1)));
    pair.until_equal();
}

#[test]
fn promotion_in_the_middle_of_a_copy_uses_the_old_data() {
    let pair = Pair::start(&[], &["--repl-fullsync-rate", "2mb"]);
    fill_much(&mut pair.primary.connect(), "much", 1_000);
    pair.until_equal();
    begin_copy(&pair);
    let mut replica = pair.replica.connect();
    assert_eq!(replica.ask("REPLICAOF NO ONE"), ok());
    until("the promotion", || info(&mut replica, "role") == "master");
    assert_eq!(replica.ask("DBSIZE"), Value::Integer(1_000));
    fill(&mut replica, "own", 10, 10);
    assert_eq!(pair.primary.connect().ask(&format!("REPLICAOF 127.0.0.1 {}", pair.replica.port)), ok());
    until_equal(&pair.replica, &pair.primary);
}

#[test]
fn the_role_survives_a_restart_and_a_new_line_wins() {
    let primary = Server::start(QUICK);
    let replica = Server::start(QUICK);
    let mut client = replica.connect();
    assert_eq!(client.ask(&format!("REPLICAOF 127.0.0.1 {}", primary.port)), ok());
    until_up(&replica);
    fill(&mut primary.connect(), "a", 10, 10);
    until_equal(&primary, &replica);
    let replica = replica.restart();
    until_up(&replica);
    assert_eq!(error(&replica.connect().ask("SET a b")), "READONLY You can't write against a read only replica.");
    assert_eq!(replica.connect().ask("REPLICAOF NO ONE"), ok());
    let replica = replica.restart();
    assert_eq!(info(&mut replica.connect(), "role"), "master");
    assert_eq!(replica.connect().ask("SET own write"), ok());
}

#[test]
fn an_old_primary_with_writes_of_its_own_is_repaired_and_they_are_kept_aside() {
    let pair = Pair::start(&[], &[]);
    fill(&mut pair.primary.connect(), "a", 200, 20);
    pair.until_equal();
    assert_eq!(pair.replica.connect().ask("REPLICAOF NO ONE"), ok());
    let mut client = pair.replica.connect();
    until("the promotion", || info(&mut client, "role") == "master");
    fill(&mut client, "new", 50, 20);
    // Nobody's successor has seen these.
    fill(&mut pair.primary.connect(), "lost", 50, 20);
    let mut old = pair.primary.connect();
    assert_eq!(old.ask(&format!("REPLICAOF 127.0.0.1 {}", pair.replica.port)), ok());
    until_equal(&pair.replica, &pair.primary);
    assert_eq!(full_syncs(&pair.primary), 1);
    assert_eq!(old.ask("EXISTS lost:1"), Value::Integer(0));
    let kept = std::fs::read_dir(pair.primary.path("data/quarantine")).unwrap().count();
    assert!(kept > 0, "what was discarded is in quarantine");
}

#[test]
fn a_database_is_detached_attached_and_copied_anew() {
    let pair = Pair::start(&[], &[]);
    let mut primary = pair.primary.connect();
    fill(&mut primary, "a", 10, 10);
    pair.until_equal();
    let mut replica = pair.replica.connect();
    assert_eq!(replica.ask("DBSLAVEOF db0 NO ONE"), ok());
    until("the database to be detached", || field(&mut replica, 0, "state") == "NoConnect");
    fill(&mut primary, "b", 10, 10);
    assert_eq!(replica.ask("EXISTS b:1"), Value::Integer(0));
    assert_eq!(replica.ask("DBSLAVEOF 0 SYNC"), ok());
    pair.until_equal();
    assert_eq!(full_syncs(&pair.replica), 0);
    assert_eq!(replica.ask("DBSLAVEOF 0 FORCE"), ok());
    until("the full sync", || full_syncs(&pair.replica) == 1);
    pair.until_equal();
    assert_eq!(error(&primary.ask("DBSLAVEOF 0 SYNC")), "ERR this server is not a replica");
    assert_eq!(error(&replica.ask("DBSLAVEOF 0 MAYBE")), "ERR syntax error");
}

#[test]
fn a_replica_keeps_up_without_the_database_that_was_detached_there() {
    let pair = Pair::start(&["--min-replicas-to-write", "1"], &[]);
    let (mut primary, mut replica) = (pair.primary.connect(), pair.replica.connect());
    until("the replica to count", || primary.ask("SET k v") == ok());
    assert_eq!(primary.ask("SELECT 3"), ok());
    until("the other database", || primary.ask("SET k v") == ok());
    pair.until_equal();
    assert_eq!(replica.ask("DBSLAVEOF 3 NO ONE"), ok());
    let follows_with = |primary: &mut Client, db: usize| !info(primary, &format!("haypile_replica0_db{db}")).is_empty();
    until("the feed to end", || !follows_with(&mut primary, 3));
    until("it not to be missed", || info(&mut primary, "slave0").contains(",state=online,"));
    until("writes to be taken", || primary.ask("SET k w") == ok());
    let mut other = pair.primary.connect();
    assert_eq!(other.ask("SET k w"), ok());
    assert_eq!(other.ask("WAIT 1 10000"), Value::Integer(1));
    assert_eq!(replica.ask("DBSLAVEOF 3 SYNC"), ok());
    until("the feed to begin", || follows_with(&mut primary, 3));
    pair.until_equal();
}

/// The primary came back with a shorter log than its replica had: "larger offset" was an error for ever.
#[test]
fn case_06_a_primary_with_a_shorter_log_than_its_replica_is_followed_again() {
    let pair = Pair::start(&[], &[]);
    fill(&mut pair.primary.connect(), "a", 100, 20);
    pair.until_equal();
    let Pair { mut primary, proxy, replica } = pair;
    // An operator restores an older copy of the primary's data.
    primary = primary.restart();
    proxy.retarget(primary.port);
    let old = tempfile::TempDir::new().unwrap();
    let copy = old.path().join("copy");
    assert_eq!(primary.connect().ask("BGSAVE"), Value::Simple(b"Background saving started".to_vec()));
    let mut client = primary.connect();
    until("the snapshot", || info(&mut client, "rdb_bgsave_in_progress") == "0");
    let snapshots = primary.path("data/backups");
    until("the snapshot's folder", || std::fs::read_dir(&snapshots).is_ok_and(|mut all| all.next().is_some()));
    let snapshot = std::fs::read_dir(&snapshots).unwrap().next().unwrap().unwrap().path();
    assert!(std::process::Command::new("cp").arg("-r").arg(&snapshot).arg(&copy).status().unwrap().success());
    fill(&mut client, "later", 100, 20);
    until_equal(&primary, &replica);
    drop(primary);
    let restored = Server::start_in(folder_of(&copy), QUICK);
    proxy.retarget(restored.port);
    until_equal(&restored, &replica);
    assert_eq!(replica.connect().ask("EXISTS later:1"), Value::Integer(0));
    assert_eq!(full_syncs(&replica), 1);
}

/// An old primary came back with extra writes whose offset happened to be valid: accepted, and silently different.
#[test]
fn case_07_equal_positions_of_different_histories_are_not_taken_for_equal() {
    let pair = Pair::start(&[], &[]);
    fill(&mut pair.primary.connect(), "a", 50, 10);
    pair.until_equal();
    let mut promoted = pair.replica.connect();
    assert_eq!(promoted.ask("REPLICAOF NO ONE"), ok());
    until("the promotion", || info(&mut promoted, "role") == "master");
    // As many bytes of log on both sides, so that the positions are equal or nearly so.
    for n in 0..40 {
        assert_eq!(promoted.ask(&format!("SET key:{n} new")), ok());
        assert_eq!(pair.primary.connect().ask(&format!("SET key:{n} old")), ok());
    }
    let mut old = pair.primary.connect();
    assert_eq!(old.ask(&format!("REPLICAOF 127.0.0.1 {}", pair.replica.port)), ok());
    until_equal(&pair.replica, &pair.primary);
    assert_eq!(old.ask("GET key:1"), Value::Bulk(b"new".to_vec()));
    let Value::Array(events) = old.ask("REPLICATION HISTORY 0") else { panic!("no history") };
    let why = "alarm diverged raised full sync: diverged@";
    let tells = |event: &Value| matches!(event, Value::Bulk(text) if String::from_utf8_lossy(text).contains(why));
    assert!(events.iter().any(tells), "an alarm says why: {events:?}");
}

/// Host names, IPv6 and `localhost` did not work, or were taken for somebody else.
#[test]
fn case_19_a_primary_has_a_name_or_an_address_of_either_kind() {
    let primary = Server::start(&[QUICK, &["--bind", "127.0.0.1 ::1"]].concat());
    fill(&mut primary.connect(), "a", 10, 10);
    let replica = Server::start(QUICK);
    for host in ["localhost", "127.0.0.1", "::1"] {
        assert_eq!(replica.connect().ask(&format!("REPLICAOF {host} {}", primary.port)), ok());
        let mut client = replica.connect();
        until("the new primary", || info(&mut client, "master_host") == host);
        until_equal(&primary, &replica);
    }
    let mut client = replica.connect();
    assert_eq!(error(&client.ask("REPLICAOF localhost 70000")), "ERR Invalid master port");
    assert_eq!(client.ask("REPLICAOF no.such.host.invalid 6379"), ok());
    until("the name to be unknown", || info(&mut client, "repl_cause") == "unreachable");
    assert_eq!(client.ask(&format!("REPLICAOF localhost {}", primary.port)), ok());
    until_up(&replica);
}

/// A replica of itself, and cycles.
#[test]
fn case_23_nobody_follows_itself_directly_or_through_others() {
    let one = Server::start(QUICK);
    let mut client = one.connect();
    assert_eq!(client.ask(&format!("REPLICAOF 127.0.0.1 {}", one.port)), ok());
    until("the node to know itself", || info(&mut client, "repl_cause") == "itself");
    let two = Server::start(&[QUICK, &["--replicaof", &format!("127.0.0.1 {}", one.port)]].concat());
    assert_eq!(client.ask(&format!("REPLICAOF 127.0.0.1 {}", two.port)), ok());
    let mut other = two.connect();
    let cause = |client: &mut crate::wire::Client| info(client, "repl_cause");
    until("the cycle to be seen", || cause(&mut client) == "cycle" || cause(&mut other) == "cycle");
    assert_eq!(client.ask("REPLICAOF NO ONE"), ok());
    until("a primary", || info(&mut client, "role") == "master");
    fill(&mut client, "a", 10, 10);
    assert_eq!(other.ask("REPLICATION RESET"), ok());
    until_equal(&one, &two);
}

#[test]
fn who_waits_for_elements_is_told_when_the_server_becomes_a_replica() {
    let (one, two) = (Server::start(QUICK), Server::start(QUICK));
    let mut waits = two.connect();
    waits.send(&[b"BLPOP", b"list", b"0"]);
    let mut client = two.connect();
    until("the client to wait", || info_of(&mut client, "CLIENTS", "blocked_clients") == "1");
    assert_eq!(client.ask(&format!("REPLICAOF 127.0.0.1 {}", one.port)), ok());
    assert!(error(&waits.read()).starts_with("UNBLOCKED"), "it is told at once, not when its time is up");
}

/// A field of a section of INFO.
fn info_of(client: &mut Client, section: &str, field: &str) -> String {
    let Value::Bulk(text) = client.ask(&format!("INFO {section}")) else { return String::new() };
    let text = String::from_utf8_lossy(&text).into_owned();
    let found = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::to_owned));
    found.unwrap_or_default()
}
