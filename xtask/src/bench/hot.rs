//! Suite `hot`: everything is in memory. redis-benchmark's own tests with 50 clients, on 100 000 keys of 100 bytes or on
//! one collection.

use super::compare::{self, Both, Effect, Load, Space};
use super::instance::Instance;
use super::redis_benchmark::{Run, What};
use super::report::Section;
use super::{Bench, load};
use crate::failure::Outcome;

const KEYS: u64 = 100_000;
/// The depth at which collections are filled.
const FILL_DEPTH: u32 = 16;
/// Of so many members those are chosen by chance that fill a set: hardly one is chosen twice.
const FILL_MEMBERS: u64 = 1_000_000_000;

const WORKLOADS: [Workload; 17] = [
    // What the network and the protocol cost without any data.
    Workload::test("ping_mbulk").reads(),
    Workload::test("set"),
    Workload::test("get").reads(),
    Workload::test("incr"),
    Workload::test("mset"),
    Workload::test("lpush"),
    Workload::test("rpush"),
    Workload::test("lpop").on(Before::AsManyBy("rpush")),
    Workload::test("rpop").on(Before::AsManyBy("rpush")),
    Workload::line("lrange_100", &["LRANGE", "mylist", "0", "99"]).reads().on(Before::Elements(1000)),
    Workload::line("lrange_300", &["LRANGE", "mylist", "0", "299"]).reads().on(Before::Elements(1000)),
    Workload::line("lrange_600", &["LRANGE", "mylist", "0", "599"]).reads().on(Before::Elements(1000)),
    Workload::test("hset"),
    Workload::test("sadd"),
    Workload::test("spop").on(Before::AsManyBy("sadd")),
    Workload::test("zadd"),
    Workload::test("zpopmin").on(Before::AsManyBy("zadd")),
];

/// What is measured.
#[derive(Clone, Copy)]
struct Workload {
    name: &'static str,
    what: What,
    before: Before,
    effect: Effect,
}

/// What redis-benchmark's collections hold at first.
#[derive(Clone, Copy)]
enum Before {
    /// Whatever is there.
    Anything,
    /// The list: so many elements.
    Elements(u64),
    /// As many elements more as there will be requests, for each measurement, put in by that test.
    AsManyBy(&'static str),
}

impl Workload {
    const fn test(name: &'static str) -> Self {
        Self { name, what: What::Test(name), before: Before::Anything, effect: Effect::Writes }
    }

    const fn line(name: &'static str, line: &'static [&'static str]) -> Self {
        Self { what: What::Line(line), ..Self::test(name) }
    }

    const fn on(mut self, before: Before) -> Self {
        self.before = before;
        self
    }

    const fn reads(mut self) -> Self {
        self.effect = Effect::Reads;
        self
    }
}

pub fn measure(bench: &Bench) -> Outcome<Vec<Section>> {
    let table =
        compare::table(bench, &WORKLOADS, |workload| workload.name, |workload, depth| cells(bench, workload, depth));
    Ok(vec![table?])
}

/// Fresh servers for each test, so that no test inherits the log or the memory of the one before.
fn cells(bench: &Bench, workload: &Workload, depth: u32) -> Outcome<Vec<String>> {
    let both = Both::start(bench)?;
    both.each(|instance| {
        load::fill(instance.port, KEYS)?;
        match workload.before {
            Before::Elements(count) => fill(instance, "rpush", count),
            Before::Anything | Before::AsManyBy(_) => Ok(()),
        }
    })?;
    let prepare = |instance: &Instance, requests| match workload.before {
        Before::AsManyBy(test) => {
            fill(instance, test, requests)?;
            instance.wait_until_quiet()
        }
        Before::Anything | Before::Elements(_) => Ok(()),
    };
    let Workload { what, effect, .. } = *workload;
    let load = Load { what, depth, space: Space::Fixed(KEYS), effect, prepare: &prepare };
    Ok(both.measure(bench, &load)?.cells())
}

/// Makes one of redis-benchmark's collections larger by one of its tests.
fn fill(instance: &Instance, test: &'static str, requests: u64) -> Outcome {
    let what = What::Test(test);
    Run { port: instance.port, what, depth: FILL_DEPTH, space: FILL_MEMBERS, requests }.start().map(drop)
}
