//! Suite `mem`: resident memory against `maxmemory`, with ten times as much data.

use std::time::Duration;

use super::instance::{Instance, Product};
use super::report::Section;
use super::stats::mib;
use super::{Bench, data, load};
use crate::failure::Outcome;

const SIZES: [u64; 3] = [64 << 20, 128 << 20, 256 << 20];
/// Data over `maxmemory`.
const TIMES: u64 = 10;
const READERS: u64 = 8;

pub fn measure(bench: &Bench) -> Outcome<Section> {
    let mut section = Section::new(
        "Haypile's resident memory with ten times more data than `maxmemory`; in brackets over `maxmemory`, which \
         should be at most 1.15.",
        &["maxmemory", "after the load", "after uniform random reads", "peak"],
    );
    for size in SIZES {
        section.row(run(bench, size)?);
    }
    Ok(section)
}

fn run(bench: &Bench, maxmemory: u64) -> Outcome<Vec<String>> {
    let haypile = Instance::start(bench, Product::Haypile, &["--maxmemory", &maxmemory.to_string()])?;
    let keys = maxmemory * TIMES / (data::KEY_BYTES + data::VALUE_BYTES) as u64;
    load::fill(haypile.port, keys)?;
    haypile.wait_until_quiet()?;
    let loaded = haypile.memory()?;
    load::read(haypile.port, READERS, keys, Duration::from_secs(bench.request.seconds))?;
    let read = haypile.memory()?;
    let over = |bytes: u64| format!("{} ({:.2})", mib(bytes), bytes as f64 / maxmemory as f64);
    Ok(vec![mib(maxmemory), over(loaded.now), over(read.now), over(read.peak)])
}
