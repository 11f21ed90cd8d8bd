//! The sets of a database in the run of mixed commands: a plain model, commands, and a look at the server.
//!
//! Some members are integers, and the limits of packing are low, so that sets take all of their forms. What SPOP takes is
//! the server's choice: the reply tells it, and of one that was not acknowledged, what is missing afterwards.

use std::collections::{BTreeSet, HashMap};

use resp::Value;

use super::{Command, Differences, bytes, integer, words};
use crate::random::Random;
use crate::wire::{Client, ok};

const KEYS: u64 = 6;
const MEMBERS: u64 = 40;

type Set = BTreeSet<Vec<u8>>;

/// The sets by key; each has members.
#[derive(Clone, Default, PartialEq)]
pub struct Sets(HashMap<Vec<u8>, Set>);

impl Sets {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a command is about sets.
    pub fn concern(words: &[&[u8]]) -> bool {
        words.get(1).is_some_and(|key| key.starts_with(b"set:"))
    }

    /// Applies a command that is about sets, and answers the reply it must get.
    pub fn apply(&mut self, words: &[&[u8]]) -> Value {
        let reply = match *words {
            [b"SADD", key, ref members @ ..] => {
                let set = self.0.entry(key.to_vec()).or_default();
                integer(members.iter().filter(|member| set.insert(member.to_vec())).count())
            }
            [b"SREM", key, ref members @ ..] => {
                let set = self.0.entry(key.to_vec()).or_default();
                integer(members.iter().filter(|member| set.remove(**member)).count())
            }
            [b"SMOVE", from, to, member] => {
                let moves = self.0.entry(from.to_vec()).or_default().remove(member);
                if moves {
                    self.0.entry(to.to_vec()).or_default().insert(member.to_vec());
                }
                integer(usize::from(moves))
            }
            [b"SUNIONSTORE", to, one, other] => self.store(to, &self.of(one) | &self.of(other)),
            [b"SINTERSTORE", to, one, other] => self.store(to, &self.of(one) & &self.of(other)),
            [b"SDIFFSTORE", to, one, other] => self.store(to, &self.of(one) - &self.of(other)),
            [b"UNLINK", key] => integer(usize::from(self.0.remove(key).is_some())),
            [b"RENAME", from, to] => match self.0.remove(from) {
                None => Value::Error(b"ERR no such key".to_vec()),
                Some(set) => {
                    self.0.insert(to.to_vec(), set);
                    ok()
                }
            },
            [b"COPY", from, to, b"REPLACE"] => match self.0.get(from).cloned() {
                None => Value::Integer(0),
                Some(set) => {
                    self.0.insert(to.to_vec(), set);
                    Value::Integer(1)
                }
            },
            _ => panic!("not modelled: {words:?}"),
        };
        self.0.retain(|_, set| !set.is_empty());
        reply
    }

    /// Takes out what the reply to a SPOP says, which must be as many different members as were asked for.
    pub fn pop(&mut self, words: &[&[u8]], reply: Value) {
        let members = match (words.len(), reply) {
            (2, Value::NullBulk) => Vec::new(),
            (2, member) => vec![bytes(member)],
            (_, Value::Array(members)) => members.into_iter().map(bytes).collect(),
            (_, other) => panic!("no members: {other:?}"),
        };
        let mut set = self.of(words[1]);
        assert_eq!(members.len(), popped(words).min(set.len()), "as many as were asked for");
        for member in members {
            assert!(set.remove(&member), "{} was not there", member.escape_ascii());
        }
        self.put(words[1], set);
    }

    /// Takes out what a SPOP has taken that was not acknowledged, if `found` looks as if one had.
    pub fn pop_as(&mut self, words: &[&[u8]], found: &Self) {
        let (set, left) = (self.of(words[1]), found.of(words[1]));
        if left.is_subset(&set) && set.len() - left.len() == popped(words).min(set.len()) {
            self.put(words[1], left);
        }
    }

    fn put(&mut self, key: &[u8], set: Set) {
        self.0.insert(key.to_vec(), set);
        self.0.retain(|_, set| !set.is_empty());
    }

    fn of(&self, key: &[u8]) -> Set {
        self.0.get(key).cloned().unwrap_or_default()
    }

    fn store(&mut self, to: &[u8], set: Set) -> Value {
        let len = set.len();
        self.0.insert(to.to_vec(), set);
        integer(len)
    }

    /// The sets of the database that is selected; the counts of it are checked on the way.
    pub fn read(client: &mut Client) -> Self {
        let mut sets = Self::default();
        for key in (0..KEYS).map(key) {
            let Value::Array(members) = client.call(&[b"SMEMBERS", &key]) else { panic!("no members") };
            let listed = members.len();
            let set: Set = members.into_iter().map(bytes).collect();
            assert_eq!(set.len(), listed, "a member is there once");
            assert_eq!(client.call(&[b"SCARD", &key]), integer(listed), "the size of {}", key.escape_ascii());
            for member in (0..MEMBERS * 2).map(member) {
                let found = integer(usize::from(set.contains(&member)));
                assert_eq!(client.call(&[b"SISMEMBER", &key, &member]), found);
            }
            if set.is_empty() {
                assert_eq!(client.call(&[b"EXISTS", &key]), Value::Integer(0));
            } else {
                sets.0.insert(key, set);
            }
        }
        sets
    }

    /// The keys whose sets are not the same, with what is different.
    pub fn differences(&self, found: &Self, database: usize) -> Differences {
        let different = (0..KEYS).map(key).filter(|key| self.0.get(key) != found.0.get(key));
        different
            .map(|key| {
                let (should, is) = (self.of(&key), found.of(&key));
                let other: Vec<_> = (&should ^ &is).iter().map(|member| member.escape_ascii().to_string()).collect();
                let say = format!(
                    "{} of database {database} should have {} members, and has {}; other are {other:?}",
                    key.escape_ascii(),
                    should.len(),
                    is.len()
                );
                (key, say)
            })
            .collect()
    }
}

/// How many members a SPOP takes, if there are so many.
fn popped(words: &[&[u8]]) -> usize {
    words.get(2).map_or(1, |count| resp::parse_u64(count).unwrap() as usize)
}

/// The next command about sets.
pub fn next_command(random: &mut Random) -> Command {
    let (one, other, to) = (key(random.below(KEYS)), key(random.below(KEYS)), key(random.below(KEYS)));
    // Some commands are about integers only, so that some sets are.
    let among = if random.one_in(2) { MEMBERS } else { MEMBERS * 2 };
    match random.below(23) {
        20 | 21 => words(&[b"SPOP", &one]),
        22 => words(&[b"SPOP", &one, random.below(8).to_string().as_bytes()]),
        0..=8 => {
            let mut add = words(&[b"SADD", &one]);
            add.extend((0..=random.below(6)).map(|_| member(random.below(among))));
            add
        }
        9..=12 => words(&[b"SREM", &one, &member(random.below(among)), &member(random.below(among))]),
        13 | 14 => words(&[b"SMOVE", &one, &other, &member(random.below(among))]),
        15 => words(&[b"SUNIONSTORE", &to, &one, &other]),
        16 => words(&[b"SINTERSTORE", &to, &one, &other]),
        17 => words(&[b"SDIFFSTORE", &to, &one, &other]),
        18 if one != other => words(&[b"COPY", &one, &other, b"REPLACE"]),
        _ if random.one_in(3) => words(&[b"UNLINK", &one]),
        _ => words(&[b"RENAME", &one, &other]),
    }
}

fn key(n: u64) -> Vec<u8> {
    format!("set:{n}").into_bytes()
}

/// Integers first, then words.
fn member(n: u64) -> Vec<u8> {
    if n < MEMBERS { (n * 1000).to_string().into_bytes() } else { format!("member:{n}").into_bytes() }
}
