//! What the kernel tells in `/proc`. Where it does not, the numbers are 0.

use std::fs;

/// Ticks of `/proc/self/stat` in a second: fixed in the kernel's interface, whatever its own clock.
const TICKS: f64 = 100.0;
/// Places in `/proc/self/stat`, counted after the name of the program, which may hold spaces.
const USER: usize = 11;
const SYSTEM: usize = 12;
const CHILDREN_USER: usize = 13;
const CHILDREN_SYSTEM: usize = 14;

/// Seconds of processor time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct CpuTimes {
    pub user: f64,
    pub system: f64,
    pub children_user: f64,
    pub children_system: f64,
}

impl CpuTimes {
    /// Of the whole process.
    pub(super) fn of_process() -> Self {
        Self::read("/proc/self/stat")
    }

    /// Of its first thread.
    pub(super) fn of_main_thread() -> Self {
        Self::read(&format!("/proc/self/task/{}/stat", std::process::id()))
    }

    fn read(path: &str) -> Self {
        fs::read_to_string(path).map(|text| Self::parse(&text)).unwrap_or_default()
    }

    fn parse(text: &str) -> Self {
        let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let seconds =
            |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0) as f64 / TICKS;
        Self {
            user: seconds(USER),
            system: seconds(SYSTEM),
            children_user: seconds(CHILDREN_USER),
            children_system: seconds(CHILDREN_SYSTEM),
        }
    }
}

/// Name and release of the operating system, and the processor.
pub(super) fn system_name() -> String {
    let read = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
        text.trim().to_owned()
    };
    format!("{} {} {}", read("ostype"), read("osrelease"), std::env::consts::ARCH)
}

/// The machine's memory in bytes.
pub(super) fn total_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("MemTotal:")).and_then(kilobytes).unwrap_or(0)
}

fn kilobytes(text: &str) -> Option<u64> {
    text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let text = "42 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 250 3 4 20 0";
        let times = CpuTimes::parse(text);
        assert_eq!(times, CpuTimes { user: 1.5, system: 2.5, children_user: 0.03, children_system: 0.04 });
        assert_eq!(CpuTimes::parse("nonsense"), CpuTimes::default());
    }

    #[test]
    fn this_machine_has_memory_and_a_name() {
        assert!(total_memory() > 1 << 20);
        assert!(system_name().starts_with("Linux "));
    }
}
