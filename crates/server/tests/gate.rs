//! A whole server in this process, whose logs can be looked at: a reply never shows what they do not hold.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engine::memory_store::MemoryStores;
use engine::{Instance, Options};
use replication::replica::Prepared;
use server::config::{Config, LogLevel, Settings};
use server::host::{Host, Memory, Split};
use server::shared::clock;
use server::{Ended, Server};
use tempfile::TempDir;

struct NoHost;

impl Host for NoHost {
    fn memory(&self) -> Memory {
        Memory::default()
    }

    fn allocator(&self) -> String {
        String::new()
    }

    fn split(&self, _config: &Config) -> Split {
        Split::default()
    }

    fn apply_split(&self, _split: &Split) {}

    fn set_log_level(&self, _level: LogLevel) {}

    fn purge(&self) {}
}

struct World {
    server: Option<Server>,
    instance: Arc<Instance>,
    folder: TempDir,
}

impl World {
    fn new(args: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let socket = folder.path().join("s").to_str().unwrap().to_owned();
        let own = ["--port", "0", "--unixsocket", &socket, "--workers", "2"];
        let args: Vec<String> = own.iter().chain(args).map(|&arg| arg.to_owned()).collect();
        let options = Options::new(folder.path().join("data"), Arc::new(MemoryStores::default()));
        let (instance, _) = Instance::open(options, clock()).unwrap();
        let settings = Settings::load(None, &args).unwrap();
        let prepared = Prepared::load(&folder.path().join("data"), None).unwrap();
        let server = Server::start(settings, prepared, Arc::clone(&instance), Arc::new(NoHost), |_| ()).unwrap();
        Self { server: Some(server), instance, folder }
    }

    fn connect(&self) -> BufReader<UnixStream> {
        let stream = UnixStream::connect(self.folder.path().join("s")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        BufReader::new(stream)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            assert_eq!(server.stop(), Ended::Quiet);
        }
    }
}

fn ask(client: &mut BufReader<UnixStream>, line: &str) -> String {
    client.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
    read(client)
}

fn read(client: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    client.read_line(&mut line).unwrap();
    if line.starts_with('$') && !line.starts_with("$-1") {
        line.clear();
        client.read_line(&mut line).unwrap();
    }
    line.trim_end().to_owned()
}

#[test]
fn a_reply_comes_after_its_frame_is_in_the_file() {
    let world = World::new(&[]);
    let mut client = world.connect();
    for n in 0..300 {
        assert_eq!(ask(&mut client, &format!("SET k {n}")), "+OK");
        let log = &world.instance.shard(0).unwrap().log;
        assert!(log.written() >= log.end(), "answered before it was written");
    }
}

#[test]
fn with_appendfsync_always_it_comes_after_the_sync() {
    let world = World::new(&["--appendfsync", "always"]);
    let mut client = world.connect();
    for n in 0..100 {
        assert_eq!(ask(&mut client, &format!("SET k {n}")), "+OK");
        let log = &world.instance.shard(0).unwrap().log;
        assert!(log.synced() >= log.end(), "answered before it was synced");
    }
}

#[test]
fn a_changed_durability_holds_from_the_next_reply_on() {
    let world = World::new(&["--appendfsync", "no"]);
    let mut client = world.connect();
    assert_eq!(ask(&mut client, "SET k 1"), "+OK");
    assert_eq!(ask(&mut client, "CONFIG SET appendfsync always"), "+OK");
    assert_eq!(ask(&mut client, "GET k"), "1", "what is read is gated, too");
    let log = &world.instance.shard(0).unwrap().log;
    assert!(log.synced() >= log.end());
}

/// One client writes rising numbers; others read them. Whatever they read must be in the file by then.
#[test]
fn readers_see_nothing_that_the_file_does_not_hold() {
    let world = World::new(&["--appendfsync", "always"]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = world.connect();
            for n in 1..=200 {
                assert_eq!(ask(&mut writer, "INCR k"), format!(":{n}"));
            }
            done.store(true, Ordering::Release);
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut reader = world.connect();
                let mut seen = 0;
                while !done.load(Ordering::Acquire) {
                    let found = ask(&mut reader, "GET k").parse::<u64>().unwrap_or(0);
                    // INCR's frames are all alike, so that many of them must be below the synced end.
                    let log = &world.instance.shard(0).unwrap().log;
                    let frames = log.verify_from(log.start()).unwrap();
                    assert!(
                        found >= seen && (found == 0 || frames > found),
                        "{found} was read with {frames} frames in the file"
                    );
                    seen = found;
                }
            });
        }
    });
}

#[test]
fn replies_that_are_not_wanted_are_not_sent_and_their_writes_are_written() {
    let world = World::new(&[]);
    let mut client = world.connect();
    client.get_mut().write_all(b"CLIENT REPLY OFF\r\nSET k 1\r\nINCR k\r\nCLIENT REPLY ON\r\n").unwrap();
    assert_eq!(read(&mut client), "+OK");
    client.get_mut().write_all(b"CLIENT REPLY SKIP\r\nINCR k\r\nGET k\r\n").unwrap();
    assert_eq!(read(&mut client), "3");
    let log = &world.instance.shard(0).unwrap().log;
    assert!(log.written() >= log.end());
}

#[test]
fn another_worker_closes_a_client() {
    let world = World::new(&[]);
    let (mut one, mut other) = (world.connect(), world.connect());
    let id = ask(&mut one, "CLIENT ID");
    assert_eq!(ask(&mut other, "PING"), "+PONG");
    assert_eq!(ask(&mut other, &format!("CLIENT KILL ID {}", &id[1..])), ":1");
    assert_eq!(read(&mut one), "", "it is closed");
}

const UNCONFIRMED: &str = "-NOREPLICAS The write is applied here, but repl-sync-replicas did not confirm it within \
                           repl-sync-timeout. It may be lost in a failover.";
const DEPOSED: &str = "-UNBLOCKED The write was applied here, but replicas had not confirmed it when this instance's role \
                       changed. It may be lost.";
/// A timeout that no test sees the end of.
const LONG: &str = "3600000";

/// A server that waits for a replica, and has none.
fn lonely(timeout: &str) -> World {
    let waits = ["--repl-sync-replicas", "1", "--repl-sync-timeout", timeout];
    World::new(&[&waits[..], &["--appendfsync", "no", "--enable-debug-command", "yes"]].concat())
}

fn send(client: &mut BufReader<UnixStream>, lines: &[&str]) {
    client.get_mut().write_all(lines.join("\r\n").as_bytes()).unwrap();
    client.get_mut().write_all(b"\r\n").unwrap();
}

/// Sends the lines at once, and compares their replies.
fn converse(client: &mut BufReader<UnixStream>, lines: &[(&str, &[&str])]) {
    send(client, &lines.iter().map(|(line, _)| *line).collect::<Vec<_>>());
    for (line, replies) in lines {
        for reply in *replies {
            assert_eq!(read(client), *reply, "{line}");
        }
    }
}

/// The whole of a bulk string.
fn bulk(client: &mut BufReader<UnixStream>, line: &str) -> String {
    send(client, &[line]);
    let mut length = String::new();
    client.read_line(&mut length).unwrap();
    let mut text = vec![0; length.trim_end()[1..].parse::<usize>().unwrap() + 2];
    client.read_exact(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "waited too long: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_write_that_no_replica_confirms_is_applied_and_its_reply_an_error() {
    let world = lonely("20");
    let mut client = world.connect();
    for n in 0..3 {
        assert_eq!(ask(&mut client, &format!("SET k {n}")), UNCONFIRMED);
        // Nobody else has it synced: it was asked for, and came in time or later.
        until("the sync", || world.instance.shard(0).is_some_and(|shard| shard.log.synced() >= shard.log.end()));
        assert_eq!(ask(&mut client, "GET k"), n.to_string());
    }
    let info = bulk(&mut client, "INFO everything");
    assert!(info.contains("haypile_unconfirmed_replies:3\r\n") && info.contains("errorstat_NOREPLICAS:count=3\r\n"));
}

#[test]
fn in_a_pipeline_each_unconfirmed_write_has_its_own_error() {
    let world = lonely("50");
    let mut client = world.connect();
    // POPULATE, MSET and FLUSHALL run at the desk, or may.
    converse(
        &mut client,
        &[
            ("PING", &["+PONG"]),
            ("SET k 1", &[UNCONFIRMED]),
            ("GET k", &["1"]),
            ("INCR k", &[UNCONFIRMED]),
            ("GET none", &["$-1"]),
            ("SET k 9 NX", &["$-1"]),
            ("DEL none", &[":0"]),
            ("LPUSH k x", &["-WRONGTYPE Operation against a key holding the wrong kind of value"]),
            ("DEBUG POPULATE 2 p", &[UNCONFIRMED]),
            ("MSET a 1 b 2", &[UNCONFIRMED]),
            ("FLUSHALL", &[UNCONFIRMED]),
            ("ECHO end", &["end"]),
        ],
    );
}

#[test]
fn a_transaction_that_changed_something_is_answered_as_a_whole_or_not_at_all() {
    let world = lonely("50");
    let mut client = world.connect();
    let queued: &[&str] = &["+QUEUED"];
    converse(
        &mut client,
        &[
            ("MULTI", &["+OK"]),
            ("SET k 1", queued),
            ("GET k", queued),
            ("EXEC", &[UNCONFIRMED]),
            // Interrupted by work of the desk and by a pause.
            ("MULTI", &["+OK"]),
            ("INCR k", queued),
            ("DEBUG STRINGMATCH-LEN 1 a", queued),
            ("DEBUG SLEEP 0", queued),
            ("DEBUG DIGEST-VALUE none", queued),
            ("GET k", queued),
            ("EXEC", &[UNCONFIRMED]),
            ("MULTI", &["+OK"]),
            ("GET k", queued),
            ("DEBUG SLEEP 0", queued),
            ("DEBUG DIGEST-VALUE none", queued),
            ("GET k", queued),
            ("EXEC", &["*4", "2", "+OK", "*1", "+0000000000000000000000000000000000000000", "2"]),
            ("MULTI", &["+OK"]),
            ("DEBUG POPULATE 1 p", queued),
            ("GET k", queued),
            ("EXEC", &[UNCONFIRMED]),
            ("CLIENT REPLY SKIP", &[]),
            ("SET muted 1", &[]),
            ("GET muted", &["1"]),
        ],
    );
}

#[test]
fn a_client_that_was_woken_waits_for_replicas_too() {
    let world = lonely("50");
    let (mut blocked, mut other) = (world.connect(), world.connect());
    send(&mut blocked, &["BLPOP l 0", "PING"]);
    until("the client to block", || world.instance.is_expected(0, b"l"));
    assert_eq!(ask(&mut other, "RPUSH l a b"), UNCONFIRMED);
    assert_eq!(read(&mut blocked), UNCONFIRMED);
    assert_eq!(read(&mut blocked), "+PONG");
    assert_eq!(ask(&mut other, "LLEN l"), ":1");
}

#[test]
fn who_waits_holds_nobody_up_and_a_new_configuration_goes_for_him_at_once() {
    let world = lonely(LONG);
    let mut waiting: Vec<_> = (0..8).map(|_| world.connect()).collect();
    let mut other = world.connect();
    let set = |waiting: &mut Vec<BufReader<UnixStream>>, other: &mut _, value: &str| {
        for (n, client) in waiting.iter_mut().enumerate() {
            send(client, &[&format!("SET k{n} {value}"), "ECHO end"]);
        }
        for n in 0..8 {
            until("the write", || ask(other, &format!("GET k{n}")) == value);
        }
    };
    let all = |waiting: &mut Vec<BufReader<UnixStream>>, reply: &str| {
        for client in waiting {
            assert_eq!((read(client), read(client)), (reply.to_owned(), "end".to_owned()));
        }
    };
    set(&mut waiting, &mut other, "a");
    assert_eq!(ask(&mut other, "CONFIG SET repl-sync-replicas 0"), "+OK");
    all(&mut waiting, "+OK");
    set(&mut waiting, &mut other, "b");
    all(&mut waiting, "+OK");
    assert_eq!(ask(&mut other, "CONFIG SET repl-sync-replicas 2"), "+OK");
    set(&mut waiting, &mut other, "c");
    assert_eq!(ask(&mut other, "CONFIG SET repl-sync-timeout 1"), "+OK");
    all(&mut waiting, UNCONFIRMED);
}

#[test]
fn a_change_of_role_ends_the_wait_with_an_error() {
    let world = lonely(LONG);
    let (mut client, mut other) = (world.connect(), world.connect());
    send(&mut client, &["SET k 1", "PING"]);
    until("the write", || ask(&mut other, "GET k") == "1");
    world.instance.demote();
    assert_eq!((read(&mut client).as_str(), read(&mut client).as_str()), (DEPOSED, "+PONG"));
    world.instance.promote().unwrap();
    send(&mut client, &["SET k 2", "PING"]);
    until("the write", || ask(&mut other, "GET k") == "2");
    // A replica for a moment: it is another epoch all the same, and no replica is needed any more.
    world.instance.demote();
    world.instance.promote().unwrap();
    ask(&mut other, "CONFIG SET repl-sync-replicas 0");
    assert_eq!((read(&mut client).as_str(), read(&mut client).as_str()), (DEPOSED, "+PONG"));
    assert_eq!(ask(&mut client, "SET k 3"), "+OK");
}

#[test]
fn a_change_of_role_ends_wait_with_an_error() {
    let world = World::new(&[]);
    let mut other = world.connect();
    for line in ["WAIT 1 0", "WAITAOF 0 1 0"] {
        let mut client = world.connect();
        assert_eq!(ask(&mut client, "SET k 1"), "+OK");
        send(&mut client, &[line, "PING"]);
        let name = line.split(' ').next().unwrap().to_lowercase();
        until("the client to wait", || bulk(&mut other, "CLIENT LIST").contains(&format!("cmd={name} ")));
        world.instance.demote();
        let text = "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";
        assert_eq!((read(&mut client).as_str(), read(&mut client).as_str()), (text, "+PONG"));
        world.instance.promote().unwrap();
        assert_eq!(ask(&mut client, "WAIT 0 0"), ":0");
    }
}

#[test]
fn a_client_that_sends_nothing_more_hears_how_it_ended() {
    let world = lonely("50");
    let mut client = world.connect();
    send(&mut client, &["SET k 1", "GET k"]);
    client.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!((read(&mut client).as_str(), read(&mut client).as_str()), (UNCONFIRMED, "1"));
    assert_eq!(read(&mut client), "", "then it is closed");
}

/// More goes in than sockets hold, and more comes out than may wait for replicas.
#[test]
fn a_client_that_sends_all_before_it_reads_is_served() {
    const PAIRS: usize = 300;
    let world = lonely("20");
    let mut client = world.connect();
    let (large, small) = ("x".repeat(50_000), "y".repeat(4_000));
    assert_eq!(ask(&mut client, &format!("SET large {large}")), UNCONFIRMED);
    let pair = format!("SET small {small}\r\nGET large\r\n");
    client.get_mut().write_all(pair.repeat(PAIRS).as_bytes()).unwrap();
    for _ in 0..PAIRS {
        assert_eq!(read(&mut client), UNCONFIRMED);
        assert!(read(&mut client) == large);
    }
}

#[test]
fn a_session_runs_only_so_far_ahead_of_its_replicas() {
    const WRITES: usize = 20_000;
    let world = lonely(LONG);
    let (client, mut other) = (world.connect(), world.connect());
    let mut writer = client.get_ref().try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for n in 0..WRITES {
                writer.write_all(format!("SET k{n} v\r\n").as_bytes()).unwrap();
            }
        });
        let size = |other: &mut _| ask(other, "DBSIZE")[1..].parse::<usize>().unwrap();
        until("many writes", || size(&mut other) >= 4096);
        // The bound, and the rest of a batch.
        (0..100).for_each(|_| assert!(size(&mut other) < 4096 + 1024));
        assert_eq!(ask(&mut other, "CONFIG SET repl-sync-replicas 0"), "+OK");
        let mut client = client;
        (0..WRITES).for_each(|n| assert_eq!(read(&mut client), "+OK", "{n}"));
    });
}
