//! Random commands on lists, with limits so low that lists explode and are packed again all the time.
//!
//! Never sent, for their replies are not meant to be the same: OBJECT ENCODING of a list, which Redis 7.0 answers
//! otherwise than 7.2; LPOS with the rank -2^63, which Redis 7.0 lets in; SORT ALPHA by weights of which some are equal or
//! absent, for Redis leaves their order to chance.

use std::collections::VecDeque;

use super::{Both, Command, shown, text};
use crate::random::{Random, seed_of_environment};
use crate::scale;
use crate::wire::bulk;

/// The seed of the run that everybody does.
const SEED: u64 = 1;
/// Commands that are sent before their replies are read.
const CHUNK: usize = 64;
/// Chunks with the same limits in the same protocol.
const CHUNKS_OF_A_SETTING: usize = 10;
/// Commands before a difference that a failure shows.
const SHOWN: usize = 25;

const LISTS: &[&str] = &["l:0", "l:1", "l:2", "l:3", "l:4"];
const NUMBERS: &[&str] = &["n:0", "n:1"];
const STRING: &str = "s";
const NO_NUMBERS: &[&str] = &["", "x", "1.5", " 1", "9223372036854775808", "+1", "--1"];
/// Elements of number lists, and so the names of weights.
const DISTINCT: u64 = 24;

struct Generator {
    random: Random,
    next: VecDeque<Command>,
}

impl Generator {
    fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), next: VecDeque::new() }
    }

    fn next_command(&mut self) -> Command {
        if let Some(command) = self.next.pop_front() {
            return command;
        }
        let mut command = match self.random.below(100) {
            0..=27 => self.push(),
            28..=43 => self.pop(),
            44..=53 => self.read(),
            54..=59 => self.look_for(),
            60..=75 => self.edit(),
            76..=83 => self.relocate(),
            84..=88 => self.whole(),
            89..=91 => self.blocking(),
            92..=97 => self.sort(),
            _ => self.weights(),
        };
        if self.next.is_empty() && self.random.one_in(30) {
            self.spoil(&mut command);
        }
        if self.random.one_in(8) {
            command[0].make_ascii_lowercase();
        }
        command
    }

    /// Now and then a key of another type.
    fn key(&mut self) -> &'static str {
        if self.random.one_in(40) { STRING } else { self.random.pick(LISTS) }
    }

    /// One of few, so that it is found again; seldom a long one.
    fn element(&mut self) -> Vec<u8> {
        let len = match self.random.below(40) {
            0..=2 => self.random.pick(&[100, 126, 127, 128, 129]),
            3 | 4 => self.random.pick(&[700, 2000]),
            5 => self.random.pick(&[4085, 4090, 4091, 4092, 4093, 4094, 4097, 5000, 9000]),
            6 if self.random.one_in(8) => 70_000,
            _ => return self.random.below(12).to_string().into_bytes(),
        };
        vec![self.random.pick(b"xyz"); len]
    }

    fn number(&mut self) -> String {
        match self.random.below(30) {
            0 => self.random.pick(NO_NUMBERS).to_owned(),
            1 => self.random.pick(&["9223372036854775807", "-9223372036854775808", "-9223372036854775807"]).to_owned(),
            2..=9 => format!("-{}", 1 + self.random.below(25)),
            _ => self.random.below(25).to_string(),
        }
    }

    fn push(&mut self) -> Command {
        let name = self.random.pick(&["LPUSH", "LPUSH", "RPUSH", "RPUSH", "RPUSH", "LPUSHX", "RPUSHX"]);
        let mut push = command(&[name, self.key()]);
        let most = self.random.pick(&[1, 1, 2, 4, 20]);
        for _ in 0..=self.random.below(most) {
            push.push(self.element());
        }
        push
    }

    fn pop(&mut self) -> Command {
        let (name, key) = (self.random.pick(&["LPOP", "RPOP"]), self.key());
        match self.random.below(10) {
            0..=5 => command(&[name, key]),
            6 => command(&[name, key, &self.number()]),
            7 => command(&[name, key, &self.random.below(60).to_string()]),
            _ => {
                let count = 1 + self.random.below(3);
                let mut pop = command(&["LMPOP", &count.to_string()]);
                pop.extend((0..count).map(|_| self.key().into()));
                pop.push(self.end());
                if self.random.one_in(2) {
                    pop.push(b"COUNT".to_vec());
                    pop.push(self.number().into_bytes());
                }
                pop
            }
        }
    }

    fn end(&mut self) -> Vec<u8> {
        self.random.pick(&["LEFT", "RIGHT", "left", "Right"]).as_bytes().to_vec()
    }

    fn read(&mut self) -> Command {
        let key = self.key();
        match self.random.below(6) {
            0 => command(&["LLEN", key]),
            1 | 2 => command(&["LINDEX", key, &self.number()]),
            3 => command(&["LRANGE", key, "0", "-1"]),
            _ => command(&["LRANGE", key, &self.number(), &self.number()]),
        }
    }

    fn look_for(&mut self) -> Command {
        let mut lpos = command(&["LPOS", self.key()]);
        lpos.push(self.element());
        for _ in 0..self.random.below(3) {
            let option = self.random.pick(&["RANK", "COUNT", "MAXLEN"]);
            let number = self.number();
            if number != i64::MIN.to_string() {
                lpos.extend([option.into(), number.into_bytes()]);
            }
        }
        lpos
    }

    fn edit(&mut self) -> Command {
        let (key, element, number) = (self.key(), self.element(), self.number());
        match self.random.below(10) {
            0..=2 => with(&["LSET", key, &number], &[element]),
            3..=5 => {
                let side = self.random.pick(&["BEFORE", "AFTER", "before"]);
                with(&["LINSERT", key, side], &[self.element(), element])
            }
            6 | 7 => with(&["LREM", key, self.random.pick(&["0", "1", "-1", "2", "-2", "7", &number])], &[element]),
            8 => command(&["LTRIM", key, "0", &(30 + self.random.below(30)).to_string()]),
            _ => command(&["LTRIM", key, &number, &format!("-{}", self.random.below(8))]),
        }
    }

    fn relocate(&mut self) -> Command {
        let (a, b) = (self.key(), self.key());
        match self.random.below(8) {
            0..=4 => with(&["LMOVE", a, b], &[self.end(), self.end()]),
            5 => command(&["RPOPLPUSH", a, b]),
            6 => command(&["RPOPLPUSH", a, a]),
            _ => command(&["LMOVE", a, b, "LEFT", "UP"]),
        }
    }

    fn whole(&mut self) -> Command {
        let (a, b) = (self.key(), self.key());
        match self.random.below(10) {
            0 | 1 => command(&["DEL", a]),
            2 => command(&["RENAME", a, b]),
            3 | 4 => command(&["COPY", a, b, "REPLACE"]),
            5 => command(&["TYPE", a]),
            6 => command(&["EXPIREAT", a, "33177117420"]),
            7 => command(&["EXPIRETIME", a]),
            8 => command(&["GET", a]),
            _ => command(&["SET", STRING, "text"]),
        }
    }

    /// A command that could wait, and what keeps it from that.
    fn blocking(&mut self) -> Command {
        let (key, other) = (self.random.pick(LISTS), self.random.pick(LISTS));
        let blocking = match self.random.below(6) {
            0 => command(&["BLPOP", other, key, "0"]),
            1 => command(&["BRPOP", other, key, "100"]),
            2 => with(&["BLMOVE", key, other], &[self.end(), self.end(), b"0".to_vec()]),
            3 => command(&["BRPOPLPUSH", key, other, "0"]),
            4 => with(&["BLMPOP", "0", "2", other, key], &[self.end(), b"COUNT".to_vec(), b"3".to_vec()]),
            _ => command(&["BLPOP", key, self.random.pick(&["-1", "x", "nan"])]),
        };
        self.next.push_back(blocking);
        with(&["RPUSH", key], &[self.element(), self.element()])
    }

    fn weights(&mut self) -> Command {
        let element = self.random.below(DISTINCT);
        let (key, number) = (self.random.pick(NUMBERS), self.random.below(10).to_string());
        match self.random.below(12) {
            0..=2 => command(&["SET", &format!("w:{element}"), &number]),
            3 => command(&["DEL", &format!("w:{element}")]),
            4 => command(&["SET", &format!("w:{element}"), "no number"]),
            // Distinct for each element.
            5 | 6 => command(&["SET", &format!("a:{element}"), &format!("{:03}", (element * 7) % DISTINCT)]),
            7 | 8 => command(&["RPUSH", key, &element.to_string(), &number]),
            9 => command(&["DEL", key]),
            10 => command(&["LTRIM", key, "0", "40"]),
            _ => command(&["LPUSH", key, &element.to_string(), &number]),
        }
    }

    fn sort(&mut self) -> Command {
        let mut sort = match self.random.below(8) {
            0 => command(&["SORT_RO", self.random.pick(NUMBERS)]),
            1 => command(&["SORT", self.key()]),
            _ => command(&["SORT", self.random.pick(NUMBERS)]),
        };
        let mut add = |words: &[&str]| sort.extend(words.iter().map(|word| word.as_bytes().to_vec()));
        match self.random.below(6) {
            0 => add(&["BY", "nosort"]),
            1 | 2 => add(&["BY", "w:*"]),
            3 => add(&["ALPHA"]),
            _ => {}
        }
        if self.random.one_in(2) {
            add(&[self.random.pick(&["DESC", "ASC", "desc"])]);
        }
        if self.random.one_in(2) {
            add(&["LIMIT", &self.number(), &self.number()]);
        }
        for _ in 0..self.random.below(3) {
            add(&["GET", self.random.pick(&["#", "a:*", "w:*", "a:1", "w:*->f", "l:*"])]);
        }
        if self.random.one_in(5) {
            add(&["STORE", self.random.pick(LISTS)]);
        }
        sort
    }

    /// Takes a word away, adds one, or puts a wrong one in its place; never a key's. Nothing that could wait.
    fn spoil(&mut self, command: &mut Command) {
        match self.random.below(3) {
            0 if command.len() > 1 => drop(command.pop()),
            1 if command.len() > 2 => {
                let at = 2 + self.random.below(command.len() as u64 - 2) as usize;
                command[at] = self.random.pick(NO_NUMBERS).as_bytes().to_vec();
            }
            _ => command.push(self.random.pick(NO_NUMBERS).as_bytes().to_vec()),
        }
    }
}

fn command(words: &[&str]) -> Command {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn with(words: &[&str], more: &[Vec<u8>]) -> Command {
    let mut command = command(words);
    command.extend_from_slice(more);
    command
}

/// How Redis, and Haypile beyond that, are set for some chunks.
fn limits(random: &mut Random) -> (&'static str, &'static str) {
    (random.pick(&["-2", "-1", "1", "3", "8", "128"]), random.pick(&["64", "300", "8192"]))
}

#[test]
fn random_list_commands_get_the_replies_of_redis() {
    let Some(mut both) = Both::start() else { return };
    let seed = seed_of_environment().unwrap_or(SEED);
    let (mut generator, mut settings) = (Generator::new(seed), Random::new(!seed));
    let mut sent: Vec<String> = Vec::new();
    let (mut packed, mut exploded) = (0, 0);
    for chunk in 0.. {
        if sent.len() >= scale(30_000, 1_000_000) {
            break;
        }
        if chunk % CHUNKS_OF_A_SETTING == 0 {
            both.hello(2 + (chunk / CHUNKS_OF_A_SETTING % 2) as u64);
            let (entries, bytes) = limits(&mut settings);
            for client in [&mut both.haypile, &mut both.redis] {
                client.ask(&format!("CONFIG SET list-max-listpack-size {entries}"));
            }
            both.haypile.ask(&format!("CONFIG SET packed-max-bytes {bytes}"));
            for key in LISTS {
                let encoding = both.haypile.ask(&format!("OBJECT ENCODING {key}"));
                packed += u32::from(encoding == bulk("listpack"));
                exploded += u32::from(encoding == bulk("quicklist"));
            }
        }
        let commands: Vec<Command> = (0..CHUNK).map(|_| generator.next_command()).collect();
        for (command, (haypile, redis)) in commands.iter().zip(both.call(&commands)) {
            assert!(
                haypile == redis,
                "HAYPILE_TEST_SEED={seed}, command {}:\n{}\n  Haypile {}\n  Redis   {}\nafter\n{}",
                sent.len(),
                text(command),
                shown(&haypile),
                shown(&redis),
                sent[sent.len().saturating_sub(SHOWN)..].join("\n")
            );
            sent.push(text(command));
        }
    }
    assert!(packed > 5 && exploded > 5, "{packed} packed and {exploded} exploded lists were seen");
}
