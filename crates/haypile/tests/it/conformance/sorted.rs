//! Random commands on sorted sets, right and wrong ones, which Redis 7.0.15 and Haypile must answer alike.
//!
//! The limits of packing change on the way, so that packed and exploded sets and the change between them are met.
//!
//! Never sent, for their replies are not meant to be the same:
//! - scores that are no sums of quarters, or very large: Redis 7.0 prints 17 digits, 7.2 and Haypile the shortest;
//! - the negative zero: Redis keeps it or not, by its encoding; so no weights that make one;
//! - ZRANK WITHSCORE, which is newer;
//! - ZRANDMEMBER of fewer members than there are, ZSCAN of exploded sets: chance, and order;
//! - ranges by member of sets whose scores differ: unspecified.

use super::{Both, Command, shown, text};
use crate::random::{Random, seed_of_environment};
use crate::scale;

/// The seed of the run that everybody does.
const SEED: u64 = 1;
/// Commands that are sent before their replies are read.
const CHUNK: usize = 64;
/// Chunks in one protocol.
const CHUNKS_OF_A_PROTOCOL: usize = 10;
/// Differences after which no more are looked for.
const MOST_DIFFERENCES: usize = 10;
/// Commands before a difference that a failure shows.
const SHOWN: usize = 25;

/// Sets of all kinds of scores, sets of one score, and keys of another type.
const SCORED: &[&str] = &["z:0", "z:1", "z:2", "z:3", "z:4"];
const LEX: &[&str] = &["x:0", "x:1"];
const OTHER: &str = "other";

const BAD_SCORES: &[&str] = &["", "x", "nan", "1 ", " 1", "(1", "1..2"];
const BOUNDS: &[&str] = &["-inf", "+inf", "inf", "(inf", "(-inf", "", "(", "x", "1 ", "nan", "((1"];
const ITEMS: &[&str] = &["-", "+", "[", "(", "", "m", "-1", "++", "[m:1", "(m:2", "[m:99", "[a", "(z"];
const RANKS: &[&str] = &["0", "1", "-1", "2", "-2", "5", "-5", "10", "100", "-100", "x", "", "1.5"];

/// The source of commands; a seed is the whole story.
struct Sorted {
    random: Random,
}

impl Sorted {
    fn new(seed: u64) -> Self {
        Self { random: Random::new(seed) }
    }

    fn next_command(&mut self) -> Command {
        let mut words = match self.random.below(100) {
            0..=27 => self.add(),
            28..=34 => self.read(),
            35..=52 => self.range(),
            53..=60 => self.remove(),
            61..=66 => self.pop(),
            67..=76 => self.algebra(),
            77..=84 => self.lex(),
            85..=89 => self.count(),
            90..=94 => self.keys(),
            95 => words(&["SET", OTHER, "v"]),
            96 => self.limit(),
            97 => words(&["DEL", self.key()]),
            _ => self.shown(),
        };
        // Not where a mistake would make what is never sent: see above.
        let (name, first) = (words[0].as_str(), words[1].as_str());
        let strict = ["ZRANK", "ZREVRANK", "ZRANDMEMBER", "ZUNION", "ZINTER", "ZUNIONSTORE", "ZINTERSTORE", "CONFIG"];
        if !strict.contains(&name) && !LEX.contains(&first) && self.random.one_in(40) {
            self.spoil(&mut words);
        }
        words.into_iter().map(String::into_bytes).collect()
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl Sorted {
    fn key(&mut self) -> &'static str {
        match self.random.below(30) {
            0 => OTHER,
            1 => "absent",
            _ => self.random.pick(SCORED),
        }
    }

    fn member(&mut self) -> String {
        match self.random.below(60) {
            0 => String::new(),
            1 => format!("long:{}", "y".repeat(60 + self.random.below(10) as usize)),
            2 => self.random.below(100).to_string(),
            _ => format!("m:{}", self.random.below(60)),
        }
    }

    fn score(&mut self) -> String {
        match self.random.below(40) {
            0 => self.random.pick(&["inf", "-inf", "+inf", "Infinity", "1e3", "0x10", "+5", ".5", "5."]).to_owned(),
            1 if self.random.one_in(4) => self.random.pick(BAD_SCORES).to_owned(),
            2..=9 => (self.random.below(2_000_000) as f64 - 1_000_000.0).to_string(),
            _ => (self.random.below(81) as f64 / 4.0 - 10.0).to_string().replace("-0", "-1"),
        }
    }

    fn bound(&mut self) -> String {
        if self.random.one_in(8) {
            return self.random.pick(BOUNDS).to_owned();
        }
        let bracket = if self.random.one_in(3) { "(" } else { "" };
        format!("{bracket}{}", self.score())
    }

    fn item(&mut self) -> String {
        if self.random.one_in(3) {
            return self.random.pick(ITEMS).to_owned();
        }
        format!("{}{}", self.random.pick(&["[", "("]), self.member())
    }

    fn rank(&mut self) -> String {
        self.random.pick(RANKS).to_owned()
    }

    /// Makes a mistake: a word more, less or other.
    fn spoil(&mut self, words: &mut Vec<String>) {
        let at = 1 + self.random.below(words.len() as u64) as usize;
        match self.random.below(3) {
            0 => words.truncate(at),
            1 => words.insert(at, self.random.pick(&["x", "", "WITHSCORES", "NX", "LIMIT", "0", "-1"]).to_owned()),
            _ if at < words.len() => words[at] = self.random.pick(&["x", "", "1.5", "-3", "0"]).to_owned(),
            _ => {}
        }
    }

    fn add(&mut self) -> Vec<String> {
        let key = self.key();
        if self.random.one_in(4) {
            let (score, member) = (self.score(), self.member());
            return words(&["ZINCRBY", key, &score, &member]);
        }
        let mut add = words(&["ZADD", key]);
        if self.random.one_in(3) {
            for _ in 0..=self.random.below(2) {
                add.push(self.random.pick(&["NX", "XX", "GT", "LT", "CH", "ch", "INCR", "gt"]).to_owned());
            }
        }
        let pairs = match self.random.below(12) {
            0 => 20 + self.random.below(60),
            1..=3 => 2 + self.random.below(5),
            _ => 1,
        };
        for _ in 0..pairs {
            let (score, member) = (self.score(), self.member());
            add.extend([score, member]);
        }
        add
    }

    fn read(&mut self) -> Vec<String> {
        let (key, member, other) = (self.key(), self.member(), self.member());
        match self.random.below(5) {
            0 => words(&["ZSCORE", key, &member]),
            1 => words(&["ZMSCORE", key, &member, &other, &member]),
            2 => words(&["ZCARD", key]),
            3 => words(&["ZRANK", key, &member]),
            _ => words(&["ZREVRANK", key, &member]),
        }
    }

    fn options(&mut self, range: &mut Vec<String>, options: &[&str]) {
        for option in options {
            match *option {
                "LIMIT" if self.random.one_in(2) => {
                    let (offset, count) = (self.random.pick(&["0", "1", "3", "50", "-1", "x"]), self.rank());
                    range.extend(["LIMIT".to_owned(), offset.to_owned(), count]);
                }
                "LIMIT" => {}
                option if self.random.one_in(2) => range.push(option.to_owned()),
                _ => {}
            }
        }
    }

    fn range(&mut self) -> Vec<String> {
        let key = self.key();
        let stores = self.random.one_in(6);
        let mut range =
            if stores { words(&["ZRANGESTORE", self.random.pick(SCORED), key]) } else { words(&["ZRANGE", key]) };
        match self.random.below(8) {
            0..=2 => {
                range.extend([self.rank(), self.rank()]);
                let options: &[&str] = if stores { &["REV"] } else { &["REV", "WITHSCORES"] };
                self.options(&mut range, options);
            }
            3 | 4 => {
                range.extend([self.bound(), self.bound(), "BYSCORE".to_owned()]);
                let options: &[&str] = if stores { &["REV", "LIMIT"] } else { &["REV", "WITHSCORES", "LIMIT"] };
                self.options(&mut range, options);
            }
            5 => {
                range = words(&["ZREVRANGE", key, &self.rank(), &self.rank()]);
                self.options(&mut range, &["WITHSCORES"]);
            }
            which => {
                let name = if which == 6 { "ZRANGEBYSCORE" } else { "ZREVRANGEBYSCORE" };
                range = words(&[name, key, &self.bound(), &self.bound()]);
                self.options(&mut range, &["WITHSCORES", "LIMIT"]);
            }
        }
        range
    }

    fn remove(&mut self) -> Vec<String> {
        let key = self.key();
        match self.random.below(5) {
            0..=2 => {
                let mut remove = words(&["ZREM", key]);
                for _ in 0..=self.random.below(4) {
                    remove.push(self.member());
                }
                remove
            }
            3 => words(&["ZREMRANGEBYRANK", key, &self.rank(), &self.rank()]),
            _ => words(&["ZREMRANGEBYSCORE", key, &self.bound(), &self.bound()]),
        }
    }

    fn pop(&mut self) -> Vec<String> {
        let (key, other) = (self.key(), self.key());
        let count = self.random.pick(&["0", "1", "2", "5", "30", "-1", "x"]);
        let end = self.random.pick(&["MIN", "MAX", "min", "x"]);
        match self.random.below(6) {
            0 => words(&["ZPOPMIN", key]),
            1 => words(&["ZPOPMAX", key]),
            2 => words(&["ZPOPMIN", key, count]),
            3 => words(&["ZPOPMAX", key, count]),
            4 => words(&["ZMPOP", self.random.pick(&["2", "2", "1", "0", "x"]), key, other, end]),
            _ => words(&["ZMPOP", "2", other, key, end, "COUNT", count]),
        }
    }

    fn algebra(&mut self) -> Vec<String> {
        let name =
            self.random.pick(&["ZUNION", "ZINTER", "ZDIFF", "ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE", "ZINTERCARD"]);
        let mut words = words(&[name]);
        if name.ends_with("STORE") {
            words.push(self.random.pick(SCORED).to_owned());
        }
        let keys = 1 + self.random.below(3);
        words.push(if self.random.one_in(15) { self.rank() } else { keys.to_string() });
        words.extend((0..keys).map(|_| self.key().to_owned()));
        if name == "ZINTERCARD" {
            if self.random.one_in(2) {
                words.extend(["LIMIT".to_owned(), self.rank()]);
            }
            return words;
        }
        if !name.starts_with("ZDIFF") && self.random.one_in(3) {
            words.push("WEIGHTS".to_owned());
            words.extend((0..keys).map(|_| self.random.pick(&["1", "2", "0.5", "3", "1", "x"]).to_owned()));
        }
        if !name.starts_with("ZDIFF") && self.random.one_in(3) {
            words.extend(["AGGREGATE", self.random.pick(&["SUM", "MIN", "MAX", "max", "AVG"])].map(str::to_owned));
        }
        if !name.ends_with("STORE") && self.random.one_in(2) {
            words.push("WITHSCORES".to_owned());
        }
        words
    }

    fn lex(&mut self) -> Vec<String> {
        let key = self.random.pick(LEX);
        match self.random.below(8) {
            0..=2 => {
                let mut add = words(&["ZADD", key]);
                for _ in 0..=self.random.below(20) {
                    add.extend(["7".to_owned(), self.member()]);
                }
                add
            }
            3 => words(&["ZLEXCOUNT", key, &self.item(), &self.item()]),
            4 if self.random.one_in(3) => words(&["ZREMRANGEBYLEX", key, &self.item(), &self.item()]),
            5 => {
                let mut range = words(&["ZRANGE", key, &self.item(), &self.item(), "BYLEX"]);
                self.options(&mut range, &["REV", "LIMIT"]);
                range
            }
            which => {
                let name = if which == 6 { "ZRANGEBYLEX" } else { "ZREVRANGEBYLEX" };
                let mut range = words(&[name, key, &self.item(), &self.item()]);
                self.options(&mut range, &["LIMIT"]);
                range
            }
        }
    }

    fn count(&mut self) -> Vec<String> {
        words(&["ZCOUNT", self.key(), &self.bound(), &self.bound()])
    }

    fn keys(&mut self) -> Vec<String> {
        let (key, other) = (self.key(), self.random.pick(SCORED));
        match self.random.below(8) {
            0 => words(&["COPY", key, other, "REPLACE"]),
            1 if key != "absent" => words(&["RENAME", key, other]),
            2 => words(&["TYPE", key]),
            3 => words(&["ZRANDMEMBER", key, "100000"]),
            4 => words(&["ZRANDMEMBER", key, self.random.pick(&["0", "x", "-9223372036854775808"])]),
            5 => words(&["GET", key]),
            6 => words(&["EXISTS", key]),
            _ => words(&["OBJECT", "ENCODING", key]),
        }
    }

    /// Everything of a key.
    fn shown(&mut self) -> Vec<String> {
        words(&["ZRANGE", self.key(), "0", "-1", "WITHSCORES"])
    }

    fn limit(&mut self) -> Vec<String> {
        let (name, value) = match self.random.below(2) {
            0 => ("zset-max-listpack-entries", self.random.pick(&["0", "1", "4", "20", "64", "128"])),
            _ => ("zset-max-listpack-value", self.random.pick(&["3", "64", "64", "1000"])),
        };
        words(&["CONFIG", "SET", name, value])
    }
}

#[test]
fn random_commands_on_sorted_sets_get_the_replies_of_redis() {
    let Some(mut both) = Both::start() else { return };
    let seed = seed_of_environment().unwrap_or(SEED);
    let mut sorted = Sorted::new(seed);
    let mut before: Vec<Command> = Vec::new();
    let mut differences = Vec::new();
    for chunk in 0..scale(20_000, 1_000_000) / CHUNK {
        let protocol = 2 + (chunk / CHUNKS_OF_A_PROTOCOL % 2) as u64;
        if chunk % CHUNKS_OF_A_PROTOCOL == 0 {
            both.hello(protocol);
        }
        let commands: Vec<Command> = (0..CHUNK).map(|_| sorted.next_command()).collect();
        let replies = both.call(&commands);
        if let Some(at) = replies.iter().position(|(haypile, redis)| haypile != redis) {
            before.extend_from_slice(&commands[..at]);
            let (haypile, redis) = &replies[at];
            differences.push(format!(
                "chunk {chunk}: {}\n  Haypile {}\n  Redis   {}\nafter\n{}",
                text(&commands[at]),
                shown(haypile),
                shown(redis),
                history(&before, &commands[at])
            ));
            // What follows from a difference is none of its own.
            both.reset(protocol);
            before.clear();
        } else {
            before.extend(commands);
        }
        if differences.len() == MOST_DIFFERENCES {
            break;
        }
    }
    assert!(differences.is_empty(), "HAYPILE_TEST_SEED={seed}\n{}", differences.join("\n"));
}

/// The commands before that may have a part in the reply of one.
fn history(before: &[Command], command: &Command) -> String {
    let shares = |old: &Command| old[1..].iter().any(|word| word.contains(&b':') && command.contains(word));
    let concerns = |old: &&Command| shares(old) || old[0] == b"CONFIG";
    let mut lines: Vec<String> = before.iter().rev().filter(concerns).take(SHOWN).map(text).collect();
    lines.reverse();
    lines.join("\n")
}
