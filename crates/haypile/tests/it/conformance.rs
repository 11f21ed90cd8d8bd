//! Redis itself beside Haypile: both get the same commands, and must answer with the same bytes.
//!
//! Once the golden scripts of `crates/commands`, in RESP2 and RESP3; once random commands from a fixed seed, or from
//! `HAYPILE_TEST_SEED`. What is meant to differ is not sent: see `generator.rs`, `maps.rs`, and
//! the README of the scripts.

mod generator;
mod lists;
mod maps;
mod redis;
mod script;
pub mod sessions;
mod sorted;

use generator::Generator;
use redis::Redis;
use script::Step;

use crate::random::seed_of_environment;
use crate::scale;
use crate::server::Server;
use crate::wire::{Client, ok};

pub type Command = Vec<Vec<u8>>;

/// The seed of the run that everybody does.
const SEED: u64 = 1;
/// Random commands that are sent before their replies are read.
const CHUNK: usize = 64;
/// Chunks in one protocol.
const CHUNKS_OF_A_PROTOCOL: usize = 20;
/// Bytes of a reply that a failure shows, and commands before it.
const SHOWN_BYTES: usize = 400;
const SHOWN_COMMANDS: usize = 30;
/// Differences that a run of scripts shows.
const SHOWN_DIFFERENCES: usize = 40;

/// Both servers, and a connection to each.
struct Both {
    haypile: Client,
    redis: Client,
    _server: Server,
    _redis: Redis,
}

impl Both {
    /// Starts both; `None`: there is no Redis here.
    fn start() -> Option<Self> {
        let redis = Redis::start()?;
        let server = Server::start(&[]);
        Some(Self { haypile: server.connect(), redis: redis.connect(), _server: server, _redis: redis })
    }

    /// The replies of Haypile and of Redis to each command.
    fn call(&mut self, commands: &[Command]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut bytes = Vec::new();
        for command in commands {
            let words: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
            resp::encode_command(&words, &mut bytes);
        }
        self.haypile.send_raw(&bytes);
        self.redis.send_raw(&bytes);
        commands.iter().map(|_| (self.haypile.read_raw(), self.redis.read_raw())).collect()
    }

    /// Sets the protocol; what a server tells about itself is not compared.
    fn hello(&mut self, protocol: u64) {
        for client in [&mut self.haypile, &mut self.redis] {
            client.ask(&format!("HELLO {protocol}"));
        }
    }

    /// Empties both, and begins again in database 0.
    fn reset(&mut self, protocol: u64) {
        self.hello(protocol);
        for client in [&mut self.haypile, &mut self.redis] {
            assert_eq!(client.ask("SELECT 0"), ok());
            assert_eq!(client.ask("FLUSHALL"), ok());
        }
    }
}

/// A command in words; long ones cut.
fn text(command: &Command) -> String {
    let word = |word: &Vec<u8>| match word.len() {
        0..=100 => format!("\"{}\"", word.escape_ascii()),
        len => format!("<{len} bytes>"),
    };
    command.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn shown(reply: &[u8]) -> String {
    reply[..reply.len().min(SHOWN_BYTES)].escape_ascii().to_string()
}

#[test]
fn golden_scripts_get_the_replies_of_redis() {
    let Some(mut both) = Both::start() else { return };
    let mut differences = Vec::new();
    for (name, steps) in script::shareable() {
        for protocol in [2, 3] {
            both.reset(protocol);
            for step in &steps {
                let command = match step {
                    Step::Command(command) => command,
                    Step::Protocol(protocol) => {
                        both.hello(*protocol);
                        continue;
                    }
                    Step::Wait(pause) => {
                        std::thread::sleep(*pause);
                        continue;
                    }
                };
                let (haypile, redis) = both.call(std::slice::from_ref(command)).remove(0);
                if haypile != redis {
                    let (command, haypile, redis) = (text(command), shown(&haypile), shown(&redis));
                    differences
                        .push(format!("{name} (RESP{protocol}): {command}\n  Haypile {haypile}\n  Redis   {redis}"));
                }
            }
        }
    }
    let count = differences.len();
    differences.truncate(SHOWN_DIFFERENCES);
    assert!(count == 0, "{count} replies differ:\n{}", differences.join("\n"));
}

#[test]
fn random_commands_get_the_replies_of_redis() {
    let Some(mut both) = Both::start() else { return };
    let seed = seed_of_environment().unwrap_or(SEED);
    let mut generator = Generator::new(seed);
    let mut sent = 0;
    for chunk in 0.. {
        if sent >= scale(20_000, 1_000_000) {
            break;
        }
        if chunk % CHUNKS_OF_A_PROTOCOL == 0 {
            both.hello(2 + (chunk / CHUNKS_OF_A_PROTOCOL % 2) as u64);
        }
        let commands: Vec<Command> = (0..CHUNK).map(|_| generator.next_command()).collect();
        for (at, (haypile, redis)) in both.call(&commands).into_iter().enumerate() {
            assert!(
                haypile == redis,
                "HAYPILE_TEST_SEED={seed}, command {}:\n{}\n  Haypile {}\n  Redis   {}\nafter\n{}",
                sent + at,
                text(&commands[at]),
                shown(&haypile),
                shown(&redis),
                history(seed, sent + at)
            );
        }
        sent += commands.len();
    }
}

/// The commands before the one at `end` that may have a part in its reply.
fn history(seed: u64, end: usize) -> String {
    let mut generator = Generator::new(seed);
    let before: Vec<Command> = (0..end).map(|_| generator.next_command()).collect();
    let last = generator.next_command();
    let concerns = |command: &&Command| {
        let name = command[0].to_ascii_uppercase();
        let shares = command[1..].iter().any(|word| Generator::is_key(word) && last.contains(word));
        shares || name == b"SELECT" || name == b"FLUSHDB"
    };
    let mut lines: Vec<String> = before.iter().rev().filter(concerns).take(SHOWN_COMMANDS).map(text).collect();
    lines.reverse();
    lines.join("\n")
}
