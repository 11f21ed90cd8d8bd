//! `cargo xtask bench`: Haypile and `redis-server` side by side in the same run.
//!
//! Both run on loopback with data in a folder of their own; loads alternate between them (A B A B ..), so that a slow
//! minute of the machine hits both, and only ratios are quoted. Loads and servers share the machine's cores.

mod client;
mod cold;
mod compare;
mod data;
mod histogram;
mod hot;
mod instance;
mod large;
mod load;
mod mem;
mod memory;
mod proc;
mod recovery;
mod redis_benchmark;
mod repl;
mod report;
mod stats;
mod types;
mod write;

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Context, Failure, Outcome};
use crate::setup::{self, Needs};
use crate::workspace::{Build, Workspace};
use report::Section;

const USAGE: &str = "\
usage: cargo xtask bench [suite..] [options]

suites: hot types large cold write recovery mem repl (all of them when none is named)

  --pairs N       measurements of each server per test, in turn (default 5)
  --requests N    requests per measurement of `hot`, `types` and `large` (default: what takes about 1.5 s)
  --full          `hot` and `types` with 64 commands in flight per client, too, `large` with 16
  --keys N        keys of `cold` (default 10000000)
  --seconds N     length of a measurement of `cold`, `write`, `mem` and of the lag in `repl` (default 10)
  --mib N         what `recovery` writes before the crash (default 256)
  --repetitions N times that each fault of `repl` is healed from, and a copy cut, at least (default 50)
  --sync-mib N    what the full copy of `repl` copies (default 2048)
  --haypile FILE  measure this binary instead of building one
  --report        write the tables into docs/benchmarks.md";

/// A suite measures one promise; its code is the file of its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Suite {
    Hot,
    Types,
    Large,
    Cold,
    Write,
    Recovery,
    Mem,
    Repl,
}

impl Suite {
    const ALL: [(&str, Suite); 8] = [
        ("hot", Suite::Hot),
        ("types", Suite::Types),
        ("large", Suite::Large),
        ("cold", Suite::Cold),
        ("write", Suite::Write),
        ("recovery", Suite::Recovery),
        ("mem", Suite::Mem),
        ("repl", Suite::Repl),
    ];

    fn measure(self, bench: &Bench) -> Outcome<Vec<Section>> {
        match self {
            Suite::Hot => hot::measure(bench),
            Suite::Types => types::measure(bench),
            Suite::Large => large::measure(bench),
            Suite::Cold => Ok(vec![cold::measure(bench)?]),
            Suite::Write => Ok(vec![write::measure(bench)?]),
            Suite::Recovery => Ok(vec![recovery::measure(bench)?]),
            Suite::Mem => Ok(vec![mem::measure(bench)?]),
            Suite::Repl => Ok(vec![repl::measure(bench)?]),
        }
    }
}

/// How many depths `hot`, `types` and `large` try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Breadth {
    Usual,
    Full,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Destination {
    Terminal,
    Report,
}

/// What the user asked for.
#[derive(Debug)]
struct Request {
    suites: Vec<(&'static str, Suite)>,
    pairs: usize,
    requests: Option<u64>,
    breadth: Breadth,
    keys: u64,
    seconds: u64,
    mib: u64,
    repetitions: usize,
    sync_mib: u64,
    haypile: Option<PathBuf>,
    destination: Destination,
}

/// What every suite gets.
struct Bench {
    request: Request,
    /// The server's binary.
    haypile: PathBuf,
    /// Holds the servers' data; on the disk of the target folder, because a temporary folder may be memory.
    scratch: Scratch,
}

pub fn run(workspace: &Workspace, args: &[String]) -> Outcome {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{USAGE}");
        return Ok(());
    }
    let request = parse(args)?;
    setup::run(workspace, Needs::BuildAndTest)?;
    let haypile = match &request.haypile {
        Some(file) => std::path::absolute(file).context(format_args!("finding {}", file.display()))?,
        None => workspace.build(Build::Release)?,
    };
    let scratch = Scratch::create(&workspace.target.join("bench"))?;
    let bench = Bench { request, haypile, scratch };
    for (name, suite) in &bench.request.suites {
        println!("==> {name}");
        let sections = suite.measure(&bench)?;
        sections.iter().for_each(|section| println!("\n{section}"));
        if bench.request.destination == Destination::Report {
            report::write(&workspace.root, name, &sections)?;
        }
    }
    Ok(())
}

fn parse(args: &[String]) -> Outcome<Request> {
    let mut request = Request {
        suites: Vec::new(),
        pairs: 5,
        requests: None,
        breadth: Breadth::Usual,
        keys: 10_000_000,
        seconds: 10,
        mib: 256,
        repetitions: 50,
        sync_mib: 2048,
        haypile: None,
        destination: Destination::Terminal,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| Failure::usage(format!("{arg} needs a value\n\n{USAGE}")));
        match arg.as_str() {
            "--pairs" => request.pairs = number(arg, value()?)?,
            "--requests" => request.requests = Some(number(arg, value()?)?),
            "--keys" => request.keys = number(arg, value()?)?,
            "--seconds" => request.seconds = number(arg, value()?)?,
            "--mib" => request.mib = number(arg, value()?)?,
            "--repetitions" => request.repetitions = number(arg, value()?)?,
            "--sync-mib" => request.sync_mib = number(arg, value()?)?,
            "--haypile" => request.haypile = Some(value()?.into()),
            "--full" => request.breadth = Breadth::Full,
            "--report" => request.destination = Destination::Report,
            name => match Suite::ALL.into_iter().find(|(suite, _)| *suite == name) {
                Some(suite) => request.suites.push(suite),
                None => {
                    return Err(Failure::usage(format!("bench knows no '{name}'\n\n{USAGE}")));
                }
            },
        }
    }
    if request.suites.is_empty() {
        request.suites = Suite::ALL.to_vec();
    }
    Ok(request)
}

/// A number above zero: zero pairs or zero seconds measure nothing.
fn number<N: std::str::FromStr + PartialOrd + Default>(name: &str, text: &str) -> Outcome<N> {
    let number = text.parse().ok().filter(|number| *number > N::default());
    number.ok_or_else(|| Failure::usage(format!("{name} needs a number above zero, not '{text}'")))
}

/// A folder that is gone when the run ends. A run that was killed could not clean up, so the next one does.
struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    fn create(parent: &Path) -> Outcome<Self> {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let owner_lives = Path::new("/proc").join(entry.file_name()).exists();
            if !owner_lives {
                fs::remove_dir_all(entry.path()).context(format_args!("removing {}", entry.path().display()))?;
            }
        }
        let folder = parent.join(std::process::id().to_string());
        fs::create_dir_all(&folder).context(format_args!("creating {}", folder.display()))?;
        Ok(Self { folder })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the next run tries again.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Outcome<Request> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn suites_and_options_are_read() {
        let request = parsed("hot mem --pairs 7 --requests 1000 --full --report").unwrap();
        assert_eq!(request.suites, [("hot", Suite::Hot), ("mem", Suite::Mem)]);
        assert_eq!((request.pairs, request.requests), (7, Some(1000)));
        assert_eq!((request.breadth, request.destination), (Breadth::Full, Destination::Report));
        let request = parsed("repl --repetitions 3 --sync-mib 64").unwrap();
        assert_eq!((request.suites, request.repetitions, request.sync_mib), (vec![("repl", Suite::Repl)], 3, 64));
        assert_eq!(parsed("").unwrap().suites.len(), Suite::ALL.len());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in ["warm", "--pairs", "--pairs x", "--pairs 0", "--seconds -1"] {
            assert_eq!(parsed(line).unwrap_err().code, 2, "{line}");
        }
    }

    #[test]
    fn a_dead_runs_folder_is_removed_and_a_living_ones_is_not() {
        let parent = std::env::temp_dir().join(format!("haypile-scratch-test-{}", std::process::id()));
        // The kernel never gives out a process id of 0.
        let (dead, living) = (parent.join("0"), parent.join("1"));
        fs::create_dir_all(&dead).unwrap();
        fs::create_dir_all(&living).unwrap();
        let scratch = Scratch::create(&parent).unwrap();
        let folder = scratch.folder.clone();
        let during = (dead.exists(), living.exists(), folder.exists());
        drop(scratch);
        let after = folder.exists();
        fs::remove_dir_all(&parent).unwrap();
        assert_eq!((during, after), ((false, true, true), false));
    }
}
