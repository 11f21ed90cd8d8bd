//! `cargo xtask gen`: documents that derive from tables in the code.
//!
//! The server's binary prints them (`haypile docs <name>`), because only it knows the tables; here they are written
//! into the tree, or compared with it.

use std::fs;
use std::path::Path;

use crate::failure::{Context, Failure, Outcome};
use crate::workspace::{Build, Workspace, output_of};

/// What the binary calls a document, and where it lies.
const DOCUMENTS: [(&str, &str); 3] =
    [("commands", "docs/commands.md"), ("parameters", "docs/parameters.md"), ("config", "haypile.conf")];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Write,
    Check,
}

pub fn run(workspace: &Workspace, args: &[String]) -> Outcome {
    match args {
        [] => generate(workspace, Mode::Write),
        [flag] if flag == "--check" => generate(workspace, Mode::Check),
        _ => Err(Failure::usage("usage: cargo xtask gen [--check]")),
    }
}

/// # Errors
/// The binary cannot be built or asked, or (when checking) a document is stale.
pub fn generate(workspace: &Workspace, mode: Mode) -> Outcome {
    let binary = workspace.build(Build::Dev)?;
    let mut stale = Vec::new();
    for (name, path) in DOCUMENTS {
        let fresh = output_of(workspace.command(&binary).args(["docs", name]))?;
        let file = workspace.root.join(path);
        match mode {
            Mode::Write => write(&file, &fresh)?,
            Mode::Check => {
                // A document that is not there is stale from its first line.
                let present = fs::read_to_string(&file).unwrap_or_default();
                stale.extend(difference(&present, &fresh).map(|line| format!("{path}:{line}")));
            }
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("stale: {} (write them again with `cargo xtask gen`)", stale.join(", "))))
}

fn write(file: &Path, text: &str) -> Outcome {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).context(format_args!("creating {}", folder.display()))?;
    }
    fs::write(file, text).context(format_args!("writing {}", file.display()))
}

/// The first line, counted from 1, in which two texts differ.
fn difference(present: &str, fresh: &str) -> Option<usize> {
    if present == fresh {
        return None;
    }
    let same = present.lines().zip(fresh.lines()).take_while(|(a, b)| a == b).count();
    Some(same + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_differing_line_is_named() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(difference("", "a\n"), Some(1));
        assert_eq!(difference("a\n", "a\nb\n"), Some(2));
        assert_eq!(difference("a", "a\n"), Some(2));
    }
}
