//! Faults that a replica meets in what comes, and in those from whom it comes.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use resp::Value;

use crate::cluster::{Pair, field, fill, info, number, until_down, until_up};
use crate::proxy::{Accident, Weather};
use crate::replication::full_syncs;
use crate::replication_copy::{begin_copy, fill_much};
use crate::server::{Server, until};
use crate::wire::{Client, ok};

/// A position inside a batch was answered by a full sync.
#[test]
fn case_08_a_link_that_ends_inside_a_batch_goes_on_with_it() {
    const BATCH: u64 = 1000;
    let mut pair = Pair::start(&[], &[]);
    let mut primary = pair.primary.connect();
    for n in 0..6 {
        // The batch is one frame of more than 100 kB, and the link ends somewhere in it.
        pair.proxy.arrange(Accident::Truncate(5_000 + 19_000 * n));
        batch(&mut primary, n, BATCH);
        until("the accident", || pair.proxy.has_happened());
        until_up(&pair.replica);
    }
    // A crash in the middle of one.
    pair.proxy.set(Weather::Throttled(50_000));
    let before = pair.proxy.passed();
    batch(&mut primary, 7, BATCH);
    until("a part of the batch", || pair.proxy.passed() > before + 20_000);
    pair.replica = pair.replica.crash_and_restart();
    assert_eq!(pair.replica.connect().ask("EXISTS batch:7:0"), Value::Integer(0), "a part of a batch is nothing");
    pair.proxy.set(Weather::Fair);
    pair.until_equal();
    assert_eq!(number(&mut pair.replica.connect(), "slave_repl_offset"), number(&mut primary, "master_repl_offset"));
    assert_eq!(full_syncs(&pair.replica), 0);
}

/// A transaction of so many writes.
fn batch(client: &mut Client, number: u64, writes: u64) {
    client.send(&[b"MULTI"]);
    let value = [b'x'; 100];
    for n in 0..writes {
        client.send(&[b"SET", format!("batch:{number}:{n}").as_bytes(), &value]);
    }
    client.send(&[b"EXEC"]);
    for _ in 0..=writes {
        client.read();
    }
    assert!(matches!(client.read(), Value::Array(replies) if replies.len() as u64 == writes));
}

/// The feed pinged for ever while it could not read its log: the link was up, the data frozen.
#[test]
fn case_14_a_log_that_cannot_be_read_is_told_and_leads_to_a_copy() {
    let pair = Pair::start(&["--log-segment-bytes", "1mb"], &[]);
    let mut primary = pair.primary.connect();
    fill(&mut primary, "a", 100, 100);
    pair.until_equal();
    pair.proxy.set(Weather::Cut);
    until_down(&pair.replica);
    let here = number(&mut primary, "master_repl_offset");
    fill(&mut primary, "b", 100, 100);
    damage(&pair.primary, here + 2_000);
    // Further segments, and everything so far in the store.
    fill_much(&mut primary, "much", 400);
    assert!(matches!(primary.ask("BGREWRITEAOF"), Value::Simple(_)));
    pair.proxy.set(Weather::Fair);
    let mut replica = pair.replica.connect();
    until("the copy to begin", || full_syncs(&pair.replica) > 0);
    assert!(matches!(replica.ask("GET a:1"), Value::Bulk(_)), "what is here is served meanwhile");
    pair.until_equal();
    let events = std::fs::read_to_string(pair.replica.path("data/events.jsonl")).unwrap();
    assert_eq!(full_syncs(&pair.replica), 1, "{events}");
    let told = events.matches("\"cause\":\"bad_frame\"").count();
    assert!(told >= 3 && events.contains("stuck") && !events.contains("diverged"), "{events}");
    assert!(pair.primary.log().contains("a feed ended"), "the primary's log says it, too");
}

/// Changes a byte of a log's first segment, at this position.
fn damage(server: &Server, lsn: u64) {
    let path = server.path("data/db0/log/00000000000000000000.seg");
    let at = replog::SEGMENT_HEADER as u64 + lsn;
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

/// Sleeps, and waits for threads, under a lock that everybody needs.
#[test]
fn case_16_nobody_waits_for_somebody_who_waits_for_a_peer() {
    // Longer than any test waits: whatever waited for one of these would not come to its end.
    const LONG: &[&str] = &["--repl-timeout", "600", "--repl-connect-timeout", "600", "--repl-reply-timeout", "600"];
    let slow = [LONG, &["--repl-progress-timeout", "600", "--repl-fullsync-rate", "2mb"]].concat();
    let pair = Pair::start(LONG, &slow);
    let mut primary = pair.primary.connect();
    fill_much(&mut primary, "much", 500);
    pair.until_equal();
    begin_copy(&pair);
    pair.proxy.set(Weather::Frozen);
    let mut replica = pair.replica.connect();
    let text = |reply: Value| assert!(matches!(reply, Value::Bulk(_)), "{reply:?}");
    // While a transfer waits for its peer, and at the other end somebody for room in a socket.
    text(replica.ask("GET much:1"));
    text(replica.ask("REPLICATION STATUS"));
    assert_eq!(replica.ask("CONFIG SET repl-fullsync-rate 8mb"), ok());
    assert_eq!(replica.ask("REPLICATION RESET"), ok());
    assert_eq!(replica.ask("DBSLAVEOF 0 NO ONE"), ok());
    assert_eq!(replica.ask("DBSLAVEOF 0 FORCE"), ok());
    // While a dial waits.
    assert_eq!(replica.ask(&format!("REPLICAOF 127.0.0.1 {}", pair.proxy.port)), ok());
    until("the dial", || info(&mut replica, "repl_state") == "Connecting");
    assert_eq!(replica.ask("REPLICATION RESET 0"), ok());
    text(replica.ask("GET much:2"));
    fill(&mut primary, "b", 100, 10);
    text(primary.ask("INFO replication"));
    let other = Server::start(&[LONG, &["--replicaof", &format!("127.0.0.1 {}", pair.primary.port)]].concat());
    crate::cluster::until_equal(&pair.primary, &other);
    assert_eq!(replica.ask("REPLICAOF NO ONE"), ok());
    until("the promotion", || info(&mut replica, "role") == "master");
    assert_eq!(replica.ask("SET own write"), ok());
    let replica = pair.replica.restart();
    assert_eq!(replica.connect().ask("GET own"), Value::Bulk(b"write".to_vec()));
    let primary = pair.primary.restart();
    assert_eq!(primary.connect().ask("EXISTS b:1"), Value::Integer(1));
}

/// The same damage, or none, whatever is done with it: one bad byte on the way is no reason for a copy.
#[test]
fn damage_on_the_way_at_different_places_is_no_reason_for_a_copy() {
    let pair = Pair::start(&[], &[]);
    let mut primary = pair.primary.connect();
    for n in 0..5 {
        pair.proxy.arrange(Accident::Corrupt(200 + 1_000 * n));
        fill(&mut primary, &format!("round-{n}"), 100, 100);
        until("the accident", || pair.proxy.has_happened());
        until("the replica to be up again", || field(&mut pair.replica.connect(), 0, "state") == "Connected");
    }
    pair.until_equal();
    assert_eq!(full_syncs(&pair.replica), 0);
}

/// Nothing is known of a primary that was not heard since the start: that is not "no lag", nor is what is here nothing.
#[test]
fn a_replica_that_starts_without_its_primary_tells_what_it_knows() {
    let mut pair = Pair::start(&[], &[]);
    fill(&mut pair.primary.connect(), "a", 100, 100);
    pair.until_equal();
    pair.proxy.set(Weather::Cut);
    pair.replica = pair.replica.restart();
    let mut replica = pair.replica.connect();
    let offset = info(&mut replica, "slave_repl_offset");
    assert_ne!(offset, "0");
    until("the database to be told", || !info(&mut replica, "repl_db0").is_empty());
    let told = ["offset", "lag_bytes", "lag_ms"].map(|name| field(&mut replica, 0, name));
    assert_eq!(told, [&offset, "-1", "-1"]);
    assert_eq!(field(&mut replica, 0, "next_retry_ms"), "-1", "the instance retries, not the database");
    assert_ne!(info(&mut replica, "repl_next_retry_ms"), "-1");

    pair.proxy.set(Weather::Fair);
    until_up(&pair.replica);
    until("the lag to be known", || field(&mut replica, 0, "lag_bytes") == "0");
    let told = [field(&mut replica, 0, "next_retry_ms"), info(&mut replica, "repl_next_retry_ms")];
    assert_eq!(told, ["-1", "-1"], "nothing is to be tried again");
    let Value::Bulk(status) = replica.ask("REPLICATION STATUS") else { panic!("no status") };
    let status = String::from_utf8(status).unwrap();
    assert!(
        status.contains("instance: Connected") && status.contains("(agreed)"),
        "no detail of what went before: {status}"
    );
}
