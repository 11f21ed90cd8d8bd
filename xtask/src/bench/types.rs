//! Suite `types`: many small hashes, sets, sorted sets and lists, which both servers keep packed.
//!
//! redis-benchmark replaces each `__rand_int__` of a line by a random number of its own, but all are below one bound. So a
//! key of two numbers makes more keys than there are members: 50 x 50 keys of 50 members.

use super::Bench;
use super::compare::{self, Both, Effect, Load, Space};
use super::instance::Instance;
use super::load::{self, Adds, Collections};
use super::redis_benchmark::What;
use super::report::Section;
use crate::failure::Outcome;

/// Members of a collection that was filled, and one part of the number of its key.
const MEMBERS: u64 = 50;
/// The same where SADD puts new members into empty sets.
const FRESH_MEMBERS: u64 = 100;
/// How often each key of a list comes up in a run, on average.
const ENDS: u64 = 50;
/// What is there for each key when elements are taken: half as much more than is taken on average, so that hardly
/// any key runs empty.
const STOCK: u64 = ENDS + ENDS / 2;

/// Values of hashes and elements of lists.
const VALUE: &[u8] = b"xxx";

const WORKLOADS: [Workload; 10] = [
    Workload::on_filled("hget", &["HGET", "h:__rand_int__:__rand_int__", "m:__rand_int__"], Adds::Hset).reads(),
    Workload::on_filled("hset", &["HSET", "h:__rand_int__:__rand_int__", "m:__rand_int__", "xxx"], Adds::Hset),
    Workload::on_filled("sismember", &["SISMEMBER", "s:__rand_int__:__rand_int__", "m:__rand_int__"], Adds::Sadd)
        .reads(),
    Workload::on_empty("sadd", &["SADD", "s:__rand_int__:__rand_int__", "m:__rand_int__"], Space::Fixed(FRESH_MEMBERS)),
    Workload::on_stock("spop", &["SPOP", "s:__rand_int__"], Adds::Sadd),
    Workload::on_filled("zscore", &["ZSCORE", "z:__rand_int__:__rand_int__", "m:__rand_int__"], Adds::Zadd).reads(),
    Workload::on_filled("zadd", &["ZADD", "z:__rand_int__:__rand_int__", "__rand_int__", "m:__rand_int__"], Adds::Zadd),
    Workload::on_stock("zpopmin", &["ZPOPMIN", "z:__rand_int__"], Adds::Zadd),
    Workload::on_empty("lpush", &["LPUSH", "l:__rand_int__", "xxx"], Space::Repeated(ENDS)),
    Workload::on_stock("lpop", &["LPOP", "l:__rand_int__"], Adds::Rpush),
];

/// What is measured.
#[derive(Clone, Copy)]
struct Workload {
    name: &'static str,
    line: &'static [&'static str],
    before: Before,
    space: Space,
    effect: Effect,
}

/// What is there.
#[derive(Clone, Copy)]
enum Before {
    /// All that the line can name, put in once by this command.
    Filled(Adds),
    /// Nothing, before each measurement.
    Empty,
    /// More elements than the line will take, put in by this command before each measurement.
    Stock(Adds),
}

impl Workload {
    const fn on_filled(name: &'static str, line: &'static [&'static str], by: Adds) -> Self {
        Self { name, line, before: Before::Filled(by), space: Space::Fixed(MEMBERS), effect: Effect::Writes }
    }

    const fn on_empty(name: &'static str, line: &'static [&'static str], space: Space) -> Self {
        Self { name, line, before: Before::Empty, space, effect: Effect::Writes }
    }

    const fn on_stock(name: &'static str, line: &'static [&'static str], by: Adds) -> Self {
        Self { name, line, before: Before::Stock(by), space: Space::Repeated(ENDS), effect: Effect::Writes }
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

fn cells(bench: &Bench, workload: &Workload, depth: u32) -> Outcome<Vec<String>> {
    let both = Both::start(bench)?;
    let Workload { line, before, space, effect, .. } = *workload;
    let letter = &line[1][..1];
    if let Before::Filled(by) = before {
        let key = |index: u64| format!("{letter}:{:012}:{:012}", index / MEMBERS, index % MEMBERS);
        let filled = Collections { by, keys: MEMBERS * MEMBERS, key: &key, members: MEMBERS, value: VALUE };
        both.each(|instance| load::fill_collections(instance.port, &filled))?;
    }
    let prepare = |instance: &Instance, requests| {
        match before {
            Before::Filled(_) => return Ok(()),
            Before::Empty => load::flush(instance.port)?,
            Before::Stock(by) => {
                let key = |index: u64| format!("{letter}:{index:012}");
                let stock = Collections { by, keys: space.below(requests), key: &key, members: STOCK, value: VALUE };
                load::flush(instance.port)?;
                load::fill_collections(instance.port, &stock)?;
            }
        }
        instance.wait_until_quiet()
    };
    let load = Load { what: What::Line(line), depth, space, effect, prepare: &prepare };
    Ok(both.measure(bench, &load)?.cells())
}
