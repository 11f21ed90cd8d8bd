//! `repl-sync-replicas`: what was answered without an error is durable on so many replicas.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use lineage::{Lineage, Lsn};
use replication::wire::{Ack, Reply, Request};
use resp::{Value, encode_command};
use rustix::process::{Signal, kill_process};

use crate::cluster::{QUICK, info, number, until_up};
use crate::follower::{Follower, Heard, Link};
use crate::server::{Server, until};
use crate::wire::{Client, bulk, error, ok};

/// Milliseconds after which nothing is confirmed any more; longer than a test has patience.
const LONG: &str = "120000";

/// A primary and two replicas that sync only when they are asked.
struct Trio {
    primary: Server,
    replicas: Vec<Server>,
}

impl Trio {
    fn start(confirmations: &str, timeout: &str) -> Self {
        let sync = ["--repl-sync-replicas", confirmations, "--repl-sync-timeout", timeout];
        let primary = Server::start(&[QUICK, &sync].concat());
        let follows = format!("127.0.0.1 {}", primary.port);
        let replica = || Server::start(&[QUICK, &["--appendfsync", "no", "--replicaof", &follows]].concat());
        let replicas = vec![replica(), replica()];
        replicas.iter().for_each(until_up);
        Self { primary, replicas }
    }

    fn stop(&self, nth: usize) {
        self.replicas[nth].freeze();
    }

    fn go_on(&self, nth: usize) {
        self.replicas[nth].thaw();
    }
}

fn is_unconfirmed(value: &Value) -> bool {
    matches!(value, Value::Error(text) if text.starts_with(b"NOREPLICAS The write is applied here"))
}

fn set_timeout(client: &mut Client, millis: &str) {
    assert_eq!(client.ask(&format!("CONFIG SET repl-sync-timeout {millis}")), ok());
}

/// Sends commands at once and reads their replies.
fn pipeline(client: &mut Client, lines: &[&str]) -> Vec<Value> {
    let mut bytes = Vec::new();
    for line in lines {
        encode_command(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>(), &mut bytes);
    }
    client.send_raw(&bytes);
    lines.iter().map(|_| client.read()).collect()
}

#[test]
fn writes_are_confirmed_by_two_replicas_or_an_error() {
    let trio = Trio::start("2", LONG);
    let (mut client, mut other) = (trio.primary.connect(), trio.primary.connect());
    assert_eq!(client.ask("SET a 1"), ok());
    for replica in &trio.replicas {
        assert_eq!(replica.connect().ask("GET a"), bulk("1"), "whoever confirmed it has applied it");
    }
    trio.stop(1);
    set_timeout(&mut other, "100");
    assert!(is_unconfirmed(&client.ask("SET a 2")));
    assert_eq!(other.ask("GET a"), bulk("2"));
    assert_eq!(client.ask("GET a"), bulk("2"), "the connection is kept");
    assert_eq!(number(&mut other, "haypile_unconfirmed_replies"), 1);
    let mut replica = trio.replicas[0].connect();
    until("the replica that goes on", || replica.ask("GET a") == bulk("2"));
    // One is enough: the other one has it.
    assert_eq!(other.ask("CONFIG SET repl-sync-replicas 1"), ok());
    set_timeout(&mut other, LONG);
    assert_eq!(client.ask("SET a 3"), ok());
    assert_eq!(other.ask("CONFIG SET repl-sync-replicas 2"), ok());
    client.send(&[b"SET", b"a", b"4"]);
    until("the write", || other.ask("GET a") == bulk("4"));
    trio.go_on(1);
    assert_eq!(client.read(), ok(), "who waits is confirmed when the replica goes on");
    assert_eq!(client.ask("SET a 5"), ok());
    assert_eq!(trio.replicas[1].connect().ask("GET a"), bulk("5"));
}

#[test]
fn a_replica_that_comes_back_confirms_what_it_has() {
    let mut trio = Trio::start("2", LONG);
    let (mut client, mut other) = (trio.primary.connect(), trio.primary.connect());
    assert_eq!(client.ask("SET a 1"), ok());
    let mut crashed = trio.replicas.remove(1);
    crashed.crash();
    client.send(&[b"SET", b"a", b"2"]);
    until("the write", || other.ask("GET a") == bulk("2"));
    trio.replicas.push(crashed.again());
    assert_eq!(client.read(), ok());
    assert_eq!(trio.replicas[1].connect().ask("GET a"), bulk("2"));
}

#[test]
fn replies_keep_their_order_whatever_becomes_of_the_writes() {
    let trio = Trio::start("2", LONG);
    let (mut client, mut other) = (trio.primary.connect(), trio.primary.connect());
    let lines = ["SET a 1", "GET a", "INCR a", "GET none", "PING", "SET a 9 NX", "RPUSH l x y", "LLEN l", "GET a"];
    let replies = pipeline(&mut client, &lines);
    let pong = || Value::Simple(b"PONG".to_vec());
    let (two, nil) = (Value::Integer(2), Value::NullBulk);
    assert_eq!(replies[..6], [ok(), bulk("1"), two.clone(), nil.clone(), pong(), nil.clone()]);
    assert_eq!(replies[6..], [two.clone(), two.clone(), bulk("2")]);
    trio.stop(0);
    set_timeout(&mut other, "100");
    let replies = pipeline(&mut client, &lines);
    assert!([0, 2, 6].iter().all(|&at| is_unconfirmed(&replies[at])), "{replies:?}");
    assert_eq!(replies[1], bulk("1"));
    assert_eq!(replies[3..6], [nil.clone(), pong(), nil]);
    assert_eq!(replies[7..], [Value::Integer(4), bulk("2")]);
    let exec = pipeline(&mut client, &["MULTI", "SET a 7", "GET a", "EXEC", "GET a"]);
    assert!(is_unconfirmed(&exec[3]), "{exec:?}");
    assert_eq!(exec[4], bulk("7"));
    trio.go_on(0);
    set_timeout(&mut other, LONG);
    let exec = pipeline(&mut client, &["MULTI", "INCR a", "GET a", "EXEC"]);
    assert_eq!(exec[3], Value::Array(vec![Value::Integer(8), bulk("8")]));
    assert_eq!(trio.replicas[0].connect().ask("GET a"), bulk("8"));
}

#[test]
fn who_was_woken_has_what_replicas_know_to_be_taken() {
    let trio = Trio::start("2", LONG);
    let (mut blocked, mut client) = (trio.primary.connect(), trio.primary.connect());
    let wait = |blocked: &mut Client, client: &mut Client| {
        blocked.send(&[b"BLPOP", b"l", b"0"]);
        until("the client to block", || number(client, "blocked_clients") == 1);
    };
    wait(&mut blocked, &mut client);
    assert_eq!(client.ask("RPUSH l a"), Value::Integer(1));
    assert_eq!(blocked.read(), Value::Array(vec![bulk("l"), bulk("a")]));
    assert_eq!(trio.replicas[0].connect().ask("EXISTS l"), Value::Integer(0));
    trio.stop(0);
    set_timeout(&mut client, "100");
    wait(&mut blocked, &mut client);
    assert!(is_unconfirmed(&client.ask("RPUSH l b c")));
    assert!(is_unconfirmed(&blocked.read()));
    assert_eq!(client.ask("LRANGE l 0 -1"), Value::Array(vec![bulk("c")]));
}

#[test]
fn a_primary_that_becomes_a_replica_confirms_nothing() {
    let trio = Trio::start("2", LONG);
    let (mut client, mut other) = (trio.primary.connect(), trio.primary.connect());
    assert_eq!(client.ask("SET a 1"), ok());
    trio.stop(0);
    trio.stop(1);
    client.send(&[b"SET", b"a", b"2"]);
    until("the write", || other.ask("GET a") == bulk("2"));
    let mut waiting = trio.primary.connect();
    assert_eq!(waiting.ask("GET a"), bulk("2"));
    waiting.send(&[b"WAIT", b"2", b"0"]);
    until("WAIT", || number(&mut other, "blocked_clients") == 1);
    assert_eq!(other.ask(&format!("REPLICAOF 127.0.0.1 {}", trio.replicas[0].port)), ok());
    assert!(error(&client.read()).starts_with("UNBLOCKED The write was applied here"));
    assert!(error(&waiting.read()).starts_with("UNBLOCKED force unblock"));
    assert_eq!(number(&mut other, "blocked_clients"), 0);
    trio.go_on(0);
    trio.go_on(1);
}

#[test]
fn only_what_is_durable_is_confirmed_and_replicas_are_asked_to_make_it_so() {
    let server = Server::start(&["--repl-sync-replicas", "1", "--repl-sync-timeout", LONG]);
    let (mut client, mut other) = (server.connect(), server.connect());
    let (follower, _control) = Follower::join(&server, 7);
    let (mut link, verdict) = follower.ask(&server, 0, Lsn::ZERO, &Lineage::new());
    assert!(matches!(verdict, Heard::Other(Reply::Continue { .. })), "{verdict:?}");
    let mut end = Lsn::ZERO;
    let mut follow = |link: &mut Link| loop {
        match link.hear() {
            Heard::Frames { lsn, bytes } => end = lsn + bytes.len() as u64,
            Heard::Other(Reply::Fsync) => return end,
            Heard::Other(Reply::Alive { .. }) => {}
            other => panic!("not a message of a feed: {other:?}"),
        }
    };
    let before = follow(&mut link);
    link.acknowledge(before);
    client.send(&[b"SET", b"a", b"1"]);
    let end = follow(&mut link);
    assert!(end > before);
    link.say(&Request::Ack(Ack { received: end, applied: end, synced: before }));
    // It is known to be applied: an acknowledgement that had confirmed it would have, by now or soon.
    until("the acknowledgement", || info(&mut other, "slave0").contains(&format!("offset={end},")));
    set_timeout(&mut other, "1");
    assert!(is_unconfirmed(&client.read()));
    set_timeout(&mut other, LONG);
    client.send(&[b"SET", b"a", b"2"]);
    let end = follow(&mut link);
    link.acknowledge(end);
    assert_eq!(client.read(), ok());
    // Without a wish for it nobody is told to hurry.
    assert_eq!(other.ask("CONFIG SET repl-sync-replicas 0"), ok());
    assert_eq!(client.ask("SET a 3"), ok());
    loop {
        match link.hear() {
            Heard::Frames { .. } => {}
            Heard::Other(Reply::Alive { .. }) => break,
            other => panic!("not a message of a feed: {other:?}"),
        }
    }
}

/// Replicas are heard until the last reply has left.
#[test]
fn a_good_end_confirms_what_was_begun() {
    let mut trio = Trio::start("2", "1500");
    let mut client = trio.primary.connect();
    client.send_raw(&b"INCR k\r\n".repeat(5000));
    assert_eq!(client.read(), Value::Integer(1));
    kill_process(trio.primary.pid(), Signal::TERM).unwrap();
    let mut last = 1;
    while let Some(reply) = client.try_read() {
        last += 1;
        assert_eq!(reply, Value::Integer(last));
    }
    assert_eq!(trio.primary.wait().code(), Some(0));
    for replica in &trio.replicas {
        assert_eq!(replica.connect().ask("GET k"), bulk(last.to_string()));
    }
}

/// Everything that was answered without an error is on the replica that takes over.
#[test]
fn what_was_confirmed_survives_the_primary() {
    const CLIENTS: usize = 4;
    let sync = ["--repl-sync-replicas", "1", "--repl-sync-timeout", LONG];
    let mut primary = Server::start(&[QUICK, &sync].concat());
    let follows = format!("127.0.0.1 {}", primary.port);
    let mut replica = Server::start(&[QUICK, &["--appendfsync", "no", "--replicaof", &follows]].concat());
    until_up(&replica);
    let confirmed = Mutex::new(Vec::new());
    let count = AtomicUsize::new(0);
    let clients: Vec<Client> = (0..CLIENTS).map(|_| primary.connect()).collect();
    std::thread::scope(|scope| {
        for (nth, client) in clients.into_iter().enumerate() {
            let (confirmed, count) = (&confirmed, &count);
            scope.spawn(move || write_until_the_end(client, nth, confirmed, count));
        }
        until("enough writes", || count.load(Ordering::Relaxed) >= crate::scale(3_000, 100_000));
        primary.crash();
    });
    // What the replica had not synced would be lost in a power cut; what lies in the page cache survives this.
    replica = replica.crash_and_restart();
    let mut client = replica.connect();
    assert_eq!(client.ask("REPLICAOF NO ONE"), ok());
    until("the promotion", || info(&mut client, "role") == "master");
    let confirmed = confirmed.into_inner().unwrap();
    let get = |n: usize| vec![b"GET".to_vec(), confirmed[n].clone().into_bytes()];
    client.each(confirmed.len(), get, |n, value| assert_eq!(value, bulk(&confirmed[n]), "{}", confirmed[n]));
}

fn write_until_the_end(mut client: Client, nth: usize, confirmed: &Mutex<Vec<String>>, count: &AtomicUsize) {
    const BATCH: usize = 10;
    for batch in 0.. {
        let keys: Vec<String> = (0..BATCH).map(|n| format!("key:{nth}:{batch}:{n}")).collect();
        let mut bytes = Vec::new();
        for key in &keys {
            encode_command(&[b"SET", key.as_bytes(), key.as_bytes()], &mut bytes);
        }
        if client.try_send_raw(&bytes).is_err() {
            return;
        }
        for key in keys {
            match client.try_read() {
                Some(reply) => assert_eq!(reply, ok(), "{key}"),
                None => return,
            }
            confirmed.lock().unwrap().push(key);
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}
