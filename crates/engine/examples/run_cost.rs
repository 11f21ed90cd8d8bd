//! What one run of a command costs the engine, without protocol and sockets: reads and writes of keys in memory.
//!
//! `cargo run --release -p engine --example run_cost -- DIR`: works in the folder DIR, best one in memory.

use std::sync::Arc;
use std::time::Instant;

use engine::instance::system_clock;
use engine::memory_store::MemoryStores;
use engine::{Abort, FsyncPolicy, Instance, LockKey, Options, Place, Ran, Request, Scope, Scratch};
use keyspace::{Head, View};

const KEYS: usize = 1000;
const RUNS: usize = 1_000_000;
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("usage: run_cost DIR")?;
    let mut options = Options::new(dir, Arc::new(MemoryStores::default()));
    options.fsync = FsyncPolicy::No;
    let (instance, _) = Instance::open(options, system_clock())?;
    let keys: Vec<String> = (0..KEYS).map(|n| format!("key:{n:012}")).collect();
    for _ in 0..ROUNDS {
        measure(&instance, &keys, "set", |view, key| {
            Ok(view.put(key, &Head::string(None), b"a value of 22 bytes...")?)
        })?;
        measure(&instance, &keys, "get", |view, key| Ok(view.record(key).map(drop)?))?;
    }
    instance.close()?;
    Ok(())
}

fn measure(
    instance: &Instance,
    keys: &[String],
    name: &str,
    command: impl Fn(&mut dyn View, &[u8]) -> Result<(), Abort>,
) -> Result<(), Box<dyn std::error::Error>> {
    let (mut scratch, clock) = (Scratch::new(1), system_clock());
    let began = Instant::now();
    for n in 0..RUNS {
        let key = keys[n % keys.len()].as_bytes();
        let lock = [LockKey { database: 0, key }];
        let request = Request { place: Place::Worker, scope: Scope::Keys(&lock), database: 0, clock };
        let ran = instance.run(&request, &mut scratch, &mut |view| command(view, key))?;
        if !matches!(ran, Ran::Done(_)) {
            // Settle has the stripe.
            instance.run(&Request { place: Place::Desk, ..request }, &mut scratch, &mut |view| command(view, key))?;
        }
        if n % 256 == 0
            && let Some(shard) = instance.shard(0)
        {
            let _ = shard.log.write_to(shard.log.end());
        }
    }
    println!("{name}: {} ns a run", began.elapsed().as_nanos() / RUNS as u128);
    Ok(())
}
