//! Memory that the machine really has.
//!
//! On many virtual machines the host takes back what the guest frees, and gives each page anew when it is touched: that
//! costs several times what the guest itself does for a page. A server that fills gigabytes in seconds would be measured by it.

use std::fs;

use crate::failure::{Context, Outcome};

/// Touches about so many bytes of memory and frees them again at once, right before a load that will need some of them; no
/// more than half of what is available.
pub fn warm(bytes: u64) -> Outcome {
    let text = fs::read_to_string("/proc/meminfo").context("reading /proc/meminfo")?;
    let available = available_of(&text).context("reading MemAvailable of /proc/meminfo")?;
    let bytes = usize::try_from(bytes.min(available / 2)).context("touching memory")?;
    drop(std::hint::black_box(vec![1_u8; bytes]));
    Ok(())
}

fn available_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_is_read_by_name() {
        assert_eq!(available_of("MemTotal:  9 kB\nMemAvailable:     12 kB\n"), Some(12 * 1024));
        assert_eq!(available_of("MemTotal:  9 kB\n"), None);
    }
}
