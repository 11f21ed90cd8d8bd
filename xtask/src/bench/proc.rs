//! What Linux tells about a process: CPU time, memory, bytes sent to disk. All threads count, children do not.

use std::fs;
use std::time::Duration;

use crate::failure::{Context, Outcome};

/// Unit of CPU time in `/proc/PID/stat`; Linux fixes it at a hundredth of a second for user space.
const TICK: Duration = Duration::from_millis(10);

pub fn cpu(pid: u32) -> Outcome<Duration> {
    cpu_of(&read(pid, "stat")?).context(format_args!("reading the CPU time of process {pid}"))
}

/// Resident memory in bytes, now and at its highest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    pub now: u64,
    pub peak: u64,
}

pub fn memory(pid: u32) -> Outcome<Memory> {
    memory_of(&read(pid, "status")?).context(format_args!("reading the memory of process {pid}"))
}

/// Bytes that the process caused to be sent to disk.
pub fn written(pid: u32) -> Outcome<u64> {
    let text = read(pid, "io")?;
    field(&text, "write_bytes").context(format_args!("reading the bytes written by process {pid}"))
}

fn read(pid: u32, what: &str) -> Outcome<String> {
    let path = format!("/proc/{pid}/{what}");
    fs::read_to_string(&path).context(format_args!("reading {path}"))
}

fn cpu_of(stat: &str) -> Option<Duration> {
    // The second field is the program's name in parentheses, and may itself hold blanks and parentheses.
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ').skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(TICK * (user + system))
}

fn memory_of(status: &str) -> Option<Memory> {
    Some(Memory { now: field(status, "VmRSS")? * 1024, peak: field(status, "VmHWM")? * 1024 })
}

/// The number in a line `name: 123` or `name: 123 kB`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_user_and_system_time_whatever_the_programs_name() {
        let stat = "14009 (a) b (c) S 14006 14006 11332 0 -1 4194560 6775 0 0 0 20 6 7 8 20 0 5 0 101672 93741056\n";
        assert_eq!(cpu_of(stat), Some(Duration::from_millis(260)));
        assert_eq!(cpu_of("1 (x) S 1 2"), None);
        assert_eq!(cpu_of(""), None);
    }

    #[test]
    fn memory_and_io_are_read_by_name() {
        let status = "Name:\tx\nVmPeak:\t  900 kB\nVmHWM:\t     300 kB\nVmRSS:\t     200 kB\n";
        assert_eq!(memory_of(status), Some(Memory { now: 200 * 1024, peak: 300 * 1024 }));
        assert_eq!(memory_of("VmRSS: 1 kB\n"), None);
        let io = "rchar: 1\nread_bytes: 2\nwrite_bytes: 4096\ncancelled_write_bytes: 3\n";
        assert_eq!(field(io, "write_bytes"), Some(4096));
    }

    #[test]
    fn this_very_process_can_be_read() {
        let pid = std::process::id();
        assert!(memory(pid).unwrap().now > 0);
        assert!(cpu(pid).is_ok());
        assert!(written(pid).is_ok());
        assert!(memory(0).is_err());
    }
}
