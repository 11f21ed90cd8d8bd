//! The primary's side of replication, against a replica that is played by hand.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use lineage::{Epoch, Era, Lineage, Lsn, ReplId};
use replication::wire::{Class, Reply, Request, SyncShard};
use replication_proto::{Db, NodeId, SyncReason};
use replog::Frame;
use resp::Value;

use crate::cluster::number;
use crate::follower::{Follower, Heard, Link, meta};
use crate::server::{Server, until};
use crate::wire::{bulk, error, ok};

/// Where the log of a database ends, and its lineage, as a new replica is told.
fn state_of(server: &Server, db: u32) -> (Lsn, Lineage) {
    let (follower, _link) = Follower::join(server, 99);
    let shard = follower.meta.shards.iter().find(|shard| shard.db == Db(db)).unwrap();
    (shard.end, shard.lineage.clone())
}

fn is_refused(heard: &Heard, class: Class) -> bool {
    matches!(heard, Heard::Other(Reply::Refused(refusal)) if refusal.class == class)
}

#[test]
fn a_new_replica_gets_the_log_from_its_beginning_and_what_comes() {
    let server = Server::start(&[]);
    let (follower, _control) = Follower::join(&server, 7);
    let (mut link, verdict) = follower.ask(&server, 0, Lsn::ZERO, &Lineage::new());
    let Heard::Other(Reply::Continue { from: Lsn(0), lineage, .. }) = verdict else { panic!("{verdict:?}") };
    assert_eq!(lineage, follower.meta.shards[0].lineage);
    let writer = {
        let mut client = server.connect();
        std::thread::spawn(move || {
            for number in 0..3000 {
                assert_eq!(client.ask(&format!("SET key:{number} {}", "v".repeat(1 + number % 700))), ok());
            }
        })
    };
    let mut log = Vec::new();
    // Everything that was there and some of what comes, then a new link from where this one ended.
    link.receive(&mut log, Lsn(100_000));
    drop(link);
    let (mut link, verdict) = follower.ask(&server, 0, Lsn(log.len() as u64), &lineage);
    assert!(matches!(verdict, Heard::Other(Reply::Continue { from, .. }) if from == Lsn(log.len() as u64)));
    writer.join().unwrap();
    let (end, _) = state_of(&server, 0);
    link.receive(&mut log, end);
    let (mut at, mut frames) = (0, 0);
    while at < log.len() {
        at = Frame::decode(&log[at..], Lsn(at as u64)).unwrap().end().0 as usize;
        frames += 1;
    }
    assert!(frames > 3000, "{frames}");
    assert!(matches!(link.hear(), Heard::Other(Reply::Alive { end: at, .. }) if at == end), "an idle link lives");
}

#[test]
fn a_large_frame_is_one_message_and_small_ones_are_many_in_a_message() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let value = vec![b'x'; 5 << 20];
    assert_eq!(client.call(&[b"SET", b"large", &value]), ok());
    for number in 0..20_000 {
        client.send(&[b"SET", format!("key:{number}").as_bytes(), b"v"]);
    }
    for _ in 0..20_000 {
        assert_eq!(client.read(), ok());
    }
    let (follower, _control) = Follower::join(&server, 7);
    let end = follower.meta.shards[0].end;
    let (mut link, _) = follower.ask(&server, 0, Lsn::ZERO, &Lineage::new());
    let (mut at, mut messages) = (0, 0);
    while at < end.0 {
        let Heard::Frames { lsn, bytes } = link.hear() else { panic!("only frames come") };
        assert_eq!(lsn.0, at);
        let is_one = replog::frame_len(&bytes) == Ok(bytes.len());
        assert!(bytes.len() <= 256 << 10 || is_one, "{}", bytes.len());
        at += bytes.len() as u64;
        messages += 1;
    }
    assert!(messages < 100, "{messages}");
}

#[test]
fn who_is_on_another_history_is_told_to_start_anew() {
    let server = Server::start(&[]);
    assert_eq!(server.connect().ask("SET k v"), ok());
    let (follower, _control) = Follower::join(&server, 7);
    let (end, lineage) = state_of(&server, 0);
    let era = |epoch, first| Era { epoch: Epoch(epoch), id: ReplId([9; 20]), first: Lsn(first) };
    let reason = |end, lineage: &Lineage| match follower.ask(&server, 0, end, lineage).1 {
        Heard::Other(Reply::FullSync { reason }) => reason,
        other => panic!("{other:?}"),
    };
    let mut stranger = Lineage::new();
    stranger.push(era(1, 0)).unwrap();
    assert_eq!(reason(Lsn(50), &stranger), "disjoint");
    let mut parted = lineage.clone();
    parted.push(era(9, end.0 - 10)).unwrap();
    assert_eq!(reason(end + 100, &parted), format!("diverged@{}", end.0 - 10));
    assert_eq!(reason(end + 100, &lineage), "ahead");
    let (mut link, _) = follower.ask(&server, 0, end + 100, &lineage);
    assert_eq!(link.hear(), Heard::Closed, "and the link ends");
}

#[test]
fn a_primary_that_restarts_continues_who_has_no_more_than_it() {
    let server = Server::start(&[]);
    assert_eq!(server.connect().ask("SET k v"), ok());
    let (end, lineage) = state_of(&server, 0);
    let server = server.crash_and_restart();
    let (follower, _control) = Follower::join(&server, 7);
    let (mut link, verdict) = follower.ask(&server, 0, end, &lineage);
    let Heard::Other(Reply::Continue { from, lineage: grown, .. }) = verdict else { panic!("{verdict:?}") };
    assert_eq!((from, grown.eras().len()), (end, lineage.eras().len() + 1));
    let Heard::Frames { lsn, bytes } = link.hear() else { panic!("the new era's frame comes") };
    let era = Frame::decode(&bytes, lsn).unwrap().era();
    assert_eq!(era, grown.current().copied());
}

#[test]
fn who_wants_a_copy_in_any_case_is_sent_nothing_that_it_would_throw_away() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.ask("SET k v"), ok());
    let (end, lineage) = state_of(&server, 0);
    let (follower, _control) = Follower::join(&server, 7);
    for (end, lineage) in [(end, &lineage), (Lsn::ZERO, &Lineage::new())] {
        let question = SyncShard { bound: Some(SyncReason::Forced), ..follower.question(0, end, lineage) };
        let mut link = Link::connect(&server);
        link.say(&Request::SyncShard(question));
        assert_eq!(link.hear(), Heard::Other(Reply::FullSync { reason: "forced".to_owned() }));
        assert_eq!(link.hear(), Heard::Closed);
    }
    assert_eq!((number(&mut client, "sync_partial_ok"), number(&mut client, "sync_partial_err")), (0, 0));
}

#[test]
fn questions_that_cannot_be_answered_are_refused_by_class() {
    let server = Server::start(&[]);
    let (follower, _control) = Follower::join(&server, 7);
    let refusal = |request: Request| {
        let mut link = Link::connect(&server);
        link.say(&request);
        let heard = link.hear();
        assert_eq!(link.hear(), Heard::Closed);
        heard
    };
    let newer = replication::wire::SyncMeta { version: 2, ..meta(NodeId([7; 20])) };
    assert!(is_refused(&refusal(Request::SyncMeta(newer)), Class::Incompatible));
    let smaller = replication::wire::SyncMeta { databases: 3, ..meta(NodeId([7; 20])) };
    assert!(is_refused(&refusal(Request::SyncMeta(smaller)), Class::Incompatible));
    let itself = meta(follower.meta.node);
    assert!(is_refused(&refusal(Request::SyncMeta(itself)), Class::Itself));
    let mut stale = follower.question(0, Lsn::ZERO, &Lineage::new());
    stale.role_generation += 1;
    assert!(is_refused(&refusal(Request::SyncShard(stale)), Class::Busy));
    let beyond = follower.question(999, Lsn::ZERO, &Lineage::new());
    assert!(is_refused(&refusal(Request::SyncShard(beyond)), Class::Incompatible));
}

#[test]
fn who_is_not_authenticated_gets_no_link() {
    let server = Server::start(&["--requirepass", "secret"]);
    let mut link = Link::connect(&server);
    link.say(&Request::SyncMeta(meta(NodeId([7; 20]))));
    assert!(is_refused(&link.hear(), Class::Auth));
    link.command(&["AUTH", "wrong"]);
    assert!(is_refused(&link.hear(), Class::Auth));
    // The replies of a pipeline come before those of the link.
    link.command(&["AUTH", "secret"]);
    link.command(&["REPLCONF", "listening-port", "1"]);
    link.say(&Request::SyncMeta(meta(NodeId([7; 20]))));
    assert_eq!(link.hear(), Heard::Other(Reply::Ok));
    assert_eq!(link.hear(), Heard::Other(Reply::Ok));
    assert!(matches!(link.hear(), Heard::Other(Reply::Meta(_))));
}

#[test]
fn a_database_that_appears_is_told_at_once_and_its_link_begins_anew() {
    let server = Server::start(&[]);
    let (follower, mut control) = Follower::join(&server, 7);
    let (mut link, verdict) = follower.ask(&server, 3, Lsn::ZERO, &Lineage::new());
    assert!(matches!(verdict, Heard::Other(Reply::Continue { generation: 0, from: Lsn(0), .. })), "{verdict:?}");
    let mut client = server.connect();
    assert_eq!(client.ask("SELECT 3"), ok());
    assert_eq!(client.ask("SET k v"), ok());
    loop {
        match control.hear() {
            Heard::Other(Reply::Heartbeat(beat)) if beat.shards.iter().any(|shard| shard.db == Db(3)) => break,
            Heard::Other(Reply::Heartbeat(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    loop {
        match link.hear() {
            Heard::Other(Reply::Alive { .. }) => {}
            Heard::Closed => break,
            other => panic!("{other:?}"),
        }
    }
    let (mut link, _) = follower.ask(&server, 3, Lsn::ZERO, &Lineage::new());
    let mut log = Vec::new();
    link.receive(&mut log, state_of(&server, 3).0);
    assert!(!log.is_empty());
}

#[test]
fn links_are_clients_of_their_own_kind() {
    let server = Server::start(&["--timeout", "1"]);
    let (follower, mut control) = Follower::join(&server, 7);
    let (mut link, _) = follower.ask(&server, 0, Lsn::ZERO, &Lineage::new());
    // Two seconds of heartbeats: longer than a client may be idle.
    for _ in 0..3 {
        assert!(matches!(control.hear(), Heard::Other(Reply::Heartbeat(_))));
        let beat = replication::wire::ReplicaHeartbeat { role_generation: 0, now_ms: 0, shards: Vec::new() };
        control.say(&Request::Heartbeat(beat));
    }
    let mut client = server.connect();
    let Value::Bulk(list) = client.ask("CLIENT LIST TYPE replica") else { panic!("a text") };
    let list = String::from_utf8(list).unwrap();
    assert!(list.lines().count() == 2 && list.lines().all(|line| line.contains(" flags=S ")), "{list}");
    assert_eq!(client.ask("CLIENT KILL TYPE replica"), Value::Integer(2));
    until("the links to be closed", || matches!(link.hear(), Heard::Closed) && matches!(control.hear(), Heard::Closed));
    assert_eq!(client.ask("CLIENT LIST TYPE replica"), bulk(""));
}

#[test]
fn a_replica_that_says_nothing_is_dropped() {
    let server = Server::start(&["--repl-timeout", "1"]);
    let (follower, mut control) = Follower::join(&server, 7);
    let (mut link, _) = follower.ask(&server, 0, Lsn::ZERO, &Lineage::new());
    while control.hear() != Heard::Closed {}
    while link.hear() != Heard::Closed {}
}

#[test]
fn nonsense_on_a_link_ends_it() {
    let server = Server::start(&[]);
    let (follower, mut control) = Follower::join(&server, 7);
    control.command(&["GET", "k"]);
    while control.hear() != Heard::Closed {}
    let (mut link, _) = follower.ask(&server, 0, Lsn::ZERO, &Lineage::new());
    link.acknowledge(Lsn(1 << 40));
    while link.hear() != Heard::Closed {}
    assert_eq!(server.connect().ask("PING"), Value::Simple(b"PONG".to_vec()));
}

#[test]
fn a_server_ends_in_good_order_with_links_up() {
    let server = Server::start(&[]);
    let (follower, mut control) = Follower::join(&server, 7);
    let (mut link, _) = follower.ask(&server, 0, Lsn::ZERO, &Lineage::new());
    let server = server.restart();
    while control.hear() != Heard::Closed {}
    while link.hear() != Heard::Closed {}
    drop(server);
}

#[test]
fn a_replica_that_does_not_read_costs_no_memory() {
    let server = Server::start(&["--maxmemory", "64mb", "--repl-timeout", "60"]);
    let (follower, _control) = Follower::join(&server, 7);
    let (mut link, _) = follower.ask(&server, 0, Lsn::ZERO, &Lineage::new());
    let mut client = server.connect();
    let value = vec![b'x'; 1 << 20];
    let mut write = |count: usize| {
        for number in 0..count {
            assert_eq!(client.call(&[b"SET", format!("key:{}", number % 10).as_bytes(), &value]), ok());
        }
    };
    write(50);
    let before = server.resident_bytes();
    write(300);
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 100 << 20, "{grown} bytes for 300 MB that nobody reads");
    let (end, _) = state_of(&server, 0);
    let mut log = Vec::new();
    link.receive(&mut log, end);
}

#[test]
fn wait_counts_the_replicas_that_have_what_was_written() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.ask("WAIT 1 10"), Value::Integer(0));
    let (follower, _control) = Follower::join(&server, 7);
    let (mut link, _) = follower.ask(&server, 0, Lsn::ZERO, &Lineage::new());
    let mut log = Vec::new();
    assert_eq!(client.ask("SET k v"), ok());
    assert_eq!(client.ask("WAIT 1 20"), Value::Integer(0), "nothing was acknowledged");
    assert_eq!(client.ask("WAIT 0 0"), Value::Integer(0));
    client.send(&[b"WAIT", b"1", b"0"]);
    link.receive(&mut log, state_of(&server, 0).0);
    assert_eq!(client.read(), Value::Integer(1));
    assert_eq!(client.ask("WAIT 2 20"), Value::Integer(1));
    assert_eq!(client.ask("WAITAOF 1 1 0"), Value::Array(vec![Value::Integer(1), Value::Integer(1)]));
    // In one batch with the write it waits for.
    client.send_raw(b"SET k w\r\nWAITAOF 1 1 0\r\nGET k\r\n");
    assert_eq!(client.read(), ok());
    link.receive(&mut log, state_of(&server, 0).0);
    assert_eq!(client.read(), Value::Array(vec![Value::Integer(1), Value::Integer(1)]));
    assert_eq!(client.read(), bulk("w"));
    // A transaction does not wait.
    client.send_raw(b"MULTI\r\nSET k x\r\nWAIT 1 0\r\nEXEC\r\n");
    for _ in 0..3 {
        client.read();
    }
    assert_eq!(client.read(), Value::Array(vec![ok(), Value::Integer(1)]));
    drop(link);
    until("the replica to be gone", || client.ask("WAIT 1 1") == Value::Integer(0));
}

#[test]
fn too_few_good_replicas_take_no_writes() {
    let server = Server::start(&["--min-replicas-to-write", "1"]);
    let mut client = server.connect();
    let refused = "NOREPLICAS Not enough good replicas to write.";
    assert_eq!(error(&client.ask("SET k v")), refused);
    assert_eq!(client.ask("GET k"), Value::NullBulk);
    let (follower, control) = Follower::join(&server, 7);
    let (link, _) = follower.ask(&server, 0, Lsn::ZERO, &Lineage::new());
    until("the replica to count", || client.ask("SET k v") == ok());
    client.send_raw(b"MULTI\r\nSET k w\r\nEXEC\r\n");
    for _ in 0..2 {
        client.read();
    }
    assert_eq!(client.read(), Value::Array(vec![ok()]));
    drop(link);
    drop(control);
    until("the replica to be gone", || client.ask("SET k v") != ok());
    assert_eq!(client.ask("CONFIG SET min-replicas-to-write 0"), ok());
    assert_eq!(client.ask("SET k v"), ok());
}

#[test]
fn info_and_role_show_who_follows() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.ask("SET k v"), ok());
    let info = |client: &mut crate::wire::Client| {
        let Value::Bulk(text) = client.ask("INFO replication") else { panic!("a text") };
        String::from_utf8(text).unwrap()
    };
    assert!(info(&mut client).contains("connected_slaves:0\r\n"));
    let (follower, _control) = Follower::join(&server, 7);
    let joined = "connected_slaves:1\r\nslave0:ip=10.1.2.3,port=7777,state=wait_bgsave,offset=0,lag=0";
    // It is answered before it is listed.
    until("the replica to be listed", || info(&mut client).contains(joined));
    let (mut link, _) = follower.ask(&server, 0, Lsn::ZERO, &Lineage::new());
    let end = state_of(&server, 0).0;
    let mut log = Vec::new();
    link.receive(&mut log, end);
    let online = format!("slave0:ip=10.1.2.3,port=7777,state=online,offset={end},lag=0");
    until("the acknowledgement to be shown", || info(&mut client).contains(&online));
    let text = info(&mut client);
    let shard = format!("haypile_replica0_db0:received={end},applied={end},synced={end},lag_bytes=0,lag_ms=0,");
    assert!(text.contains(&shard) && text.contains(&format!("master_repl_offset:{end}")), "{text}");
    let era = follower.meta.shards[0].lineage.current().unwrap().id;
    assert!(text.contains(&format!("master_replid:{era}\r\n")), "{text}");
    let offset = end.to_string();
    let replica = Value::Array(vec![bulk("10.1.2.3"), bulk("7777"), bulk(&offset)]);
    let role = Value::Array(vec![bulk("master"), Value::Integer(end.0 as i64), Value::Array(vec![replica])]);
    assert_eq!(client.ask("ROLE"), role);
}

#[test]
fn damage_in_the_log_ends_a_feed_instead_of_silencing_it() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for number in 0..100 {
        assert_eq!(client.ask(&format!("SET key:{number} {}", "v".repeat(100))), ok());
    }
    let (follower, _control) = Follower::join(&server, 7);
    let end = follower.meta.shards[0].end;
    let path = server.path("data/db0/log/00000000000000000000.seg");
    let damaged = end.0 / 2;
    let at = replog::SEGMENT_HEADER as u64 + damaged;
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    // Twice: a replica that comes again finds the same.
    for _ in 0..2 {
        let (mut link, verdict) = follower.ask(&server, 0, Lsn::ZERO, &Lineage::new());
        assert!(matches!(verdict, Heard::Other(Reply::Continue { .. })), "{verdict:?}");
        let Heard::Frames { lsn, bytes } = link.hear() else { panic!("what is before the damage") };
        assert!(lsn == Lsn::ZERO && bytes.len() as u64 <= damaged);
        assert!(is_refused(&link.hear(), Class::Damaged), "it is told why");
        assert_eq!(link.hear(), Heard::Closed);
    }
    until("the log to tell of it", || server.log().contains("a feed ended"));
}
