//! Runs of the simulation: a fixed list of seeds, and as many new ones as time allows.
//!
//! `HAYPILE_SIM_SEED=n cargo test -p sim --test simulation -- --nocapture` replays one run.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sim::storm::{Outcome, Replicas};
use sim::{Plan, run};

fn folder() -> tempfile::TempDir {
    // Memory where there is such a folder: the logs are written a lot.
    let shm = PathBuf::from("/dev/shm");
    if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.unwrap()
}

fn one(seed: u64) -> Outcome {
    let dir = folder();
    let outcome = run(seed, Plan::ORDINARY, dir.path());
    eprintln!("seed {seed}: {outcome:?}");
    outcome
}

fn is_long() -> bool {
    std::env::var_os("HAYPILE_TEST_LONG").is_some()
}

/// Whether only one seed is asked for; then it runs.
fn one_is_asked_for() -> bool {
    let seed = std::env::var("HAYPILE_SIM_SEED").ok();
    if let Some(seed) = &seed {
        one(seed.parse().unwrap());
    }
    seed.is_some()
}

#[test]
fn known_seeds_heal() {
    if one_is_asked_for() {
        return;
    }
    let outcomes: Vec<_> = (1..=40).map(one).collect();
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    assert!(sum(|outcome| outcome.counts.full_syncs) > 0, "runs with full syncs are among them");
    assert!(sum(|outcome| outcome.counts.promotions) > 0, "and such with failovers");
    assert!(sum(|outcome| outcome.acknowledged) > 0, "and writes that had to survive");
}

#[test]
fn replicas_that_boast_are_found_out() {
    if std::env::var_os("HAYPILE_SIM_SEED").is_some() {
        return;
    }
    let plan = Plan { replicas: Replicas::Boastful, ..Plan::ORDINARY };
    let lost = (1000..1100).find_map(|seed| {
        let dir = folder();
        let outcome = std::panic::catch_unwind(|| run(seed, plan, dir.path()));
        outcome.err().and_then(|panic| panic.downcast::<String>().ok())
    });
    let said = lost.expect("of a hundred runs one loses what was acknowledged");
    assert!(said.contains("no replica has") || said.contains("an acknowledged write is gone"), "{said}");
}

#[test]
fn new_seeds_heal() {
    if std::env::var_os("HAYPILE_SIM_SEED").is_some() {
        return;
    }
    let (most, time) = if is_long() { (2000, Duration::from_secs(7200)) } else { (2000, Duration::from_secs(60)) };
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let first = if is_long() { 1000 } else { since.as_nanos() as u64 };
    let began = Instant::now();
    let mut runs = 0;
    for seed in (first..).take(most) {
        one(seed);
        runs += 1;
        if began.elapsed() > time {
            break;
        }
    }
    eprintln!("{runs} runs");
}
