//! A replica that was down while its primary wrote a gigabyte of log.

use std::time::Instant;

use super::node::{self, Info, connect, set, until_equal, until_shown};
use super::{LARGE, SMALL, megabytes_per_second};
use crate::bench::Bench;
use crate::bench::instance::{Instance, Product};
use crate::bench::memory;
use crate::bench::report::Section;
use crate::failure::{Failure, Outcome};

/// What is written while the replica is down.
#[derive(Clone, Copy)]
struct Load {
    /// The size of a value.
    size: usize,
    /// The size of all values.
    bytes: u64,
    /// Keys of which each write takes one by chance; if there are none, each has a key of its own.
    keys: Option<u64>,
}

const LOADS: [Load; 5] = [
    Load { size: LARGE, bytes: 1 << 30, keys: None },
    Load { size: 16 << 10, bytes: 1 << 30, keys: None },
    Load { size: 1 << 10, bytes: 1 << 30, keys: None },
    // What `redis-benchmark` writes in the other suites.
    Load { size: SMALL, bytes: 256 << 20, keys: Some(100_000) },
    Load { size: SMALL, bytes: 256 << 20, keys: None },
];

impl Load {
    fn writes(self) -> u64 {
        self.bytes / self.size as u64
    }
}

/// How much memory is touched for each byte of log. A replica needs about a third of it (what it receives, its log, records,
/// memtables, tables), but the kernel hands out pages in an order of its own.
const TOUCHED_PER_BYTE: u64 = 10;

/// What of the machine's memory a replica finds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Memory that something else had just now.
    Warm,
    /// Whatever there is. The host may first have to give it.
    AsItIs,
}

pub fn measure(bench: &Bench, section: &mut Section) -> Outcome {
    for load in LOADS {
        for found in [Found::Warm, Found::AsItIs] {
            let (log, took) = catch_up(bench, found, load)?;
            let memory = match found {
                Found::Warm => ", memory touched before",
                Found::AsItIs => "",
            };
            let keys = load.keys.map_or_else(|| "new keys".into(), |keys| format!("{keys} keys"));
            let writes = load.writes() as f64 / took / 1000.0;
            section.row(vec![
                format!(
                    "catching up with {:.0} MB of log, values of {} bytes, {keys}{memory}",
                    log as f64 / 1e6,
                    load.size
                ),
                format!("{} ({took:.1} s, {writes:.0} k writes/s)", megabytes_per_second(log, took)),
                "200 MB/s".into(),
            ]);
        }
    }
    Ok(())
}

/// Bytes of log, and in how many seconds a replica caught up with them.
fn catch_up(bench: &Bench, found: Found, load: Load) -> Outcome<(u64, f64)> {
    // All that is written is still there when the replica comes back.
    let primary = Instance::start(bench, Product::Haypile, &["--log-retain-bytes", "4gb"])?;
    let follows = format!("127.0.0.1 {}", primary.port);
    let mut replica = Instance::start(bench, Product::Haypile, &["--replicaof", &follows])?;
    let mut ours = connect(&primary)?;
    set(&mut ours, b"first", b"write")?;
    until_shown(&mut connect(&replica)?, b"first", b"write")?;
    let before = Info::of(&mut ours)?.number("master_repl_offset")?;
    let copies = Info::of(&mut ours)?.number("sync_full")?;

    replica.kill()?;
    match load.keys {
        Some(keys) => node::overwrite(primary.port, "caught", keys, load.writes(), load.size)?,
        None => node::fill(primary.port, "caught", load.writes(), load.size)?,
    }
    primary.wait_until_quiet()?;
    let log = Info::of(&mut ours)?.number("master_repl_offset")? - before;
    if found == Found::Warm {
        memory::warm(TOUCHED_PER_BYTE * log)?;
    }
    replica.restart()?;
    let begun = Instant::now();
    let mut theirs = connect(&replica)?;
    until_equal(&mut ours, &mut theirs)?;
    let took = begun.elapsed().as_secs_f64();
    node::compare(&mut ours, &mut theirs, &[("caught", load.keys.unwrap_or(load.writes()))])?;
    if Info::of(&mut ours)?.number("sync_full")? != copies {
        return Err(Failure::new("the replica made a full copy instead of catching up"));
    }
    Ok((log, took))
}
