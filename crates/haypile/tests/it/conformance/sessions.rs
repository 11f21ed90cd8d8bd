//! Scripts of several connections, on Haypile and on Redis alike.
//!
//! | line | meaning |
//! | --- | --- |
//! | `a: SET k v` | connection `a` sends a command and gets the same reply from both |
//! | `a! BLPOP k 0` | it sends one, and waits in both |
//! | `a?` | it gets the reply that it waits for, the same from both |
//! | `a~ GET k` | as `a:`, but the replies are not compared |
//! | `# ..`, empty | a comment |

use std::collections::BTreeMap;

use super::redis::Redis;
use crate::server::{Server, until};
use crate::wire::Client;

struct Pair {
    haypile: Client,
    redis: Client,
    is_waiting: bool,
}

/// Both servers and the connections of a script.
pub struct Sessions {
    server: Server,
    redis: Redis,
    control: Pair,
    pairs: BTreeMap<String, Pair>,
}

impl Sessions {
    /// Starts both; `None`: there is no Redis here.
    pub fn start() -> Option<Self> {
        let redis = Redis::start()?;
        let server = Server::start(&[]);
        let control = Pair { haypile: server.connect(), redis: redis.connect(), is_waiting: false };
        Some(Self { server, redis, control, pairs: BTreeMap::new() })
    }

    /// Runs a script with new connections on empty databases, once in each protocol.
    pub fn script(&mut self, script: &str) {
        for protocol in [2, 3] {
            self.pairs.clear();
            self.both("FLUSHALL");
            let mut done = Vec::new();
            for line in script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
                done.push(line);
                self.line(line, protocol, &done);
            }
        }
        self.pairs.clear();
    }

    fn both(&mut self, command: &str) -> (Vec<u8>, Vec<u8>) {
        self.control.send(command);
        self.control.read()
    }

    fn line(&mut self, line: &str, protocol: u64, done: &[&str]) {
        let at = line.find([':', '!', '?', '~']).unwrap();
        let (name, rest) = line.split_at(at);
        if !self.pairs.contains_key(name) {
            let mut pair = Pair { haypile: self.server.connect(), redis: self.redis.connect(), is_waiting: false };
            pair.send(&format!("HELLO {protocol}"));
            pair.read();
            self.pairs.insert(name.to_owned(), pair);
        }
        let pair = self.pairs.get_mut(name).unwrap();
        match rest.split_at(1) {
            (":" | "~", command) => {
                pair.send(command);
                let replies = pair.read();
                assert!(rest.starts_with('~') || replies.0 == replies.1, "{}", difference(protocol, done, &replies));
            }
            ("!", command) => {
                pair.send(command);
                pair.is_waiting = true;
                let waiting = self.pairs.values().filter(|pair| pair.is_waiting).count();
                let wanted = format!("blocked_clients:{waiting}\r\n");
                until("the connection to wait", || {
                    let (haypile, redis) = self.both("INFO clients");
                    let has = |info: &[u8]| String::from_utf8_lossy(info).contains(&wanted);
                    has(&haypile) && has(&redis)
                });
            }
            (_, _) => {
                pair.is_waiting = false;
                let replies = pair.read();
                assert!(replies.0 == replies.1, "{}", difference(protocol, done, &replies));
            }
        }
    }
}

impl Pair {
    fn send(&mut self, command: &str) {
        let words: Vec<&[u8]> = command.split_whitespace().map(str::as_bytes).collect();
        self.haypile.send(&words);
        self.redis.send(&words);
    }

    fn read(&mut self) -> (Vec<u8>, Vec<u8>) {
        (self.haypile.read_raw(), self.redis.read_raw())
    }
}

fn difference(protocol: u64, done: &[&str], (haypile, redis): &(Vec<u8>, Vec<u8>)) -> String {
    let (haypile, redis) = (haypile.escape_ascii(), redis.escape_ascii());
    format!("RESP{protocol}, after\n{}\n  Haypile {haypile}\n  Redis   {redis}", done.join("\n"))
}
