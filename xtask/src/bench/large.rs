//! Suite `large`: one hash, set, sorted set and list of a million elements each, warm.
//!
//! Ranks and indexes are the same in every request: redis-benchmark's random numbers have leading zeros, and what has
//! them is no integer to either server. Scores may have them.

use std::time::{Duration, Instant};

use super::client::{Client, Reply};
use super::compare::{self, Both, Effect, Load, Space};
use super::load::{self, Adds, Collections};
use super::redis_benchmark::What;
use super::report::Section;
use super::stats::{Spread, cell, millis};
use super::{Bench, Breadth};
use crate::failure::{Context, Failure, Outcome};

const ELEMENTS: u64 = 1_000_000;
/// New members are chosen from so many: hardly one is chosen twice.
const FRESH: u64 = 1_000_000_000;
/// What is promised of Haypile's p99 with one request in flight per client.
const TARGET_P99_MILLIS: f64 = 1.0;
/// Values of hashes, as long as those of the other suites.
const VALUE: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/\
                     0123456789abcdefghijklmnopqrstuvwxyz";

const COLLECTIONS: [Collection; 4] = [
    Collection {
        name: "hash",
        by: Adds::Hset,
        workloads: &[
            Workload::reads("hget", &["HGET", "big", "m:__rand_int__"]),
            Workload::writes("hset of a field that exists", &["HSET", "big", "m:__rand_int__", VALUE]),
        ],
    },
    Collection {
        name: "set",
        by: Adds::Sadd,
        workloads: &[
            Workload::reads("sismember", &["SISMEMBER", "big", "m:__rand_int__"]),
            Workload { space: FRESH, ..Workload::writes("sadd of a new member", &["SADD", "big", "m:__rand_int__"]) },
        ],
    },
    Collection {
        name: "sorted set",
        by: Adds::Zadd,
        workloads: &[
            Workload::reads("zscore", &["ZSCORE", "big", "m:__rand_int__"]),
            Workload::reads("zrank", &["ZRANK", "big", "m:__rand_int__"]),
            Workload::reads("zcount of 10", &["ZCOUNT", "big", "500000", "500009"]),
            Workload::reads("zcount of half", &["ZCOUNT", "big", "__rand_int__", "+inf"]),
            Workload::reads(
                "zrangebyscore of 10",
                &["ZRANGEBYSCORE", "big", "__rand_int__", "+inf", "LIMIT", "0", "10"],
            ),
            Workload::reads("zrange of 10 by rank", &["ZRANGE", "big", "500000", "500009"]),
            Workload::writes("zadd of another score", &["ZADD", "big", "__rand_int__", "m:__rand_int__"]),
        ],
    },
    Collection {
        name: "list",
        by: Adds::Rpush,
        workloads: &[
            Workload::reads("lindex", &["LINDEX", "big", "333333"]),
            Workload::reads("lrange_100", &["LRANGE", "big", "500000", "500099"]),
        ],
    },
];

/// A collection, and what is measured on it in this order.
struct Collection {
    name: &'static str,
    by: Adds,
    workloads: &'static [Workload],
}

#[derive(Clone, Copy)]
struct Workload {
    name: &'static str,
    line: &'static [&'static str],
    space: u64,
    effect: Effect,
}

impl Workload {
    const fn reads(name: &'static str, line: &'static [&'static str]) -> Self {
        Self { name, line, space: ELEMENTS, effect: Effect::Reads }
    }

    const fn writes(name: &'static str, line: &'static [&'static str]) -> Self {
        Self { effect: Effect::Writes, ..Self::reads(name, line) }
    }
}

pub fn measure(bench: &Bench) -> Outcome<Vec<Section>> {
    let note = format!(
        "{} The last columns are milliseconds; Haypile's p99 should be below {TARGET_P99_MILLIS:.2} at P = 1.",
        compare::NOTE
    );
    let first = ["workload", "P"];
    let last = ["p99 of Haypile, ms", "p99 of Redis, ms"];
    let mut loads = Section::new(&note, &[&first[..], &compare::COLUMNS, &last].concat());
    let mut removals = Section::new(
        "`DEL` of a million elements: milliseconds until it answers, once each.",
        &["collection", "Haypile", "Redis"],
    );
    let depths: &[u32] = match bench.request.breadth {
        Breadth::Usual => &[1],
        Breadth::Full => &[1, 16],
    };
    for collection in COLLECTIONS {
        let both = Both::start(bench)?;
        let by = collection.by;
        let filled =
            Collections { by, keys: 1, key: &|_| "big".to_owned(), members: ELEMENTS, value: VALUE.as_bytes() };
        both.each(|instance| load::fill_collections(instance.port, &filled))?;
        for workload in collection.workloads {
            for &depth in depths {
                loads.row(row(bench, &both, workload, depth)?);
            }
        }
        both.each(|instance| instance.wait_until_quiet())?;
        let (ours, theirs) = (removal(both.haypile.port)?, removal(both.redis.port)?);
        removals.row(vec![collection.name.to_owned(), millis(ours), millis(theirs)]);
    }
    Ok(vec![loads, removals])
}

fn row(bench: &Bench, both: &Both, workload: &Workload, depth: u32) -> Outcome<Vec<String>> {
    let Workload { name, line, space, effect } = *workload;
    let load = Load { what: What::Line(line), depth, space: Space::Fixed(space), effect, prepare: &|_, _| Ok(()) };
    let pairs = both.measure(bench, &load)?;
    let (ours, theirs): (Option<Spread>, Option<Spread>) = pairs.p99();
    let first = vec![name.to_owned(), depth.to_string()];
    Ok([first, pairs.cells(), vec![cell(ours), cell(theirs)]].concat())
}

/// Removes the collection; answers how long that took.
fn removal(port: u16) -> Outcome<Duration> {
    let mut client = Client::connect(port).context("connecting to remove")?;
    let begun = Instant::now();
    let reply = client.call(&[b"DEL", b"big"]).context("removing")?;
    let took = begun.elapsed();
    if reply == Reply::Integer(1) { Ok(took) } else { Err(Failure::new(format!("DEL answered {reply:?}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::data::VALUE_BYTES;

    #[test]
    fn values_are_as_long_as_elsewhere() {
        assert_eq!(VALUE.len(), VALUE_BYTES);
    }
}
