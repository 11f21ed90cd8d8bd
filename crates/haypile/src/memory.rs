//! How `maxmemory` is divided.

use server::config::Config;
use server::host::Split;

const MIB: u64 = 1 << 20;

/// Code, threads, connections, log buffers: a share of all, but at least so much.
const FIXED_SHARE: u64 = 8;
const FIXED_LEAST: u64 = 32 * MIB;
/// A byte of hot records takes more than itself: settle copies a few MiB of what is dirty at a time, tables grow, and an
/// allocator keeps pages for later. Of what is left for them, this many fifths is their budget.
const HOT_FIFTHS: u64 = 3;
/// Memtables: a share of all, within bounds. More than the upper one only makes flushes longer.
const MEMTABLE_SHARE: u64 = 8;
const MEMTABLE_BOUNDS: (u64, u64) = (8 * MIB, 256 * MIB);
/// Hot records get at least this share, whatever the block cache is told to take.
const HOT_SHARE_LEAST: u64 = 8;
const HOT_LEAST: u64 = 4 * MIB;
/// With less memory than this, pages that are huge are left alone: the kernel fills the holes that an allocator leaves, and
/// takes a fifth more than was asked for.
const HUGE_PAGES_LEAST: u64 = 1024 * MIB;
/// When nothing can be found out about the machine.
const UNKNOWN_MACHINE: u64 = 1024 * MIB;

/// Divides the configured memory.
pub(crate) fn split(config: &Config) -> Split {
    let total = if config.maxmemory == 0 { machine_bytes().unwrap_or(UNKNOWN_MACHINE) / 2 } else { config.maxmemory };
    divide(total, u64::from(config.block_cache_percent))
}

fn divide(total: u64, block_cache_percent: u64) -> Split {
    let fixed = (total / FIXED_SHARE).max(FIXED_LEAST);
    let memtables = (total / MEMTABLE_SHARE).clamp(MEMTABLE_BOUNDS.0, MEMTABLE_BOUNDS.1);
    let rest = total.saturating_sub(fixed + memtables);
    let hot_least = (total / HOT_SHARE_LEAST).max(HOT_LEAST);
    let block_cache = (total / 100 * block_cache_percent).min(rest.saturating_sub(hot_least));
    let hot = ((rest - block_cache) / 5 * HOT_FIFTHS).max(HOT_LEAST);
    let reserve = total.saturating_sub(hot + block_cache + memtables);
    Split { total, hot, block_cache, memtables, reserve }
}

/// Whether there is so much memory that pages may be huge.
pub(crate) const fn is_ample(split: &Split) -> bool {
    split.total >= HUGE_PAGES_LEAST
}

/// Memory of the machine, or of the part of it that this process may use.
fn machine_bytes() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    let machine = kib << 10;
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let group = group.and_then(|text| text.trim().parse().ok());
    Some(group.map_or(machine, |group: u64| machine.min(group)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_the_whole() {
        for mib in [64, 100, 256, 1000, 16_384, 1 << 20] {
            for percent in [0, 25, 90] {
                let split = divide(mib * MIB, percent);
                let sum = split.hot + split.block_cache + split.memtables + split.reserve;
                assert_eq!(sum, split.total, "{split:?}");
                assert!(split.hot >= split.total / HOT_SHARE_LEAST / 2, "{split:?}");
                assert!(split.reserve >= FIXED_LEAST + split.hot / HOT_FIFTHS * (5 - HOT_FIFTHS), "{split:?}");
            }
        }
    }

    #[test]
    fn a_tiny_budget_still_leaves_something_for_each() {
        let split = divide(MIB, 25);
        assert!(split.hot >= HOT_LEAST && split.memtables >= MEMTABLE_BOUNDS.0, "{split:?}");
    }

    #[test]
    fn a_quarter_of_256_mib_caches_blocks() {
        let split = divide(256 * MIB, 25);
        assert_eq!(split.memtables, 32 * MIB);
        assert!(split.block_cache.abs_diff(64 * MIB) < MIB && split.hot.abs_diff(77 * MIB) < MIB, "{split:?}");
    }
}
