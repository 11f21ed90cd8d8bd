//! How far a replica is behind while its primary takes as many writes as it can.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::node::{Info, connect, set, until_equal, until_shown};
use crate::bench::Bench;
use crate::bench::client::{Client, Reply};
use crate::bench::instance::{Instance, Product};
use crate::bench::load::joined;
use crate::bench::redis_benchmark::{Run, What};
use crate::bench::report::Section;
use crate::bench::stats::{mib, percentile};
use crate::failure::{Context, Failure, Outcome};

const KEYS: u64 = 100_000;
const DEPTH: u32 = 16;
const CALIBRATION_REQUESTS: u64 = 500_000;
const SAMPLE_EVERY: Duration = Duration::from_millis(100);

pub fn measure(bench: &Bench, section: &mut Section) -> Outcome {
    let primary = Instance::start(bench, Product::Haypile, &[])?;
    let follows = format!("127.0.0.1 {}", primary.port);
    let replica = Instance::start(bench, Product::Haypile, &["--replicaof", &follows])?;
    let (mut ours, mut theirs) = (connect(&primary)?, connect(&replica)?);
    set(&mut ours, b"first", b"write")?;
    until_shown(&mut theirs, b"first", b"write")?;
    let requests = load(primary.port, CALIBRATION_REQUESTS)? * bench.request.seconds as f64;
    until_equal(&mut ours, &mut theirs)?;

    let over = AtomicBool::new(false);
    let (rate, mut samples) = std::thread::scope(|scope| {
        let samples = scope.spawn(|| sample(&mut theirs, &over));
        let rate = load(primary.port, requests as u64);
        over.store(true, Ordering::Relaxed);
        Ok((rate?, joined(samples)?))
    })?;
    until_equal(&mut ours, &mut theirs)?;
    if digest(&mut ours)? != digest(&mut theirs)? {
        return Err(Failure::new("primary and replica do not hold the same after the load"));
    }
    samples.sort_unstable_by_key(|sample| sample.millis);
    let times: Vec<u64> = samples.iter().map(|sample| sample.millis).collect();
    let bytes = samples.iter().map(|sample| sample.bytes).max().unwrap_or_default();
    let [p99, longest] = [99, 100].map(|percent| percentile(&times, percent).unwrap_or_default());
    section.row(vec![
        format!("lag under SET with 50 clients x {DEPTH} in flight ({:.0} k/s)", rate / 1000.0),
        format!("p99 {p99} ms, longest {longest} ms, at most {}, of {} samples", mib(bytes), times.len()),
        "< 1000 ms".into(),
    ]);
    Ok(())
}

/// How far behind a replica says that it is.
struct Sample {
    millis: u64,
    bytes: u64,
}

fn sample(replica: &mut Client, over: &AtomicBool) -> Outcome<Vec<Sample>> {
    let mut samples = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let info = Info::of(replica)?;
        let found = info.shard_number("lag_ms").zip(info.shard_number("lag_bytes"));
        let (millis, bytes) = found.context("looking for the lag in INFO")?;
        samples.push(Sample { millis, bytes });
        std::thread::sleep(SAMPLE_EVERY);
    }
    Ok(samples)
}

/// Answers the requests per second.
fn load(port: u16, requests: u64) -> Outcome<f64> {
    Ok(Run { port, what: What::Test("set"), depth: DEPTH, space: KEYS, requests }.start()?.rate)
}

fn digest(client: &mut Client) -> Outcome<String> {
    match client.call(&[b"DEBUG", b"DIGEST"]).context("asking for the digest")? {
        Reply::Simple(digest) => Ok(digest),
        other => Err(Failure::new(format!("DEBUG DIGEST answered {other:?}"))),
    }
}
