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
#[inline]
pub fn keys(command: &Command, args: Args<'_>, database: usize, out: &mut Vec<KeyRef>) -> Result<(), UnreadableKeys> {
    if let [KeySpec { begin: Begin::Index(index), find: Find::Range { last: 0, .. }, flags }] = command.spec.keys
        && command.other_database.is_none()
    {
        out.push(KeyRef { database, index: *index as usize, access: Access::of(*flags) });
        return Ok(());
    }
    if let Some(list) = command.other_database {
        list(args, database, out);
        return Ok(());
    }
    each_key(command.spec.keys, args, &mut |index, spec| {
        out.push(KeyRef { database, index, access: Access::of(spec.flags) });
    })
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
