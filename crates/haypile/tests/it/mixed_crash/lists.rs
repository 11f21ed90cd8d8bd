//! The lists of one database: a model of them, and commands that change them. Their keys are like no others.

use std::collections::{BTreeMap, VecDeque};

use resp::Value;

use super::{Command, bytes, integer, number, words};
use crate::random::Random;
use crate::wire::{Client, ok};

const KEYS: u64 = 6;
/// A list grows no longer, in elements.
const LONGEST: usize = 80;
/// Elements of a reply: no multiple of what a node holds.
const PIECE: usize = 37;

type List = VecDeque<Vec<u8>>;

/// The lists by key; each has elements.
#[derive(Clone, Default, PartialEq)]
pub struct Lists(BTreeMap<Vec<u8>, List>);

impl Lists {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a command is about lists.
    pub fn concern(words: &[&[u8]]) -> bool {
        words.get(1).is_some_and(|key| key.starts_with(b"list:"))
    }

    /// Applies a command that is about lists, and answers the reply it must get.
    pub fn apply(&mut self, words: &[&[u8]]) -> Value {
        let reply = match *words {
            [b"LPUSH", key, ref elements @ ..] => {
                elements.iter().for_each(|element| self.list(key).push_front(element.to_vec()));
                integer(self.list(key).len())
            }
            [b"RPUSH", key, ref elements @ ..] => {
                self.list(key).extend(elements.iter().map(|element| element.to_vec()));
                integer(self.list(key).len())
            }
            [b"LPOP", key] => self.list(key).pop_front().map_or(Value::NullBulk, Value::Bulk),
            [b"RPOP", key, count] if !self.0.contains_key(key) => {
                assert!(number(count) > 0);
                Value::NullArray
            }
            [b"RPOP", key, count] => {
                let list = self.list(key);
                Value::Array((0..number(count)).map_while(|_| list.pop_back()).map(Value::Bulk).collect())
            }
            [b"LSET", key, _, _] if !self.0.contains_key(key) => Value::Error(b"ERR no such key".to_vec()),
            [b"LSET", key, at, element] => match self.list(key).get_mut(number(at) as usize) {
                Some(old) => {
                    *old = element.to_vec();
                    ok()
                }
                None => Value::Error(b"ERR index out of range".to_vec()),
            },
            [b"LINSERT", key, b"BEFORE", pivot, element] => {
                let list = self.list(key);
                match list.iter().position(|other| other == pivot) {
                    None if list.is_empty() => Value::Integer(0),
                    None => Value::Integer(-1),
                    Some(at) => {
                        list.insert(at, element.to_vec());
                        integer(list.len())
                    }
                }
            }
            [b"LREM", key, b"0", element] => {
                let list = self.list(key);
                let before = list.len();
                list.retain(|other| other != element);
                integer(before - list.len())
            }
            [b"LTRIM", key, from, b"-2"] => {
                let list = self.list(key);
                list.pop_back();
                list.drain(..list.len().min(number(from) as usize));
                ok()
            }
            _ => self.relocate(words),
        };
        self.0.retain(|_, list| !list.is_empty());
        reply
    }

    fn list(&mut self, key: &[u8]) -> &mut List {
        self.0.entry(key.to_vec()).or_default()
    }

    /// The commands that take elements or lists to another place.
    fn relocate(&mut self, words: &[&[u8]]) -> Value {
        match *words {
            [b"LMOVE", from, to, b"LEFT", b"RIGHT"] => match self.list(from).pop_front() {
                None => Value::NullBulk,
                Some(element) => {
                    self.list(to).push_back(element.clone());
                    Value::Bulk(element)
                }
            },
            [b"RPOPLPUSH", from, to] => match self.list(from).pop_back() {
                None => Value::NullBulk,
                Some(element) => {
                    self.list(to).push_front(element.clone());
                    Value::Bulk(element)
                }
            },
            [b"DEL", key] => integer(usize::from(self.0.remove(key).is_some())),
            [b"RENAME", from, to] => match self.0.remove(from) {
                None => Value::Error(b"ERR no such key".to_vec()),
                Some(list) => {
                    self.0.insert(to.to_vec(), list);
                    ok()
                }
            },
            [b"COPY", from, to, b"REPLACE"] => match self.0.get(from).cloned() {
                None => Value::Integer(0),
                Some(list) => {
                    self.0.insert(to.to_vec(), list);
                    Value::Integer(1)
                }
            },
            _ => panic!("not modelled: {words:?}"),
        }
    }

    /// The lists of the database that is selected.
    pub fn read(client: &mut Client) -> Self {
        let mut lists = Self::default();
        for key in (0..KEYS).map(key) {
            let Value::Integer(len) = client.call(&[b"LLEN", &key]) else { panic!("no length") };
            for from in (0..len as usize).step_by(PIECE) {
                let (from, to) = (from.to_string(), (from + PIECE - 1).to_string());
                let Value::Array(piece) = client.call(&[b"LRANGE", &key, from.as_bytes(), to.as_bytes()]) else {
                    panic!("no elements")
                };
                lists.list(&key).extend(piece.into_iter().map(bytes));
            }
            if let Some(last) = lists.0.get(&key).and_then(|list| list.back()) {
                assert_eq!(client.call(&[b"LINDEX", &key, b"-1"]), Value::Bulk(last.clone()));
                assert_eq!(lists.0[&key].len(), len as usize, "the length of {}", key.escape_ascii());
                assert_eq!(client.call(&[b"TYPE", &key]), Value::Simple(b"list".to_vec()));
            } else {
                assert_eq!(client.call(&[b"GET", &key]), Value::NullBulk);
            }
        }
        lists
    }

    /// The keys whose lists are not the same, with what is different.
    pub fn differences(&self, found: &Self, database: usize) -> Vec<(Vec<u8>, String)> {
        let of = |lists: &Self, key: &Vec<u8>| lists.0.get(key).cloned().unwrap_or_default();
        let keys = (0..KEYS).map(key).filter(|key| self.0.get(key) != found.0.get(key));
        keys.map(|key| {
            let (should, is) = (of(self, &key), of(found, &key));
            let at = should.iter().zip(&is).position(|(should, is)| should != is);
            let text = key.escape_ascii();
            let (should, is) = (should.len(), is.len());
            let say = format!(
                "{text} of database {database} should have {should} elements, and has {is}; first other {at:?}"
            );
            (key.clone(), say)
        })
        .collect()
    }

    /// The next command about lists.
    pub fn next_command(&mut self, random: &mut Random) -> Command {
        let (a, b) = (key(random.below(KEYS)), key(random.below(KEYS)));
        let len = self.0.get(&a).map_or(0, VecDeque::len);
        let (one, other) = (element(random), element(random));
        if len > LONGEST {
            return words(&[b"LTRIM", &a, (len / 2).to_string().as_bytes(), b"-2"]);
        }
        let near = random.below(len as u64 + 2).to_string();
        match random.below(20) {
            0..=3 => words(&[b"LPUSH", &a, &one, &other]),
            4..=7 => words(&[b"RPUSH", &a, &one, &other, &one]),
            8 | 9 => words(&[b"LPOP", &a]),
            10 => words(&[b"RPOP", &a, (1 + random.below(6)).to_string().as_bytes()]),
            11 => words(&[b"LSET", &a, near.as_bytes(), &one]),
            12 | 13 => words(&[b"LINSERT", &a, b"BEFORE", &one, &other]),
            14 => words(&[b"LREM", &a, b"0", &one]),
            15 => words(&[b"LMOVE", &a, &b, b"LEFT", b"RIGHT"]),
            16 => words(&[b"RPOPLPUSH", &a, &b]),
            17 => words(&[b"RENAME", &a, &b]),
            18 if a != b => words(&[b"COPY", &a, &b, b"REPLACE"]),
            19 if random.one_in(3) => words(&[b"DEL", &a]),
            _ => words(&[b"LTRIM", &a, random.below(3).to_string().as_bytes(), b"-2"]),
        }
    }
}

fn key(n: u64) -> Vec<u8> {
    format!("list:{n}").into_bytes()
}

/// One of few, so that it is found again; some fill a node, and some take one for themselves.
fn element(random: &mut Random) -> Vec<u8> {
    let len = match random.below(12) {
        0 => 4096 + random.below(4) as usize * 700,
        1..=3 => 1500,
        4 | 5 => 200,
        _ => 3,
    };
    vec![random.pick(b"abcd"); len]
}
