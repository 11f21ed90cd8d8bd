//! The limit of open files of the process: each client takes one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// File descriptors that are not for clients: logs, stores, listeners.
const OWN_FILES: u64 = 1024;
/// What Linux allows at most, whatever the limit says.
const MOST_FILES: &str = "/proc/sys/fs/nr_open";

/// Allows as many open files as so many clients may need.
///
/// # Errors
/// For how many clients it is enough, if not for these.
pub(crate) fn allow_clients(clients: u32) -> Result<(), u32> {
    let needed = u64::from(clients) + OWN_FILES;
    let limit = getrlimit(Resource::Nofile);
    let mut allowed = limit.current.unwrap_or(u64::MAX);
    if allowed < needed {
        let system = std::fs::read_to_string(MOST_FILES).ok().and_then(|most| most.trim().parse().ok());
        let target = needed.min(limit.maximum.unwrap_or(u64::MAX)).min(system.unwrap_or(u64::MAX));
        let raised = Rlimit { current: Some(target), maximum: limit.maximum };
        if target > allowed && setrlimit(Resource::Nofile, raised).is_ok() {
            allowed = target;
        }
    }
    if allowed < needed { Err(clients_within(allowed)) } else { Ok(()) }
}

/// For how many clients so many open files are enough; at least for one.
fn clients_within(files: u64) -> u32 {
    let clients = files.saturating_sub(OWN_FILES).max(files / 2).max(1);
    u32::try_from(clients).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_what_the_server_does_not_need() {
        assert_eq!([1, 100, 2048, 4096].map(clients_within), [1, 50, 1024, 3072]);
        assert_eq!(clients_within(u64::MAX), u32::MAX);
    }

    #[test]
    fn more_than_the_system_has_is_refused_with_what_it_has() {
        let possible = allow_clients(u32::MAX).unwrap_err();
        assert!(possible < u32::MAX);
        assert_eq!(allow_clients(possible), Ok(()));
        assert_eq!(allow_clients(u32::MAX), Err(possible), "nothing has changed");
    }
}
