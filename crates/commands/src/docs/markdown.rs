//! The table as a page of the documentation.

use std::fmt::Write as _;

use super::syntax::syntax;
use crate::spec::{Command, Group, Run};
use crate::table;

/// The content of `docs/commands.md`.
#[must_use]
pub fn commands_markdown() -> String {
    const GROUPS: &[(Group, &str)] = &[
        (Group::Generic, "Keys"),
        (Group::String, "Strings"),
        (Group::Bitmap, "Bitmaps"),
        (Group::List, "Lists"),
        (Group::Hash, "Hashes"),
        (Group::Set, "Sets"),
        (Group::SortedSet, "Sorted sets"),
        (Group::Connection, "Connection"),
        (Group::Transactions, "Transactions"),
        (Group::Server, "Server"),
    ];
    let mut page = String::from(
        "# Commands\n\nGenerated from the command table (`crates/commands`). *Since* is the version of Redis that had \
         the command first.\n",
    );
    for &(group, title) in GROUPS {
        let mut commands: Vec<_> = table::all().filter(|command| command.spec.group == group).collect();
        commands.sort_by_key(|command| command.spec.name);
        write_group(&mut page, title, &commands);
    }
    page
}

fn write_group(page: &mut String, title: &str, commands: &[&Command]) {
    page.push_str(&format!("\n## {title}\n\n| command | what it does | cost | since |\n| --- | --- | --- | --- |\n"));
    for command in commands {
        if !matches!(command.run, Run::Container) {
            write_row(page, command);
        }
        for subcommand in command.subcommands {
            write_row(page, subcommand);
        }
    }
}

fn write_row(page: &mut String, command: &Command) {
    let spec = &command.spec;
    let syntax = syntax(spec).replace('|', "\\|");
    let advice = spec.deprecated.map(|advice| format!(" Deprecated: use {}.", advice.replaced_by)).unwrap_or_default();
    // Writing to a String does not fail.
    let _ = writeln!(page, "| `{syntax}` | {}{advice} | {} | {} |", spec.summary, spec.complexity, spec.since);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_runs_has_a_row() {
        let page = commands_markdown();
        let inner = table::all().flat_map(|command| command.subcommands);
        let runs = table::all().chain(inner).filter(|command| !matches!(command.run, Run::Container)).count();
        assert_eq!(page.lines().filter(|line| line.starts_with("| `")).count(), runs);
        assert!(page.contains("\n| `GETRANGE key start end` | Returns a part of a string. | "));
    }
}
