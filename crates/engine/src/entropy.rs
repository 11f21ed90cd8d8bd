//! Bytes that nobody can guess and no other process draws: for ids, not for choices.

use std::fs::File;
use std::io::{self, Read as _};

/// So many bytes of the system's randomness.
///
/// # Errors
/// When the system has none to give.
pub fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
