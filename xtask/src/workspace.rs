//! Where the project lies, and the environment in which every `cargo` call runs.
//!
//! RocksDB takes about twenty minutes of CPU to compile, so nothing here may make cargo think that it changed:
//!
//! - one target folder outside the clone, unless `CARGO_TARGET_DIR` says otherwise;
//! - `CC`, `CXX` and flags stay as the user set them (RocksDB's build script watches them); a compiler cache is used
//!   by putting its folder of look-alike compilers in front of `PATH`, which no build script watches;
//! - the whole workspace is always selected, and the dev profile is always built with tests: cargo unites the features
//!   of what is selected, tests' own dependencies included, and another set of features of `libc` is another RocksDB.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Context, Failure, Outcome};

/// Debian's folder of links named like compilers that lead to ccache.
const CCACHE_LINKS: &str = "/usr/lib/ccache";

pub struct Workspace {
    pub root: PathBuf,
    pub target: PathBuf,
    path: OsString,
}

/// What to compile. Both kinds select the whole workspace (see the top of this file).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Build {
    /// dev profile, binaries and tests: what `cargo nextest run --workspace` needs anyway.
    Dev,
    /// release profile, binaries only.
    Release,
}

impl Workspace {
    pub fn open() -> Outcome<Self> {
        // Clones may share a target folder: what was compiled in is where the last of them lies.
        let own = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&own).parent().context("finding the folder above xtask")?;
        Ok(Self {
            root: root.to_path_buf(),
            target: target_dir(root, std::env::var_os("CARGO_TARGET_DIR"), std::env::var_os("HOME")),
            path: with_ccache(&std::env::var_os("PATH").unwrap_or_default(), Path::new(CCACHE_LINKS).is_dir()),
        })
    }

    /// A command that runs in the root folder with this workspace's environment and without standard input.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env("PATH", &self.path)
            .env("CARGO_TARGET_DIR", &self.target)
            .stdin(Stdio::null());
        // `cargo run` describes xtask itself to us; that is not meant for the children.
        for (name, _) in std::env::vars_os() {
            let describes_xtask =
                name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
            if describes_xtask {
                command.env_remove(name);
            }
        }
        command
    }

    pub fn cargo(&self) -> Command {
        self.command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }

    /// Builds the workspace and returns the path of the server's binary.
    pub fn build(&self, build: Build) -> Outcome<PathBuf> {
        let mut cargo = self.cargo();
        cargo.args(["build", "--workspace", "--bins"]);
        let folder = match build {
            Build::Dev => {
                cargo.arg("--tests");
                "debug"
            }
            Build::Release => {
                cargo.arg("--release");
                "release"
            }
        };
        execute(&mut cargo)?;
        let binary = self.target.join(folder).join("haypile");
        if binary.is_file() { Ok(binary) } else { Err(Failure::new(format!("{} was not built", binary.display()))) }
    }
}

/// Runs a command to its end; anything but success is a failure with the command's own exit code.
pub fn execute(command: &mut Command) -> Outcome {
    let line = line_of(command);
    let status = command.status().context(format_args!("starting {line}"))?;
    if status.success() { Ok(()) } else { Err(Failure::of_child(format!("{line}: {status}"), status.code())) }
}

/// Runs a command to its end and returns what it printed; its errors go to the terminal.
pub fn output_of(command: &mut Command) -> Outcome<String> {
    let line = line_of(command);
    let output = command.stderr(Stdio::inherit()).output().context(format_args!("starting {line}"))?;
    if !output.status.success() {
        return Err(Failure::of_child(format!("{line}: {}", output.status), output.status.code()));
    }
    String::from_utf8(output.stdout).context(format_args!("reading the output of {line}"))
}

/// The first folder of `PATH` that holds `program`, as a full path.
pub fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn line_of(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut line = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}

fn target_dir(root: &Path, chosen: Option<OsString>, home: Option<OsString>) -> PathBuf {
    match (chosen.filter(|dir| !dir.is_empty()), home.filter(|home| !home.is_empty())) {
        // A relative folder is meant from where the user stands, which is where we still are.
        (Some(chosen), _) => std::path::absolute(&chosen).unwrap_or_else(|_| chosen.into()),
        (None, Some(home)) => Path::new(&home).join(".cache/haypile/target"),
        (None, None) => root.join("target"),
    }
}

fn with_ccache(path: &OsStr, installed: bool) -> OsString {
    let first = std::env::split_paths(path).next();
    if !installed || first.as_deref() == Some(Path::new(CCACHE_LINKS)) {
        return path.to_os_string();
    }
    let mut with = OsString::from(CCACHE_LINKS);
    with.push(":");
    with.push(path);
    with
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_folder_is_the_chosen_one_then_the_users_cache_then_the_clones() {
        let root = Path::new("/clone");
        let some = |text: &str| Some(OsString::from(text));
        assert_eq!(target_dir(root, some("/t"), some("/home/x")), Path::new("/t"));
        assert_eq!(target_dir(root, None, some("/home/x")), Path::new("/home/x/.cache/haypile/target"));
        assert_eq!(target_dir(root, some(""), some("/home/x")), Path::new("/home/x/.cache/haypile/target"));
        assert_eq!(target_dir(root, None, None), Path::new("/clone/target"));
    }

    #[test]
    fn ccache_comes_first_and_only_once() {
        let path = OsStr::new("/usr/bin:/bin");
        assert_eq!(with_ccache(path, false), path);
        let once = with_ccache(path, true);
        assert_eq!(once, OsStr::new("/usr/lib/ccache:/usr/bin:/bin"));
        assert_eq!(with_ccache(&once, true), once);
    }

    #[test]
    fn a_failing_command_keeps_its_exit_code() {
        assert!(execute(&mut Command::new("true")).is_ok());
        assert_eq!(execute(Command::new("sh").args(["-c", "exit 7"])).unwrap_err().code, 7);
    }
}
