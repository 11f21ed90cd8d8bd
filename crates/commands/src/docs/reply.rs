//! The replies of COMMAND, of its subcommands, and of HELP in a container.

use resp::{Aggregate, Reply};

use super::info::{write_docs, write_info, write_key_flags};
use super::syntax;
use crate::args::Args;
use crate::error::{Error, text};
use crate::glob::{self, Case};
use crate::key_refs::{Access, each_key};
use crate::spec::{Begin, Categories, Command, KeyFlags, KeySpec};
use crate::table;

const BAD_COMMAND: &str = "ERR Invalid command specified";
const NO_KEYS: &str = "ERR The command has no key arguments";
const BAD_COUNT: &str = "ERR Invalid number of arguments specified for command";
const BAD_KEYS: &str = "ERR Invalid arguments specified for command";

/// COMMAND: all commands.
pub fn command(reply: &mut Reply) {
    reply.array(table::all().count());
    for command in table::all() {
        write_info(command, reply);
    }
}

/// COMMAND COUNT.
pub fn count(reply: &mut Reply) {
    reply.integer(table::all().count() as i64);
}

/// COMMAND INFO: the commands named, or all.
pub fn info(args: Args<'_>, reply: &mut Reply) {
    let names = args.from(2);
    if names.is_empty() {
        return command(reply);
    }
    reply.array(names.len());
    for name in names {
        match by_full_name(name) {
            Some(command) => write_info(command, reply),
            None => reply.null(),
        }
    }
}

/// COMMAND DOCS: those of the commands named that exist, or all.
pub fn docs(args: Args<'_>, reply: &mut Reply) {
    let names = args.from(2);
    let map = reply.begin(Aggregate::Map);
    let mut found = 0;
    let mut write = |command: &Command, reply: &mut Reply| {
        write_docs(command, reply);
        found += 1;
    };
    if names.is_empty() {
        table::all().for_each(|command| write(command, reply));
    } else {
        names.iter().filter_map(|name| by_full_name(name)).for_each(|command| write(command, reply));
    }
    reply.end(map, found);
}

/// COMMAND LIST. There are no modules, so `FILTERBY MODULE` finds nothing.
///
/// # Errors
/// The client's.
pub fn list(args: Args<'_>, reply: &mut Reply) -> Result<(), Error> {
    let filter = match args.len() {
        2 => None,
        5 if args.is(2, "FILTERBY") => Some(args.at(4)),
        _ => return Err(text::SYNTAX.into()),
    };
    let array = reply.begin(Aggregate::Array);
    let mut found = 0;
    let mut write = |command: &Command| {
        reply.bulk(command.spec.full_name().as_bytes());
        found += 1;
    };
    match filter {
        None => table::all().for_each(&mut write),
        Some(pattern) if args.is(3, "PATTERN") => every()
            .filter(|command| glob::matches(pattern, command.spec.full_name().as_bytes(), Case::Ignored))
            .for_each(&mut write),
        Some(category) if args.is(3, "ACLCAT") => {
            let category = Categories::named(category);
            every()
                .filter(|command| category.is_some_and(|category| command.spec.all_categories().has(category)))
                .for_each(&mut write);
        }
        Some(_) if args.is(3, "MODULE") => {}
        Some(_) => return Err(text::SYNTAX.into()),
    }
    reply.end(array, found);
    Ok(())
}

/// COMMAND GETKEYS.
///
/// # Errors
/// The client's.
pub fn getkeys(args: Args<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply_keys(args, reply, |reply, key, _| reply.bulk(key))
}

/// COMMAND GETKEYSANDFLAGS.
///
/// # Errors
/// The client's.
pub fn getkeysandflags(args: Args<'_>, reply: &mut Reply) -> Result<(), Error> {
    let flags_of_line = flags_of_line(Args::new(args.from(2)));
    reply_keys(args, reply, |reply, key, spec| {
        reply.array(2);
        reply.bulk(key);
        let flags = flags_of_line.filter(|_| spec.flags.has(KeyFlags::VARIABLE_FLAGS));
        write_key_flags(flags.unwrap_or(spec.flags), reply);
    })
}

/// What is done with keys that a command treats as its other arguments say.
fn flags_of_line(line: Args<'_>) -> Option<KeyFlags> {
    if !line.is(0, "SET") {
        return None;
    }
    // Wherever the word stands, as in Redis.
    let returns = (3..line.len()).any(|at| line.is(at, "GET"));
    Some(if returns {
        KeyFlags::all_of(&[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE])
    } else {
        KeyFlags::all_of(&[KeyFlags::OW, KeyFlags::UPDATE])
    })
}

/// The HELP of a container, as the array of lines that Redis sends.
pub fn help(container: &Command, reply: &mut Reply) {
    let array = reply.begin(Aggregate::Array);
    let name = container.spec.name.to_uppercase();
    reply.simple(&format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    let mut lines = 1;
    for subcommand in container.subcommands.iter().filter(|subcommand| subcommand.spec.name != "help") {
        let arguments = syntax::arguments(&subcommand.spec);
        reply.simple(format!("{} {arguments}", subcommand.spec.name.to_uppercase()).trim_end());
        reply.simple(&format!("    {}", subcommand.spec.summary));
        lines += 2;
    }
    reply.simple("HELP");
    reply.simple("    Prints this help.");
    reply.end(array, lines + 2);
}

/// All commands, those in containers included.
fn every() -> impl Iterator<Item = &'static Command> {
    table::all().flat_map(|command| std::iter::once(command).chain(command.subcommands))
}

/// The command called `name` or `container|name`.
fn by_full_name(name: &[u8]) -> Option<&'static Command> {
    match name.iter().position(|byte| *byte == b'|') {
        None => table::lookup(name),
        Some(bar) => table::lookup(&name[..bar])?.subcommand(&name[bar + 1..]),
    }
}

fn reply_keys(args: Args<'_>, reply: &mut Reply, write: impl Fn(&mut Reply, &[u8], &KeySpec)) -> Result<(), Error> {
    let line = Args::new(args.from(2));
    let mut command = table::lookup(line.at(0)).ok_or(BAD_COMMAND)?;
    if !command.subcommands.is_empty() && line.len() > 1 {
        command = command.subcommand(line.at(1)).ok_or(BAD_COMMAND)?;
    }
    if command.spec.keys.is_empty() {
        return Err(NO_KEYS.into());
    }
    if !command.spec.takes(line.len()) {
        return Err(BAD_COUNT.into());
    }
    let array = reply.begin(Aggregate::Array);
    let mut count = 0;
    let mut show = |index: usize, spec: &KeySpec| {
        write(reply, line.at(index), spec);
        count += 1;
    };
    let vague = command.spec.keys.iter().any(|spec| spec.begin == Begin::Unknown);
    match command.other_database.filter(|_| vague) {
        None => each_key(command.spec.keys, line, &mut show).map_err(|_| Error::from(BAD_KEYS))?,
        Some(list) => {
            let mut keys = Vec::new();
            list(line, 0, &mut keys);
            for key in keys {
                let spec = command.spec.keys.iter().find(|spec| Access::of(spec.flags) == key.access);
                spec.into_iter().for_each(|spec| show(key.index, spec));
            }
        }
    }
    reply.end(array, count);
    Ok(())
}
