//! A snapshot is a data folder: another server starts on it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use resp::Value;

use crate::server::{Server, folder_of, until};
use crate::wire::{Client, bulk, ok};

const WRITERS: usize = 3;

fn key(writer: usize, n: usize) -> Vec<u8> {
    format!("writer:{writer}:{n}").into_bytes()
}

fn value(writer: usize, n: usize) -> String {
    format!("{writer}:{n}:{}", "x".repeat(100 + n % 400))
}

/// Clients that write one key after the other until they are told to stop.
struct Load {
    acknowledged: Arc<Vec<AtomicUsize>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(server: &Server) -> Self {
        let acknowledged: Arc<Vec<AtomicUsize>> = Arc::new((0..WRITERS).map(|_| AtomicUsize::new(0)).collect());
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..WRITERS).map(|writer| {
            let (mut client, acknowledged, stop) = (server.connect(), Arc::clone(&acknowledged), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut n = 0;
                while !stop.load(Ordering::Acquire) {
                    let value = value(writer, n);
                    assert_eq!(client.call(&[b"SET", &key(writer, n), value.as_bytes()]), ok());
                    n += 1;
                    acknowledged[writer].store(n, Ordering::Release);
                }
            })
        });
        let threads = threads.collect();
        Self { acknowledged, stop, threads }
    }

    /// How many keys each has been acknowledged.
    fn acknowledged(&self) -> Vec<usize> {
        self.acknowledged.iter().map(|count| count.load(Ordering::Acquire)).collect()
    }

    /// Waits until each has written so many more.
    fn go_on(&self, more: usize) {
        let before = self.acknowledged();
        until("the writers to go on", || {
            self.acknowledged().iter().zip(&before).all(|(now, then)| *now >= then + more)
        });
    }

    fn stop(self) -> Vec<usize> {
        self.stop.store(true, Ordering::Release);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        self.acknowledged.iter().map(|count| count.load(Ordering::Acquire)).collect()
    }
}

/// The server has what each writer was acknowledged, and nothing of it has a gap. Answers how many keys there are.
fn check(client: &mut Client, acknowledged: &[usize]) -> usize {
    let Value::Integer(size) = client.ask("DBSIZE") else { panic!("no size") };
    let mut keys = 0;
    for (writer, count) in acknowledged.iter().enumerate() {
        let get = |n| vec![b"GET".to_vec(), key(writer, n)];
        client.each(*count, get, |n, got| assert_eq!(got, bulk(value(writer, n)), "{writer}:{n}"));
        keys += count;
        let mut next = *count;
        while client.call(&[b"GET", &key(writer, next)]) == bulk(value(writer, next)) {
            next += 1;
        }
        keys += next - count;
    }
    assert_eq!(keys as i64, size, "what came later is there without what came before it");
    keys
}

/// The snapshots that are complete, in order.
fn snapshots(server: &Server) -> Vec<PathBuf> {
    let Ok(folder) = std::fs::read_dir(server.path("data/backups")) else { return Vec::new() };
    let mut found: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_none());
    found.sort();
    found
}

fn info(client: &mut Client) -> String {
    match client.ask("INFO persistence") {
        Value::Bulk(text) => String::from_utf8(text).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn save_in_background(client: &mut Client) {
    assert_eq!(client.ask("BGSAVE"), Value::Simple(b"Background saving started".to_vec()));
    let mut said = String::new();
    until("the snapshot", || {
        said = info(client);
        said.contains("rdb_bgsave_in_progress:0\r\n")
    });
    assert!(said.contains("rdb_last_bgsave_status:ok\r\n"), "{said}");
    let Value::Integer(last) = client.ask("LASTSAVE") else { panic!("no time") };
    assert!(said.contains(&format!("rdb_last_save_time:{last}\r\n")), "{last}: {said}");
}

fn snapshot_under_load(args: &[&str]) {
    let server = Server::start(args);
    let mut client = server.connect();
    let load = Load::start(&server);
    load.go_on(500);
    let before = load.acknowledged();
    save_in_background(&mut client);
    load.go_on(200);
    let second = load.acknowledged();
    assert_eq!(client.ask("SAVE"), ok());
    load.go_on(200);

    let made = snapshots(&server);
    assert_eq!(made.len(), 2, "{made:?}");
    for (path, least) in made.iter().zip([&before, &second]) {
        let copy = Server::start_in(folder_of(path), args);
        let mut client = copy.connect();
        let keys = check(&mut client, least);
        // It is a server like any other.
        assert_eq!(client.ask("SET own yes"), ok());
        let copy = copy.crash_and_restart();
        assert_eq!(copy.connect().ask("DBSIZE"), Value::Integer(keys as i64 + 1));
    }

    let all = load.stop();
    let server = server.crash_and_restart();
    assert_eq!(check(&mut server.connect(), &all), all.iter().sum::<usize>());
}

#[test]
fn another_server_starts_on_a_snapshot_made_under_load() {
    snapshot_under_load(&[]);
}

#[test]
fn snapshots_are_whole_while_everything_settles_and_is_trimmed_all_the_time() {
    let hasty = ["--settle-interval-ms", "1", "--log-segment-bytes", "1mb", "--recovery-log-max", "1mb"];
    snapshot_under_load(&[&hasty[..], &["--log-retain-bytes", "0"]].concat());
}

#[test]
fn a_snapshot_has_every_database() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for database in [0, 3, 15] {
        assert_eq!(client.ask(&format!("SELECT {database}")), ok());
        assert_eq!(client.ask(&format!("SET which {database}")), ok());
    }
    assert_eq!(client.ask("SAVE"), ok());
    let copy = Server::start_in(folder_of(&snapshots(&server)[0]), &[]);
    let mut client = copy.connect();
    for database in [0, 3, 15] {
        assert_eq!(client.ask(&format!("SELECT {database}")), ok());
        assert_eq!(client.ask("GET which"), bulk(database.to_string()));
    }
}

#[test]
fn records_changed_since_the_last_save_are_counted() {
    let server = Server::start(&[]);
    let (mut client, mut waiter) = (server.connect(), server.connect());
    let changes = |client: &mut Client| {
        let Value::Bulk(info) = client.ask("INFO persistence") else { panic!("INFO is text") };
        let info = String::from_utf8(info).unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix("rdb_changes_since_last_save:")).unwrap();
        line.parse::<u64>().unwrap()
    };
    assert_eq!(changes(&mut client), 0);
    for line in ["SET a 1", "SET a 2", "MSET a 1 b 1", "GET a", "DEL none", "MULTI", "SET x 1", "SET y 1", "EXEC"] {
        client.ask(line);
    }
    assert_eq!(changes(&mut client), 6);
    waiter.send(&[b"BLPOP", b"l", b"0"]);
    until(
        "the client to wait",
        || matches!(client.ask("INFO clients"), Value::Bulk(info) if info.windows(17).any(|at| at == b"blocked_clients:1")),
    );
    assert_eq!(client.ask("RPUSH l e"), Value::Integer(1));
    assert_eq!(waiter.read(), Value::Array(vec![bulk("l"), bulk("e")]));
    assert_eq!(client.ask("CONFIG RESETSTAT"), ok());
    assert_eq!(changes(&mut client), 8, "the push and the pop");
    assert_eq!(client.ask("SAVE"), ok());
    assert_eq!(changes(&mut client), 0);
    assert_eq!(client.ask("SET a 3"), ok());
    assert_eq!(changes(&mut client), 1);
}
