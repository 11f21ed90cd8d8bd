//! Sets of Redis's words: command flags, ACL categories, key flags.

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

            /// The union of sets.
            #[must_use]
            pub const fn all_of(sets: &[Self]) -> Self {
                let mut union = Self::NONE;
                let mut index = 0;
                while index < sets.len() {
                    union = union.with(sets[index]);
                    index += 1;
                }
                union
            }

            /// The union of two sets.
            #[must_use]
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
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
    /// What a command does with the keys of a [`super::KeySpec`].
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
