//! Parameter types with a grammar of their own: addresses, save points, output limits, event classes, a primary's
//! address, a share of memory, OOM scores.

use super::value::{Field, Form, WRONG_NUMBER, Words, choose, only, parse_integer, parse_memory, with_unit};

/// As Redis.
const MAX_BIND_ADDRESSES: usize = 16;

impl Field for Vec<String> {
    type Rule = ();
    const WORDS: Words = Words::List;

    fn describe((): &()) -> String {
        format!("up to {MAX_BIND_ADDRESSES} addresses")
    }

    fn assign(&mut self, (): &(), words: &[String]) -> Result<(), String> {
        if words.len() > MAX_BIND_ADDRESSES {
            return Err("Too many bind addresses specified.".to_owned());
        }
        *self = words.iter().filter(|word| !word.is_empty()).cloned().collect();
        Ok(())
    }

    fn words(&self, (): &(), _: Form) -> Vec<String> {
        or_empty_word(self.clone())
    }
}

/// A list without words is one empty word: so it survives a line of a file.
fn or_empty_word(words: Vec<String>) -> Vec<String> {
    if words.is_empty() { vec![String::new()] } else { words }
}

/// "Save after this many seconds if there were this many changes", which Redis needs and a log does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    /// At least 1.
    pub seconds: i64,
    /// At least 0.
    pub changes: i64,
}

impl Field for Vec<SavePoint> {
    type Rule = ();
    const WORDS: Words = Words::Growing;

    fn describe((): &()) -> String {
        "pairs of seconds and changes, or \"\"".to_owned()
    }

    fn assign(&mut self, (): &(), words: &[String]) -> Result<(), String> {
        self.clear();
        if matches!(words, [word] if word.is_empty()) {
            return Ok(());
        }
        let refused = || "Invalid save parameters".to_owned();
        let (pairs, odd) = words.as_chunks();
        if !odd.is_empty() {
            return Err(refused());
        }
        for [seconds, changes] in pairs {
            let number = |word: &str, least| parse_integer(word).filter(|number| *number >= least).ok_or_else(refused);
            self.push(SavePoint { seconds: number(seconds, 1)?, changes: number(changes, 0)? });
        }
        Ok(())
    }

    fn words(&self, (): &(), _: Form) -> Vec<String> {
        or_empty_word(self.iter().flat_map(|point| [point.seconds.to_string(), point.changes.to_string()]).collect())
    }
}

/// How much unsent output a client of one class may have before its connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    /// Bytes at which it is closed at once; 0 is never.
    pub hard: u64,
    /// Bytes at which it is closed when they stay for `soft_seconds`; 0 is never.
    pub soft: u64,
    /// See `soft`.
    pub soft_seconds: u64,
}

/// The output limits of each class of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    /// Clients that ask and are answered.
    pub normal: OutputLimit,
    /// Replicas.
    pub replica: OutputLimit,
    /// Clients that subscribed to something.
    pub pubsub: OutputLimit,
}

impl Default for OutputLimits {
    fn default() -> Self {
        Self {
            normal: OutputLimit { hard: 0, soft: 0, soft_seconds: 0 },
            replica: OutputLimit { hard: 256 << 20, soft: 64 << 20, soft_seconds: 60 },
            pubsub: OutputLimit { hard: 32 << 20, soft: 8 << 20, soft_seconds: 60 },
        }
    }
}

impl OutputLimits {
    fn class(&mut self, name: &str) -> Result<&mut OutputLimit, String> {
        let refused = |_| "Invalid client class specified in buffer limit configuration.".to_owned();
        Ok(match choose(name, &["normal", "pubsub", "replica", "slave"]).map_err(refused)? {
            0 => &mut self.normal,
            1 => &mut self.pubsub,
            _ => &mut self.replica,
        })
    }
}

impl Field for OutputLimits {
    type Rule = ();
    const WORDS: Words = Words::List;

    fn describe((): &()) -> String {
        "for each class (normal, replica, pubsub): class, hard limit, soft limit, seconds".to_owned()
    }

    /// Classes that are not named keep their limits.
    fn assign(&mut self, (): &(), words: &[String]) -> Result<(), String> {
        let (limits, rest) = words.as_chunks();
        if !rest.is_empty() {
            return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
        }
        for [class, hard, soft, seconds] in limits {
            let limit = self.class(class)?;
            let refused = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
            limit.hard = parse_memory(hard).ok_or(refused)?;
            limit.soft = parse_memory(soft).ok_or(refused)?;
            let seconds = parse_integer(seconds).and_then(|seconds| u64::try_from(seconds).ok());
            limit.soft_seconds = seconds.ok_or(refused)?;
        }
        Ok(())
    }

    fn words(&self, (): &(), form: Form) -> Vec<String> {
        let (replica, bytes): (_, fn(u64) -> String) = match form {
            Form::Reply => ("slave", |bytes| bytes.to_string()),
            Form::File => ("replica", |bytes| with_unit(bytes.into())),
        };
        let classes = [("normal", self.normal), (replica, self.replica), ("pubsub", self.pubsub)];
        let words = |(class, limit): (&str, OutputLimit)| {
            [class.to_owned(), bytes(limit.hard), bytes(limit.soft), limit.soft_seconds.to_string()]
        };
        classes.into_iter().flat_map(words).collect()
    }
}

/// A set of classes of keyspace events, and where they are published (`notify-keyspace-events`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventClasses(u16);

impl EventClasses {
    /// `K`: publish to `__keyspace@<db>__` channels.
    pub const KEYSPACE: Self = Self(1 << 0);
    /// `E`: publish to `__keyevent@<db>__` channels.
    pub const KEYEVENT: Self = Self(1 << 1);
    /// `g`: commands that know all types, as DEL.
    pub const GENERIC: Self = Self(1 << 2);
    /// `$`
    pub const STRING: Self = Self(1 << 3);
    /// `l`
    pub const LIST: Self = Self(1 << 4);
    /// `s`
    pub const SET: Self = Self(1 << 5);
    /// `h`
    pub const HASH: Self = Self(1 << 6);
    /// `z`
    pub const ZSET: Self = Self(1 << 7);
    /// `x`: a key expired.
    pub const EXPIRED: Self = Self(1 << 8);
    /// `e`: a key was evicted.
    pub const EVICTED: Self = Self(1 << 9);
    /// `t`
    pub const STREAM: Self = Self(1 << 10);
    /// `d`: module types.
    pub const MODULE: Self = Self(1 << 11);
    /// `m`: a key was asked for that does not exist.
    pub const KEY_MISS: Self = Self(1 << 12);
    /// `n`: a key came into being.
    pub const NEW: Self = Self(1 << 13);
    /// `A`: `g$lshzxetd`.
    pub const ALL: Self = Self(0b1111_1111_1100);

    /// In the order in which Redis writes them, without `A`.
    const LETTERS: [(char, Self); 14] = [
        ('g', Self::GENERIC),
        ('$', Self::STRING),
        ('l', Self::LIST),
        ('s', Self::SET),
        ('h', Self::HASH),
        ('z', Self::ZSET),
        ('x', Self::EXPIRED),
        ('e', Self::EVICTED),
        ('t', Self::STREAM),
        ('d', Self::MODULE),
        ('K', Self::KEYSPACE),
        ('E', Self::KEYEVENT),
        ('m', Self::KEY_MISS),
        ('n', Self::NEW),
    ];

    /// Whether every class of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no class is.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn text(self) -> String {
        let all = self.contains(Self::ALL);
        let rest = if all { Self(self.0 & !Self::ALL.0) } else { self };
        let letters = Self::LETTERS.iter().filter(|(_, class)| rest.contains(*class)).map(|(letter, _)| *letter);
        all.then_some('A').into_iter().chain(letters).collect()
    }
}

impl Field for EventClasses {
    type Rule = ();
    const WORDS: Words = Words::One;

    fn describe((): &()) -> String {
        "letters of \"Ag$lshzxeKEtmdn\"".to_owned()
    }

    fn assign(&mut self, (): &(), words: &[String]) -> Result<(), String> {
        *self = Self::default();
        for letter in only(words)?.chars() {
            let found = Self::LETTERS.iter().find(|(known, _)| *known == letter);
            let class = found.map(|(_, class)| *class).or((letter == 'A').then_some(Self::ALL));
            self.0 |= class.ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?.0;
        }
        Ok(())
    }

    fn words(&self, (): &(), _: Form) -> Vec<String> {
        vec![self.text()]
    }
}

/// Whom a replica follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryAddress {
    /// A name or an address.
    pub host: String,
    /// Not 0.
    pub port: u16,
}

impl Field for Option<PrimaryAddress> {
    type Rule = ();
    const WORDS: Words = Words::List;

    fn describe((): &()) -> String {
        "host and port, or \"no one\"".to_owned()
    }

    fn assign(&mut self, (): &(), words: &[String]) -> Result<(), String> {
        let [host, port] = words else {
            let none = matches!(words, [word] if word.is_empty());
            *self = None;
            return if none { Ok(()) } else { Err(WRONG_NUMBER.to_owned()) };
        };
        if host.eq_ignore_ascii_case("no") && port.eq_ignore_ascii_case("one") {
            *self = None;
            return Ok(());
        }
        let number = parse_integer(port).and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
        *self = Some(PrimaryAddress { host: host.clone(), port: number.ok_or("Invalid master port")? });
        Ok(())
    }

    fn words(&self, (): &(), form: Form) -> Vec<String> {
        match (self, form) {
            (Some(primary), Form::Reply | Form::File) => {
                vec![primary.host.clone(), primary.port.to_string()]
            }
            (None, Form::Reply) => vec![String::new()],
            (None, Form::File) => vec!["no".to_owned(), "one".to_owned()],
        }
    }
}

/// An amount of memory, or a part of `maxmemory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryShare {
    /// So many bytes.
    Bytes(u64),
    /// So many hundredths of `maxmemory`; at most 100.
    Percent(u8),
}

impl Field for MemoryShare {
    type Rule = ();
    const WORDS: Words = Words::One;

    fn describe((): &()) -> String {
        "memory, or a percentage of maxmemory".to_owned()
    }

    fn assign(&mut self, (): &(), words: &[String]) -> Result<(), String> {
        let refused = "argument must be a memory or percent value";
        let word = only(words)?;
        *self = match word.strip_suffix('%') {
            None => Self::Bytes(parse_memory(word).ok_or(refused)?),
            Some(percent) => {
                let percent = parse_integer(percent).filter(|percent| *percent >= 0).ok_or(refused)?;
                let small = u8::try_from(percent).ok().filter(|percent| *percent <= 100);
                Self::Percent(small.ok_or("percentage argument must be less or equal to 100")?)
            }
        };
        Ok(())
    }

    fn words(&self, (): &(), form: Form) -> Vec<String> {
        vec![match (self, form) {
            (Self::Bytes(bytes), Form::Reply) => bytes.to_string(),
            (Self::Bytes(bytes), Form::File) => with_unit((*bytes).into()),
            (Self::Percent(percent), Form::Reply | Form::File) => format!("{percent}%"),
        }]
    }
}

/// As Redis; twice the kernel's range, because it may be added to a score.
const MAX_OOM_SCORE: i64 = 2000;

impl Field for [i64; 3] {
    type Rule = ();
    const WORDS: Words = Words::List;

    fn describe((): &()) -> String {
        format!("three integers, -{MAX_OOM_SCORE} to {MAX_OOM_SCORE}")
    }

    fn assign(&mut self, (): &(), words: &[String]) -> Result<(), String> {
        let words: &[String; 3] = words.try_into().map_err(|_| WRONG_NUMBER.to_owned())?;
        for (score, word) in self.iter_mut().zip(words) {
            let number = parse_integer(word).filter(|number| (-MAX_OOM_SCORE..=MAX_OOM_SCORE).contains(number));
            *score = number.ok_or("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")?;
        }
        Ok(())
    }

    fn words(&self, (): &(), _: Form) -> Vec<String> {
        self.iter().map(i64::to_string).collect()
    }
}
