//! Suite `write`: random keys, written as fast as the server takes them, for a while.

use std::time::Duration;

use super::instance::{Instance, Product};
use super::load::{Ingest, Until};
use super::report::Section;
use super::stats::{millis, rate};
use super::{Bench, data, load};
use crate::failure::Outcome;

const CLIENTS: u64 = 4;
const DEPTH: u64 = 16;
const KEYS: u64 = 5_000_000;
const MAXMEMORY: &str = "256mb";

pub fn measure(bench: &Bench) -> Outcome<Section> {
    let mut section = Section::new(
        "Sustained writes of random keys, the two servers in turn; Haypile with a `maxmemory` of 256 MiB, which is \
         less than the data. Written / payload counts what reached the disk until the server was quiet again. The \
         longest pause is the longest time in which no client got an answer.",
        &["server", "run", "rate", "p99.9 of 16 writes", "longest pause", "written / payload"],
    );
    for number in 1..=bench.request.pairs {
        for product in [Product::Haypile, Product::Redis] {
            section.row(run(bench, product, number)?);
        }
    }
    Ok(section)
}

fn run(bench: &Bench, product: Product, number: usize) -> Outcome<Vec<String>> {
    let extra: &[&str] = match product {
        Product::Haypile => &["--maxmemory", MAXMEMORY],
        Product::Redis => &[],
    };
    let instance = Instance::start(bench, product, extra)?;
    let until = Until::Time(Duration::from_secs(bench.request.seconds));
    let before = instance.written()?;
    let ingested = load::ingest(instance.port, &Ingest { clients: CLIENTS, depth: DEPTH, keys: KEYS, until })?;
    let measured = &ingested.measured;
    instance.wait_until_quiet()?;
    let written = instance.written()? - before;
    let payload = measured.operations * (data::KEY_BYTES + data::VALUE_BYTES) as u64;
    Ok(vec![
        product.name().to_owned(),
        number.to_string(),
        rate(measured.operations, measured.time),
        millis(measured.latency.percentile(99.9)),
        millis(ingested.longest_pause),
        format!("{:.2}", written as f64 / payload as f64),
    ])
}
