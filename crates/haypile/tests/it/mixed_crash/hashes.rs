//! The hashes of a database in the run of mixed commands: a plain model, commands, and a look at the server.
//!
//! The limits of packing are low, so that most hashes explode. No field expires while the test runs: one that is told to
//! expire in the past goes at once.

use std::collections::{BTreeMap, HashMap};

use resp::Value;

use super::{Command, Differences, bytes, future, integer, number, small_value, words};
use crate::random::Random;
use crate::wire::{Client, ok};

const KEYS: u64 = 5;
const FIELDS: u64 = 40;
/// Of the fields, these hold numbers.
const NUMBERS: u64 = 8;

/// The value of a field, and when it expires.
#[derive(Clone, Debug, Default, PartialEq)]
struct Field {
    value: Vec<u8>,
    expire_at: Option<u64>,
}

type Hash = BTreeMap<Vec<u8>, Field>;

/// The hashes by key; each has fields.
#[derive(Clone, Default, PartialEq)]
pub struct Hashes(HashMap<Vec<u8>, Hash>);

impl Hashes {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a command is about hashes.
    pub fn concern(words: &[&[u8]]) -> bool {
        words.get(1).is_some_and(|key| key.starts_with(b"hash:"))
    }

    /// Applies a command that is about hashes, and answers the reply it must get.
    pub fn apply(&mut self, words: &[&[u8]]) -> Value {
        let reply = match *words {
            [b"HSET", key, ref pairs @ ..] => {
                let hash = self.hash(key);
                let set = |pair: &&[&[u8]]| {
                    hash.insert(pair[0].to_vec(), Field { value: pair[1].to_vec(), expire_at: None }).is_none()
                };
                integer(pairs.chunks(2).filter(set).count())
            }
            [b"HSETNX", key, field, value] => {
                let hash = self.hash(key);
                let sets = !hash.contains_key(field);
                if sets {
                    hash.insert(field.to_vec(), Field { value: value.to_vec(), expire_at: None });
                }
                integer(usize::from(sets))
            }
            [b"HINCRBY", key, field, delta] => {
                let field = self.hash(key).entry(field.to_vec()).or_default();
                let old = if field.value.is_empty() { 0 } else { number(&field.value) };
                let new = old + number(delta);
                field.value = new.to_string().into_bytes();
                integer(new as usize)
            }
            [b"HDEL", key, ref fields @ ..] => {
                let hash = self.hash(key);
                integer(fields.iter().filter(|field| hash.remove(**field).is_some()).count())
            }
            [b"HGETDEL", key, b"FIELDS", _, ref fields @ ..] => {
                let hash = self.hash(key);
                let take =
                    |field: &&[u8]| hash.remove(*field).map_or(Value::NullBulk, |field| Value::Bulk(field.value));
                Value::Array(fields.iter().map(take).collect())
            }
            [b"HPEXPIREAT", key, at, b"FIELDS", b"1", field] => {
                let (hash, at) = (self.hash(key), number(at));
                Value::Array(vec![Value::Integer(match hash.get_mut(field) {
                    None => -2,
                    Some(_) if at <= PAST => {
                        hash.remove(field);
                        2
                    }
                    Some(field) => {
                        field.expire_at = Some(at);
                        1
                    }
                })])
            }
            [b"HPERSIST", key, b"FIELDS", b"1", field] => {
                let had = self.hash(key).get_mut(field).map(|field| field.expire_at.take());
                Value::Array(vec![Value::Integer(match had {
                    None => -2,
                    Some(None) => -1,
                    Some(Some(_)) => 1,
                })])
            }
            _ => self.relocate(words),
        };
        self.0.retain(|_, hash| !hash.is_empty());
        reply
    }

    fn hash(&mut self, key: &[u8]) -> &mut Hash {
        self.0.entry(key.to_vec()).or_default()
    }

    /// The commands about whole hashes.
    fn relocate(&mut self, words: &[&[u8]]) -> Value {
        match *words {
            [b"UNLINK", key] => integer(usize::from(self.0.remove(key).is_some())),
            [b"RENAME", from, to] => match self.0.remove(from) {
                None => Value::Error(b"ERR no such key".to_vec()),
                Some(hash) => {
                    self.0.insert(to.to_vec(), hash);
                    ok()
                }
            },
            [b"COPY", from, to, b"REPLACE"] => match self.0.get(from).cloned() {
                None => Value::Integer(0),
                Some(hash) => {
                    self.0.insert(to.to_vec(), hash);
                    Value::Integer(1)
                }
            },
            _ => panic!("not modelled: {words:?}"),
        }
    }

    /// The hashes of the database that is selected; the counts of it are checked on the way.
    pub fn read(client: &mut Client) -> Self {
        let mut hashes = Self::default();
        for key in (0..KEYS).map(key) {
            let Value::Array(flat) = client.call(&[b"HGETALL", &key]) else { panic!("no fields") };
            let flat: Vec<Vec<u8>> = flat.into_iter().map(bytes).collect();
            assert_eq!(client.call(&[b"HLEN", &key]), integer(flat.len() / 2), "the length of {}", key.escape_ascii());
            if flat.is_empty() {
                assert_eq!(client.call(&[b"EXISTS", &key]), Value::Integer(0));
                continue;
            }
            for pair in flat.chunks(2) {
                assert_eq!(client.call(&[b"HGET", &key, &pair[0]]), Value::Bulk(pair[1].clone()));
                let expire_at = match client.call(&[b"HPEXPIRETIME", &key, b"FIELDS", b"1", &pair[0]]) {
                    Value::Array(times) => match times[..] {
                        [Value::Integer(-1)] => None,
                        [Value::Integer(at)] => Some(at as u64),
                        _ => panic!("not one time: {times:?}"),
                    },
                    other => panic!("no times: {other:?}"),
                };
                let old = hashes.hash(&key).insert(pair[0].clone(), Field { value: pair[1].clone(), expire_at });
                assert_eq!(old, None, "a field is there once");
            }
        }
        hashes
    }

    /// The keys whose hashes are not the same, with what is different.
    pub fn differences(&self, found: &Self, database: usize) -> Differences {
        let none = Hash::new();
        let of = |key: &Vec<u8>| (self.0.get(key).unwrap_or(&none), found.0.get(key).unwrap_or(&none));
        let different = (0..KEYS).map(key).filter(|key| self.0.get(key) != found.0.get(key));
        different
            .map(|key| {
                let (should, is) = of(&key);
                let other = should.keys().chain(is.keys()).find(|field| should.get(*field) != is.get(*field));
                let field = other.map(|field| field.escape_ascii().to_string());
                let say = format!(
                    "{} of database {database} should have {} fields, and has {}; first other {field:?}",
                    key.escape_ascii(),
                    should.len(),
                    is.len()
                );
                (key, say)
            })
            .collect()
    }
}

/// The next command about hashes.
pub fn next_command(random: &mut Random) -> Command {
    let (one, other) = (key(random.below(KEYS)), key(random.below(KEYS)));
    let (a, b) = (field(random), field(random));
    match random.below(24) {
        0..=8 => {
            let mut set = words(&[b"HSET", &one]);
            for _ in 0..=random.below(5) {
                set.extend([field(random), small_value(random)]);
            }
            set
        }
        9 | 10 => words(&[b"HSETNX", &one, &a, &small_value(random)]),
        11..=13 => {
            let field = format!("number:{}", random.below(NUMBERS));
            words(&[b"HINCRBY", &one, field.as_bytes(), random.below(1000).to_string().as_bytes()])
        }
        14..=16 => words(&[b"HDEL", &one, &a, &b]),
        17 => words(&[b"HGETDEL", &one, b"FIELDS", b"2", &a, &b]),
        18 => words(&[b"HPEXPIREAT", &one, &future(random), b"FIELDS", b"1", &a]),
        19 => words(&[b"HPEXPIREAT", &one, PAST.to_string().as_bytes(), b"FIELDS", b"1", &a]),
        20 => words(&[b"HPERSIST", &one, b"FIELDS", b"1", &a]),
        21 => words(&[b"RENAME", &one, &other]),
        22 if one != other => words(&[b"COPY", &one, &other, b"REPLACE"]),
        _ if random.one_in(3) => words(&[b"UNLINK", &one]),
        _ => words(&[b"HPEXPIREAT", &one, &future(random), b"FIELDS", b"1", &b]),
    }
}

/// Milliseconds of Unix time that are over.
const PAST: u64 = 1_000_000;

fn key(n: u64) -> Vec<u8> {
    format!("hash:{n}").into_bytes()
}

fn field(random: &mut Random) -> Vec<u8> {
    format!("field:{}", random.below(FIELDS)).into_bytes()
}
