//! Kills at random points: what was written to the log is there again, whatever the store had kept.

use keyspace::Head;
use proptest::prelude::*;

use super::calls::Call;
use super::model::{Keep, Machine, Run, Step, any_meanwhile, any_run, any_upkeep, explore};
use crate::run::{LockKey, Scope};

fn any_crash() -> impl Strategy<Value = Step> {
    let keep = prop_oneof![1 => (0..60usize).prop_map(Keep::First), 2 => (0..12usize).prop_map(Keep::AllBut)];
    (keep, prop::sample::select(vec![0usize, 0, 0, 1, 2])).prop_map(|(keep, again)| Step::Crash { keep, again })
}

/// All that may happen.
fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let upkeep = prop_oneof![
        5 => any_upkeep(),
        2 => Just(Step::WriteLogs),
        3 => any_crash(),
        1 => Just(Step::Close),
    ];
    prop::collection::vec(prop_oneof![6 => any_run(), 3 => upkeep, 1 => any_meanwhile()], 1..most)
}

fn run(calls: Vec<Call>) -> Step {
    Step::Run(Run::of(calls))
}

fn set(key: usize, len: usize, fill: u8) -> Call {
    Call::Set { key, len, fill, expires: None }
}

/// Few keys, changes that build on what is there, and kills in the middle of settles.
fn dense_steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let key = || 0..4usize;
    let call = prop_oneof![
        2 => (key(), prop::sample::select(vec![50usize, 5000])).prop_map(|(key, len)| set(key, len, 1)),
        4 => (key(), prop::sample::select(vec![1usize, 40, 4096]))
            .prop_map(|(key, len)| Call::Append { key, len, fill: 2 }),
        2 => (key(), 0..50usize, 0..9usize, 0..9usize)
            .prop_map(|(key, at, remove, len)| Call::Splice { key, at, remove, len }),
        2 => (key(), key()).prop_map(|(from, to)| Call::Rename { from, to }),
        2 => (key(), 0..4u8).prop_map(|(key, row)| Call::PutRow { key, row, fill: 3 }),
        1 => (key(), 0..4u8).prop_map(|(key, row)| Call::DeleteRow { key, row }),
        1 => key().prop_map(|key| Call::Delete { key }),
        1 => Just(Call::Clear),
    ];
    // Each kill comes when the log is written and a settle has been under way.
    let kill =
        (0..12usize, any_crash()).prop_map(|(batches, crash)| vec![Step::WriteLogs, Step::FailSettle(batches), crash]);
    let steps = prop_oneof![
        5 => prop::collection::vec(call, 1..4).prop_map(|calls| vec![run(calls)]),
        1 => Just(vec![Step::Settle]),
        1 => Just(vec![Step::Settle, Step::Flush]),
        1 => Just(vec![Step::Evict]),
        1 => any_meanwhile().prop_map(|step| vec![step]),
        2 => kill,
    ];
    prop::collection::vec(steps, 1..most).prop_map(|steps| steps.concat())
}

#[test]
fn what_was_written_survives_a_kill() {
    explore(60, 1 << 20, steps(50));
}

#[test]
fn what_was_written_survives_a_kill_in_little_memory() {
    explore(60, 20_000, steps(50));
}

#[test]
fn changes_that_build_on_others_survive_kills_in_the_middle_of_settles() {
    explore(120, 1 << 20, dense_steps(40));
}

#[test]
fn changes_that_build_on_others_survive_kills_in_little_memory() {
    explore(80, 5_000, dense_steps(40));
}

#[test]
fn the_ops_after_a_clear_in_its_frame_survive_a_kill() {
    // Of the frame with the Clear, the store has got the Clear, and not yet every key.
    for keep in 0..8 {
        let mut machine = Machine::new(1 << 20);
        machine.step(&Step::Settle);
        machine.step(&Step::Flush);
        machine.step(&run(vec![set(2, 50, 1)]));
        machine.step(&run(vec![Call::Clear, set(1, 90, 9), set(3, 90, 9), set(0, 90, 9), set(2, 50, 2)]));
        machine.step(&Step::WriteLogs);
        machine.step(&Step::Settle);
        machine.step(&Step::Crash { keep: Keep::First(keep), again: 0 });
        machine.finish();
    }
}

#[test]
fn a_key_that_moves_between_databases_is_never_in_neither() {
    let mut machine = Machine::new(1 << 20);
    let rig = &mut machine.rig;
    rig.run(Scope::AllShards, 1, &mut |view| Ok(view.put(b"other", &Head::string(None), b"v")?));
    for (from, to) in [(0, 1), (1, 0)] {
        rig.set("k", "v");
        rig.run(Scope::AllShards, 0, &mut |view| {
            view.delete(b"k")?;
            view.select(from)?;
            view.put(b"k", &Head::string(None), b"v")?;
            Ok(())
        });
        rig.write_logs();
        let keys = [from, to].map(|database| LockKey { database, key: b"k" });
        rig.run(Scope::Keys(&keys), from, &mut |view| {
            view.delete(b"k")?;
            view.select(to)?;
            view.put(b"k", &Head::string(None), b"v")?;
            Ok(())
        });
        // Nothing has asked for the logs to be written since.
        rig.crash();
        let mut found = [false; 2];
        rig.run(Scope::Keys(&keys), from, &mut |view| {
            for database in [from, to] {
                view.select(database)?;
                found[database] = view.record(b"k")?.is_some();
            }
            Ok(())
        });
        assert!(found[to], "what takes is durable before what gives is written");
    }
}

#[test]
fn rows_that_moved_to_another_key_survive_kills_in_the_middle_of_settles() {
    let append = |len| Call::Append { key: 3, len, fill: 2 };
    let mut machine = Machine::new(5_000);
    machine.step(&run(vec![append(1), append(4096)]));
    machine.step(&run(vec![Call::Rename { from: 3, to: 0 }]));
    for (batches, keep) in [(0, Keep::First(0)), (2, Keep::AllBut(9))] {
        machine.step(&Step::WriteLogs);
        machine.step(&Step::FailSettle(batches));
        machine.step(&Step::Crash { keep, again: 0 });
    }
    machine.finish();
}
