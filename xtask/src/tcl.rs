//! `cargo xtask tcl [files]`: Redis's own test suite, in its external mode, against a Haypile for each file.
//!
//! The suite is that of Debian's source package: it is fetched once into the target folder, and never becomes part of
//! this repository. `docs/compatibility.md` says what fails and why.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{Context, Failure, Outcome};
use crate::workspace::{Build, Workspace, execute, find_program};

const VERSION: &str = "7.0.15";
const FILES: [&str; 17] = [
    "unit/type/string",
    "unit/type/incr",
    "unit/type/hash",
    "unit/type/list",
    "unit/type/list-2",
    "unit/type/list-3",
    "unit/type/set",
    "unit/type/zset",
    "unit/keyspace",
    "unit/expire",
    "unit/scan",
    "unit/sort",
    "unit/multi",
    "unit/other",
    "unit/pause",
    "unit/protocol",
    "unit/info",
];
/// Files that ask for encodings which Redis 7.2, whose names Haypile answers, calls differently: small lists and small
/// sets are listpacks there. These run without such questions.
const OLDER_ENCODINGS: [&str; 7] = [
    "unit/type/list",
    "unit/type/list-2",
    "unit/type/list-3",
    "unit/type/set",
    "unit/keyspace",
    "unit/scan",
    "unit/sort",
];
/// What is left out everywhere: what takes minutes, Redis's own replication protocol (`SYNC`), and `maxmemory` as a
/// limit of the data, which in Haypile it is not.
const TAGS: &str = "-slow -needs:repl -needs:config-maxmemory";
/// Tests of what Haypile lacks, by name or by a regular expression after a slash. A test that meets an unknown command
/// may leave MULTI open, a client blocked or active expiry off, which makes later tests fail for no reason of theirs.
const LACKING: [&str; 10] = [
    "/SWAPDB",
    "Test special commands are paused by RO",
    "/[sS]cript",
    "/various encodings",
    "/COPY basic usage for stream",
    "Blocking commands ignores the timeout",
    "RESET clears client state",
    "RESET clears MONITOR state",
    "RESET clears Pub/Sub state",
    "RESET clears authenticated state",
];
/// A file that takes longer is ended, and what it had not said is not counted.
const FILE_WITHIN: Duration = Duration::from_secs(300);
/// After so many seconds without progress, the suite itself gives up.
const SUITE_TIMEOUT_SECONDS: &str = "60";
const READY_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

const USAGE: &str = "usage: cargo xtask tcl [--server BINARY] [file..]; a file is like unit/type/hash";

pub fn run(workspace: &Workspace, args: &[String]) -> Outcome {
    if find_program("tclsh").is_none() {
        return Err(Failure::new("there is no tclsh: install the package 'tcl'"));
    }
    let folder = workspace.target.join("redis-suite");
    let suite = fetch(workspace, &folder)?;
    let (binary, files) = match args {
        [option, binary, files @ ..] if option == "--server" => (PathBuf::from(binary), files),
        [option, ..] if option.starts_with('-') => return Err(Failure::usage(USAGE)),
        files => (workspace.build(Build::Dev)?, files),
    };
    let files: Vec<String> =
        if files.is_empty() { FILES.iter().map(|&file| file.to_owned()).collect() } else { files.to_vec() };
    println!("{:24} {:>6} {:>6} {:>7}", "file", "passed", "failed", "skipped");
    let mut sum = Counts::default();
    let mut failures = Vec::new();
    for file in &files {
        let report = run_file(&binary, &suite, &folder, file)?;
        print_row(file, &report.counts, report.whole);
        sum.add(&report.counts);
        failures.extend(report.failures.into_iter().map(|name| format!("{file}: {name}")));
        if !report.whole {
            failures.push(format!("{file}: the file did not run to its end"));
        }
    }
    print_row("all", &sum, true);
    failures.iter().for_each(|failure| println!("  {failure}"));
    println!("what the suite and the servers printed lies in {}", folder.display());
    if failures.is_empty() { Ok(()) } else { Err(Failure::new(format!("{} failures", failures.len()))) }
}

fn print_row(name: &str, counts: &Counts, whole: bool) {
    let note = if whole { "" } else { "  not to its end" };
    println!("{name:24} {:>6} {:>6} {:>7}{note}", counts.passed, counts.failed, counts.skipped);
}

/// Brings the suite unless it is there; returns its folder.
fn fetch(workspace: &Workspace, folder: &Path) -> Outcome<PathBuf> {
    let suite = folder.join(format!("redis-{VERSION}"));
    let complete = suite.join("complete");
    if complete.is_file() {
        return Ok(suite);
    }
    for part in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(folder.join(part)).context(format_args!("creating {part}"))?;
    }
    // Lists of our own: most machines have no sources in theirs, and none of theirs is touched.
    let key = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let line = |rest: &str| format!("deb-src [signed-by={key}] http://deb.debian.org/{rest} main\n");
    let sources = line("debian bookworm") + &line("debian-security bookworm-security");
    fs::write(folder.join("sources.list"), sources).context("writing sources.list")?;
    for action in [&["update"][..], &["source", "--download-only", "redis"]] {
        let mut apt = workspace.command("apt-get");
        apt.current_dir(folder).arg("-q");
        for (option, value) in [
            ("Dir::Etc::SourceList", folder.join("sources.list")),
            ("Dir::Etc::SourceParts", "/dev/null".into()),
            ("Dir::State::Lists", folder.join("lists")),
            ("Dir::Cache", folder.join("cache")),
        ] {
            apt.arg("-o").arg(format!("{option}={}", value.display()));
        }
        execute(apt.args(action))?;
    }
    let mut tar = workspace.command("tar");
    execute(tar.current_dir(folder).arg("xzf").arg(format!("redis_{VERSION}.orig.tar.gz")))?;
    fs::create_dir_all(suite.join("tests/tmp")).context("creating the suite's tests/tmp")?;
    allow_for_missing_functions(&suite.join("tests/support/server.tcl"))?;
    fs::write(&complete, "").context("marking the suite as complete")?;
    Ok(suite)
}

/// The suite empties the library of functions before each group of tests, and ends the file when there is none.
fn allow_for_missing_functions(file: &Path) -> Outcome {
    let text = fs::read_to_string(file).context(format_args!("reading {}", file.display()))?;
    let changed = text.replace("    r function flush\n", "    catch {r function flush}\n");
    fs::write(file, changed).context(format_args!("writing {}", file.display()))
}

/// Runs one file against a server of its own.
fn run_file(binary: &Path, suite: &Path, folder: &Path, file: &str) -> Outcome<Report> {
    let name = file.replace('/', "-");
    let server = Server::start(binary, folder, &name)?;
    let output = folder.join(format!("{name}.log"));
    let log = fs::File::create(&output).context(format_args!("creating {}", output.display()))?;
    let errors = log.try_clone().context("sharing the log")?;
    let mut tcl = Command::new("tclsh");
    tcl.current_dir(suite).env("TERM", "dumb").stdin(Stdio::null()).stdout(log).stderr(errors);
    tcl.args(["tests/test_helper.tcl", "--host", "127.0.0.1", "--port", &server.port.to_string()]);
    tcl.args(["--baseport", &free_port()?.to_string(), "--clients", "1", "--durable", "--dont-clean"]);
    tcl.args(["--timeout", SUITE_TIMEOUT_SECONDS, "--tags", TAGS, "--single", file]);
    tcl.args(LACKING.iter().flat_map(|test| ["--skiptest", test]));
    if OLDER_ENCODINGS.contains(&file) {
        tcl.arg("--ignore-encoding");
    }
    // The suite starts processes of its own; a group lets all of them be ended together.
    let mut runner = tcl.process_group(0).spawn().context("starting tclsh")?;
    let begun = Instant::now();
    let in_time = loop {
        if runner.try_wait().context("waiting for tclsh")?.is_some() {
            break true;
        }
        if begun.elapsed() > FILE_WITHIN {
            break false;
        }
        std::thread::sleep(POLL);
    };
    // Whatever is left of the group; usually nothing, so that this says that there is no such process.
    let kill = format!("kill -KILL -- -{}", runner.id());
    let _ = Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status();
    runner.wait().context("waiting for tclsh")?;
    let text = fs::read(&output).context(format_args!("reading {}", output.display()))?;
    let mut report = Report::read(&String::from_utf8_lossy(&text));
    report.whole &= in_time;
    Ok(report)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Counts {
    passed: u32,
    failed: u32,
    skipped: u32,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// What the suite said of a file.
#[derive(PartialEq, Eq, Debug, Default)]
struct Report {
    counts: Counts,
    /// Names of the tests that failed, and messages of what ended the file early.
    failures: Vec<String>,
    /// Whether the suite came to the end of the file.
    whole: bool,
}

impl Report {
    /// Lines look like `[ok]: name (3 ms)`, `[err]: name in tests/unit/x.tcl`, `[ignore]: reason`, `[1/1 done]: file`.
    fn read(text: &str) -> Self {
        let mut report = Self::default();
        for line in text.lines() {
            let Some((tag, rest)) = line.strip_prefix('[').and_then(|line| line.split_once("]: ")) else { continue };
            match tag {
                "ok" => report.counts.passed += 1,
                "err" | "exception" => {
                    report.counts.failed += 1;
                    report.failures.push(rest.split(" in tests/").next().unwrap_or(rest).to_owned());
                }
                "ignore" | "skip" => report.counts.skipped += 1,
                done if done.ends_with(" done") => report.whole = true,
                _ => {}
            }
        }
        report
    }
}

/// A Haypile with an empty folder; both end with the value.
struct Server {
    port: u16,
    data: PathBuf,
    child: Child,
}

impl Server {
    fn start(binary: &Path, folder: &Path, name: &str) -> Outcome<Self> {
        let (port, data) = (free_port()?, folder.join(format!("{name}.data")));
        if data.exists() {
            fs::remove_dir_all(&data).context(format_args!("removing {}", data.display()))?;
        }
        let log = folder.join(format!("{name}.server.log"));
        let log = fs::File::create(&log).context(format_args!("creating {}", log.display()))?;
        let mut command = Command::new(binary);
        command.args(["serve", "--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"]).arg(&data);
        command.stdin(Stdio::null()).stderr(log.try_clone().context("sharing the log")?).stdout(log);
        let child = command.spawn().context(format_args!("starting {}", binary.display()))?;
        let mut server = Self { port, data, child };
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = server.child.try_wait().context("asking for the server's state")?;
            if ended.is_some() || begun.elapsed() > READY_WITHIN {
                return Err(Failure::new(format!("the server does not listen; see {name}.server.log")));
            }
            std::thread::sleep(POLL);
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself: then the report says what failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.data);
    }
}

/// A port that was free a moment ago.
fn free_port() -> Outcome<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr().context("looking for a free port")?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suites_lines_are_counted() {
        let text = "[ready]: 7\n[testing]: unit/x\n[ok]: A [odd]: name (3 ms)\n[ok]: B (0 ms)\n\
            [err]: C fails in tests/unit/x.tcl\nExpected '1' to be equal to '2'\n[ignore]: Tag: slow denied\n\
            [skip]: D\n[1/1 done]: unit/x (0 seconds)\n";
        let counts = Counts { passed: 2, failed: 1, skipped: 2 };
        assert_eq!(Report::read(text), Report { counts, failures: vec!["C fails".to_owned()], whole: true });
    }

    #[test]
    fn a_file_that_ends_early_is_not_whole() {
        let report = Report::read("[ok]: A (1 ms)\n[exception]: Executing test client: refused.\n");
        assert_eq!(report.counts, Counts { passed: 1, failed: 1, skipped: 0 });
        assert_eq!((report.failures.len(), report.whole), (1, false));
    }
}
