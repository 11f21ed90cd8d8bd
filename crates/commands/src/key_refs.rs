//! Which keys a command line names: what is locked for it, and what `COMMAND GETKEYS` answers.

use crate::args::Args;
use crate::spec::{Begin, Command, Find, KeyFlags, KeySpec};

/// A key of a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRef {
    /// The database it is in. The client may have named one that does not exist: the command then answers an error
    /// without touching the key.
    pub database: usize,
    /// The argument it is.
    pub index: usize,
    /// What is done with it.
    pub access: Access,
}

/// What is done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It stays as it is.
    Read,
    /// It may change.
    Write,
}

impl Access {
    /// What flags of a key spec come to.
    #[inline]
    #[must_use]
    pub const fn of(flags: KeyFlags) -> Self {
        if flags.has(KeyFlags::RO) { Self::Read } else { Self::Write }
    }
}

/// The command line does not say in a readable way what its keys are. Run, the command answers an error and touches no
/// key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnreadableKeys;

/// Appends the keys of a command line that fits the arity of `command`; `database` is the selected one.
///
/// Allocates only when `out` is full. A key that is named twice is listed twice.
///
/// # Errors
/// [`UnreadableKeys`].
pub fn keys(command: &Command, args: Args<'_>, database: usize, out: &mut Vec<KeyRef>) -> Result<(), UnreadableKeys> {
    if let Some(list) = command.other_database {
        list(args, database, out);
        return Ok(());
    }
    each_key(command.spec.keys, args, &mut |index, spec| {
        out.push(KeyRef { database, index, access: Access::of(spec.flags) });
    })
}

/// The argument that is the only key of a command, in the selected database, if its entry says so: most commands' case.
#[inline]
#[must_use]
pub const fn only_key(command: &Command) -> Option<usize> {
    match (command.spec.keys, command.other_database) {
        ([KeySpec { begin: Begin::Index(index), find: Find::Range { last: 0, .. }, .. }], None) => {
            Some(*index as usize)
        }
        _ => None,
    }
}

/// Whether a command that writes reads its first key as one that only reads does, and so counts as a look at it: as in Redis,
/// those that return or copy what was there.
#[inline]
#[must_use]
pub fn reads_first(command: &Command, args: Args<'_>) -> bool {
    match command.spec.name {
        "getdel" | "getex" | "getset" | "copy" => true,
        "set" => args.len() > 3 && (3..args.len()).any(|at| args.is(at, "GET")),
        _ => false,
    }
}

/// Visits the keys that `specs` say a command line has.
pub(crate) fn each_key(
    specs: &[KeySpec],
    args: Args<'_>,
    seen: &mut dyn FnMut(usize, &KeySpec),
) -> Result<(), UnreadableKeys> {
    for spec in specs {
        let Some(begin) = beginning(spec.begin, args) else { continue };
        let (first, last, step) = match spec.find {
            Find::Range { last, step, limit } => (begin, range_end(begin, last, limit, args.len()), step as usize),
            Find::Unknown => continue,
            Find::Count { count, first, step } => {
                let first = begin + first as usize;
                let count = args.get(begin + count as usize).and_then(resp::parse_i64).ok_or(UnreadableKeys)?;
                let count = usize::try_from(count).map_err(|_| UnreadableKeys)?;
                if count == 0 {
                    return Err(UnreadableKeys);
                }
                let span = (count - 1).checked_mul(step as usize).ok_or(UnreadableKeys)?;
                (first, first.saturating_add(span), step as usize)
            }
        };
        if last >= args.len() {
            return Err(UnreadableKeys);
        }
        let mut index = first;
        while index <= last {
            seen(index, spec);
            index += step;
        }
    }
    Ok(())
}

/// The argument where a spec begins, unless its keyword is missing.
fn beginning(begin: Begin, args: Args<'_>) -> Option<usize> {
    match begin {
        Begin::Index(index) => Some(index as usize),
        Begin::Unknown => None,
        Begin::Keyword { word, from } if from >= 0 => {
            (from as usize..args.len()).find(|index| args.is(*index, word)).map(|index| index + 1)
        }
        Begin::Keyword { word, from } => {
            let end = args.len().checked_sub(from.unsigned_abs() as usize)?;
            (1..=end).rev().find(|index| args.is(*index, word)).map(|index| index + 1)
        }
    }
}

/// The last argument of a range; before `begin` when there is none.
fn range_end(begin: usize, last: i32, limit: u32, count: usize) -> usize {
    if last >= 0 {
        return begin + last as usize;
    }
    let end = (count + 1).saturating_sub(1 + last.unsigned_abs() as usize);
    if limit > 1 { begin + (end + 1).saturating_sub(begin) / limit as usize - 1 } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Spec;
    use crate::table;

    /// The keys of a line, as `database:index` and `w` or `r`.
    fn refs(line: &str) -> String {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let args = Args::new(&words);
        let mut out = Vec::with_capacity(words.len() + 1);
        let capacity = out.capacity();
        let command = table::resolve(args).unwrap();
        if keys(command, args, 3, &mut out) == Err(UnreadableKeys) {
            return "unreadable".to_owned();
        }
        assert_eq!(out.capacity(), capacity, "{line} allocates");
        let letter = |access| if access == Access::Read { 'r' } else { 'w' };
        let refs = out.iter().map(|key| format!("{}:{}{}", key.database, key.index, letter(key.access)));
        refs.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn keys_of_command_lines() {
        assert_eq!(refs("GET a"), "3:1r");
        assert_eq!(refs("SET a b EX 1"), "3:1w");
        assert_eq!(refs("MGET a b a"), "3:1r 3:2r 3:3r");
        assert_eq!(refs("MSET a 1 b 2"), "3:1w 3:3w");
        assert_eq!(refs("RENAME a b"), "3:1w 3:2w");
        assert_eq!(refs("LCS a b LEN"), "3:1r 3:2r");
        assert_eq!(refs("OBJECT FREQ a"), "3:2r");
        assert_eq!(refs("MSETEX 2 a 1 b 2 EX 5"), "3:2w 3:4w");
        assert_eq!(refs("COPY a b"), "3:1r 3:2w");
        assert_eq!(refs("COPY a b REPLACE DB 5"), "3:1r 5:2w");
        assert_eq!(refs("COPY a b DB x"), "3:1r 3:2w");
        assert_eq!(refs("MOVE a 7"), "3:1w 7:1w");
        assert_eq!(refs("MOVE a x"), "3:1w");
        assert_eq!(refs("SORT a"), "3:1r");
        assert_eq!(refs("SORT a BY store GET store ALPHA store b"), "3:1r 3:8w");
        assert_eq!(refs("SORT a STORE b LIMIT store 1 STORE c"), "3:1r 3:8w");
        assert_eq!(refs("SORT_RO a STORE b"), "3:1r");
        assert_eq!(refs("LMPOP 2 a b LEFT"), "3:2w 3:3w");
        assert_eq!(refs("BLMPOP 0 2 a b LEFT"), "3:3w 3:4w");
        assert_eq!(refs("BLPOP a b 0"), "3:1w 3:2w");
        assert_eq!(refs("LMOVE a b LEFT LEFT"), "3:1w 3:2w");
        assert_eq!(refs("SCAN 0"), "");
        assert_eq!(refs("PING"), "");
    }

    #[test]
    fn unreadable_keys() {
        for line in ["MSETEX x a 1", "MSETEX 0 a 1", "MSETEX -1 a 1", "MSETEX 9 a 1", "MSETEX 9223372036854775807 a 1"]
        {
            assert_eq!(refs(line), "unreadable", "{line}");
        }
    }

    #[test]
    fn keywords_and_limits() {
        let flags = &[KeyFlags::RO];
        let mut spec = KeySpec::range(0, -1, 1, flags);
        let found = |spec: KeySpec, line: &str| {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let mut found = Vec::new();
            each_key(&[spec], Args::new(&words), &mut |index, _| found.push(index)).unwrap();
            found
        };
        spec.begin = Begin::Keyword { word: "STREAMS", from: 1 };
        spec.find = Find::Range { last: -1, step: 1, limit: 2 };
        assert_eq!(found(spec, "XREAD COUNT 1 streams a b 0 0"), [4, 5]);
        assert_eq!(found(spec, "XREAD COUNT 1"), [0usize; 0]);
        spec.begin = Begin::Keyword { word: "KEYS", from: -2 };
        spec.find = Find::Range { last: -1, step: 1, limit: 0 };
        assert_eq!(found(spec, "MIGRATE h p x KEYS a b"), [5, 6]);
        assert_eq!(Spec::new("x", 2, "").key_range(), (0, 0, 0));
    }
}
