//! Suite `repl`: how fast replication heals, copies, catches up and follows. Haypile alone, against its own targets.

mod catch_up;
mod copy;
mod cuts;
mod heal;
mod heals;
mod lag;
mod link;
mod node;
mod password;

use super::Bench;
use super::report::Section;
use crate::failure::Outcome;

/// Loads here write values of these sizes.
const SMALL: usize = 100;
const LARGE: usize = 100_000;

pub fn measure(bench: &Bench) -> Outcome<Section> {
    let mut section = Section::new(
        "Haypile alone, with its default configuration where nothing else is said. Heal times count from the moment \
         the fault is gone (the link passes again; the primary, or the replica, answers PING; the password is right) \
         until the replica shows a marker that was written to the primary after the fault began. Full copies: how many \
         the primary granted meanwhile, where continuing from the log is enough.",
        &["what", "measured", "target"],
    );
    heal::measure(bench, &mut section)?;
    password::measure(bench, &mut section)?;
    lag::measure(bench, &mut section)?;
    copy::measure(bench, &mut section)?;
    cuts::measure(bench, &mut section)?;
    catch_up::measure(bench, &mut section)?;
    Ok(section)
}

/// MB (of a million bytes) per second.
fn megabytes_per_second(bytes: u64, seconds: f64) -> String {
    format!("{:.0} MB/s", bytes as f64 / seconds / 1e6)
}
