//! Measures what a commit costs: `cargo run --release -p replog --example append_cost [dir]`.
//! Each line: one commit of so many bytes of payload, and its share of one write per turn of so many commits.

use std::hint::black_box;
use std::time::{Duration, Instant};

use replog::{FsyncPolicy, Log, LogOptions, WriteOutcome};

const COMMITS: u32 = 2_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).map_or_else(std::env::temp_dir, Into::into).join("haypile-append-cost");
    let options = LogOptions { fsync: FsyncPolicy::No, ..LogOptions::new(&dir) };
    let (log, _) = Log::open(options)?;
    println!("payload  turn  append only  append + write  (ns a commit)");
    for payload in [100, 130, 1_000] {
        let payload = vec![7; payload];
        for turn in [1, 32, 256] {
            let (append, both) = measure(&log, &payload, turn)?;
            println!("{:>7} {turn:>5} {append:>12.0} {both:>15.0}", payload.len());
        }
    }
    log.close()?;
    Ok(std::fs::remove_dir_all(dir)?)
}

/// Nanoseconds a commit: in the appends alone, and with their share of the writes.
fn measure(log: &Log, payload: &[u8], turn: u32) -> Result<(f64, f64), replog::AppendError> {
    let mut writing = Duration::ZERO;
    let began = Instant::now();
    for now in 0..COMMITS / turn {
        for _ in 0..turn {
            black_box(log.append(u64::from(now), black_box(payload))?);
        }
        let turned = Instant::now();
        if log.write_to(log.end()) == WriteOutcome::Pending {
            let _ = log.wait_written(log.end(), Duration::from_secs(60));
        }
        writing += turned.elapsed();
        if now % 1024 == 0 {
            log.retain_from(log.end());
            let _ = log.trim();
        }
    }
    let both = began.elapsed();
    let per_commit = |time: Duration| time.as_nanos() as f64 / f64::from(COMMITS);
    Ok((per_commit(both - writing), per_commit(both)))
}
