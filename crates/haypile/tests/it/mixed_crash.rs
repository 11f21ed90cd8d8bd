//! All kinds of writes, by one client, on a server that is killed at any moment: what was acknowledged is there
//! afterwards, and what was under way happened in order up to some command.
//!
//! Each database has a log of its own, so that order holds within one database: commands under way together are of
//! one. A MOVE is alone under way; one that was not acknowledged may leave its key in both databases, never in none. So is
//! a SPOP, whose members the server chooses.
//!
//! The server settles, flushes and trims all the time. Each acknowledged command was applied to a plain model; after
//! the restart both databases are read as a whole, and must be the model after some number of the commands under way.
//! `HAYPILE_TEST_SEED` repeats the commands of a run; where the kill cuts them depends on the machine as well.

mod hashes;
mod lists;
mod sets;
mod sorted;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use hashes::Hashes;
use lists::Lists;
use resp::Value;
use sets::Sets;

use crate::random::{Random, seed_of_today};
use crate::scale;
use crate::server::{Server, until};
use crate::wire::{Client, bulk, ok};
use sorted::Sorted;

const ARGS: [&str; 16] = [
    "--settle-interval-ms",
    "5",
    "--recovery-log-max",
    "1mb",
    "--log-segment-bytes",
    "1mb",
    "--maxmemory",
    "64mb",
    "--zset-max-listpack-entries",
    "12",
    "--hash-max-listpack-entries",
    "12",
    "--set-max-intset-entries",
    "8",
    "--set-max-listpack-entries",
    "16",
];
const DATABASES: usize = 2;
const KEYS: u64 = 40;
const PIPELINE: u64 = 8;
/// Acknowledged commands before a kill, at most.
const MOST: u64 = 2000;
const LARGE: u64 = 200 << 10;
const FAR: u64 = 1 << 20;
/// A value grows no longer.
const LONGEST: usize = 2 << 20;
/// Pieces in which long values are read; no multiple of a chunk.
const PIECE: usize = 100_003;
/// Milliseconds of Unix time that no run of this test sees: 2100.
const FAR_FUTURE: u64 = 4_102_444_800_000;
/// Commands of a key that a failure shows.
const SHOWN: usize = 12;

type Command = Vec<Vec<u8>>;
/// Keys, and what is different about each.
type Differences = Vec<(Vec<u8>, String)>;

#[derive(Clone, PartialEq, Default)]
struct Entry {
    value: Vec<u8>,
    expire_at: Option<u64>,
}

/// The databases, and the one the connection has selected.
#[derive(Default)]
struct Model {
    databases: [HashMap<Vec<u8>, Entry>; DATABASES],
    lists: [Lists; DATABASES],
    sorted: [Sorted; DATABASES],
    hashes: [Hashes; DATABASES],
    sets: [Sets; DATABASES],
    selected: usize,
}

impl Model {
    fn keys(&mut self) -> &mut HashMap<Vec<u8>, Entry> {
        &mut self.databases[self.selected]
    }

    fn entry(&mut self, key: &[u8]) -> &mut Entry {
        self.keys().entry(key.to_vec()).or_default()
    }

    fn has(&mut self, key: &[u8]) -> bool {
        self.keys().contains_key(key)
    }

    /// Sets a value for ever.
    fn set(&mut self, key: &[u8], value: &[u8]) {
        self.keys().insert(key.to_vec(), Entry { value: value.to_vec(), expire_at: None });
    }

    /// Applies a command, and answers the reply it must get.
    fn apply(&mut self, command: &Command) -> Value {
        let words: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
        if Lists::concern(&words) {
            return self.lists[self.selected].apply(&words);
        }
        if Hashes::concern(&words) {
            return self.hashes[self.selected].apply(&words);
        }
        if Sets::concern(&words) {
            return self.sets[self.selected].apply(&words);
        }
        if let Some(reply) = self.sorted[self.selected].apply(&words) {
            return reply;
        }
        match words[..] {
            [b"SET", key, value] => {
                self.set(key, value);
                ok()
            }
            [b"SET", key, value, b"KEEPTTL"] => {
                self.entry(key).value = value.to_vec();
                ok()
            }
            [b"SET", key, value, b"PXAT", at] => {
                self.keys().insert(key.to_vec(), Entry { value: value.to_vec(), expire_at: Some(number(at)) });
                ok()
            }
            [b"MSET", ref pairs @ ..] => {
                pairs.chunks(2).for_each(|pair| self.set(pair[0], pair[1]));
                ok()
            }
            [b"APPEND", key, value] => {
                self.entry(key).value.extend_from_slice(value);
                integer(self.entry(key).value.len())
            }
            [b"SETRANGE", key, at, value] => integer(self.overwrite(key, number(at) as usize, value)),
            [b"SETBIT", key, at, bit] => {
                let (at, byte) = (number(at) as usize, number(at) as usize / 8);
                let mask = 0x80 >> (at % 8);
                let old = self.keys().get(key).and_then(|entry| entry.value.get(byte)).copied().unwrap_or(0);
                let new = if bit == b"1" { old | mask } else { old & !mask };
                self.overwrite(key, byte, &[new]);
                integer(usize::from(old & mask != 0))
            }
            [b"INCR", key] => self.increment(key),
            [b"GETDEL", key] => self.keys().remove(key).map_or(Value::NullBulk, |entry| Value::Bulk(entry.value)),
            [b"DEL", ref keys @ ..] => integer(keys.iter().filter(|key| self.keys().remove(**key).is_some()).count()),
            [b"PEXPIREAT", key, at] => integer(usize::from(self.expire(key, Some(number(at))))),
            [b"PERSIST", key] => {
                let had = self.keys().get(key).is_some_and(|entry| entry.expire_at.is_some());
                self.expire(key, None);
                integer(usize::from(had))
            }
            [b"FLUSHDB"] => {
                self.keys().clear();
                self.lists[self.selected] = Lists::default();
                self.sorted[self.selected].clear();
                self.hashes[self.selected] = Hashes::default();
                self.sets[self.selected] = Sets::default();
                ok()
            }
            [b"SELECT", database] => {
                self.selected = number(database) as usize;
                ok()
            }
            _ => self.relocate(&words),
        }
    }

    /// The commands that take a value to another place.
    fn relocate(&mut self, words: &[&[u8]]) -> Value {
        match *words {
            [b"RENAME", from, to] => match self.keys().remove(from) {
                Some(entry) => {
                    self.keys().insert(to.to_vec(), entry);
                    ok()
                }
                None => Value::Error(b"ERR no such key".to_vec()),
            },
            [b"COPY", from, to, b"REPLACE"] if from == to => {
                Value::Error(b"ERR source and destination objects are the same".to_vec())
            }
            [b"COPY", from, to, b"REPLACE"] => {
                let entry = self.keys().get(from).cloned();
                integer(usize::from(entry.is_some_and(|entry| {
                    self.keys().insert(to.to_vec(), entry);
                    true
                })))
            }
            [b"MOVE", key, database] => {
                let other = number(database) as usize;
                if other == self.selected {
                    return Value::Error(b"ERR source and destination objects are the same".to_vec());
                }
                let moves = self.has(key) && !self.databases[other].contains_key(key);
                if moves {
                    let entry = self.keys().remove(key).unwrap();
                    self.databases[other].insert(key.to_vec(), entry);
                }
                integer(usize::from(moves))
            }
            _ => panic!("not modelled: {words:?}"),
        }
    }

    /// Puts a key back that was moved: its arrival happened, and its departure did not.
    fn put_back(&mut self, moved: &Command) {
        let entry = self.databases[number(&moved[2]) as usize][&moved[1]].clone();
        self.keys().insert(moved[1].clone(), entry);
    }

    fn overwrite(&mut self, key: &[u8], at: usize, value: &[u8]) -> usize {
        let old = &mut self.entry(key).value;
        old.resize(old.len().max(at + value.len()), 0);
        old[at..at + value.len()].copy_from_slice(value);
        old.len()
    }

    fn increment(&mut self, key: &[u8]) -> Value {
        let old = self.keys().get(key).map_or(Some(0), |entry| resp::parse_i64(&entry.value));
        let Some(new) = old.and_then(|old| old.checked_add(1)) else {
            return Value::Error(b"ERR value is not an integer or out of range".to_vec());
        };
        self.entry(key).value = new.to_string().into_bytes();
        Value::Integer(new)
    }

    fn expire(&mut self, key: &[u8], at: Option<u64>) -> bool {
        self.keys().get_mut(key).map(|entry| entry.expire_at = at).is_some()
    }

    /// What a server holds.
    fn read(client: &mut Client) -> Self {
        let mut model = Self::default();
        for database in 0..DATABASES {
            assert_eq!(client.ask(&format!("SELECT {database}")), ok());
            let entries: HashMap<_, _> =
                (0..KEYS).map(key).filter_map(|key| Some((key.clone(), read_entry(client, &key)?))).collect();
            let (lists, sorted) = (Lists::read(client), Sorted::read(client));
            let (hashes, sets) = (Hashes::read(client), Sets::read(client));
            let keys = entries.len() + lists.len() + sorted.len() + hashes.len() + sets.len();
            assert_eq!(client.ask("DBSIZE"), integer(keys), "keys of database {database}");
            model.databases[database] = entries;
            model.lists[database] = lists;
            model.sorted[database] = sorted;
            model.hashes[database] = hashes;
            model.sets[database] = sets;
        }
        model
    }

    /// The keys that are not the same, with what is different.
    fn differences(&self, found: &Self) -> Differences {
        let of = |database: usize| {
            let (ours, theirs) = (&self.databases[database], &found.databases[database]);
            let keys = (0..KEYS).map(key).filter(|key| ours.get(key) != theirs.get(key));
            keys.map(move |key| {
                let (ours, theirs) = (ours.get(&key), theirs.get(&key));
                let text = key.escape_ascii();
                let (should, is, at) = (describe(ours), describe(theirs), first_byte(ours, theirs));
                (key.clone(), format!("{text} of database {database} should be {should}, and is {is}{at}"))
            })
        };
        let lists = (0..DATABASES).flat_map(|at| self.lists[at].differences(&found.lists[at], at));
        let sorted = (0..DATABASES).flat_map(|at| self.sorted[at].differences(&found.sorted[at]));
        let hashes = (0..DATABASES).flat_map(|at| self.hashes[at].differences(&found.hashes[at], at));
        let sets = (0..DATABASES).flat_map(|at| self.sets[at].differences(&found.sets[at], at));
        (0..DATABASES).flat_map(of).chain(lists).chain(sorted).chain(hashes).chain(sets).collect()
    }
}

fn describe(entry: Option<&Entry>) -> String {
    entry.map_or("absent".to_owned(), |entry| {
        let shown = &entry.value[..entry.value.len().min(40)];
        format!("{} bytes \"{}\".. expiring at {:?}", entry.value.len(), shown.escape_ascii(), entry.expire_at)
    })
}

fn first_byte(ours: Option<&Entry>, theirs: Option<&Entry>) -> String {
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return String::new() };
    let at = ours.value.iter().zip(&theirs.value).position(|(ours, theirs)| ours != theirs);
    at.map_or(String::new(), |at| format!("; the first other byte is at {at}"))
}

fn read_entry(client: &mut Client, key: &[u8]) -> Option<Entry> {
    let expire_at = match client.call(&[b"PEXPIRETIME", key]) {
        Value::Integer(-2) => return None,
        Value::Integer(-1) => None,
        Value::Integer(at) => Some(at as u64),
        other => panic!("{other:?}"),
    };
    let Value::Integer(len) = client.call(&[b"STRLEN", key]) else { panic!("no length") };
    let len = len as usize;
    let mut value = Vec::with_capacity(len);
    if len <= PIECE {
        value = bytes(client.call(&[b"GET", key]));
    } else {
        for from in (0..len).step_by(PIECE) {
            let (from, to) = (from.to_string(), (from + PIECE - 1).to_string());
            value.extend(bytes(client.call(&[b"GETRANGE", key, from.as_bytes(), to.as_bytes()])));
        }
    }
    assert_eq!(value.len(), len, "the length of {}", key.escape_ascii());
    Some(Entry { value, expire_at })
}

fn bytes(reply: Value) -> Vec<u8> {
    match reply {
        Value::Bulk(bytes) => bytes,
        other => panic!("not a string: {other:?}"),
    }
}

fn number(word: &[u8]) -> u64 {
    resp::parse_u64(word).unwrap()
}

fn integer(number: usize) -> Value {
    Value::Integer(number as i64)
}

fn key(n: u64) -> Vec<u8> {
    format!("key:{n}").into_bytes()
}

/// The next command; the model says which values have grown enough.
fn next_command(random: &mut Random, model: &mut Model) -> Command {
    match random.below(8) {
        0 | 1 => return model.lists[model.selected].next_command(random),
        2 => return hashes::next_command(random),
        3 => return sets::next_command(random),
        _ => {}
    }
    let a = key(random.below(KEYS));
    let b = key(random.below(KEYS));
    let len = model.keys().get(&a).map_or(0, |entry| entry.value.len());
    let near = random.below(len as u64 + 3);
    let small = small_value(random);
    if random.one_in(4) {
        return sorted::next_command(random);
    }
    match random.below(100) {
        0..=17 => words(&[b"SET", &a, &small]),
        18..=20 => {
            let len = random.below(LARGE);
            words(&[b"SET", &a, &random.bytes(len as usize)])
        }
        21..=22 => words(&[b"SET", &a, &small, b"KEEPTTL"]),
        23..=24 => words(&[b"SET", &a, &small, b"PXAT", &future(random)]),
        25..=36 if len < LONGEST => {
            let len = if random.one_in(6) { random.below(20_000) } else { random.below(60) };
            words(&[b"APPEND", &a, &random.bytes(1 + len as usize)])
        }
        37..=48 => words(&[b"SETRANGE", &a, near.to_string().as_bytes(), &small]),
        49..=51 => words(&[b"SETRANGE", &a, (random.below(FAR) | 1).to_string().as_bytes(), &small]),
        52..=57 => {
            words(&[b"SETBIT", &a, (near * 8 + random.below(8)).to_string().as_bytes(), random.pick(&[b"0", b"1"])])
        }
        58..=60 => words(&[b"GETDEL", &a]),
        61..=63 => words(&[b"DEL", &a]),
        64..=65 => words(&[b"DEL", &a, &b, &key(random.below(KEYS))]),
        66..=70 => words(&[b"RENAME", &a, &b]),
        71..=75 => words(&[b"COPY", &a, &b, b"REPLACE"]),
        76..=81 => words(&[b"INCR", &a]),
        82..=85 => words(&[b"MSET", &a, &small, &b, random.next().to_string().as_bytes()]),
        86..=90 => words(&[b"PEXPIREAT", &a, &future(random)]),
        91..=93 => words(&[b"PERSIST", &a]),
        94..=95 => words(&[b"SELECT", random.pick(&[b"0", b"1"])]),
        96..=98 => words(&[b"MOVE", &a, (1 - model.selected).to_string().as_bytes()]),
        99 if random.one_in(4) => words(&[b"FLUSHDB"]),
        _ => words(&[b"INCR", &b]),
    }
}

/// At least one byte: Redis takes an empty one for no change at all.
fn small_value(random: &mut Random) -> Vec<u8> {
    match random.below(3) {
        0 => random.below(1_000_000).to_string().into_bytes(),
        1 => {
            let len = 1 + random.below(30) as usize;
            random.bytes(len)
        }
        _ => {
            let len = 1 + random.below(6000) as usize;
            random.bytes(len)
        }
    }
}

fn future(random: &mut Random) -> Vec<u8> {
    (FAR_FUTURE + random.below(1 << 40)).to_string().into_bytes()
}

fn words(words: &[&[u8]]) -> Command {
    words.iter().map(|word| word.to_vec()).collect()
}

/// What the client knows when the server is gone.
struct Writer {
    random: Random,
    model: Model,
    /// Sent and not acknowledged.
    under_way: VecDeque<Command>,
    /// All that was sent, and where the server was killed; long words cut.
    history: Vec<String>,
}

impl Writer {
    /// Writes until the server is gone.
    fn write(&mut self, client: &mut Client, acknowledged: &AtomicU64) {
        loop {
            let mut bytes = Vec::new();
            for place in 0..1 + self.random.below(PIPELINE) {
                let command = next_command(&mut self.random, &mut self.model);
                let is_alone = command[0] == b"MOVE" || command[0] == b"SPOP";
                if is_alone && place > 0 {
                    break;
                }
                let words: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
                resp::encode_command(&words, &mut bytes);
                let selects = command[0] == b"SELECT";
                self.history.push(abridged(&command));
                self.under_way.push_back(command);
                if is_alone || selects {
                    break;
                }
            }
            if client.try_send_raw(&bytes).is_err() {
                return;
            }
            while !self.under_way.is_empty() {
                let Some(reply) = client.try_read() else { return };
                let command = self.under_way.pop_front().unwrap();
                if command[0] == b"SPOP" {
                    let words: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
                    self.model.sets[self.model.selected].pop(&words, reply);
                } else {
                    let expected = self.model.apply(&command);
                    assert!(reply == expected, "{}: {reply:?} instead of {expected:?}", abridged(&command));
                }
                acknowledged.fetch_add(1, Ordering::Release);
            }
        }
    }

    /// Finds the number of commands under way that happened.
    fn compare(&mut self, found: &Model) {
        let mut closest: Option<(usize, Differences)> = None;
        let sent = self.under_way.len();
        for happened in 0..=sent {
            let differences = self.model.differences(found);
            if differences.is_empty() {
                return self.start_over();
            }
            if closest.as_ref().is_none_or(|(_, least)| differences.len() < least.len()) {
                closest = Some((happened, differences));
            }
            let Some(command) = self.under_way.get(happened) else { break };
            if command[0] == b"SPOP" {
                let words: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
                let selected = self.model.selected;
                self.model.sets[selected].pop_as(&words, &found.sets[selected]);
                continue;
            }
            let reply = self.model.apply(command);
            if command[0] == b"MOVE" && reply == Value::Integer(1) && self.model.differences(found).len() == 1 {
                self.model.put_back(command);
                if self.model.differences(found).is_empty() {
                    return self.start_over();
                }
                self.model.keys().remove(&command[1]);
            }
        }
        let (happened, differences) = closest.unwrap();
        let (key, _) = &differences[0];
        let say: Vec<&str> = differences.iter().map(|(_, say)| say.as_str()).collect();
        let say = say.join("\n");
        let key = format!(" {} ", key.escape_ascii());
        let about = |line: &&String| {
            line.contains(&key) || !["key:", "list:", "hash:", "set:"].iter().any(|of| line.contains(of))
        };
        let mut lines: Vec<&str> = self.history.iter().rev().filter(about).take(SHOWN).map(String::as_str).collect();
        lines.reverse();
        panic!("if {happened} of the last {sent} happened:\n{say}\nits commands:\n{}", lines.join("\n"));
    }

    /// Forgets the connection that broke.
    fn start_over(&mut self) {
        self.under_way.clear();
        self.model.selected = 0;
    }
}

fn abridged(command: &Command) -> String {
    let word = |word: &Vec<u8>| match word.len() {
        0..=32 => format!("{} ", word.escape_ascii()),
        len => format!("<{len} bytes> "),
    };
    command.iter().map(word).collect()
}

/// Says on a failure how to repeat it.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("repeat it with HAYPILE_TEST_SEED={}", self.0);
        }
    }
}

#[test]
fn mixed_commands_survive_the_end_of_the_process() {
    let seed = Seed(seed_of_today());
    let mut server = Server::start(&ARGS);
    let (mut kills, random) = (Random::new(!seed.0), Random::new(seed.0));
    let mut writer = Writer { random, model: Model::default(), under_way: VecDeque::new(), history: Vec::new() };
    for round in 0..scale(15, 200) {
        // Some die before the recovery before has settled.
        let enough = if kills.one_in(4) { kills.below(20) } else { kills.below(MOST) };
        let acknowledged = AtomicU64::new(0);
        let mut client = server.connect();
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| writer.write(&mut client, &acknowledged));
            until("enough writes", || acknowledged.load(Ordering::Acquire) >= enough || writing.is_finished());
            server.crash();
        });
        writer.history.push(format!("-- kill {round} --"));
        server = server.again();
        writer.compare(&Model::read(&mut server.connect()));
    }
    assert_eq!(server.connect().call(&[b"ECHO", b"alive"]), bulk("alive"));
}
