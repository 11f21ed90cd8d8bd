//! What disks and people do to a data folder.

use std::fs::{self, File};
use std::path::PathBuf;

use resp::Value;

use crate::server::{Server, until};
use crate::wire::{Client, bulk, error, ok};

/// Nothing reaches the store while a test runs: what is there afterwards comes from the log.
const LOG_ONLY: [&str; 2] = ["--settle-interval-ms", "60000"];
const FIRST_SEGMENT: &str = "data/db0/log/00000000000000000000.seg";

fn key(n: usize) -> Vec<u8> {
    format!("key:{n}").into_bytes()
}

fn value(n: usize) -> Vec<u8> {
    format!("value:{n:06}").into_bytes()
}

/// Writes keys one by one, each a frame of its own.
fn write(client: &mut Client, keys: usize) {
    (0..keys).for_each(|n| assert_eq!(client.call(&[b"SET", &key(n), &value(n)]), ok()));
}

fn read(client: &mut Client, keys: usize) {
    client.each(keys, |n| vec![b"GET".to_vec(), key(n)], |n, got| assert_eq!(got, bulk(value(n)), "key {n}"));
}

fn long_value(n: usize) -> Vec<u8> {
    let mut value = value(n);
    value.resize(2048, b'.');
    value
}

fn read_long(client: &mut Client, keys: usize) {
    let right = |n, got: Value| assert!(got == bulk(long_value(n)), "key {n} is {got:?}");
    client.each(keys, |n| vec![b"GET".to_vec(), key(n)], right);
}

/// Where the value of a key is in a file.
fn find(bytes: &[u8], value: &[u8]) -> usize {
    bytes.windows(value.len()).position(|window| window == value).expect("the value is in the log")
}

#[test]
fn damage_in_the_log_is_told_and_never_touched() {
    let mut server = Server::start(&[&["--appendfsync", "always"], &LOG_ONLY[..]].concat());
    write(&mut server.connect(), 200);
    server.crash();
    let path = server.path(FIRST_SEGMENT);
    let mut bytes = fs::read(&path).unwrap();
    let at = find(&bytes, &value(100));
    bytes[at] ^= 0x10;
    fs::write(&path, &bytes).unwrap();

    let server = server.again();
    let mut client = server.connect();
    read(&mut client, 100);
    let reply = client.ask("SET key:0 other");
    let said = error(&reply);
    assert!(said.starts_with("MISCONF Haypile cannot write: The log is damaged"), "{said}");
    // The frame's beginning, which is a header and a key before the value.
    let from = (at - 64..at).find(|byte| said.contains(&format!("({} at byte {byte})", path.display())));
    assert!(from.is_some(), "the value is at byte {at}: {said}");
    let log = server.log();
    assert!(log.contains("refuses writes") && log.contains(path.to_str().unwrap()), "{log}");
    read(&mut client, 100);
    let server = server.restart();
    read(&mut server.connect(), 100);
    assert!(fs::read(&path).unwrap() == bytes, "the damaged file was changed");
}

#[test]
fn a_torn_tail_is_cut_off_with_a_warning() {
    let mut server = Server::start(&[&["--appendfsync", "no"], &LOG_ONLY[..]].concat());
    write(&mut server.connect(), 200);
    server.crash();
    let file = File::options().write(true).open(server.path(FIRST_SEGMENT)).unwrap();
    file.set_len(file.metadata().unwrap().len() - 3).unwrap();

    let server = server.again();
    let log = server.log();
    assert!(log.contains("WARN") && log.contains("cut an unsynced tail off the log"), "{log}");
    let mut client = server.connect();
    read(&mut client, 199);
    assert_eq!(client.call(&[b"GET", &key(199)]), Value::NullBulk);
    assert_eq!(fs::read_dir(server.path("data/db0/quarantine")).unwrap().count(), 1);
    write(&mut client, 200);
    let server = server.crash_and_restart();
    read(&mut server.connect(), 200);
}

#[test]
fn a_missing_store_is_built_again_from_a_whole_log() {
    let server = Server::start(&[]);
    write(&mut server.connect(), 500);
    let mut server = server.restart();
    assert_eq!(server.connect().ask("DEL key:499"), Value::Integer(1));
    server.crash();
    fs::remove_dir_all(server.path("data/db0/store")).unwrap();
    let server = server.again();
    assert!(server.log().contains("the store was missing"), "{}", server.log());
    let mut client = server.connect();
    read(&mut client, 499);
    assert_eq!(client.ask("DBSIZE"), Value::Integer(499));
    let server = server.restart();
    read(&mut server.connect(), 499);
}

#[test]
fn a_missing_store_that_the_log_cannot_replace_refuses_the_start() {
    let small = ["--log-segment-bytes", "1mb", "--recovery-log-max", "1mb", "--log-retain-bytes", "0"];
    let mut server = Server::start(&[&small[..], &["--settle-interval-ms", "10"]].concat());
    let mut client = server.connect();
    let first = server.path(FIRST_SEGMENT);
    let mut keys = 0;
    until("the first segment to be trimmed", || {
        let from = keys;
        let set = |n| vec![b"SET".to_vec(), key(from + n), long_value(from + n)];
        client.each(500, set, |_, got| assert_eq!(got, ok()));
        keys += 500;
        !first.exists()
    });
    server.crash();
    let (store, away) = (server.path("data/db0/store"), server.path("store"));
    fs::rename(&store, &away).unwrap();
    let said = server.refusal();
    assert!(said.contains("The store is missing and the log begins at LSN"), "{said}");
    assert!(said.contains("restore the folder 'store' or a backup"), "{said}");
    // As it says.
    fs::rename(&away, &store).unwrap();
    let server = server.again();
    read_long(&mut server.connect(), keys);
}

#[test]
fn a_missing_log_refuses_the_start() {
    let server = Server::start(&[]);
    write(&mut server.connect(), 10);
    let mut server = server.restart();
    server.crash();
    fs::rename(server.path("data/db0/log"), server.path("log")).unwrap();
    let said = server.refusal();
    assert!(said.contains("the log is missing: restore the log or a backup"), "{said}");
    fs::rename(server.path("log"), server.path("data/db0/log")).unwrap();
    let server = server.again();
    read(&mut server.connect(), 10);
}

#[test]
fn a_missing_segment_refuses_the_start() {
    let mut server = Server::start(&[&["--log-segment-bytes", "1mb"], &LOG_ONLY[..]].concat());
    let set = |n| vec![b"SET".to_vec(), key(n), long_value(n)];
    server.connect().each(2000, set, |_, got| assert_eq!(got, ok()));
    server.crash();
    let log = server.path("data/db0/log");
    let files = fs::read_dir(&log).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "seg")).collect();
    segments.sort();
    assert!(segments.len() >= 3, "{segments:?}");
    fs::rename(&segments[1], server.path("away")).unwrap();
    let said = server.refusal();
    assert!(said.contains("but the next segment begins at LSN"), "{said}");
    assert!(said.contains(segments[0].to_str().unwrap()), "{said}");
    fs::rename(server.path("away"), &segments[1]).unwrap();
    let server = server.again();
    read_long(&mut server.connect(), 2000);
}

#[test]
fn a_folder_of_another_format_refuses_the_start() {
    let mut server = Server::start(&[]);
    write(&mut server.connect(), 10);
    server.crash();
    fs::write(server.path("data/FORMAT"), "haypile 2\n").unwrap();
    let said = server.refusal();
    assert!(said.contains("The data folder is of format 'haypile 2', this server reads 'haypile 1'"), "{said}");
    assert!(said.contains("FORMAT"), "{said}");
    fs::write(server.path("data/FORMAT"), "haypile 1\n").unwrap();
    let server = server.again();
    read(&mut server.connect(), 10);
}
