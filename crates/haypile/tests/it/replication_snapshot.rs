//! Copies of databases for replicas, fetched by a replica that is played by hand.

use std::collections::BTreeSet;

use lineage::Lsn;
use replication::wire::{Class, Manifest, Reply, Request, SnapshotRequest, VERSION};
use replication_proto::{Db, NodeId};
use resp::Value;
use tempfile::TempDir;

use crate::follower::{Follower, Heard, Link};
use crate::server::{Server, folder_of, until};
use crate::wire::{bulk, ok};

/// Asks for a snapshot until it is there.
fn open(link: &mut Link, node: NodeId, db: u32) -> (u64, Manifest) {
    loop {
        link.say(&Request::Snapshot(SnapshotRequest::Open { version: VERSION, node, db: Db(db) }));
        match link.hear() {
            Heard::Other(Reply::Snapshot { lease, manifest }) => return (lease, manifest),
            Heard::Other(Reply::Preparing { percent }) => assert!(percent <= 100),
            other => panic!("{other:?}"),
        }
    }
}

fn refusal(link: &mut Link, request: SnapshotRequest) -> Class {
    link.say(&Request::Snapshot(request));
    match link.hear() {
        Heard::Other(Reply::Refused(refusal)) => refusal.class,
        other => panic!("{other:?}"),
    }
}

/// Fetches one file, in pieces that are asked for all at once.
fn fetch(link: &mut Link, lease: u64, manifest: &Manifest, file: usize) -> Vec<u8> {
    const PIECE: u32 = 100_000;
    let size = manifest.files[file].size;
    let pieces = size.div_ceil(PIECE.into());
    for piece in 0..pieces {
        let offset = piece * u64::from(PIECE);
        link.say(&Request::Snapshot(SnapshotRequest::Read { lease, file: file as u32, offset, length: PIECE }));
    }
    let mut content = Vec::new();
    for _ in 0..pieces {
        let Heard::Chunk { crc, bytes } = link.hear() else { panic!("a piece of a file") };
        assert_eq!(crc, crc32c::crc32c(&bytes));
        content.extend_from_slice(&bytes);
    }
    assert_eq!(content.len() as u64, size);
    assert_eq!(blake3::hash(&content).as_bytes(), &manifest.files[file].checksum.0);
    content
}

fn fill(server: &Server, keys: usize) {
    let mut client = server.connect();
    client.each(
        keys,
        |number| vec![b"SET".to_vec(), format!("key:{number}").into_bytes(), vec![b'a' + (number % 26) as u8; 1000]],
        |_, reply| assert_eq!(reply, ok()),
    );
}

#[test]
fn a_snapshot_that_was_fetched_is_the_database() {
    let server = Server::start(&[]);
    fill(&server, 5000);
    let (follower, _control) = Follower::join(&server, 7);
    let mut link = Link::connect(&server);
    let (lease, manifest) = open(&mut link, follower.node, 0);
    assert_eq!(manifest.db, Db(0));
    assert!(manifest.from <= manifest.finish && manifest.bytes() > 0);
    // Written meanwhile: the snapshot does not have it.
    assert_eq!(server.connect().ask("SET late v"), ok());
    let data = TempDir::new().unwrap();
    std::fs::write(data.path().join("FORMAT"), "haypile 1\n").unwrap();
    let mut second = Link::connect(&server);
    for (number, file) in manifest.files.iter().enumerate() {
        let link = if number % 2 == 0 { &mut link } else { &mut second };
        let path = data.path().join("db0").join(&file.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, fetch(link, lease, &manifest, number)).unwrap();
    }
    link.say(&Request::Snapshot(SnapshotRequest::Keep { lease }));
    assert_eq!(link.hear(), Heard::Other(Reply::Ok));
    link.say(&Request::Snapshot(SnapshotRequest::Close { lease }));
    assert_eq!(link.hear(), Heard::Other(Reply::Ok));
    assert_eq!(refusal(&mut link, SnapshotRequest::Keep { lease }), Class::NoLease);
    let read = SnapshotRequest::Read { lease, file: 0, offset: 0, length: 1 };
    assert_eq!(refusal(&mut link, read), Class::NoLease);
    let copy = Server::start_in(folder_of(data.path()), &[]);
    let mut client = copy.connect();
    assert_eq!(client.ask("DBSIZE"), Value::Integer(5000));
    assert_eq!(client.ask("GET key:4999"), bulk(vec![b'a' + (4999 % 26) as u8; 1000]));
    assert_eq!(client.ask("EXISTS late"), Value::Integer(0));
    // The log goes on where the snapshot ends.
    let (mut feed, verdict) = follower.ask(&server, 0, manifest.finish, &manifest.lineage);
    assert!(matches!(verdict, Heard::Other(Reply::Continue { from, .. }) if from == manifest.finish));
    let Heard::Frames { lsn, bytes } = feed.hear() else { panic!("what was written late") };
    assert!(lsn == manifest.finish && bytes.windows(4).any(|window| window == b"late"));
}

#[test]
fn replicas_share_a_snapshot_and_its_files_go_with_the_last_of_them() {
    let server = Server::start(&["--repl-max-parallel-syncs", "2"]);
    fill(&server, 100);
    let nodes: Vec<NodeId> = (1..=3).map(|name| NodeId([name; 20])).collect();
    let mut link = Link::connect(&server);
    let (first, manifest) = open(&mut link, nodes[0], 0);
    let (second, shared) = open(&mut link, nodes[1], 0);
    assert_eq!(manifest.id, shared.id);
    assert_ne!(first, second);
    let third = SnapshotRequest::Open { version: VERSION, node: nodes[2], db: Db(0) };
    assert_eq!(refusal(&mut link, third.clone()), Class::Busy);
    let (again, same) = open(&mut link, nodes[0], 0);
    assert_eq!((manifest.id.clone(), true), (same.id, again != first), "a replica that asks again gets the same one");
    assert_eq!(refusal(&mut link, SnapshotRequest::Keep { lease: first }), Class::NoLease);
    let folder = server.path("data/sync");
    let copies = || std::fs::read_dir(&folder).map_or(0, Iterator::count);
    assert_eq!(copies(), 1);
    for lease in [again, second] {
        link.say(&Request::Snapshot(SnapshotRequest::Close { lease }));
        assert_eq!(link.hear(), Heard::Other(Reply::Ok));
    }
    until("the files to be removed", || copies() == 0);
    let (_, fresh) = open(&mut link, nodes[2], 0);
    assert_ne!(fresh.id, manifest.id);
    let server = server.restart();
    let left = || std::fs::read_dir(server.path("data/sync")).map_or(0, Iterator::count);
    until("what an earlier run left to be removed", || left() == 0);
}

#[test]
fn what_cannot_be_had_is_refused() {
    let server = Server::start(&[]);
    let mut link = Link::connect(&server);
    let node = NodeId([7; 20]);
    let newer = SnapshotRequest::Open { version: VERSION + 1, node, db: Db(0) };
    assert_eq!(refusal(&mut link, newer), Class::Incompatible);
    assert_eq!(refusal(&mut link, SnapshotRequest::Open { version: VERSION, node, db: Db(9) }), Class::Other);
    assert_eq!(refusal(&mut link, SnapshotRequest::Close { lease: 5 }), Class::NoLease);
    let (lease, manifest) = open(&mut link, node, 0);
    let files = manifest.files.len() as u32;
    let beyond = SnapshotRequest::Read { lease, file: files, offset: 0, length: 10 };
    assert_eq!(refusal(&mut link, beyond), Class::Other);
    link.say(&Request::Snapshot(SnapshotRequest::Read { lease, file: 0, offset: u64::MAX, length: 10 }));
    assert_eq!(link.hear(), Heard::Chunk { crc: 0, bytes: Vec::new() });
    let names: BTreeSet<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    assert!(names.contains("store/CURRENT") && names.iter().any(|name| name.starts_with("log/")), "{names:?}");
}

#[test]
fn the_log_from_a_snapshots_end_on_is_kept_while_it_is_fetched() {
    let small = ["--log-segment-bytes", "1mb", "--log-retain-bytes", "0", "--settle-interval-ms", "10"];
    let server = Server::start(&[&small[..], &["--recovery-log-max", "1mb"]].concat());
    fill(&server, 10);
    let mut link = Link::connect(&server);
    let (_, manifest) = open(&mut link, NodeId([7; 20]), 0);
    // Many segments, which settle would drop.
    fill(&server, 20_000);
    let (follower, _control) = Follower::join(&server, 7);
    let (feed, verdict) = follower.ask(&server, 0, manifest.finish, &manifest.lineage);
    assert!(matches!(verdict, Heard::Other(Reply::Continue { .. })), "{verdict:?}");
    let other = Follower { node: NodeId([8; 20]), ..follower };
    // Both the lease and the feed are gone, and the log with them.
    drop(feed);
    until("the log to be dropped", || {
        // It is cut when there is something to settle.
        fill(&server, 2000);
        let (_, verdict) = other.ask(&server, 0, Lsn::ZERO, &lineage::Lineage::new());
        matches!(verdict, Heard::Other(Reply::FullSync { reason }) if reason == "empty")
    });
}
