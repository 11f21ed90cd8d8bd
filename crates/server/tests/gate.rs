//! A whole server in this process, whose logs can be looked at: a reply never shows what they do not hold.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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
        let server = Server::start(settings, prepared, Arc::clone(&instance), Arc::new(NoHost)).unwrap();
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
                    assert!(found >= seen && frames > found, "{found} was read with {frames} frames in the file");
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
