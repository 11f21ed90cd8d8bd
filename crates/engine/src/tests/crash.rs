//! Kills at random points: what was written to the log is there again, whatever the store had kept.

use proptest::prelude::*;

use super::model::{Step, any_run, any_upkeep, explore};

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let crash = (any::<usize>(), prop::sample::select(vec![0usize, 0, 0, 1, 2]))
        .prop_map(|(keep, again)| Step::Crash { keep: keep % 1000, again });
    let upkeep = prop_oneof![
        5 => any_upkeep(),
        2 => Just(Step::WriteLogs),
        3 => crash,
        1 => Just(Step::Close),
    ];
    prop::collection::vec(prop_oneof![2 => any_run(), 1 => upkeep], 1..most)
}

#[test]
fn what_was_written_survives_a_kill() {
    explore(60, 1 << 20, steps(50));
}

#[test]
fn what_was_written_survives_a_kill_in_little_memory() {
    explore(60, 20_000, steps(50));
}
