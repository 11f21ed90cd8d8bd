//! INFO: sections of `name:value` lines with Redis's names.
//!
//! It is written at the desk, for it reads files of the kernel, asks the stores, and counts keys. What a field that
//! Redis has cannot mean here (children, copy on write, defragmentation) is 0 or `ok`, as Redis says when idle. Numbers
//! nobody measures yet (hits and misses) are 0 as well.

mod activity;
mod data;
mod lines;
mod process;
mod procfs;
pub(super) mod replica;
mod space;

use commands::Args;

use super::{Answer, Call, at_desk};
use crate::shared::Shared;
use lines::Lines;

pub(super) use activity::client_bytes;
pub(super) use data::{log_buffer_bytes, replication_offset};
pub(super) use lines::ratio;

/// Whether a section is in an INFO that names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    ByDefault,
    OnDemand,
}

/// A section: its heading, which is its name in any case, and who writes it.
struct Section {
    heading: &'static str,
    shown: Shown,
    write: fn(&Shared, &mut Lines),
}

const fn section(heading: &'static str, shown: Shown, write: fn(&Shared, &mut Lines)) -> Section {
    Section { heading, shown, write }
}

/// In Redis's order; ours is the last one.
const SECTIONS: &[Section] = &[
    section("Server", Shown::ByDefault, process::server),
    section("Clients", Shown::ByDefault, activity::clients),
    section("Memory", Shown::ByDefault, space::memory),
    section("Persistence", Shown::ByDefault, data::persistence),
    section("Stats", Shown::ByDefault, activity::stats),
    section("Replication", Shown::ByDefault, data::replication),
    section("CPU", Shown::ByDefault, process::cpu),
    section("Modules", Shown::ByDefault, |_, _| {}),
    section("Commandstats", Shown::OnDemand, activity::commandstats),
    section("Errorstats", Shown::ByDefault, activity::errorstats),
    section("Cluster", Shown::ByDefault, |_, lines| lines.put("cluster_enabled", 0)),
    section("Keyspace", Shown::ByDefault, data::keyspace),
    section("Haypile", Shown::ByDefault, data::haypile),
];

/// The most memory that was seen, `memory` included, which is in use now.
pub(super) fn memory_peak(shared: &Shared, memory: u64) -> u64 {
    activity::look(shared, memory).memory_peak
}

pub(super) fn run(call: &mut Call<'_>) -> Answer {
    let chosen = choose(call.args);
    at_desk(move |context, reply| {
        reply.verbatim(b"txt", write(context.shared, &chosen).as_bytes());
        Ok(())
    })
}

/// The sections that are named, each once; `default`, `all` and `everything` name many. An unknown name is none.
fn choose(args: Args<'_>) -> Vec<&'static Section> {
    let names = if args.len() == 1 { &[b"default".as_slice()][..] } else { args.from(1) };
    let is_named = |word: &str| names.iter().any(|name| name.eq_ignore_ascii_case(word.as_bytes()));
    let everything = is_named("all") || is_named("everything");
    let default = is_named("default");
    let wanted =
        |section: &&Section| everything || is_named(section.heading) || (default && section.shown == Shown::ByDefault);
    SECTIONS.iter().filter(wanted).collect()
}

fn write(shared: &Shared, sections: &[&Section]) -> String {
    let mut lines = Lines::default();
    for section in sections {
        lines.heading(section.heading);
        (section.write)(shared, &mut lines);
    }
    lines.into_text()
}

#[cfg(test)]
mod tests;
