//! The table of all commands, and how a name finds its entry.

use crate::args::Args;
use crate::error::{Error, unknown_command, unknown_subcommand, wrong_arity};
use crate::spec::{Command, Run};
use crate::{
    bitmap, connection, following, hash, keys, list, replication, server, set, sort, string, transaction, zset,
};

/// The table, family by family.
const FAMILIES: &[&[Command]] = &[
    keys::COMMANDS,
    string::COMMANDS,
    bitmap::COMMANDS,
    list::COMMANDS,
    hash::COMMANDS,
    hash::FIELD_COMMANDS,
    set::COMMANDS,
    zset::COMMANDS,
    zset::COMMANDS_OF_MANY,
    sort::COMMANDS,
    connection::COMMANDS,
    transaction::COMMANDS,
    replication::COMMANDS,
    following::COMMANDS,
    server::COMMANDS,
];

/// Room for four times the names of Redis, so that a probe is rarely followed by another.
const SLOTS: usize = 1024;
static INDEX: [Slot; SLOTS] = build_index();

/// A place of the index.
#[derive(Clone, Copy)]
struct Slot {
    /// The name in one word, if it is short and nothing but letters; else 0.
    word: u64,
    command: Option<&'static Command>,
}

/// All commands; subcommands are inside theirs.
pub fn all() -> impl Iterator<Item = &'static Command> + Clone {
    FAMILIES.iter().flat_map(|family| family.iter())
}

/// The command of that name, in any case.
#[inline]
#[must_use]
pub fn lookup(name: &[u8]) -> Option<&'static Command> {
    let mut at = slot_of(name);
    let word = word_of(name);
    while let Slot { word: known, command: Some(command) } = INDEX[at] {
        if known == word && word != 0 {
            return Some(command);
        }
        if known == 0 && command.spec.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(command);
        }
        at = (at + 1) % SLOTS;
    }
    None
}

/// The command that a command line means: the subcommand in a container. Its arity fits.
///
/// # Errors
/// What Redis answers to a name or an arity that does not exist.
#[inline]
pub fn resolve(args: Args<'_>) -> Result<&'static Command, Error> {
    let Some(command) = lookup(args.at(0)) else { return Err(unknown_command(args)) };
    if command.subcommands.is_empty() {
        if command.spec.takes(args.len()) { Ok(command) } else { Err(wrong_arity(command.spec.name)) }
    } else {
        resolve_subcommand(command, args)
    }
}

fn resolve_subcommand(container: &'static Command, args: Args<'_>) -> Result<&'static Command, Error> {
    let Some(name) = args.get(1) else {
        return match container.run {
            Run::Session | Run::View(_) => Ok(container),
            Run::Container => Err(wrong_arity(container.spec.name)),
        };
    };
    let command = container.subcommand(name).ok_or_else(|| unknown_subcommand(container.spec.name, args))?;
    if command.spec.takes(args.len()) { Ok(command) } else { Err(wrong_arity(&command.spec.full_name())) }
}

/// Where the search for a name begins. Takes a few bytes, whatever the length of the name.
#[inline]
const fn slot_of(name: &[u8]) -> usize {
    const CASE: u8 = 0x20;
    if name.is_empty() {
        return 0;
    }
    let first = (name[0] | CASE) as u64;
    let second = (name[name.len() / 4] | CASE) as u64;
    let middle = (name[name.len() / 2] | CASE) as u64;
    let third = (name[name.len() * 3 / 4] | CASE) as u64;
    let last = (name[name.len() - 1] | CASE) as u64;
    let word = first | second << 8 | middle << 16 | third << 24 | last << 32 | (name.len() as u64) << 40;
    (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize
}

/// A name of up to eight bytes in one word, in lower case if it is letters; 0 for a longer one.
///
/// The bit that tells the cases apart turns no other byte into a letter, so a word that is all letters stands for one
/// name.
#[inline]
const fn word_of(name: &[u8]) -> u64 {
    const CASES: u64 = 0x2020_2020_2020_2020;
    let len = name.len();
    if len == 0 || len > 8 {
        return 0;
    }
    let mut word = 0;
    let mut at = 0;
    while at < len {
        word = word << 8 | name[at] as u64;
        at += 1;
    }
    word | CASES >> (64 - 8 * len)
}

/// Whether a name of the table is found by its word.
const fn is_letters(name: &[u8]) -> bool {
    let mut at = 0;
    while at < name.len() {
        if !name[at].is_ascii_lowercase() {
            return false;
        }
        at += 1;
    }
    true
}

const fn build_index() -> [Slot; SLOTS] {
    let mut index = [Slot { word: 0, command: None }; SLOTS];
    let mut family = 0;
    while family < FAMILIES.len() {
        let mut entry = 0;
        while entry < FAMILIES[family].len() {
            let command: &'static Command = &FAMILIES[family][entry];
            let name = command.spec.name.as_bytes();
            let mut slot = slot_of(name);
            while index[slot].command.is_some() {
                slot = (slot + 1) % SLOTS;
            }
            let word = if is_letters(name) { word_of(name) } else { 0 };
            index[slot] = Slot { word, command: Some(command) };
            entry += 1;
        }
        family += 1;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_entry_in_any_case() {
        for command in all() {
            let name = command.spec.name;
            for spelled in [name.to_owned(), name.to_uppercase()] {
                assert_eq!(lookup(spelled.as_bytes()).unwrap().spec.name, name);
            }
        }
        for unknown in ["", "g", "gett", "ge\x14", "\0get", "get\0", "ge4", "get|x", "object|encoding", "\0", "sEt "] {
            assert!(lookup(unknown.as_bytes()).is_none(), "{unknown:?}");
        }
    }

    #[test]
    fn entries_are_sound() {
        let inner = all().flat_map(|command| command.subcommands.iter());
        for command in all().chain(inner) {
            let spec = &command.spec;
            assert_eq!(spec.name, spec.name.to_lowercase(), "{}", spec.full_name());
            assert!(spec.summary.ends_with('.') && !spec.since.is_empty(), "{}", spec.full_name());
            assert_ne!(spec.arity, 0, "{}", spec.full_name());
            let names = 1 + usize::from(spec.container.is_some());
            assert!(spec.arity.unsigned_abs() as usize >= names, "{}", spec.full_name());
            assert_eq!(
                command.subcommands.is_empty(),
                !matches!(command.run, Run::Container) && spec.name != "command"
            );
        }
    }

    #[test]
    fn command_lines_resolve_as_in_redis() {
        let error = |args: &[&[u8]]| match resolve(Args::new(args)) {
            Ok(command) => command.spec.full_name(),
            Err(Error::Reply(text)) => String::from_utf8(text.into_owned()).unwrap(),
            Err(error @ (Error::Stop(_) | Error::Wait(_))) => panic!("no reply: {error:?}"),
        };
        assert_eq!(error(&[b"GET", b"k"]), "get");
        assert_eq!(error(&[b"get"]), "ERR wrong number of arguments for 'get' command");
        assert_eq!(error(&[b"object", b"ENCODING", b"k"]), "object|encoding");
        assert_eq!(error(&[b"object", b"encoding"]), "ERR wrong number of arguments for 'object|encoding' command");
        assert_eq!(error(&[b"object"]), "ERR wrong number of arguments for 'object' command");
        assert_eq!(error(&[b"object", b"foo"]), "ERR unknown subcommand 'foo'. Try OBJECT HELP.");
        assert_eq!(error(&[b"command"]), "command");
        assert_eq!(error(&[b"nope", b"a"]), "ERR unknown command 'nope', with args beginning with: 'a' ");
    }
}
