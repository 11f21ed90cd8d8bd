//! The file of events: appended to, and rotated before it gets too large.
//!
//! ```text
//! events.jsonl      the newest
//! events.jsonl.1    before it ...
//! events.jsonl.4    the oldest; dropped at the next rotation
//! ```

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Its name.
pub const FILE_NAME: &str = "events.jsonl";
/// A file that has so many bytes is rotated.
pub const MAX_FILE_BYTES: u64 = 8 << 20;
/// Rotated files that are kept.
pub const MAX_OLD_FILES: u32 = 4;

/// A file that is rotated.
#[derive(Debug)]
pub(super) struct Rotated {
    path: PathBuf,
    most: u64,
    open: Option<(File, u64)>,
}

impl Rotated {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), most: MAX_FILE_BYTES, open: None }
    }

    /// Appends whole lines. They are not synced: events tell of the past, and nothing depends on them.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let (mut file, mut size) = match self.open.take() {
            Some(open) => open,
            None => self.reopen()?,
        };
        if size > 0 && size + lines.len() as u64 > self.most {
            self.rotate()?;
            (file, size) = self.reopen()?;
        }
        file.write_all(lines)?;
        self.open = Some((file, size + lines.len() as u64));
        Ok(())
    }

    fn reopen(&self) -> io::Result<(File, u64)> {
        let mut file = File::options().create(true).append(true).read(true).open(&self.path)?;
        let mut size = file.metadata()?.len();
        if size > 0 && !ends_with_line(&file, size)? {
            // A crash or a full disk tore the last line: what follows must not become part of it.
            file.write_all(b"\n")?;
            size += 1;
        }
        Ok((file, size))
    }

    fn rotate(&self) -> io::Result<()> {
        let old = |number| old_file(&self.path, number);
        for number in (1..MAX_OLD_FILES).rev() {
            match fs::rename(old(number), old(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        fs::rename(&self.path, old(1))
    }
}

/// The file that was rotated away from `path` so many times ago.
#[must_use]
pub fn old_file(path: &Path, number: u32) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

fn ends_with_line(file: &File, size: u64) -> io::Result<bool> {
    use std::os::unix::fs::FileExt as _;
    let mut last = [0];
    file.read_exact_at(&mut last, size - 1)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_rotated_and_the_oldest_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let mut file = Rotated { most: 10, ..Rotated::new(&path) };
        for n in 0..7 {
            file.append(format!("line {n}\n").as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("events.jsonl"), "line 6\n");
        assert_eq!(read("events.jsonl.1"), "line 5\n");
        assert_eq!(read("events.jsonl.4"), "line 2\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
    }

    #[test]
    fn a_torn_line_stays_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        fs::write(&path, "whole\nto").unwrap();
        let mut file = Rotated::new(&path);
        file.append(b"next\n").unwrap();
        file.append(b"last\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole\nto\nnext\nlast\n");
    }
}
