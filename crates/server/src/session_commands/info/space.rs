//! The section about memory.

use super::lines::{Lines, ratio};
use super::procfs;
use crate::shared::Shared;

pub(super) fn memory(shared: &Shared, lines: &mut Lines) {
    let memory = shared.host.memory();
    let peak = super::memory_peak(shared, memory.allocated);
    let budget = shared.instance.budget();
    let dataset = budget.used().min(memory.allocated);
    lines.put_bytes("used_memory", memory.allocated);
    lines.put_bytes("used_memory_rss", memory.process);
    lines.put_bytes("used_memory_peak", peak);
    lines.put("used_memory_peak_perc", percent(memory.allocated, peak));
    lines.put("used_memory_overhead", memory.allocated - dataset);
    lines.put("used_memory_startup", 0);
    lines.put("used_memory_dataset", dataset);
    lines.put("used_memory_dataset_perc", percent(dataset, memory.allocated));
    lines.put("allocator_allocated", memory.allocated);
    lines.put("allocator_active", memory.active);
    lines.put("allocator_resident", memory.resident);
    lines.put_bytes("total_system_memory", procfs::total_memory());
    lines.put_bytes("used_memory_lua", 0);
    lines.put_bytes("used_memory_vm_total", 0);
    lines.put_bytes("used_memory_scripts", 0);
    lines.put("number_of_cached_scripts", 0);
    lines.put_bytes("maxmemory", shared.split.load().total);
    lines.put("maxmemory_policy", &shared.config.load().maxmemory_policy);
    fragmentation(shared, lines);
    clients_and_jobs(shared, lines);
    division(shared, lines);
}

fn fragmentation(shared: &Shared, lines: &mut Lines) {
    let memory = shared.host.memory();
    for (name, part, whole) in [
        ("allocator_frag", memory.active, memory.allocated),
        ("allocator_rss", memory.resident, memory.active),
        ("rss_overhead", memory.process, memory.resident),
    ] {
        lines.put(&format!("{name}_ratio"), format!("{:.2}", ratio(part, whole)));
        lines.put(&format!("{name}_bytes"), i128::from(part) - i128::from(whole));
    }
    lines.put("mem_fragmentation_ratio", format!("{:.2}", ratio(memory.process, memory.allocated)));
    lines.put("mem_fragmentation_bytes", i128::from(memory.process) - i128::from(memory.allocated));
}

fn clients_and_jobs(shared: &Shared, lines: &mut Lines) {
    lines.put_zeros(&[
        "mem_not_counted_for_evict",
        "mem_replication_backlog",
        "mem_total_replication_buffers",
        "mem_clients_slaves",
    ]);
    lines.put("mem_clients_normal", super::activity::client_bytes(shared));
    lines.put("mem_cluster_links", 0);
    lines.put("mem_aof_buffer", super::data::log_buffer_bytes(&shared.instance));
    lines.put("mem_allocator", shared.host.allocator());
    lines.put_zeros(&["active_defrag_running", "lazyfree_pending_objects", "lazyfreed_objects"]);
}

/// How the budget is divided, and how much of its part the hot records use.
fn division(shared: &Shared, lines: &mut Lines) {
    let budget = shared.instance.budget();
    let split = shared.split.load();
    lines.put("haypile_hot_bytes", budget.used());
    lines.put("haypile_dirty_bytes", budget.dirty());
    lines.put("haypile_hot_limit", budget.limit());
    lines.put("haypile_block_cache_limit", split.block_cache);
    lines.put("haypile_memtable_limit", split.memtables);
    lines.put("haypile_reserve", split.reserve);
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.2}%", 100.0 * ratio(part, whole))
}
