//! Suite `cold`: far more data than memory. Redis cannot hold it, so Haypile is measured against its own targets.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::instance::{Instance, Product};
use super::report::Section;
use super::stats::{Spread, cell, mib, millis, rate};
use super::{Bench, data, load};
use crate::failure::Outcome;

const MAXMEMORY: u64 = 256 << 20;
const COLD_CLIENTS: u64 = 8;
const HOT_CLIENTS: u64 = 2;
const HOT_KEYS: u64 = 1000;

/// Targets: resident memory against `maxmemory`, and the p99 of hot reads beside cold ones against without.
const TARGET_RSS: f64 = 1.15;
const TARGET_HOT: f64 = 2.0;

pub fn measure(bench: &Bench) -> Outcome<Section> {
    let keys = bench.request.keys;
    let time = Duration::from_secs(bench.request.seconds);
    let haypile = Instance::start(bench, Product::Haypile, &["--maxmemory", &MAXMEMORY.to_string()])?;
    let mut section = Section::new(
        "Haypile alone, with less memory than data. The operating system caches files besides, as it would in \
         production. Every value read is checked.",
        &["what", "measured", "target"],
    );
    let payload = keys * (data::KEY_BYTES + data::VALUE_BYTES) as u64;
    section.row(vec!["data / maxmemory".into(), format!("{} / {}", mib(payload), mib(MAXMEMORY)), "-".into()]);

    let took = load::fill(haypile.port, keys)?;
    section.row(vec!["load, in order of keys".into(), rate(keys, took), "-".into()]);
    haypile.wait_until_quiet()?;
    rss_row(&mut section, "after the load", &haypile)?;

    let reads = load::read(haypile.port, COLD_CLIENTS, keys, time)?;
    section.row(vec![
        format!("uniform random GET, {COLD_CLIENTS} clients"),
        rate(reads.operations, reads.time),
        "-".into(),
    ]);
    let (p50, p99) = (millis(reads.latency.percentile(50.0)), millis(reads.latency.percentile(99.0)));
    section.row(vec!["their p50 / p99".into(), format!("{p50} / {p99}"), "-".into()]);
    rss_row(&mut section, "after the reads", &haypile)?;

    hot_beside_cold(bench, &haypile, &mut section)?;
    Ok(section)
}

fn rss_row(section: &mut Section, when: &str, haypile: &Instance) -> Outcome {
    let now = haypile.memory()?.now;
    let measured = format!("{} = {:.2} x maxmemory", mib(now), now as f64 / MAXMEMORY as f64);
    section.row(vec![format!("resident memory {when}"), measured, format!("<= {TARGET_RSS:.2} x maxmemory")]);
    Ok(())
}

/// Rounds alternate between hot reads alone and hot reads beside cold ones.
fn hot_beside_cold(bench: &Bench, haypile: &Instance, section: &mut Section) -> Outcome {
    let time = Duration::from_secs(bench.request.seconds.div_ceil(2));
    let hot = || -> Outcome<f64> {
        let reads = load::read(haypile.port, HOT_CLIENTS, HOT_KEYS, time)?;
        Ok(reads.latency.percentile(99.0).as_secs_f64() * 1000.0)
    };
    hot()?; // brings the hot keys into memory
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..bench.request.pairs {
        alone.push(hot()?);
        beside.push(with_cold_readers(haypile.port, bench.request.keys, hot)?);
    }
    let ratios = Spread::of(alone.iter().zip(&beside).map(|(alone, beside)| beside / alone));
    let in_millis = |name: &str| vec![format!("p99 of hot GET {name}, ms")];
    section.row([in_millis("alone"), vec![cell(Spread::of(alone)), "-".into()]].concat());
    section.row([in_millis("beside cold readers"), vec![cell(Spread::of(beside)), "-".into()]].concat());
    section.row(vec!["their ratio".into(), cell(ratios), format!("<= {TARGET_HOT:.2}")]);
    Ok(())
}

fn with_cold_readers<T: Send>(port: u16, keys: u64, measure: impl Fn() -> Outcome<T>) -> Outcome<T> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers = scope.spawn(|| load::read_until(port, COLD_CLIENTS, keys, &stop));
        let measured = measure();
        stop.store(true, Ordering::Relaxed);
        load::joined(readers)?;
        measured
    })
}
