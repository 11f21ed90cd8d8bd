//! MEMORY STATS, DOCTOR, PURGE, MALLOC-STATS.

use resp::{Aggregate, Reply};

use super::{Answer, at_desk, info};
use crate::shared::Shared;

/// The process has so many times the bytes in use before the doctor speaks of waste.
const WASTE: u64 = 2;
/// Below so many bytes nothing is worth a complaint.
const LITTLE: u64 = 64 << 20;

pub(super) fn run(name: &str) -> Answer {
    match name {
        "stats" => at_desk(|context, reply| {
            stats(context.shared, reply);
            Ok(())
        }),
        "doctor" => at_desk(|context, reply| {
            reply.verbatim(b"txt", doctor(context.shared).as_bytes());
            Ok(())
        }),
        "purge" => at_desk(|context, reply| {
            context.shared.host.purge();
            reply.ok();
            Ok(())
        }),
        "malloc-stats" => at_desk(|context, reply| {
            reply.verbatim(b"txt", allocator(context.shared).as_bytes());
            Ok(())
        }),
        _ => super::not_built(),
    }
}

fn stats(shared: &Shared, reply: &mut Reply) {
    let memory = shared.host.memory();
    let peak = info::memory_peak(shared, memory.allocated);
    let budget = shared.instance.budget();
    let keys: u64 = shared.instance.shards().map(|shard| shard.stored_records()).sum();
    let dataset = budget.used().min(memory.allocated);
    let map = reply.begin(Aggregate::Map);
    let mut fields = 0;
    for (name, number) in [
        ("peak.allocated", peak),
        ("total.allocated", memory.allocated),
        ("startup.allocated", 0),
        ("replication.backlog", 0),
        ("clients.slaves", 0),
        ("clients.normal", info::client_bytes(shared) as u64),
        ("cluster.links", 0),
        ("aof.buffer", info::log_buffer_bytes(&shared.instance)),
        ("lua.caches", 0),
        ("functions.caches", 0),
        ("overhead.total", memory.allocated - dataset),
        ("keys.count", keys),
        ("keys.bytes-per-key", dataset.checked_div(keys).unwrap_or(0)),
        ("dataset.bytes", dataset),
        ("dirty.bytes", budget.dirty()),
        ("allocator.allocated", memory.allocated),
        ("allocator.active", memory.active),
        ("allocator.resident", memory.resident),
    ] {
        reply.bulk(name.as_bytes());
        reply.integer(i64::try_from(number).unwrap_or(i64::MAX));
        fields += 1;
    }
    for (name, part, whole, scale) in [
        ("dataset.percentage", dataset, memory.allocated, 100.0),
        ("peak.percentage", memory.allocated, peak, 100.0),
        ("allocator-fragmentation.ratio", memory.active, memory.allocated, 1.0),
        ("allocator-rss.ratio", memory.resident, memory.active, 1.0),
        ("rss-overhead.ratio", memory.process, memory.resident, 1.0),
        ("fragmentation", memory.process, memory.allocated, 1.0),
    ] {
        reply.bulk(name.as_bytes());
        reply.double(scale * info::ratio(part, whole));
        fields += 1;
    }
    reply.end(map, fields);
}

fn doctor(shared: &Shared) -> String {
    let memory = shared.host.memory();
    let budget = shared.instance.budget();
    let mut report = String::new();
    if !budget.has_room() {
        report.push_str(
            "More than half of the budget waits to be written to the store: writes are slowed down. The disk is too \
             slow for them, or maxmemory is too small.\n",
        );
    }
    if memory.process > LITTLE && memory.process > WASTE * memory.allocated {
        report.push_str("The process holds more than twice the memory in use. MEMORY PURGE gives some of it back.\n");
    }
    if report.is_empty() {
        report.push_str("Nothing is wrong with memory.\n");
    }
    report
}

fn allocator(shared: &Shared) -> String {
    let memory = shared.host.memory();
    format!(
        "{}\nallocated {}\nactive {}\nresident {}\nmetadata {}\nretained {}\nprocess {}\n",
        shared.host.allocator(),
        memory.allocated,
        memory.active,
        memory.resident,
        memory.metadata,
        memory.retained,
        memory.process
    )
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::super::testing::Server;

    #[test]
    fn reports_have_their_shapes() {
        let server = Server::new(&[]);
        let mut session = server.session();
        assert!(session.text(&["MEMORY", "STATS"]).starts_with("*48\r\n$14\r\npeak.allocated\r\n:1000\r\n"));
        assert!(session.text(&["MEMORY", "DOCTOR"]).contains("Nothing is wrong"));
        assert!(session.text(&["MEMORY", "MALLOC-STATS"]).contains("fake-1\nallocated 1000\n"));
        assert_eq!(session.text(&["MEMORY", "PURGE"]), "+OK\r\n");
        assert_eq!(server.host.purges.load(Ordering::Relaxed), 1);
        assert!(session.text(&["MEMORY", "HELP"]).contains("MEMORY <subcommand>"));
        session.state.set_protocol(resp::Protocol::Resp3);
        let stats = session.text(&["MEMORY", "STATS"]);
        assert!(stats.starts_with("%24\r\n") && stats.contains("allocator-rss.ratio\r\n,2\r\n"), "{stats}");
        assert!(session.text(&["MEMORY", "DOCTOR"]).starts_with('='));
    }
}
