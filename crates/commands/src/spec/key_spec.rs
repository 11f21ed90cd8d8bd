//! Where the keys of a command are among its arguments.

use super::words::KeyFlags;

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
        Self { begin: Begin::Index(index), find: Find::Range { last, step, limit: 0 }, flags: KeyFlags::all_of(flags) }
    }

    /// Keys that the arguments do not tell, or not in a way that can be said here.
    #[must_use]
    pub const fn unknown(flags: &[KeyFlags]) -> Self {
        Self { begin: Begin::Unknown, find: Find::Unknown, flags: KeyFlags::all_of(flags) }
    }

    /// As many keys as the argument at `index` says, from the next one on, every `step`th.
    #[must_use]
    pub const fn counted(index: u32, step: u32, flags: &[KeyFlags]) -> Self {
        Self {
            begin: Begin::Index(index),
            find: Find::Count { count: 0, first: 1, step },
            flags: KeyFlags::all_of(flags),
        }
    }
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
    /// Somewhere, or nowhere.
    Unknown,
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
    /// In no way that can be said.
    Unknown,
}
