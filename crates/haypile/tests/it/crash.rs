//! Power to the process is cut at any moment: every write that was acknowledged is there afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use resp::Value;

use crate::scale;
use crate::server::{Server, until};
use crate::wire::Client;

const WRITERS: usize = 4;
const PIPELINE: u64 = 16;

/// What one writer has sent and what was acknowledged, of the numbers it writes in order.
#[derive(Default)]
struct Progress {
    sent: AtomicU64,
    acknowledged: AtomicU64,
}

/// Writes rising numbers to one key until the server is gone.
fn write(mut client: Client, key: &str, from: u64, progress: &Progress) {
    let mut next = from;
    loop {
        let mut bytes = Vec::new();
        for number in next..next + PIPELINE {
            resp::encode_command(&[b"SET", key.as_bytes(), number.to_string().as_bytes()], &mut bytes);
        }
        progress.sent.store(next + PIPELINE - 1, Ordering::Release);
        if client.try_send_raw(&bytes).is_err() {
            return;
        }
        for number in next..next + PIPELINE {
            match client.try_read() {
                Some(Value::Simple(_)) => progress.acknowledged.store(number, Ordering::Release),
                Some(other) => panic!("a write was answered by {other:?}"),
                None => return,
            }
        }
        next += PIPELINE;
    }
}

fn number_of(client: &mut Client, key: &str) -> u64 {
    match client.ask(&format!("GET {key}")) {
        Value::Bulk(text) => String::from_utf8(text).unwrap().parse().unwrap(),
        Value::NullBulk => 0,
        other => panic!("{key} is {other:?}"),
    }
}

fn rounds(args: &[&str], rounds: usize, writes: u64) {
    let mut server = Server::start(args);
    let keys: Vec<String> = (0..WRITERS).map(|writer| format!("writer:{writer}")).collect();
    let mut floor = vec![0; WRITERS];
    for round in 0..rounds {
        let progress: Arc<Vec<Progress>> = Arc::new((0..WRITERS).map(|_| Progress::default()).collect());
        let threads: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (client, key, from) = (server.connect(), keys[writer].clone(), floor[writer] + 1);
                let progress = Arc::clone(&progress);
                std::thread::spawn(move || write(client, &key, from, &progress[writer]))
            })
            .collect();
        // Another moment in each round.
        let enough = writes + 37 * round as u64;
        let written = || {
            let of = |(one, floor): (&Progress, &u64)| one.acknowledged.load(Ordering::Acquire).saturating_sub(*floor);
            progress.iter().zip(&floor).map(of).sum::<u64>()
        };
        until("enough writes", || written() >= enough);
        server = server.crash_and_restart();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let mut client = server.connect();
        for (writer, key) in keys.iter().enumerate() {
            let found = number_of(&mut client, key);
            let acknowledged = progress[writer].acknowledged.load(Ordering::Acquire);
            let sent = progress[writer].sent.load(Ordering::Acquire);
            assert!(found >= acknowledged, "round {round}: {key} is {found}, but {acknowledged} was acknowledged");
            assert!(found <= sent.max(floor[writer]), "round {round}: {key} is {found}, but only {sent} was sent");
            floor[writer] = found;
        }
    }
}

#[test]
fn acknowledged_writes_survive_the_end_of_the_process() {
    rounds(&[], scale(100, 400), 2_000);
}

#[test]
fn acknowledged_writes_survive_with_appendfsync_always() {
    rounds(&["--appendfsync", "always"], scale(3, 30), 500);
}

#[test]
fn acknowledged_writes_survive_while_everything_settles_all_the_time() {
    rounds(&["--settle-interval-ms", "1", "--recovery-log-max", "1mb"], scale(4, 40), 4_000);
}

#[test]
fn what_one_client_has_read_is_there_after_a_crash() {
    let mut server = Server::start(&[]);
    for round in 0..scale(5, 50) {
        let mut writer = server.connect();
        let mut reader = server.connect();
        let writing = std::thread::spawn(move || while writer.try_send_raw(b"INCR counter\r\n").is_ok() {});
        let mut seen = 0;
        until("the counter to grow", || {
            seen = number_of(&mut reader, "counter");
            seen > 500 * (round as u64 + 1)
        });
        server = server.crash_and_restart();
        writing.join().unwrap();
        let found = number_of(&mut server.connect(), "counter");
        assert!(found >= seen, "round {round}: {seen} was read, and after the crash it is {found}");
    }
}
