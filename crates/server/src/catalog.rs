//! Every command and subcommand with a number, so that counters can be arrays.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use commands::Command;
use hashbrown::HashMap;

/// The number of a command: its place in [`all`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandNumber(pub u32);

/// A command with its full name.
pub struct Listed {
    /// The entry of the command table.
    pub command: &'static Command,
    /// `name`, or `container|name`.
    pub name: String,
}

struct Catalog {
    listed: Vec<Listed>,
    numbers: BTreeMap<String, CommandNumber>,
}

fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| {
        let inner = commands::all().flat_map(|command| command.subcommands.iter());
        let every = commands::all().chain(inner);
        let listed: Vec<Listed> = every.map(|command| Listed { command, name: command.spec.full_name() }).collect();
        let number = |(number, listed): (usize, &Listed)| {
            (listed.name.clone(), CommandNumber(u32::try_from(number).unwrap_or(u32::MAX)))
        };
        let numbers = listed.iter().enumerate().map(number).collect();
        Catalog { listed, numbers }
    })
}

/// All commands, then all subcommands; the index is the number.
#[must_use]
pub fn all() -> &'static [Listed] {
    &catalog().listed
}

/// The full name of a command.
#[must_use]
pub fn name(number: CommandNumber) -> &'static str {
    all().get(number.0 as usize).map_or("", |listed| &listed.name)
}

/// The numbers of commands, by the address of their entry. One a thread.
///
/// An entry of a constant table may have several addresses; so addresses are learned, and names decide.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    known: HashMap<usize, CommandNumber, foldhash::fast::FixedState>,
}

impl Numbers {
    /// The number of `command`.
    #[inline]
    pub(crate) fn of(&mut self, command: &'static Command) -> CommandNumber {
        let address = std::ptr::from_ref(command) as usize;
        match self.known.get(&address) {
            Some(number) => *number,
            None => self.learn(address, command),
        }
    }

    #[cold]
    fn learn(&mut self, address: usize, command: &'static Command) -> CommandNumber {
        let number = catalog().numbers.get(&command.spec.full_name()).copied();
        let number = number.expect("every command that resolves is listed");
        self.known.insert(address, number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_one_number() {
        let mut numbers = Numbers::default();
        for (at, listed) in all().iter().enumerate() {
            assert_eq!(numbers.of(listed.command).0 as usize, at);
            assert_eq!(name(numbers.of(listed.command)), listed.name);
        }
        assert_eq!(numbers.of(commands::lookup(b"GET").unwrap()), numbers.of(commands::lookup(b"get").unwrap()));
    }
}
