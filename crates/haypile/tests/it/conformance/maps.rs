//! Random commands on hashes and sets, right and wrong ones, with limits so small that packed ones, exploded ones and the
//! change between them are all met.
//!
//! What has no order in Redis is sorted before it is compared; of what is left to chance only the shape is, and then the
//! key goes. Never sent: OBJECT ENCODING of sets with strings, which Redis 7.0 does not pack, and what is newer than
//! 7.0 (fields that expire).

use std::collections::VecDeque;

use resp::{ReplyLimits, Value, parse_reply};

use super::{Both, Command, SHOWN_COMMANDS, shown, text};
use crate::random::{Random, seed_of_environment};
use crate::scale;
use crate::wire::ok;

const SEED: u64 = 1;
/// Commands from which a failure shows those that concern it.
const REMEMBERED: usize = 3000;
const CHUNK: usize = 64;
const CHUNKS_OF_A_PROTOCOL: usize = 20;
const HASHES: &[&str] = &["h:0", "h:1", "h:2", "h:3", "h:4"];
const SETS: &[&str] = &["s:0", "s:1", "s:2", "s:3", "s:4", "s:5"];
const FAR_FUTURE_SECONDS: u64 = 4_102_444_800;
const BAD_NUMBERS: &[&str] = &["", "x", "1.5", " 1", "9223372036854775808", "-9223372036854775808", "+1", "01", "-0"];
/// How small hashes and sets have to be to stay packed.
const LIMITS: &[(&str, &str)] =
    &[("hash-max-listpack-entries", "8"), ("hash-max-listpack-value", "24"), ("set-max-intset-entries", "6")];

/// How the replies of a command are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compare {
    Exactly,
    /// The elements have no order.
    Sorted,
    /// Pairs of elements have no order.
    SortedPairs,
    /// The elements are left to chance.
    Shape,
}

struct Question {
    command: Command,
    compare: Compare,
}

#[test]
fn random_commands_on_hashes_get_the_replies_of_redis() {
    compare(Kind::Hash, scale(10_000, 1_000_000));
}

#[test]
fn random_commands_on_sets_get_the_replies_of_redis() {
    compare(Kind::Set, scale(10_000, 1_000_000));
}

fn compare(kind: Kind, wanted: usize) {
    let Some(mut both) = Both::start() else { return };
    for client in [&mut both.haypile, &mut both.redis] {
        for (name, value) in LIMITS {
            assert_eq!(client.ask(&format!("CONFIG SET {name} {value}")), ok());
        }
    }
    // Small enough that sets of strings are packed, explode, and do so at once.
    assert_eq!(both.haypile.ask("CONFIG SET set-max-listpack-entries 5 set-max-listpack-value 24"), ok());
    let seed = seed_of_environment().unwrap_or(SEED);
    let mut generator = Generator::new(seed, kind);
    let mut history: VecDeque<Command> = VecDeque::new();
    let mut sent = 0;
    for chunk in 0.. {
        if sent >= wanted {
            break;
        }
        if chunk % CHUNKS_OF_A_PROTOCOL == 0 {
            both.hello(2 + (chunk / CHUNKS_OF_A_PROTOCOL % 2) as u64);
        }
        let questions: Vec<Question> = (0..CHUNK).map(|_| generator.next()).collect();
        let commands: Vec<Command> = questions.iter().map(|question| question.command.clone()).collect();
        for (question, (haypile, redis)) in questions.iter().zip(both.call(&commands)) {
            assert!(
                normal(&haypile, question.compare) == normal(&redis, question.compare),
                "HAYPILE_TEST_SEED={seed}:\n{}\n  Haypile {}\n  Redis   {}\nafter\n{}",
                text(&question.command),
                shown(&haypile),
                shown(&redis),
                concerning(&history, &question.command)
            );
            history.push_back(question.command.clone());
            if history.len() > REMEMBERED {
                history.pop_front();
            }
        }
        sent += commands.len();
    }
}

/// The last commands that share a key with this one.
fn concerning(history: &VecDeque<Command>, command: &Command) -> String {
    let is_key = |word: &&Vec<u8>| HASHES.iter().chain(SETS).any(|key| key.as_bytes() == word.as_slice());
    let keys: Vec<&Vec<u8>> = command.iter().filter(is_key).collect();
    let shares = |earlier: &&Command| earlier.iter().any(|word| keys.contains(&word));
    let mut lines: Vec<String> = history.iter().rev().filter(shares).take(3 * SHOWN_COMMANDS).map(text).collect();
    lines.reverse();
    lines.join("\n")
}

/// A reply without what may differ.
fn normal(reply: &[u8], compare: Compare) -> Vec<String> {
    if compare == Compare::Exactly {
        return vec![reply.escape_ascii().to_string()];
    }
    let (value, _) = parse_reply(reply, &ReplyLimits::default()).unwrap().unwrap();
    let first = reply[..1].escape_ascii().to_string();
    let (elements, cursor) = match value {
        // A step of a SCAN, of the whole map.
        Value::Array(parts)
            if matches!(parts.as_slice(), [Value::Bulk(_), Value::Array(_)]) && compare != Compare::Shape =>
        {
            let [cursor, Value::Array(elements)] = <[Value; 2]>::try_from(parts).unwrap() else { unreachable!() };
            (elements, format!("{cursor:?}"))
        }
        Value::Array(elements) | Value::Set(elements) => (elements, String::new()),
        Value::Map(pairs) => (pairs.into_iter().flat_map(|(name, value)| [name, value]).collect(), String::new()),
        Value::Bulk(_) if compare == Compare::Shape => (vec![value], String::new()),
        other => return vec![format!("{other:?}")],
    };
    let mut lines: Vec<String> = match compare {
        Compare::Shape => elements.iter().map(shape).collect(),
        Compare::SortedPairs => elements.chunks(2).map(|pair| format!("{pair:?}")).collect(),
        Compare::Sorted | Compare::Exactly => elements.iter().map(|element| format!("{element:?}")).collect(),
    };
    lines.sort();
    lines.extend([first, cursor]);
    lines
}

fn shape(value: &Value) -> String {
    match value {
        Value::Bulk(_) => "a string".to_owned(),
        Value::Array(elements) => elements.iter().map(shape).collect::<Vec<_>>().join(", "),
        other => format!("{other:?}"),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Hash,
    Set,
}

struct Generator {
    random: Random,
    kind: Kind,
    next: VecDeque<Question>,
}

impl Generator {
    fn new(seed: u64, kind: Kind) -> Self {
        Self { random: Random::new(seed ^ (kind as u64) << 32), kind, next: VecDeque::new() }
    }

    fn next(&mut self) -> Question {
        if let Some(question) = self.next.pop_front() {
            return question;
        }
        let mut question = match (self.random.below(20), self.kind) {
            (0 | 1, _) => self.any_key(),
            (_, Kind::Hash) => self.hash(),
            (_, Kind::Set) => self.set(),
        };
        if self.next.is_empty() && self.random.one_in(30) {
            self.spoil(&mut question);
        }
        question
    }

    fn hash(&mut self) -> Question {
        let (key, field) = (self.key(), self.element());
        match self.random.below(40) {
            0..=9 => {
                let name = self.random.pick(&["HSET", "HSET", "HSET", "HMSET"]);
                let mut command = words(&[name, key]);
                for _ in 0..self.random.pick(&[1, 1, 1, 2, 3, 4]) {
                    command.extend([self.element(), self.value()]);
                }
                exactly(command)
            }
            10 | 11 => exactly(with(&["HSETNX", key], &[field, self.value()])),
            12..=16 => {
                let mut command = words(&["HDEL", key]);
                for _ in 0..self.random.pick(&[1, 1, 2, 4]) {
                    command.push(self.element());
                }
                exactly(command)
            }
            17 | 18 => exactly(with(&["HGET", key], &[field])),
            19 => exactly(with(&["HMGET", key], &[field, self.element(), self.element()])),
            20 => exactly(words(&["HLEN", key])),
            21 => exactly(with(&[self.random.pick(&["HEXISTS", "HSTRLEN"]), key], &[field])),
            22 | 23 => compared(words(&["HGETALL", key]), Compare::SortedPairs),
            24 => compared(words(&[self.random.pick(&["HKEYS", "HVALS"]), key]), Compare::Sorted),
            25..=28 => exactly(with(&["HINCRBY", key], &[field, self.number().into_bytes()])),
            29..=31 => {
                let delta = self.random.pick(&["1", "0.5", "-3.25", "1e3", "x", "inf", "nan", "1e308", "0", "-0"]);
                exactly(with(&["HINCRBYFLOAT", key], &[field, delta.as_bytes().to_vec()]))
            }
            32 | 33 => exactly(words(&["OBJECT", "ENCODING", key])),
            34 => self.scan("HSCAN", key, Compare::SortedPairs),
            35 => compared(words(&["HRANDFIELD", key]), Compare::Shape),
            36 | 37 => {
                let count = self.count();
                let mut command = words(&["HRANDFIELD", key, &count]);
                if self.random.one_in(2) {
                    command.push(b"WITHVALUES".to_vec());
                }
                compared(command, Compare::Shape)
            }
            _ => self.copy(key),
        }
    }

    fn set(&mut self) -> Question {
        let (key, member) = (self.key(), self.element());
        match self.random.below(44) {
            0..=10 => {
                let mut command = words(&["SADD", key]);
                for _ in 0..self.random.pick(&[1, 1, 1, 2, 3, 4]) {
                    command.push(self.element());
                }
                exactly(command)
            }
            11..=14 => {
                let mut command = words(&["SREM", key]);
                for _ in 0..self.random.pick(&[1, 1, 2, 4]) {
                    command.push(self.element());
                }
                exactly(command)
            }
            15 | 16 => exactly(with(&["SISMEMBER", key], &[member])),
            17 => exactly(with(&["SMISMEMBER", key], &[member, self.element(), self.element()])),
            18 => exactly(words(&["SCARD", key])),
            19 | 20 => compared(words(&["SMEMBERS", key]), Compare::Sorted),
            21..=23 => exactly(with(&["SMOVE", key, self.key()], &[member])),
            24..=29 => {
                let name = self.random.pick(&["SINTER", "SUNION", "SDIFF"]);
                let mut command = words(&[name, key]);
                for _ in 0..self.random.below(3) {
                    command.push(self.key().as_bytes().to_vec());
                }
                compared(command, Compare::Sorted)
            }
            30..=33 => {
                let name = self.random.pick(&["SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"]);
                let mut command = words(&[name, key]);
                for _ in 0..=self.random.below(3) {
                    command.push(self.key().as_bytes().to_vec());
                }
                exactly(command)
            }
            34 => {
                let count = self.random.pick(&["1", "2", "2", "3", "0", "-1", "x"]);
                let mut command = words(&["SINTERCARD", count, key, self.key()]);
                if self.random.one_in(2) {
                    command.push(b"LIMIT".to_vec());
                    command.push(self.random.pick(&["0", "1", "2", "100", "-1", "x"]).as_bytes().to_vec());
                }
                exactly(command)
            }
            35 => self.scan("SSCAN", key, Compare::Sorted),
            36 => compared(words(&["SRANDMEMBER", key]), Compare::Shape),
            37 => compared(words(&["SRANDMEMBER", key, &self.count()]), Compare::Shape),
            38 => {
                self.next.push_back(exactly(words(&["SCARD", key])));
                self.next.push_back(exactly(words(&["DEL", key])));
                compared(words(&["SPOP", key]), Compare::Shape)
            }
            39 => {
                self.next.push_back(exactly(words(&["SCARD", key])));
                self.next.push_back(exactly(words(&["DEL", key])));
                compared(words(&["SPOP", key, &self.count()]), Compare::Shape)
            }
            40 => {
                for _ in 0..self.random.pick(&[1, 5, 6, 7]) {
                    let number = self.random.below(300).to_string();
                    self.next.push_back(exactly(words(&["SADD", key, &number])));
                }
                self.next.push_back(exactly(words(&["OBJECT", "ENCODING", key])));
                exactly(words(&["DEL", key]))
            }
            _ => self.copy(key),
        }
    }

    fn copy(&mut self, key: &str) -> Question {
        let other = self.key();
        exactly(match self.random.below(6) {
            0 => words(&["COPY", key, other]),
            1 | 2 => words(&["COPY", key, other, "REPLACE"]),
            3 => words(&["RENAME", key, other]),
            4 => words(&["RENAMENX", key, other]),
            _ => words(&["DEL", key]),
        })
    }

    /// What is not about one type.
    fn any_key(&mut self) -> Question {
        let key = self.key();
        exactly(match self.random.below(10) {
            0 => words(&["EXPIREAT", key, &(FAR_FUTURE_SECONDS + self.random.below(100)).to_string()]),
            1 => words(&["PERSIST", key]),
            2 => words(&["EXPIRETIME", key]),
            3 => words(&["TYPE", key]),
            4 => words(&["SET", key, "a string"]),
            5 => words(&["GET", key]),
            6 => words(&["EXISTS", key]),
            7 => words(&["STRLEN", key]),
            8 => words(&["SADD", key, self.random.pick(&["7", "8"])]),
            _ => with(&["HSET", key], &[self.element(), self.value()]),
        })
    }

    fn scan(&mut self, name: &str, key: &str, compare: Compare) -> Question {
        let mut command = words(&[name, key, "0", "COUNT", "100000"]);
        if self.random.one_in(3) {
            command.extend(words(&["MATCH", self.random.pick(&["1*", "*", "x*", "?", ""])]));
        }
        compared(command, compare)
    }

    fn key(&mut self) -> &'static str {
        match self.kind {
            Kind::Hash => self.random.pick(HASHES),
            Kind::Set => self.random.pick(SETS),
        }
    }

    /// A field or member: few different ones, so that they meet again.
    fn element(&mut self) -> Vec<u8> {
        match self.random.below(16) {
            0..=9 => self.random.below(12).to_string().into_bytes(),
            10..=12 => self.random.pick(&["a", "b", "c", "", "-1", "007", "long long name"]).as_bytes().to_vec(),
            13 => vec![b'x'; self.random.pick(&[23, 24, 25, 200])],
            14 => self.random.pick(&["9223372036854775807", "-9223372036854775808"]).as_bytes().to_vec(),
            _ => vec![0xff, 0, b'\n', self.random.below(3) as u8],
        }
    }

    fn value(&mut self) -> Vec<u8> {
        match self.random.below(10) {
            0..=5 => self.number().into_bytes(),
            6 => self.random.pick(&["1.5", "-0.25", "3e5", "text", ""]).as_bytes().to_vec(),
            7 => vec![b'v'; self.random.pick(&[23, 24, 25, 3000])],
            _ => self.random.bytes(6),
        }
    }

    fn number(&mut self) -> String {
        match self.random.below(12) {
            0 => self.random.pick(BAD_NUMBERS).to_owned(),
            1 => self.random.pick(&["9223372036854775807", "-9223372036854775807", "0"]).to_owned(),
            2..=5 => format!("-{}", self.random.below(300)),
            _ => self.random.below(300).to_string(),
        }
    }

    fn count(&mut self) -> String {
        match self.random.below(8) {
            0 => self.random.pick(BAD_NUMBERS).to_owned(),
            1 | 2 => format!("-{}", self.random.below(10)),
            _ => self.random.below(14).to_string(),
        }
    }

    /// Takes a word away, adds one, or changes one that is no key.
    fn spoil(&mut self, question: &mut Question) {
        let command = &mut question.command;
        if self.kind == Kind::Hash && command[0] == b"SADD" {
            // Its encoding is asked for.
            return;
        }
        match self.random.below(3) {
            0 if command.len() > 1 => drop(command.pop()),
            1 if command.len() > 3 => {
                let at = 3 + self.random.below(command.len() as u64 - 3) as usize;
                command[at] = self.random.pick(BAD_NUMBERS).as_bytes().to_vec();
            }
            _ => command.push(self.random.pick(BAD_NUMBERS).as_bytes().to_vec()),
        }
    }
}

fn words(words: &[&str]) -> Command {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn with(front: &[&str], back: &[Vec<u8>]) -> Command {
    let mut command = words(front);
    command.extend_from_slice(back);
    command
}

fn exactly(command: Command) -> Question {
    compared(command, Compare::Exactly)
}

fn compared(command: Command, compare: Compare) -> Question {
    Question { command, compare }
}
