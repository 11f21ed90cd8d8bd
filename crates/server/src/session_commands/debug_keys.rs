//! The parts of DEBUG that look at keys or make some: OBJECT, DIGEST, DIGEST-VALUE, POPULATE.
//!
//! A digest is made of what a client can read: the key, its type, when it expires, the value. It is good for comparing
//! two states of servers of one version, and for nothing else: it is neither Redis's nor safe against intent.

use std::hash::{BuildHasher, Hasher};

use commands::{Args, Error, text};
use engine::Scope;
use foldhash::fast::FixedState;
use keyspace::list::{self, ListError};
use keyspace::map::{self, MapError};
use keyspace::string::{self, StringError};
use keyspace::view::{Page, Seek};
use keyspace::zset::{self, Direction, Range, ZsetError};
use keyspace::{Kind, Stop, View};

use super::key_look::{look, look_at, run_command};
use super::{Answer, DeskContext, at_desk};
use crate::shared::Shared;

/// Keys that are listed at a time.
const PAGE: usize = 1000;
const NO_TABLE: &str = "ERR The value stored at the specified key is not represented using an hash table";
const BAD_COUNT: &str = "ERR value is out of range, must be positive";

/// 160 bits, printed as Redis prints its digests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Digest([u64; 3]);

impl Digest {
    /// The digest of parts, each with its length, so that their borders count.
    fn of(parts: &[&[u8]]) -> Self {
        Self([1, 2, 3].map(|lane| {
            let mut hasher = FixedState::with_seed(lane).build_hasher();
            for part in parts {
                hasher.write_usize(part.len());
                hasher.write(part);
            }
            hasher.finish()
        }))
    }

    /// Adds a digest; the order does not matter.
    fn mix(&mut self, other: Self) {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own ^= other;
        }
    }

    fn text(self) -> String {
        let [first, second, third] = self.0;
        format!("{first:016x}{second:016x}{:08x}", third >> 32)
    }
}

/// The digest of a value, without its key. `None`: there is none.
fn value_digest(view: &mut dyn View, key: &[u8]) -> Result<Option<Digest>, Stop> {
    let Some(record) = view.record(key)? else { return Ok(None) };
    let head = record.head;
    let expiry = head.expire_at.map_or(0, |at| at.0).to_le_bytes();
    let kind = [head.kind as u8];
    if head.kind == Kind::String {
        let value = string::read_all(view, key).map_err(|error| match error {
            StringError::Stop(stop) => stop,
            StringError::WrongType => unreachable!("the record was a string a moment ago, under the same lock"),
        })?;
        return Ok(value.map(|value| Digest::of(&[&kind, &expiry, &value])));
    }
    if head.kind == Kind::List {
        // Whether it is packed, and how its nodes are cut, is not what a client sees.
        let mut digest = Digest::of(&[&kind, &expiry]);
        let read = list::range(view, key, 0, u64::MAX, &mut |element| {
            digest = Digest::of(&[&digest.0.map(u64::to_le_bytes).concat(), element]);
        });
        return match read {
            Ok(()) => Ok(Some(digest)),
            Err(ListError::Stop(stop)) => Err(stop),
            Err(ListError::WrongType) => unreachable!("the record was a list a moment ago, under the same lock"),
        };
    }
    if head.kind == Kind::Zset {
        return zset_digest(view, key, Digest::of(&[&kind, &expiry])).map(Some);
    }
    // How the elements are kept, and in which order, is not what a client sees.
    let mut digest = Digest::of(&[&kind, &expiry]);
    let read = map::walk(view, key, head.kind, &mut |element| {
        let expiry = element.expire_at.map_or(0, |at| at.0).to_le_bytes();
        digest.mix(Digest::of(&[element.name, element.value, &expiry]));
    });
    match read {
        Ok(()) => Ok(Some(digest)),
        Err(MapError::Stop(stop)) => Err(stop),
        Err(MapError::WrongType) => unreachable!("the record was a map a moment ago, under the same lock"),
    }
}

/// The digest of a sorted set's members in their order. How they are packed and counted is not what a client sees.
fn zset_digest(view: &mut dyn View, key: &[u8], mut digest: Digest) -> Result<Digest, Stop> {
    let all = Range::Rank(0, u64::MAX);
    let read = zset::visit(view, key, all, Direction::Up, (0, u64::MAX), &mut |member, score| {
        digest = Digest::of(&[&digest.0.map(u64::to_le_bytes).concat(), member, &score.to_le_bytes()]);
    });
    match read {
        Ok(()) => Ok(digest),
        Err(ZsetError::Stop(stop)) => Err(stop),
        Err(ZsetError::WrongType) => unreachable!("the record was a sorted set a moment ago, under the same lock"),
    }
}

pub(super) fn digest() -> Answer {
    at_desk(|context, reply| {
        let databases: Vec<usize> = context.shared.instance.shards().map(|shard| shard.database).collect();
        let mut sum = Digest::default();
        for database in databases {
            add_database(context, database, &mut sum)?;
        }
        reply.simple(&sum.text());
        Ok(())
    })
}

fn add_database(context: &mut DeskContext<'_>, database: usize, sum: &mut Digest) -> Result<(), Error> {
    let mut from: Option<Vec<u8>> = None;
    loop {
        let seek = from.as_deref().map_or(Seek::Start, Seek::After);
        let (keys, page) = look_at(context, database, Scope::Walk, |view| {
            let mut keys: Vec<Vec<u8>> = Vec::new();
            let page = view.walk(seek, b"", PAGE, &mut |key, _| keys.push(key.to_vec()))?;
            Ok((keys, page))
        })?;
        for key in keys {
            if let Some(value) = look(context, database, &key, |view| value_digest(view, &key))? {
                let parts = value.0.map(u64::to_le_bytes).concat();
                sum.mix(Digest::of(&[&database.to_le_bytes(), &key, &parts]));
            }
        }
        match page {
            Page::More(last) => from = Some(last),
            Page::End => return Ok(()),
        }
    }
}

pub(super) fn digest_values(database: usize, keys: &[&[u8]]) -> Answer {
    let keys: Vec<Vec<u8>> = keys.iter().map(|key| key.to_vec()).collect();
    at_desk(move |context, reply| {
        reply.array(keys.len());
        for key in &keys {
            let digest = look(context, database, key, |view| value_digest(view, key))?;
            reply.simple(&digest.unwrap_or_default().text());
        }
        Ok(())
    })
}

pub(super) fn object(database: usize, key: &[u8]) -> Answer {
    let key = key.to_vec();
    at_desk(move |context, reply| {
        let encoding = encoding(context, database, &key)?.unwrap_or_default();
        let seen = look(context, database, &key, |view| {
            let length = view.record(&key)?.map(|record| record.payload.len());
            let usage = view.usage(&key)?;
            Ok(length.zip(usage))
        })?;
        let (length, usage) = seen.ok_or(text::NO_SUCH_KEY)?;
        // With what lies in rows.
        let in_all =
            number(&run_command(context, database, &[b"MEMORY", b"USAGE", &key])?).parse::<usize>().unwrap_or(0);
        let length = length + in_all.saturating_sub(usage.memory_bytes);
        let idle = usage.idle_seconds;
        reply.simple(&format!(
            "Value at:0x0 refcount:1 encoding:{encoding} serializedlength:{length} lru:0 lru_seconds_idle:{idle}"
        ));
        Ok(())
    })
}

/// What OBJECT ENCODING says of a key, if it is there.
fn encoding(context: &mut DeskContext<'_>, database: usize, key: &[u8]) -> Result<Option<String>, Error> {
    let reply = run_command(context, database, &[b"OBJECT", b"ENCODING", key])?;
    // A bulk string: its length, then the word.
    Ok(String::from_utf8_lossy(&reply).lines().nth(1).map(str::to_owned))
}

/// HTSTATS: what there is to say where keys lie in no table of their own.
pub(super) fn table(shared: &Shared, args: Args<'_>) -> Answer {
    let database = usize::try_from(args.integer(2)?).ok().filter(|database| *database < shared.instance.databases());
    let database = database.ok_or("ERR Out of range database")?;
    at_desk(move |context, reply| {
        let keys = number(&run_command(context, database, &[b"DBSIZE"])?);
        reply.verbatim(b"txt", format!("[Dictionary HT]\n number of elements: {keys}\n").as_bytes());
        Ok(())
    })
}

/// HTSTATS-KEY.
pub(super) fn table_of(database: usize, key: &[u8]) -> Answer {
    let key = key.to_vec();
    at_desk(move |context, reply| {
        let encoding = encoding(context, database, &key)?.ok_or(text::NO_SUCH_KEY)?;
        if !matches!(encoding.as_str(), "hashtable" | "skiplist") {
            return Err(NO_TABLE.into());
        }
        let kind = look(context, database, &key, |view| Ok(view.record(&key)?.map(|record| record.head.kind)))?;
        let count: &[u8] = match kind.ok_or(text::NO_SUCH_KEY)? {
            Kind::Hash => b"HLEN",
            Kind::Set => b"SCARD",
            Kind::Zset => b"ZCARD",
            Kind::String | Kind::List | Kind::Stream => return Err(NO_TABLE.into()),
        };
        let elements = number(&run_command(context, database, &[count, &key])?);
        reply.verbatim(b"txt", format!(" number of elements: {elements}\n").as_bytes());
        Ok(())
    })
}

/// LISTPACK, without the listing that Redis prints on its terminal.
pub(super) fn listpack(database: usize, key: &[u8]) -> Answer {
    let key = key.to_vec();
    at_desk(move |context, reply| {
        let encoding = encoding(context, database, &key)?.ok_or(text::NO_SUCH_KEY)?;
        if !encoding.starts_with("listpack") {
            return Err("ERR Not a listpack encoded object.".into());
        }
        reply.ok();
        Ok(())
    })
}

/// The digits of an integer reply.
fn number(reply: &[u8]) -> String {
    String::from_utf8_lossy(reply).trim_matches([':', '\r', '\n']).to_owned()
}

/// The keys that POPULATE makes.
struct Crop {
    count: u64,
    prefix: Vec<u8>,
    /// Values are filled up with zeros to so many bytes.
    size: usize,
}

impl Crop {
    fn read(args: Args<'_>) -> Result<Self, Error> {
        let positive = |at: usize| resp::parse_i64(args.at(at)).and_then(|number| u64::try_from(number).ok());
        let size = if args.len() > 4 { positive(4).ok_or(BAD_COUNT)? } else { 0 };
        Ok(Self {
            count: positive(2).ok_or(BAD_COUNT)?,
            prefix: args.get(3).unwrap_or(b"key").to_vec(),
            size: usize::try_from(size).map_err(|_| Error::from(BAD_COUNT))?,
        })
    }

    fn line(&self, number: u64) -> (Vec<u8>, Vec<u8>) {
        let key = [self.prefix.as_slice(), format!(":{number}").as_bytes()].concat();
        let mut value = format!("value:{number}").into_bytes();
        if self.size > 0 {
            value.resize(self.size, 0);
        }
        (key, value)
    }
}

pub(super) fn populate(database: usize, args: Args<'_>) -> Answer {
    let crop = Crop::read(args)?;
    at_desk(move |context, reply| {
        for number in 0..crop.count {
            let (key, value) = crop.line(number);
            make_room(context, database)?;
            run_command(context, database, &[b"SET", &key, &value, b"NX"])?;
        }
        reply.ok();
        Ok(())
    })
}

/// What a session does before a write: it waits until there is room for dirty records and in the log's buffer.
fn make_room(context: &DeskContext<'_>, database: usize) -> Result<(), Error> {
    let instance = &context.shared.instance;
    if !instance.budget().has_room() {
        instance.settle().map_err(|fault| Error::from(crate::code::fault_text(&fault)))?;
    }
    if let Some(shard) = instance.shard(database).filter(|shard| shard.log.is_full()) {
        // A log that cannot be written refuses the next write, which says why.
        let _ = shard.log.write_to_blocking(shard.log.end());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Server;

    const ZEROS: &str = "+0000000000000000000000000000000000000000\r\n";

    #[test]
    fn an_object_is_described_in_a_line() {
        let server = Server::new(&[]);
        let mut session = server.session();
        assert_eq!(session.text(&["DEBUG", "OBJECT", "nokey"]), "-ERR no such key\r\n");
        server.keys(&["SET", "a", "hello"]);
        let line = session.text(&["DEBUG", "OBJECT", "a"]);
        assert!(line.starts_with("+Value at:0x0 refcount:1 encoding:embstr serializedlength:5 lru:"), "{line}");
    }

    #[test]
    fn what_lies_in_rows_counts_as_memory() {
        let server = Server::new(&[]);
        let usage = |line: &[&str]| server.keys(line).trim_matches([':', '\r', '\n']).parse::<u64>().unwrap();
        let value = "v".repeat(100);
        server.keys(&["SET", "text", &"x".repeat(1 << 20)]);
        for number in 0..500 {
            let name = format!("{number:0100}");
            server.keys(&["HSET", "hash", &name, &value]);
            server.keys(&["SADD", "set", &name]);
            server.keys(&["ZADD", "zset", "1", &name]);
            server.keys(&["RPUSH", "list", &name]);
        }
        for (key, least, most) in [
            ("text", 1 << 20, 1_100_000),
            ("hash", 100_000, 150_000),
            ("set", 50_000, 80_000),
            ("zset", 100_000, 180_000),
            ("list", 50_000, 70_000),
        ] {
            for line in [&["MEMORY", "USAGE", key][..], &["MEMORY", "USAGE", key, "SAMPLES", "0"]] {
                let bytes = usage(line);
                assert!((least..most).contains(&bytes), "{line:?}: {bytes}");
            }
            let line = server.session().text(&["DEBUG", "OBJECT", key]);
            let length =
                line.split_once("serializedlength:").unwrap().1.split(' ').next().unwrap().parse::<u64>().unwrap();
            assert!((least..most).contains(&length), "{line}");
        }
        assert_eq!(server.keys(&["MEMORY", "USAGE", "none"]), "$-1\r\n");
    }

    #[test]
    fn tables_are_told_of_with_redis_refusals() {
        let server = Server::new(&[]);
        let mut session = server.session();
        let mut debug = |line: &[&str]| session.text(&[&["DEBUG"], line].concat());
        for name in ["HTSTATS-KEY", "LISTPACK"] {
            assert_eq!(debug(&[name, "nokey"]), "-ERR no such key\r\n");
        }
        assert_eq!(debug(&["HTSTATS", "99"]), "-ERR Out of range database\r\n");
        assert_eq!(debug(&["HTSTATS", "-1"]), "-ERR Out of range database\r\n");
        assert_eq!(debug(&["HTSTATS", "x"]), "-ERR value is not an integer or out of range\r\n");
        assert_eq!(debug(&["STRUCTSIZE"]), "+bits:64\r\n");
        server.keys(&["HSET", "packed", "f", "v"]);
        server.keys(&["HSET", "large", "f", &"v".repeat(100), "g", "v"]);
        server.keys(&["SET", "text", "v"]);
        assert_eq!(debug(&["LISTPACK", "packed"]), "+OK\r\n");
        assert_eq!(debug(&["LISTPACK", "text"]), "-ERR Not a listpack encoded object.\r\n");
        assert!(debug(&["HTSTATS", "0"]).contains("number of elements: 3\n"));
        assert!(debug(&["HTSTATS", "1"]).contains("number of elements: 0\n"));
        assert!(debug(&["HTSTATS-KEY", "large"]).contains(" number of elements: 2\n"));
        assert_eq!(debug(&["HTSTATS-KEY", "packed"]), format!("-{}\r\n", super::NO_TABLE));
    }

    #[test]
    fn digests_are_of_what_clients_read() {
        let server = Server::new(&[]);
        let mut session = server.session();
        let mut digest = || session.text(&["DEBUG", "DIGEST"]);
        assert_eq!(digest(), ZEROS);
        server.keys(&["SET", "a", "1"]);
        let one = digest();
        assert_eq!(one.len(), ZEROS.len());
        server.keys(&["SET", "b", "1"]);
        assert_ne!(digest(), one);
        server.keys(&["DEL", "b"]);
        assert_eq!(digest(), one);
        server.shared.instance.reload().unwrap();
        assert_eq!(digest(), one);
        server.keys(&["SET", "a", "2"]);
        assert_ne!(digest(), one);
    }

    #[test]
    fn the_digest_of_a_sorted_set_is_that_of_its_members() {
        let server = Server::new(&[]);
        let mut session = server.session();
        let long = "y".repeat(100);
        // Exploded for the sake of a member that is gone, and packed.
        for line in [vec!["ZADD", "a", "1", &long], vec!["ZADD", "a", "2", "m", "1", "n"], vec!["ZREM", "a", &long]] {
            server.keys(&line);
        }
        server.keys(&["ZADD", "b", "1", "n", "2", "m"]);
        let digests = |session: &mut super::super::testing::Session| {
            let reply = session.text(&["DEBUG", "DIGEST-VALUE", "a", "b"]);
            reply.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        let same = digests(&mut session);
        assert_eq!(same[0], same[1]);
        server.keys(&["ZINCRBY", "b", "1", "n"]);
        assert_ne!(digests(&mut session)[1], same[1]);
    }

    #[test]
    fn the_digest_of_a_hash_or_set_is_that_of_its_elements() {
        let server = Server::new(&[]);
        let mut session = server.session();
        let long = "y".repeat(100);
        // Exploded for the sake of an element that is gone, a copy of that with rows of its own, and packed.
        for (add, remove, value) in [("HSET", "HDEL", Some("1")), ("SADD", "SREM", None)] {
            for (key, name) in [("a", "m"), ("a", "n"), ("a", &long), ("b", "n"), ("b", "m")] {
                server.keys(&[&[add, key, name][..], value.as_slice()].concat());
            }
            server.keys(&[remove, "a", &long]);
            server.keys(&["COPY", "a", "c"]);
            let mut digests = |keys: &[&str]| {
                let reply = session.text(&[&["DEBUG", "DIGEST-VALUE"][..], keys].concat());
                reply.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
            };
            let same = digests(&["a", "b", "c"]);
            assert_eq!((&same[0], &same[0]), (&same[1], &same[2]), "{add}");
            server.keys(&[remove, "b", "m"]);
            assert_ne!(digests(&["b"])[0], same[0], "{add}");
            server.keys(&["DEL", "a", "b", "c"]);
        }
    }

    #[test]
    fn values_are_compared_without_their_keys() {
        let server = Server::new(&[]);
        server.keys(&["SET", "a", "same"]);
        server.keys(&["SET", "b", "same"]);
        let reply = server.session().text(&["DEBUG", "DIGEST-VALUE", "a", "b", "c"]);
        let lines: Vec<&str> = reply.split_inclusive("\r\n").collect();
        assert_eq!((lines[0], lines[3]), ("*3\r\n", ZEROS));
        assert_eq!(lines[1], lines[2]);
        assert_ne!(lines[1], ZEROS);
    }

    #[test]
    fn populate_makes_the_keys_that_are_missing() {
        let server = Server::new(&[]);
        let mut session = server.session();
        server.keys(&["SET", "key:1", "mine"]);
        assert_eq!(session.text(&["DEBUG", "POPULATE", "3"]), "+OK\r\n");
        assert_eq!(server.keys(&["GET", "key:0"]), "$7\r\nvalue:0\r\n");
        assert_eq!(server.keys(&["GET", "key:1"]), "$4\r\nmine\r\n");
        assert_eq!(session.text(&["DEBUG", "POPULATE", "1", "p", "9"]), "+OK\r\n");
        assert_eq!(server.keys(&["GET", "p:0"]), "$9\r\nvalue:0\0\0\r\n");
        for wrong in ["x", "-1"] {
            assert_eq!(session.text(&["DEBUG", "POPULATE", wrong]), "-ERR value is out of range, must be positive\r\n");
        }
    }
}
