//! A disk without room: writes are refused or wait, reads go on, and both end when there is room.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use resp::Value;
use rustix::process::{Signal, kill_process};

use crate::server::{Server, folder_of, until};
use crate::small_disk::SmallDisk;
use crate::wire::{Client, bulk, ok};

/// A write that meets the full disk waits for room, so one writer alone would see no refusal.
const WRITERS: usize = 4;
const MOST_WRITERS: usize = 32;
/// Refusals during which reads are tried.
const REFUSALS: usize = 200;
const SMALL_SEGMENTS: [&str; 2] = ["--log-segment-bytes", "8mb"];

fn key(writer: usize, n: usize) -> Vec<u8> {
    format!("writer:{writer}:{n}").into_bytes()
}

fn value(writer: usize, n: usize) -> Vec<u8> {
    let mut value = format!("{writer}:{n}:").into_bytes();
    value.resize(2048, b'.');
    value
}

/// What the writers have seen.
#[derive(Default)]
struct Seen {
    acknowledged: [AtomicUsize; MOST_WRITERS],
    refused: AtomicUsize,
    /// Each writer is to end with the next write that is acknowledged.
    stop: AtomicBool,
}

impl Seen {
    fn acknowledged(&self, writer: usize) -> usize {
        self.acknowledged[writer].load(Ordering::Acquire)
    }

    fn refused(&self) -> usize {
        self.refused.load(Ordering::Acquire)
    }

    fn total(&self) -> usize {
        (0..MOST_WRITERS).map(|writer| self.acknowledged(writer)).sum()
    }
}

/// Clients that write one key after the other, each until it is acknowledged or the server is gone.
struct Writers {
    seen: Arc<Seen>,
    threads: Vec<JoinHandle<()>>,
}

impl Writers {
    fn start(server: &Server) -> Self {
        let mut writers = Self { seen: Arc::default(), threads: Vec::new() };
        (0..WRITERS).for_each(|_| writers.add(server));
        writers
    }

    fn add(&mut self, server: &Server) {
        let (writer, seen, mut client) = (self.threads.len(), Arc::clone(&self.seen), server.connect());
        self.threads.push(std::thread::spawn(move || {
            loop {
                let n = seen.acknowledged(writer);
                let mut command = Vec::new();
                resp::encode_command(&[b"SET", &key(writer, n), &value(writer, n)], &mut command);
                if client.try_send_raw(&command).is_err() {
                    return;
                }
                match client.try_read() {
                    Some(Value::Error(text)) if text.starts_with(b"MISCONF ") => {
                        seen.refused.fetch_add(1, Ordering::AcqRel);
                    }
                    Some(other) => {
                        assert_eq!(other, ok());
                        seen.acknowledged[writer].store(n + 1, Ordering::Release);
                        if seen.stop.load(Ordering::Acquire) {
                            return;
                        }
                    }
                    None => return,
                }
            }
        }));
    }

    /// Waits until so many more writes are refused, which says that the disk is full, and does `meanwhile` meanwhile.
    fn until_refused(&mut self, server: &Server, more: usize, mut meanwhile: impl FnMut(&Seen)) {
        let mut client = server.connect();
        let mut last = self.seen.refused();
        let enough = last + more;
        until("writes to be refused", || {
            let now = self.seen.refused();
            // All that write may have met the full disk at once, and wait for room: then it takes another one.
            if now == last && self.threads.len() < MOST_WRITERS && is_full(&mut client) {
                self.add(server);
            }
            last = now;
            meanwhile(&self.seen);
            now >= enough
        });
    }

    fn join(self) -> Arc<Seen> {
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        self.seen
    }
}

fn is_full(client: &mut Client) -> bool {
    match client.ask("INFO persistence") {
        Value::Bulk(text) => String::from_utf8(text).unwrap().contains("health=no-space"),
        other => panic!("{other:?}"),
    }
}

/// Every acknowledged key has its value.
fn check(client: &mut Client, seen: &Seen) {
    for writer in 0..MOST_WRITERS {
        let get = |n| vec![b"GET".to_vec(), key(writer, n)];
        let right = |n, got: Value| assert!(got == bulk(value(writer, n)), "{writer}:{n} is {got:?}");
        client.each(seen.acknowledged(writer), get, right);
    }
}

#[test]
fn writes_are_refused_while_there_is_no_room_and_come_back_by_themselves() {
    let Some(disk) = SmallDisk::mount(96) else { return };
    let filler = disk.fill(30);
    let server = Server::start_in(folder_of(disk.path()), &SMALL_SEGMENTS);
    let mut writers = Writers::start(&server);
    writers.until_refused(&server, 1, |_| {});
    let mut client = server.connect();
    writers.until_refused(&server, REFUSALS, |seen| {
        for writer in 0..WRITERS {
            let last = seen.acknowledged(writer) - 1;
            assert_eq!(client.call(&[b"GET", &key(writer, last)]), bulk(value(writer, last)));
        }
        let counted = client.ask("DBSIZE");
        assert!(matches!(counted, Value::Integer(count) if count as usize >= seen.total()), "{counted:?}");
    });
    check(&mut client, &writers.seen);

    writers.seen.stop.store(true, Ordering::Release);
    fs::remove_file(filler).unwrap();
    let seen = writers.join();
    check(&mut client, &seen);
    assert_eq!(client.ask("SET healed yes"), ok());
    let server = server.crash_and_restart();
    let mut client = server.connect();
    check(&mut client, &seen);
    assert_eq!(client.ask("DBSIZE"), Value::Integer(seen.total() as i64 + 1));
}

fn end_without_room(end: impl FnOnce(&mut Server)) {
    let Some(disk) = SmallDisk::mount(96) else { return };
    let filler = disk.fill(30);
    let mut server = Server::start_in(folder_of(disk.path()), &SMALL_SEGMENTS);
    let mut writers = Writers::start(&server);
    writers.until_refused(&server, REFUSALS, |_| {});
    end(&mut server);
    let seen = writers.join();
    fs::remove_file(filler).unwrap();
    let server = server.again();
    let mut client = server.connect();
    check(&mut client, &seen);
    assert_eq!(client.ask("SET healed yes"), ok());
}

#[test]
fn a_crash_without_room_loses_nothing() {
    end_without_room(Server::crash);
}

#[test]
fn an_orderly_end_without_room_loses_nothing() {
    end_without_room(|server| {
        kill_process(server.pid(), Signal::TERM).unwrap();
        let status = server.wait();
        let said = fs::read_to_string(server.path("stderr")).unwrap();
        // The store may have given room back just then.
        let told = status.code() == Some(1) && said.contains("No space left on device");
        assert!(status.success() || told, "{status}: {said}");
    });
}

#[test]
fn without_room_it_starts_and_serves_what_it_has() {
    let Some(disk) = SmallDisk::mount(96) else { return };
    let filler = disk.fill(30);
    // What it says needs room, too.
    let elsewhere = tempfile::tempdir().unwrap();
    let log = elsewhere.path().join("log").to_str().unwrap().to_owned();
    let mut server = Server::start_in(folder_of(disk.path()), &[&SMALL_SEGMENTS[..], &["--logfile", &log]].concat());
    let mut writers = Writers::start(&server);
    writers.until_refused(&server, REFUSALS, |_| {});
    server.crash();
    let seen = writers.join();

    let mut rest = disk.fill_up();
    for end in [Signal::KILL, Signal::KILL, Signal::TERM] {
        server = server.again();
        check(&mut server.connect(), &seen);
        kill_process(server.pid(), end).unwrap();
        server.wait();
        // The little that it gave back is taken, too.
        fs::remove_file(rest).unwrap();
        rest = disk.fill_up();
    }

    server = server.again();
    let mut writers = Writers::start(&server);
    writers.until_refused(&server, 1, |_| {});
    [filler, rest].into_iter().for_each(|file| fs::remove_file(file).unwrap());
    writers.seen.stop.store(true, Ordering::Release);
    writers.join();
    let said = fs::read_to_string(&log).unwrap();
    assert!(said.matches("the start uses the room that was kept for it").count() >= 4, "{said}");
}
