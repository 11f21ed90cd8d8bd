//! The sorted sets of a database in the run of mixed commands: a plain model, commands, and a look at the server.
//!
//! Scores are whole numbers, so that sums are exact. The limits of packing are low, so that most sets explode.

use std::collections::HashMap;

use resp::Value;

use super::{Command, words};
use crate::random::Random;
use crate::wire::{Client, bulk, ok};

const KEYS: u64 = 5;
const MEMBERS: u64 = 60;
const SCORES: u64 = 20;

/// The members of each key, with their scores.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Sorted(HashMap<Vec<u8>, HashMap<Vec<u8>, i64>>);

impl Sorted {
    /// Number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The members of a key in their order.
    fn in_order(&self, key: &[u8]) -> Vec<(i64, Vec<u8>)> {
        let members = self.0.get(key).into_iter().flatten();
        let mut members: Vec<_> = members.map(|(member, score)| (*score, member.clone())).collect();
        members.sort();
        members
    }

    fn remove(&mut self, key: &[u8], members: &[Vec<u8>]) -> usize {
        let Some(set) = self.0.get_mut(key) else { return 0 };
        let removed = members.iter().filter(|member| set.remove(*member).is_some()).count();
        if set.is_empty() {
            self.0.remove(key);
        }
        removed
    }

    /// Applies a command, and answers the reply it must get; `None`: it is none of sorted sets.
    pub fn apply(&mut self, words: &[&[u8]]) -> Option<Value> {
        Some(match *words {
            [b"ZADD", key, ref pairs @ ..] => {
                let set = self.0.entry(key.to_vec()).or_default();
                let added = pairs.chunks(2).filter(|pair| set.insert(pair[1].to_vec(), number(pair[0])).is_none());
                Value::Integer(added.count() as i64)
            }
            [b"ZINCRBY", key, delta, member] => {
                let score = self.0.entry(key.to_vec()).or_default().entry(member.to_vec()).or_default();
                *score += number(delta);
                Value::Bulk(score.to_string().into_bytes())
            }
            [b"ZREM", key, ref members @ ..] => {
                let members: Vec<_> = members.iter().map(|member| member.to_vec()).collect();
                Value::Integer(self.remove(key, &members) as i64)
            }
            [b"ZPOPMIN", key, count] => {
                let mut popped = self.in_order(key);
                popped.truncate(number(count) as usize);
                let members: Vec<_> = popped.iter().map(|(_, member)| member.clone()).collect();
                self.remove(key, &members);
                let flat = popped
                    .into_iter()
                    .flat_map(|(score, member)| [Value::Bulk(member), Value::Bulk(score.to_string().into_bytes())]);
                Value::Array(flat.collect())
            }
            [b"ZREMRANGEBYRANK", key, from, to] => {
                let members = self.in_order(key).into_iter().map(|(_, member)| member);
                let (from, to) = (number(from) as usize, number(to) as usize);
                let members: Vec<_> = members.skip(from).take((to + 1).saturating_sub(from)).collect();
                Value::Integer(self.remove(key, &members) as i64)
            }
            [b"ZUNIONSTORE", to, b"2", one, other] => {
                let mut union = self.0.get(one).cloned().unwrap_or_default();
                for (member, score) in self.0.get(other).into_iter().flatten() {
                    *union.entry(member.clone()).or_default() += score;
                }
                let len = union.len();
                if len > 0 {
                    self.0.insert(to.to_vec(), union)
                } else {
                    self.0.remove(to)
                };
                Value::Integer(len as i64)
            }
            [b"UNLINK", key] => Value::Integer(i64::from(self.0.remove(key).is_some())),
            [b"RENAME", from, to] if from.starts_with(b"z:") => match self.0.remove(from) {
                Some(set) => {
                    self.0.insert(to.to_vec(), set);
                    ok()
                }
                None => Value::Error(b"ERR no such key".to_vec()),
            },
            _ => return None,
        })
    }

    /// What the selected database of a server holds; the counts and ranks of it are checked on the way.
    pub fn read(client: &mut Client) -> Self {
        let mut sorted = Self::default();
        for key in (0..KEYS).map(key) {
            let Value::Array(flat) = client.call(&[b"ZRANGE", &key, b"0", b"-1", b"WITHSCORES"]) else {
                panic!("no members")
            };
            let flat: Vec<Vec<u8>> = flat.into_iter().map(bytes).collect();
            let members: HashMap<_, _> = flat.chunks(2).map(|pair| (pair[0].clone(), number(&pair[1]))).collect();
            if members.is_empty() {
                continue;
            }
            assert_eq!(client.call(&[b"ZCARD", &key]), Value::Integer(members.len() as i64));
            for (rank, pair) in flat.chunks(2).enumerate() {
                assert_eq!(client.call(&[b"ZRANK", &key, &pair[0]]), Value::Integer(rank as i64));
                assert_eq!(client.call(&[b"ZSCORE", &key, &pair[0]]), bulk(&pair[1]));
            }
            sorted.0.insert(key, members);
        }
        sorted
    }

    /// The keys that are not the same, with what is different.
    pub fn differences(&self, found: &Self) -> Vec<(Vec<u8>, String)> {
        let different = (0..KEYS).map(key).filter(|key| self.0.get(key) != found.0.get(key));
        different
            .map(|key| {
                let text =
                    format!("{}: {:?}, and is {:?}", key.escape_ascii(), self.in_order(&key), found.in_order(&key));
                (key, text)
            })
            .collect()
    }
}

/// The next command on a sorted set.
pub fn next_command(random: &mut Random) -> Command {
    let (one, other) = (key(random.below(KEYS)), key(random.below(KEYS)));
    match random.below(20) {
        0..=9 => {
            let mut add = words(&[b"ZADD", &one]);
            let mut members: Vec<u64> = (0..=random.below(6)).map(|_| random.below(MEMBERS)).collect();
            members.sort_unstable();
            members.dedup();
            for member in members {
                add.extend([score(random), format!("m:{member}").into_bytes()]);
            }
            add
        }
        10..=12 => words(&[b"ZINCRBY", &one, &score(random), &member(random)]),
        13 | 14 => words(&[b"ZREM", &one, &member(random), &member(random)]),
        15 => words(&[b"ZPOPMIN", &one, &random.below(4).to_string().into_bytes()]),
        16 => {
            let from = random.below(20);
            let to = from + random.below(10);
            words(&[b"ZREMRANGEBYRANK", &one, &from.to_string().into_bytes(), &to.to_string().into_bytes()])
        }
        17 => words(&[b"ZUNIONSTORE", &one, b"2", &one, &other]),
        18 => words(&[b"RENAME", &one, &other]),
        _ => words(&[b"UNLINK", &one]),
    }
}

fn key(n: u64) -> Vec<u8> {
    format!("z:{n}").into_bytes()
}

fn member(random: &mut Random) -> Vec<u8> {
    format!("m:{}", random.below(MEMBERS)).into_bytes()
}

fn score(random: &mut Random) -> Vec<u8> {
    (random.below(SCORES) as i64 - SCORES as i64 / 2).to_string().into_bytes()
}

fn number(word: &[u8]) -> i64 {
    resp::parse_i64(word).unwrap()
}

fn bytes(reply: Value) -> Vec<u8> {
    match reply {
        Value::Bulk(bytes) => bytes,
        other => panic!("no bulk string: {other:?}"),
    }
}
