//! Suite `recovery`: the process is killed after a burst of writes and started again.

use super::instance::{Instance, Product};
use super::load::{Ingest, Until};
use super::report::Section;
use super::stats::{Spread, cell};
use super::{Bench, data, load};
use crate::failure::Outcome;

const CLIENTS: u64 = 4;
const DEPTH: u64 = 64;
/// Many more than are written, so that few writes hit the same key.
const KEYS: u64 = 100_000_000;
const TARGET_SECONDS: f64 = 5.0;

pub fn measure(bench: &Bench) -> Outcome<Section> {
    let mut section = Section::new(
        &format!(
            "Seconds from starting the process again, after it was killed right behind {} MiB of acknowledged writes, \
             until it answers PING; median (least..greatest) of {} rounds. The last writes of each client are read back.",
            bench.request.mib, bench.request.pairs
        ),
        &["server", "seconds", "target"],
    );
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..bench.request.pairs {
        ours.push(round(bench, Product::Haypile)?);
        theirs.push(round(bench, Product::Redis)?);
    }
    section.row(vec!["haypile".into(), cell(Spread::of(ours)), format!("< {TARGET_SECONDS:.2}")]);
    section.row(vec!["redis".into(), cell(Spread::of(theirs)), "-".into()]);
    Ok(section)
}

fn round(bench: &Bench, product: Product) -> Outcome<f64> {
    let mut instance = Instance::start(bench, product, &[])?;
    let operations = (bench.request.mib << 20).div_ceil((data::KEY_BYTES + data::VALUE_BYTES) as u64);
    let until = Until::Operations(operations);
    let ingested = load::ingest(instance.port, &Ingest { clients: CLIENTS, depth: DEPTH, keys: KEYS, until })?;
    instance.kill()?;
    let took = instance.restart()?;
    load::verify(instance.port, &ingested.last)?;
    Ok(took.as_secs_f64())
}
