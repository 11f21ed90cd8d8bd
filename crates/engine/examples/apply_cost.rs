//! How fast a replica applies: frames of small SETs and of larger ones, made by a primary beforehand.
//!
//! `cargo run --release -p engine --example apply_cost -- DIR`: works in the folder DIR, best one in memory. Time is that of
//! the applying thread on a processor, so that other work on the machine does not count; settling is left out.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::instance::system_clock;
use engine::memory_store::MemoryStores;
use engine::{FsyncPolicy, Instance, LockKey, Lsn, Options, Place, Request, Role, Scope, Scratch};
use keyspace::Head;

const KEYS: usize = 10_000;
/// As much as a link passes on at a time.
const BATCH: usize = 256 << 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("usage: apply_cost DIR")?;
    for (value, frames) in [(32, 1_000_000), (1024, 200_000), (16 << 10, 15_000)] {
        let dir = Path::new(&dir).join(value.to_string());
        let primary = open(&dir.join("primary"), Role::Primary)?;
        write(&primary, value, frames)?;
        let replica = open(&dir.join("replica"), Role::Replica)?;
        apply(&primary, &replica, value)?;
        drop((primary, replica));
        std::fs::remove_dir_all(dir)?;
    }
    Ok(())
}

fn open(dir: &Path, role: Role) -> Result<Arc<Instance>, engine::Fault> {
    let mut options = Options::new(dir, Arc::new(MemoryStores::default()));
    options.fsync = FsyncPolicy::No;
    options.role = role;
    options.hot_bytes = 8 << 30;
    options.log_retain_bytes = u64::MAX;
    options.recovery_log_max = 1 << 40;
    options.settle_interval = Duration::from_secs(3600);
    Instance::open(options, system_clock()).map(|(instance, _)| instance)
}

fn write(primary: &Instance, value: usize, frames: usize) -> Result<(), Box<dyn std::error::Error>> {
    let (mut scratch, clock, value) = (Scratch::new(1), system_clock(), vec![b'v'; value]);
    for n in 0..frames {
        let key = format!("key:{:012}", n * 7919 % KEYS);
        let lock = [LockKey { database: 0, key: key.as_bytes() }];
        let request = Request { place: Place::Desk, scope: Scope::Keys(&lock), database: 0, clock };
        primary
            .run(&request, &mut scratch, &mut |view| Ok(view.put(key.as_bytes(), &Head::string(None), &value)?))?;
        if n % 1024 == 0
            && let Some(shard) = primary.shard(0)
        {
            let _ = shard.log.write_to_blocking(shard.log.end());
        }
    }
    if let Some(shard) = primary.shard(0) {
        let _ = shard.log.write_to_blocking(shard.log.end());
    }
    Ok(())
}

fn apply(primary: &Instance, replica: &Instance, value: usize) -> Result<(), Box<dyn std::error::Error>> {
    let source = primary.shard(0).ok_or("the primary has database 0")?;
    let target = replica.shard(0).ok_or("the replica has database 0")?;
    let mut reader = source.log.reader(Lsn(0))?;
    let (began, mut frames) = (on_processor()?, 0);
    while let Some(raw) = reader.next_raw(BATCH)? {
        frames += target.apply(replica, raw.bytes, raw.lsn, target.generation())?.frames;
    }
    let seconds = (on_processor()? - began) as f64 / 1e9;
    let bytes = target.log.end().0 as f64;
    println!(
        "values of {value} bytes: {:.0} frames/s, {:.0} MB/s, {:.0} ns a frame",
        frames as f64 / seconds,
        bytes / seconds / 1e6,
        seconds * 1e9 / frames as f64
    );
    Ok(())
}

/// Nanoseconds that this thread has been on a processor.
fn on_processor() -> Result<u64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(stat.split(' ').next().ok_or("an empty schedstat")?.parse()?)
}
