//! A command as data: what `COMMAND`, ACL, the router and the documentation know of it.
//!
//! Names of flags, categories, key flags and argument types are Redis's, as `COMMAND INFO` and `COMMAND DOCS` print them.

use crate::args::Args;
use crate::context::Context;
use crate::error::Error;
use crate::key_refs::KeyRef;

/// An entry of the table: a [`Spec`], and how it runs.
#[derive(Clone, Copy)]
pub struct Command {
    /// What is known of it.
    pub spec: Spec,
    /// Who runs it.
    pub run: Run,
    /// What a run may touch.
    pub scope: Scope,
    /// Where its keys lie, beyond what [`Spec::keys`] can say.
    pub other_database: Option<OtherDatabase>,
    /// The commands inside a container.
    pub subcommands: &'static [Command],
}

/// The code of a command that works on keys.
pub type ViewFn = fn(&mut Context<'_>, Args<'_>) -> Result<(), Error>;

/// Lists the keys of a command that reaches into another database than the selected one (the second argument).
pub type OtherDatabase = fn(Args<'_>, usize, &mut Vec<KeyRef>);

/// Who runs a command.
#[derive(Clone, Copy)]
pub enum Run {
    /// This function, on a view.
    View(ViewFn),
    /// The session: it is about the connection or the server.
    Session,
    /// Nobody: one of its subcommands is run.
    Container,
}

/// What a run may touch, and so what is locked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The keys that [`crate::keys`] lists; none, perhaps.
    Keys,
    /// Any record of the selected database, without a lock, by walking and counting only.
    Walk,
    /// All of the selected database, locked.
    Shard,
    /// All of every database, locked.
    AllShards,
}

/// What is known of a command.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// In lower case; of a subcommand, without its container.
    pub name: &'static str,
    /// The name of the container it is a subcommand of.
    pub container: Option<&'static str>,
    /// One sentence.
    pub summary: &'static str,
    /// The version of Redis that had it first.
    pub since: &'static str,
    /// Where the documentation lists it.
    pub group: Group,
    /// Its cost, in words; empty when there is nothing to say.
    pub complexity: &'static str,
    /// Number of arguments, names included; negative: at least as many.
    pub arity: i32,
    /// What it does, in Redis's terms.
    pub flags: Flags,
    /// ACL categories that do not follow from the flags.
    pub categories: Categories,
    /// Hints for clients and proxies.
    pub tips: &'static [&'static str],
    /// Where its keys are.
    pub keys: &'static [KeySpec],
    /// The arguments after the name.
    pub arguments: &'static [Argument],
    /// Since when one should use something else, and what.
    pub deprecated: Option<Deprecated>,
}

/// Advice not to use a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deprecated {
    /// The version of Redis that said so first.
    pub since: &'static str,
    /// What to use.
    pub replaced_by: &'static str,
}

impl Spec {
    /// A command with nothing but a name, an arity and a sentence.
    #[must_use]
    pub const fn new(name: &'static str, arity: i32, summary: &'static str) -> Self {
        Self {
            name,
            container: None,
            summary,
            since: "",
            group: Group::Generic,
            complexity: "",
            arity,
            flags: Flags::NONE,
            categories: Categories::NONE,
            tips: &[],
            keys: &[],
            arguments: &[],
            deprecated: None,
        }
    }

    /// Makes it a subcommand.
    #[must_use]
    pub const fn within(mut self, container: &'static str) -> Self {
        self.container = Some(container);
        self
    }

    /// Sets the group and the first version.
    #[must_use]
    pub const fn group(mut self, group: Group, since: &'static str) -> Self {
        self.group = group;
        self.since = since;
        self
    }

    /// Sets the cost.
    #[must_use]
    pub const fn costs(mut self, complexity: &'static str) -> Self {
        self.complexity = complexity;
        self
    }

    /// Sets the flags.
    #[must_use]
    pub const fn flags(mut self, flags: &[Flags]) -> Self {
        let mut index = 0;
        while index < flags.len() {
            self.flags = Flags(self.flags.0 | flags[index].0);
            index += 1;
        }
        self
    }

    /// Sets the categories that do not follow from the flags.
    #[must_use]
    pub const fn categories(mut self, categories: &[Categories]) -> Self {
        let mut index = 0;
        while index < categories.len() {
            self.categories = Categories(self.categories.0 | categories[index].0);
            index += 1;
        }
        self
    }

    /// Sets the hints for clients.
    #[must_use]
    pub const fn tips(mut self, tips: &'static [&'static str]) -> Self {
        self.tips = tips;
        self
    }

    /// Sets where the keys are.
    #[must_use]
    pub const fn keys(mut self, keys: &'static [KeySpec]) -> Self {
        self.keys = keys;
        self
    }

    /// Sets the arguments.
    #[must_use]
    pub const fn arguments(mut self, arguments: &'static [Argument]) -> Self {
        self.arguments = arguments;
        self
    }

    /// Advises against it.
    #[must_use]
    pub const fn deprecated(mut self, since: &'static str, replaced_by: &'static str) -> Self {
        self.deprecated = Some(Deprecated { since, replaced_by });
        self
    }

    /// `name`, or `container|name`.
    #[must_use]
    pub fn full_name(&self) -> String {
        match self.container {
            None => self.name.to_owned(),
            Some(container) => format!("{container}|{}", self.name),
        }
    }

    /// Whether a command line of `count` arguments, the names included, fits the arity.
    #[inline]
    #[must_use]
    pub const fn takes(&self, count: usize) -> bool {
        let needed = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { count >= needed } else { count == needed }
    }

    /// All ACL categories, those that follow from the flags included.
    #[must_use]
    pub const fn all_categories(&self) -> Categories {
        let flags = self.flags;
        let mut bits = self.categories.0;
        if flags.has(Flags::WRITE) {
            bits |= Categories::WRITE.0;
        }
        if flags.has(Flags::READONLY) && !self.categories.has(Categories::SCRIPTING) {
            bits |= Categories::READ.0;
        }
        if flags.has(Flags::ADMIN) {
            bits |= Categories::ADMIN.0 | Categories::DANGEROUS.0;
        }
        if flags.has(Flags::PUBSUB) {
            bits |= Categories::PUBSUB.0;
        }
        if flags.has(Flags::BLOCKING) {
            bits |= Categories::BLOCKING.0;
        }
        bits |= if flags.has(Flags::FAST) { Categories::FAST.0 } else { Categories::SLOW.0 };
        Categories(bits)
    }

    /// Redis's old way to say where keys are: first, last and step, of the specs that are plain ranges.
    #[must_use]
    pub fn key_range(&self) -> (i32, i32, i32) {
        let mut range: Option<(i32, i32, i32)> = None;
        for key in self.keys {
            let (Begin::Index(first), Find::Range { last, step, .. }) = (key.begin, key.find) else { continue };
            let first = first as i32;
            let last = if last >= 0 { first + last } else { last };
            range = Some(match range {
                None => (first, last, step as i32),
                Some((old_first, old_last, old_step)) if old_last >= 0 => {
                    (old_first, if last < 0 { last } else { old_last.max(last) }, old_step)
                }
                Some(old) => old,
            });
        }
        range.unwrap_or_default()
    }
}

impl Command {
    /// A command that works on the keys its spec names.
    #[must_use]
    pub const fn view(spec: Spec, run: ViewFn) -> Self {
        Self { spec, run: Run::View(run), scope: Scope::Keys, other_database: None, subcommands: &[] }
    }

    /// A command of the session.
    #[must_use]
    pub const fn session(spec: Spec) -> Self {
        Self { spec, run: Run::Session, scope: Scope::Keys, other_database: None, subcommands: &[] }
    }

    /// A command that is nothing without a subcommand.
    #[must_use]
    pub const fn container(spec: Spec, subcommands: &'static [Self]) -> Self {
        Self { spec, run: Run::Container, scope: Scope::Keys, other_database: None, subcommands }
    }

    /// A command of the session that has subcommands, and a meaning of its own without one.
    #[must_use]
    pub const fn session_container(spec: Spec, subcommands: &'static [Self]) -> Self {
        Self { spec, run: Run::Session, scope: Scope::Keys, other_database: None, subcommands }
    }

    /// Widens what a run may touch.
    #[must_use]
    pub const fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Has this function list its keys.
    #[must_use]
    pub const fn other_database(mut self, list: OtherDatabase) -> Self {
        self.other_database = Some(list);
        self
    }

    /// The subcommand of that name, in any case.
    #[must_use]
    pub fn subcommand(&self, name: &[u8]) -> Option<&'static Self> {
        self.subcommands.iter().find(|command| command.spec.name.as_bytes().eq_ignore_ascii_case(name))
    }
}

macro_rules! bit_set {
    ($(#[$doc:meta])* $name:ident: $($(#[$bit_doc:meta])* $bit:ident = $word:literal,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name(u32);

        impl $name {
            /// The empty set.
            pub const NONE: Self = Self(0);
            bit_set!(@bits 0u32; $($(#[$bit_doc])* $bit = $word,)*);
            /// Every element with the word Redis prints for it, in Redis's order.
            pub const WORDS: &'static [(Self, &'static str)] = &[$((Self::$bit, $word),)*];

            /// Whether all of `other` is in the set.
            #[inline]
            #[must_use]
            pub const fn has(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// The words of the set, in Redis's order.
            pub fn words(self) -> impl Iterator<Item = &'static str> {
                Self::WORDS.iter().filter(move |(bit, _)| self.has(*bit)).map(|(_, word)| *word)
            }

            /// The element that has this word.
            #[must_use]
            pub fn named(word: &[u8]) -> Option<Self> {
                let found = Self::WORDS.iter().find(|(_, name)| name.as_bytes().eq_ignore_ascii_case(word));
                found.map(|(bit, _)| *bit)
            }
        }
    };
    (@bits $shift:expr; $(#[$bit_doc:meta])* $bit:ident = $word:literal, $($rest:tt)*) => {
        $(#[$bit_doc])*
        pub const $bit: Self = Self(1 << ($shift));
        bit_set!(@bits $shift + 1; $($rest)*);
    };
    (@bits $shift:expr;) => {};
}

bit_set! {
    /// What a command does, in Redis's terms.
    Flags:
    /// It may change keys.
    WRITE = "write",
    /// It reads keys and changes none.
    READONLY = "readonly",
    /// It is refused when memory is short.
    DENYOOM = "denyoom",
    /// It administers the server.
    ADMIN = "admin",
    /// It is about channels.
    PUBSUB = "pubsub",
    /// Scripts may not call it.
    NOSCRIPT = "noscript",
    /// It may wait.
    BLOCKING = "blocking",
    /// It is allowed while the data is loaded.
    LOADING = "loading",
    /// It is allowed on a replica with stale data.
    STALE = "stale",
    /// MONITOR does not show it.
    SKIP_MONITOR = "skip_monitor",
    /// SLOWLOG does not hold it.
    SKIP_SLOWLOG = "skip_slowlog",
    /// Clusters let it in while a slot moves.
    ASKING = "asking",
    /// It never takes long.
    FAST = "fast",
    /// It needs no authentication.
    NO_AUTH = "no_auth",
    /// It changes no key but may have effects that are replicated.
    MAY_REPLICATE = "may_replicate",
    /// It may have keys, and need not.
    NO_MANDATORY_KEYS = "no_mandatory_keys",
    /// It is refused while a replica loads its data aside.
    NO_ASYNC_LOADING = "no_async_loading",
    /// It may not be part of a transaction.
    NO_MULTI = "no_multi",
    /// Where its keys are depends on other arguments.
    MOVABLEKEYS = "movablekeys",
    /// It is allowed while a script takes too long.
    ALLOW_BUSY = "allow_busy",
}

bit_set! {
    /// The sets of commands that ACL rules name.
    Categories:
    /// Keys of any type.
    KEYSPACE = "keyspace",
    /// Reading keys.
    READ = "read",
    /// Writing keys.
    WRITE = "write",
    /// Sets.
    SET = "set",
    /// Sorted sets.
    SORTEDSET = "sortedset",
    /// Lists.
    LIST = "list",
    /// Hashes.
    HASH = "hash",
    /// Strings.
    STRING = "string",
    /// Bitmaps.
    BITMAP = "bitmap",
    /// Cardinality estimates.
    HYPERLOGLOG = "hyperloglog",
    /// Places.
    GEO = "geo",
    /// Streams.
    STREAM = "stream",
    /// Channels.
    PUBSUB = "pubsub",
    /// Administration.
    ADMIN = "admin",
    /// Never long.
    FAST = "fast",
    /// Not fast.
    SLOW = "slow",
    /// May wait.
    BLOCKING = "blocking",
    /// To be used with care.
    DANGEROUS = "dangerous",
    /// The connection itself.
    CONNECTION = "connection",
    /// Transactions.
    TRANSACTION = "transaction",
    /// Scripts.
    SCRIPTING = "scripting",
}

bit_set! {
    /// What a command does with the keys of a [`KeySpec`].
    KeyFlags:
    /// Reads the value.
    RO = "RO",
    /// Reads and writes it.
    RW = "RW",
    /// Overwrites it.
    OW = "OW",
    /// Removes it.
    RM = "RM",
    /// The value, or part of it, gets to the client.
    ACCESS = "access",
    /// The value is changed.
    UPDATE = "update",
    /// Something is added to it.
    INSERT = "insert",
    /// Something is taken from it.
    DELETE = "delete",
    /// It looks like a key and is none.
    NOT_KEY = "not_key",
    /// There may be more keys than the spec says.
    INCOMPLETE = "incomplete",
    /// The flags depend on other arguments.
    VARIABLE_FLAGS = "variable_flags",
}

/// Where some keys of a command are, and what is done with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// Where to begin.
    pub begin: Begin,
    /// How to go on.
    pub find: Find,
    /// What is done with them.
    pub flags: KeyFlags,
}

impl KeySpec {
    /// The one key at `index`.
    #[must_use]
    pub const fn one(index: u32, flags: &[KeyFlags]) -> Self {
        Self::range(index, 0, 1, flags)
    }

    /// The keys from `index` on, up to `last` after it (negative: counted from the end), every `step`th.
    #[must_use]
    pub const fn range(index: u32, last: i32, step: u32, flags: &[KeyFlags]) -> Self {
        Self { begin: Begin::Index(index), find: Find::Range { last, step, limit: 0 }, flags: all_of(flags) }
    }

    /// As many keys as the argument at `index` says, from the next one on, every `step`th.
    #[must_use]
    pub const fn counted(index: u32, step: u32, flags: &[KeyFlags]) -> Self {
        Self { begin: Begin::Index(index), find: Find::Count { count: 0, first: 1, step }, flags: all_of(flags) }
    }
}

const fn all_of(flags: &[KeyFlags]) -> KeyFlags {
    let mut bits = 0;
    let mut index = 0;
    while index < flags.len() {
        bits |= flags[index].0;
        index += 1;
    }
    KeyFlags(bits)
}

/// Where the search for keys begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At this argument.
    Index(u32),
    /// After this word, looked for from an argument on (negative: backwards from the end).
    Keyword {
        /// The word, in upper case.
        word: &'static str,
        /// Where to start looking.
        from: i32,
    },
}

/// How the keys lie from the beginning on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// From there to `last`.
    Range {
        /// Relative to the beginning; negative: relative to the end, -1 being the last argument.
        last: i32,
        /// Distance of two keys.
        step: u32,
        /// If not 0 and `last` is -1: only the first of that many parts of the rest.
        limit: u32,
    },
    /// As many as an argument says.
    Count {
        /// Where the number is, relative to the beginning.
        count: u32,
        /// Where the first key is, relative to the beginning.
        first: u32,
        /// Distance of two keys.
        step: u32,
    },
}

/// Where the documentation lists a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Any key.
    Generic,
    /// Strings.
    String,
    /// Bitmaps.
    Bitmap,
    /// The connection.
    Connection,
    /// The server.
    Server,
}

impl Group {
    /// Redis's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::String => "string",
            Self::Bitmap => "bitmap",
            Self::Connection => "connection",
            Self::Server => "server",
        }
    }
}

/// One argument, or a group of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its name in the documentation.
    pub name: &'static str,
    /// What may stand there.
    pub kind: ArgumentKind,
    /// The word in front of it, or the word itself.
    pub token: Option<&'static str>,
    /// Whether it may be left out.
    pub need: Need,
    /// Whether it may be repeated.
    pub repeat: Repeat,
    /// For a key, its place in [`Spec::keys`].
    pub key_spec: Option<u32>,
    /// The version of Redis that had it first, if later than the command.
    pub since: Option<&'static str>,
}

/// Whether an argument may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It must be there.
    Required,
    /// It need not.
    Optional,
}

/// Whether an argument may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It stands once.
    Once,
    /// It may stand several times, its token once in front of all.
    Multiple,
    /// It may stand several times, each with its token.
    MultipleToken,
}

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    /// Any bytes.
    String,
    /// An integer.
    Integer,
    /// A floating point number.
    Double,
    /// The name of a key.
    Key,
    /// A glob pattern.
    Pattern,
    /// A point in time.
    UnixTime,
    /// Nothing but its token.
    PureToken,
    /// One of these.
    OneOf(&'static [Argument]),
    /// All of these.
    Block(&'static [Argument]),
}

impl ArgumentKind {
    /// Redis's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Double => "double",
            Self::Key => "key",
            Self::Pattern => "pattern",
            Self::UnixTime => "unix-time",
            Self::PureToken => "pure-token",
            Self::OneOf(_) => "oneof",
            Self::Block(_) => "block",
        }
    }
}

impl Argument {
    const fn new(name: &'static str, kind: ArgumentKind) -> Self {
        Self { name, kind, token: None, need: Need::Required, repeat: Repeat::Once, key_spec: None, since: None }
    }

    /// A key of the key spec of that number.
    #[must_use]
    pub const fn key(name: &'static str, key_spec: u32) -> Self {
        let mut argument = Self::new(name, ArgumentKind::Key);
        argument.key_spec = Some(key_spec);
        argument
    }

    /// Any bytes.
    #[must_use]
    pub const fn string(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::String)
    }

    /// An integer.
    #[must_use]
    pub const fn integer(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::Integer)
    }

    /// A floating point number.
    #[must_use]
    pub const fn double(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::Double)
    }

    /// A glob pattern.
    #[must_use]
    pub const fn pattern(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::Pattern)
    }

    /// A point in time.
    #[must_use]
    pub const fn time(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::UnixTime)
    }

    /// A word.
    #[must_use]
    pub const fn word(name: &'static str, token: &'static str) -> Self {
        Self::new(name, ArgumentKind::PureToken).after(token)
    }

    /// One of several.
    #[must_use]
    pub const fn one_of(name: &'static str, choices: &'static [Self]) -> Self {
        Self::new(name, ArgumentKind::OneOf(choices))
    }

    /// Several that belong together.
    #[must_use]
    pub const fn block(name: &'static str, parts: &'static [Self]) -> Self {
        Self::new(name, ArgumentKind::Block(parts))
    }

    /// Puts a word in front.
    #[must_use]
    pub const fn after(mut self, token: &'static str) -> Self {
        self.token = Some(token);
        self
    }

    /// Allows to leave it out.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.need = Need::Optional;
        self
    }

    /// Allows to repeat it.
    #[must_use]
    pub const fn multiple(mut self) -> Self {
        self.repeat = Repeat::Multiple;
        self
    }

    /// Allows to repeat it together with its token.
    #[must_use]
    pub const fn multiple_token(mut self) -> Self {
        self.repeat = Repeat::MultipleToken;
        self
    }

    /// Says since when it is there.
    #[must_use]
    pub const fn since(mut self, version: &'static str) -> Self {
        self.since = Some(version);
        self
    }
}
