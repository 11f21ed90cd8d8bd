//! jemalloc: how it is set up, and what it tells.

use server::host::Memory;
use tikv_jemalloc_ctl::{Access as _, AsName as _, arenas, background_thread, epoch, stats, version};

/// Milliseconds after which pages without allocations go back to the kernel: long enough to be used again by the next
/// wave of requests, short enough that memory that was needed once is soon seen to be free.
const DECAY_MS: isize = 2000;

/// Sets it up. What it refuses is left at its default.
pub(crate) fn set_up() {
    let background = background_thread::write(true);
    let decay = b"arenas.dirty_decay_ms\0".as_slice().name().write(DECAY_MS);
    if background.is_err() || decay.is_err() {
        tracing::debug!(?background, ?decay, "the allocator keeps its own pace of giving memory back");
    }
    decay_of_arenas(DECAY_MS);
}

/// Has the kernel use small pages from now on, so that what is given back to it is really free.
pub(crate) fn avoid_huge_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "pages may be huge, and memory larger than planned");
    }
}

/// Gives all pages without allocations back to the kernel.
pub(crate) fn purge() {
    decay_of_arenas(0);
    decay_of_arenas(DECAY_MS);
}

/// Sets the decay of the arenas that exist; those that do not refuse it.
fn decay_of_arenas(millis: isize) {
    for arena in 0..arenas::narenas::read().unwrap_or(0) {
        for kind in ["dirty", "muzzy"] {
            let name = format!("arena.{arena}.{kind}_decay_ms\0");
            let _ = name.as_bytes().name().write(millis);
        }
    }
}

/// How much memory is used.
pub(crate) fn memory() -> Memory {
    // Figures are those of the last epoch.
    let _ = epoch::advance();
    let figure = |read: tikv_jemalloc_ctl::Result<usize>| read.unwrap_or(0) as u64;
    Memory {
        allocated: figure(stats::allocated::read()),
        active: figure(stats::active::read()),
        resident: figure(stats::resident::read()),
        metadata: figure(stats::metadata::read()),
        retained: figure(stats::retained::read()),
        process: process_bytes().unwrap_or(0),
    }
}

/// The resident set, from the kernel.
fn process_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// Name and version.
pub(crate) fn name() -> String {
    let full = version::read().unwrap_or("unknown");
    format!("jemalloc-{}", full.split('-').next().unwrap_or(full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_there() {
        set_up();
        let memory = memory();
        assert!(memory.allocated > 0 && memory.resident >= memory.allocated && memory.process > 0, "{memory:?}");
        assert!(name().starts_with("jemalloc-5"), "{}", name());
        purge();
    }
}
