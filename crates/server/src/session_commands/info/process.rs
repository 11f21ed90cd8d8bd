//! The sections about the process: Server, CPU.

use super::super::REDIS_VERSION;
use super::lines::Lines;
use super::procfs::{self, CpuTimes};
use crate::shared::{Shared, clock};

const DAY: u64 = 86_400;
/// Bits of Redis's LRU clock, which counts seconds.
const LRU_BITS: u64 = (1 << 24) - 1;

pub(super) fn server(shared: &Shared, lines: &mut Lines) {
    let config = shared.config.load();
    let uptime = shared.started.elapsed().as_secs();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    lines.put("redis_version", REDIS_VERSION);
    lines.put("haypile_version", env!("CARGO_PKG_VERSION"));
    lines.put("redis_git_sha1", "00000000");
    lines.put("redis_git_dirty", 0);
    lines.put("redis_mode", "standalone");
    lines.put("os", procfs::system_name());
    lines.put("arch_bits", usize::BITS);
    lines.put("monotonic_clock", "POSIX clock_gettime");
    lines.put("multiplexing_api", "epoll");
    lines.put("process_id", std::process::id());
    lines.put("process_supervised", "no");
    lines.put("run_id", &shared.run_id);
    lines.put("tcp_port", config.port);
    lines.put("server_time_usec", now.as_micros());
    lines.put("uptime_in_seconds", uptime);
    lines.put("uptime_in_days", uptime / DAY);
    lines.put("hz", config.hz);
    lines.put("configured_hz", config.hz);
    lines.put("lru_clock", (clock().0 / 1000) & LRU_BITS);
    lines.put("executable", std::env::current_exe().unwrap_or_default().display());
    lines.put("config_file", shared.config_file.clone().unwrap_or_default().display());
    lines.put("io_threads_active", 0);
    lines.put("haypile_workers", shared.workers);
    lines.put("haypile_desk_threads", shared.desk_threads);
    listeners(shared, lines);
}

fn listeners(shared: &Shared, lines: &mut Lines) {
    let config = shared.config.load();
    let mut number = 0;
    let mut put = |listener: String| {
        lines.put(&format!("listener{number}"), listener);
        number += 1;
    };
    let addresses = shared.addresses.get().map(Vec::as_slice).unwrap_or_default();
    if !addresses.is_empty() {
        let binds: String = addresses.iter().map(|address| format!("bind={},", address.ip())).collect();
        put(format!("name=tcp,{binds}port={}", addresses[0].port()));
    }
    if !config.unixsocket.is_empty() {
        put(format!("name=unix,bind={}", config.unixsocket));
    }
}

pub(super) fn cpu(_: &Shared, lines: &mut Lines) {
    let (process, main) = (CpuTimes::of_process(), CpuTimes::of_main_thread());
    for (name, seconds) in [
        ("used_cpu_sys", process.system),
        ("used_cpu_user", process.user),
        ("used_cpu_sys_children", process.children_system),
        ("used_cpu_user_children", process.children_user),
        ("used_cpu_sys_main_thread", main.system),
        ("used_cpu_user_main_thread", main.user),
    ] {
        lines.put(name, format!("{seconds:.6}"));
    }
}
