//! Random commands on strings and keys, right and wrong ones, which Redis 7.0.15 and Haypile must answer alike.
//!
//! Never sent, for their replies are not meant to be the same:
//! - commands and options that are newer than Redis 7.0: DELEX, DIGEST, MSETEX, IFEQ and its kin;
//! - TTL and PTTL of keys with a deadline, OBJECT IDLETIME: the two servers are asked a moment apart;
//! - EXPIRETIME after a relative deadline, for the same reason: those have keys of their own, and GT and LT compare
//!   deadlines that are seconds apart at least;
//! - deadlines that pass during the test;
//! - OBJECT ENCODING of what was not just set: Haypile tells it from the value, Redis from the value's past;
//! - OBJECT REFCOUNT: always 1 here, and Redis shares small numbers; OBJECT FREQ rests on chance;
//! - SCAN, RANDOMKEY, KEYS with several answers: the order; DBSIZE: Redis counts keys that have expired;
//! - BITCOUNT and BITPOS with bad ranges on absent keys, or a bad unit of an empty range: Redis 7.0 answers before it
//!   has looked at all arguments, and 7.2 refuses;
//! - LCS of long values: how much memory it may take differs.

use std::collections::VecDeque;

use super::Command;
use crate::random::Random;

/// Keys with absolute deadlines or none, with relative ones, with floats, for LCS.
const PLAIN: &[&str] = &["k:0", "k:1", "k:2", "k:3", "k:4", "k:5", "k:6", "k:7"];
const RELATIVE: &[&str] = &["r:0", "r:1", "r:2", "r:3"];
const FLOATS: &[&str] = &["f:0", "f:1", "f:2"];
const SHORT: &[&str] = &["l:0", "l:1", "l:2"];

const NO_NUMBERS: &[&str] = &[
    "",
    "x",
    "1.5",
    " 1",
    "1 ",
    "9223372036854775808",
    "-9223372036854775809",
    "0x10",
    "1e3",
    "+1",
    "01",
    "-0",
    "--1",
];
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "7",
    "-7",
    "10",
    "99",
    "100",
    "-100",
    "4095",
    "4096",
    "4097",
    "-4096",
    "20000",
    "-20000",
    "2147483647",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "-9223372036854775807",
];
const NO_FLOATS: &[&str] = &["", "x", "nan", "inf", "-inf", "1e5000", " 1", "1 ", "1..2", "1e", "abc1", "0x", "1,5"];
const FAR_FUTURE_SECONDS: u64 = 4_102_444_800;
const FLAGS: &[&str] = &["NX", "XX", "GT", "LT"];

/// The source of commands; a seed is the whole story.
pub struct Generator {
    random: Random,
    /// Commands so far, for deadlines that are all different.
    count: u64,
    /// What must come right after the command before.
    next: VecDeque<Command>,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), count: 0, next: VecDeque::new() }
    }

    /// Whether a word is one of the keys.
    pub fn is_key(word: &[u8]) -> bool {
        [PLAIN, RELATIVE, FLOATS, SHORT].concat().iter().any(|key| key.as_bytes() == word)
    }

    pub fn next_command(&mut self) -> Command {
        self.count += 1;
        if let Some(command) = self.next.pop_front() {
            return command;
        }
        let mut command = match self.random.below(100) {
            0..=17 => self.set(),
            18..=31 => self.string(),
            32..=43 => self.integer(),
            44..=52 => self.float(),
            53..=64 => self.bits(),
            65..=78 => self.keys(),
            79..=90 => self.deadline(),
            91..=94 => self.lcs(),
            95..=97 => self.pair(),
            _ => self.other(),
        };
        // The first of two is what the second one relies on.
        if self.next.is_empty() && self.random.one_in(25) {
            self.spoil(&mut command);
        }
        if self.random.one_in(8) {
            command[0].make_ascii_lowercase();
        }
        command
    }

    fn set(&mut self) -> Command {
        let (value, which) = (self.value(), self.random.below(10));
        if which == 0 {
            let (name, unit) = self.random.pick(&[("SETEX", 1), ("PSETEX", 1000)]);
            let key = self.random.pick(RELATIVE);
            return command(&[name, key, &self.relative(unit)], &[&value]);
        }
        let relative = which < 3;
        let key = self.random.pick(if relative { RELATIVE } else { PLAIN });
        if which == 3 {
            let name = self.random.pick(&["SETNX", "GETSET"]);
            return command(&[name, key], &[&value]);
        }
        let mut set = command(&["SET", key], &[&value]);
        for _ in 0..self.random.pick(&[0, 0, 0, 1, 1, 2, 3]) {
            let option = self.random.pick(&["NX", "XX", "GET", "KEEPTTL", "deadline", "deadline", "PERSIST"]);
            self.option(&mut set, option, relative);
        }
        set
    }

    /// Adds an option with its argument.
    fn option(&mut self, command: &mut Command, option: &str, relative: bool) {
        let words = match (option, relative, self.random.below(2)) {
            ("deadline", true, 0) => vec!["EX".to_owned(), self.relative(1)],
            ("deadline", true, _) => vec!["PX".to_owned(), self.relative(1000)],
            ("deadline", false, 0) => vec!["EXAT".to_owned(), self.absolute(1)],
            ("deadline", false, _) => vec!["PXAT".to_owned(), self.absolute(1000)],
            (_, _, 0) => vec![option.to_owned()],
            (_, _, _) => vec![option.to_lowercase()],
        };
        command.extend(words.into_iter().map(String::into_bytes));
    }

    fn string(&mut self) -> Command {
        let (key, other, value) = (self.plain(), self.plain(), self.value());
        match self.random.below(14) {
            0 | 1 => command(&["GET", key], &[]),
            2 => command(&["STRLEN", key], &[]),
            3 | 4 => {
                let name = self.random.pick(&["GETRANGE", "GETRANGE", "SUBSTR"]);
                command(&[name, key, &self.place(), &self.place()], &[])
            }
            5 | 6 => {
                let at = if self.random.one_in(8) {
                    self.random.pick(&["-1", "536870912", "x"]).to_owned()
                } else {
                    self.offset(20_000)
                };
                command(&["SETRANGE", key, &at], &[&value])
            }
            7 | 8 => command(&["APPEND", key], &[&value]),
            9 => {
                let relative = self.random.one_in(3);
                let mut getex = command(&["GETEX", if relative { self.random.pick(RELATIVE) } else { key }], &[]);
                for _ in 0..self.random.pick(&[0, 1, 1, 1, 2]) {
                    let option = self.random.pick(&["deadline", "deadline", "PERSIST", "KEEPTTL", "GET"]);
                    self.option(&mut getex, option, relative);
                }
                getex
            }
            10 => command(&["GETDEL", key], &[]),
            11 => command(&["MGET", key, other, "absent"], &[]),
            12 => {
                let name = self.random.pick(&["MSET", "MSETNX"]);
                command(&[name, key], &[&value, other.as_bytes(), self.random.pick(NUMBERS).as_bytes()])
            }
            _ => {
                // One that mostly succeeds.
                self.next.push_back(command(&["MSETNX", key], &[&value, key.as_bytes(), b"2"]));
                command(&["DEL", key], &[])
            }
        }
    }

    fn integer(&mut self) -> Command {
        let key = self.plain();
        let name = self.random.pick(&["INCR", "DECR", "INCRBY", "INCRBY", "DECRBY", "SET", "SET"]);
        match name {
            "INCR" | "DECR" => command(&[name, key], &[]),
            _ => command(&[name, key, &self.number()], &[]),
        }
    }

    fn float(&mut self) -> Command {
        let key = self.random.pick(FLOATS);
        match self.random.below(10) {
            0 => command(&["SET", key, &self.float_text()], &[]),
            1 => command(&["GET", key], &[]),
            2 => command(&["INCRBYFLOAT", self.plain(), &self.float_text()], &[]),
            3 => command(&["INCRBYFLOAT", key, self.random.pick(NO_FLOATS)], &[]),
            4 => command(&["DEL", key], &[]),
            _ => command(&["INCRBYFLOAT", key, &self.float_text()], &[]),
        }
    }

    fn bits(&mut self) -> Command {
        let key = self.plain();
        let offset = match self.random.below(12) {
            0 => self.random.pick(&["-1", "4294967296", "x", "1.5", ""]).to_owned(),
            _ => self.offset(200_000),
        };
        match self.random.below(6) {
            0 | 1 => command(&["SETBIT", key, &offset, self.random.pick(&["0", "1", "1", "2", "x"])], &[]),
            2 => command(&["GETBIT", key, &offset], &[]),
            _ => {
                let mut words = match self.random.below(2) {
                    0 => vec!["BITCOUNT".to_owned(), key.to_owned()],
                    _ => vec![
                        "BITPOS".to_owned(),
                        key.to_owned(),
                        self.random.pick(&["0", "1", "1", "2", "x"]).to_owned(),
                    ],
                };
                for _ in 0..self.random.below(3) {
                    words.push(self.place());
                }
                match self.random.below(9) {
                    0..=2 => words.push(self.random.pick(&["BYTE", "BIT", "bit"]).to_owned()),
                    3 if words.len() < 4 => words.extend(["0", "-1", "BITE"].map(str::to_owned)),
                    _ => {}
                }
                self.next.push_back(words.into_iter().map(String::into_bytes).collect());
                command(&["SET", key], &[&self.value()])
            }
        }
    }

    fn keys(&mut self) -> Command {
        let pool = self.random.pick(&[PLAIN, PLAIN, RELATIVE]);
        let (a, b) = (self.random.pick(pool), self.random.pick(pool));
        match self.random.below(13) {
            0 => command(&["RENAME", a, b], &[]),
            1 => command(&["RENAMENX", a, b], &[]),
            2..=4 => {
                let mut copy = command(&["COPY", a, b], &[]);
                for _ in 0..self.random.below(3) {
                    let option: &[&str] = match self.random.below(4) {
                        0 => &["DB", self.random.pick(&["0", "1", "2", "16", "-1", "x"])],
                        1 => &["DB"],
                        _ => &["REPLACE"],
                    };
                    copy.extend(option.iter().map(|word| word.as_bytes().to_vec()));
                }
                copy
            }
            5 => command(&["MOVE", a, self.random.pick(&["0", "1", "2", "16", "-1", "x"])], &[]),
            6 => command(&["EXISTS", a, b, a], &[]),
            7 => command(&["DEL", a, b, a], &[]),
            8 => command(&["UNLINK", a], &[]),
            9 => command(&["TOUCH", a, b, b], &[]),
            10 => command(&["TYPE", a], &[]),
            11 => command(&["KEYS", a], &[]),
            _ => command(&["EXISTS", b], &[]),
        }
    }

    fn deadline(&mut self) -> Command {
        let plain = self.plain();
        let relative = self.random.pick(RELATIVE);
        let (name, key, deadline) = match self.random.below(8) {
            0 | 1 => ("EXPIREAT", plain, self.absolute(1)),
            2 | 3 => ("PEXPIREAT", plain, self.absolute(1000)),
            4 => ("EXPIRE", relative, self.relative(1)),
            5 => ("PEXPIRE", relative, self.relative(1000)),
            6 => return command(&[self.random.pick(&["EXPIRETIME", "PEXPIRETIME"]), plain], &[]),
            _ => return command(&["PERSIST", self.random.pick(&[plain, relative])], &[]),
        };
        let mut expire = command(&[name, key, &deadline], &[]);
        for _ in 0..self.random.pick(&[0, 1, 1, 1, 2]) {
            let flag = if self.random.one_in(15) { "ZZ" } else { self.random.pick(FLAGS) };
            let lower = self.random.one_in(3);
            expire.push(if lower { flag.to_lowercase() } else { flag.to_owned() }.into_bytes());
        }
        expire
    }

    fn lcs(&mut self) -> Command {
        let (a, b) = (self.random.pick(SHORT), self.random.pick(SHORT));
        let mut lcs = command(&["LCS", a, b], &[]);
        for _ in 0..self.random.below(4) {
            let option: &[&str] = match self.random.below(6) {
                0 | 1 => &["IDX"],
                2 => &["LEN"],
                3 => &["WITHMATCHLEN"],
                4 => &["MINMATCHLEN", self.random.pick(&["0", "1", "2", "4", "-1", "x"])],
                _ => &["MINMATCHLEN"],
            };
            lcs.extend(option.iter().map(|word| word.as_bytes().to_vec()));
        }
        self.next.push_back(lcs);
        if self.random.one_in(10) {
            return command(&["DEL", a], &[]);
        }
        let len = self.random.below(60);
        let letters: Vec<u8> = (0..len).map(|_| self.random.pick(b"abcd")).collect();
        command(&["SET", b], &[&letters])
    }

    /// A question about what was just set.
    fn pair(&mut self) -> Command {
        let (key, value) = (self.plain(), self.value());
        let question = self.random.pick(&[["OBJECT", "ENCODING"], ["OBJECT", "ENCODING"], ["TTL", ""], ["PTTL", ""]]);
        let mut words: Vec<&str> = question.into_iter().filter(|word| !word.is_empty()).collect();
        words.push(key);
        self.next.push_back(command(&words, &[]));
        if self.random.one_in(6) { command(&["DEL", key], &[]) } else { command(&["SET", key], &[&value]) }
    }

    fn other(&mut self) -> Command {
        match self.random.below(9) {
            0..=2 => command(&["SELECT", self.random.pick(&["0", "0", "1", "2", "15", "16", "-1", "x"])], &[]),
            3 => command(&["PING"], &[]),
            4 => command(&["PING"], &[&self.value()]),
            5 => command(&["ECHO"], &[&self.value()]),
            6 => command(&["NOSUCH", self.plain(), "a b"], &[]),
            7 => command(&["OBJECT", self.random.pick(&["NOSUCH", "ENCODING"])], &[]),
            _ if self.random.one_in(5) => command(&["FLUSHDB", self.random.pick(&["SYNC", "ASYNC", "x"])], &[]),
            _ => command(&["GET"], &[]),
        }
    }

    /// Takes a word away, adds one, or puts a wrong one in its place; never a key's.
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

    fn plain(&mut self) -> &'static str {
        self.random.pick(PLAIN)
    }

    fn value(&mut self) -> Vec<u8> {
        let len = match self.random.below(12) {
            0..=3 => return self.number().into_bytes(),
            4 => return self.float_text().into_bytes(),
            5 => self.random.pick(&[0, 1, 43, 44, 45, 64]),
            6 => self.random.pick(&[4095, 4096, 4097, 5000]),
            7 => 1 + self.random.below(9000) as usize,
            _ => self.random.below(20) as usize,
        };
        if self.random.one_in(4) {
            return vec![self.random.pick(&[0, 0xff]); len];
        }
        self.random.bytes(len)
    }

    fn number(&mut self) -> String {
        match self.random.below(10) {
            0 => self.random.pick(NO_NUMBERS).to_owned(),
            1..=4 => self.random.pick(NUMBERS).to_owned(),
            5 => (self.random.next() as i64).to_string(),
            _ => self.random.below(20_000).to_string(),
        }
    }

    /// An index into a value, from either end.
    fn place(&mut self) -> String {
        match self.random.below(4) {
            0 => self.number(),
            1 => format!("-{}", 1 + self.random.below(50)),
            _ => self.random.below(60).to_string(),
        }
    }

    fn offset(&mut self, far: u64) -> String {
        let bound = self.random.pick(&[20, 100, far]);
        self.random.below(bound).to_string()
    }

    fn float_text(&mut self) -> String {
        let sign = self.random.pick(&["", "", "-"]);
        let digits = self.random.next();
        match self.random.below(8) {
            0 => format!("{sign}{}", digits % 1000),
            1 => format!("{sign}{}.{}", digits % 100, digits % 1_000),
            2 => format!("{sign}0.{}", self.random.pick(&["1", "2", "3", "7", "05", "001"])),
            3 => format!("{sign}{}.{digits}", digits % 1_000_000),
            4 => format!("{sign}{}e{}", digits % 100, digits % 20),
            5 => format!("{sign}{}.5e-{}", digits % 100, digits % 20),
            6 => format!("{sign}{digits}"),
            _ => format!("{sign}.{}", digits % 100),
        }
    }

    /// A deadline in Unix time: long ago, far ahead, or none at all.
    fn absolute(&mut self, unit: u64) -> String {
        match self.random.below(12) {
            0 => self.random.pick(&["1", "1000", "1000000000"]).to_owned(),
            1 => self
                .random
                .pick(&["0", "-1", "9223372036854775807", "9223372036854775", "-9223372036854775808"])
                .to_owned(),
            2 => self.random.pick(NO_NUMBERS).to_owned(),
            _ => (FAR_FUTURE_SECONDS * unit + self.random.below(5000)).to_string(),
        }
    }

    /// Time to live that makes no two deadlines fall into the same second.
    fn relative(&mut self, unit: u64) -> String {
        match self.random.below(12) {
            0 => self.random.pick(&["0", "-1", "9223372036854775807", "-9223372036854775808"]).to_owned(),
            1 => self.random.pick(NO_NUMBERS).to_owned(),
            _ => ((self.random.below(1000) * 4_000_000 + 100_000 + self.count * 2) * unit).to_string(),
        }
    }
}

fn command(words: &[&str], more: &[&[u8]]) -> Command {
    words.iter().map(|word| word.as_bytes()).chain(more.iter().copied()).map(<[u8]>::to_vec).collect()
}
