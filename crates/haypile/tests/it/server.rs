//! A server process with a folder of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::wire::Client;

/// Nothing that a test waits for takes longer.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// Another process may take a port between its choice and its use.
const PORTS_TRIED: usize = 5;

/// Waits until `condition` holds.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited too long: {what}");
        std::thread::sleep(LOOK);
    }
}

/// The binary, with arguments.
pub fn haypile(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haypile"));
    command.args(args);
    command
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    pub port: u16,
    folder: TempDir,
    args: Vec<String>,
    environment: Vec<(String, PathBuf)>,
}

impl Server {
    /// Starts one on an empty folder.
    pub fn start(args: &[&str]) -> Self {
        Self::start_in(TempDir::new().unwrap(), args)
    }

    /// Starts one on an empty folder, with more in its environment.
    pub fn start_with(environment: &[(&str, PathBuf)], args: &[&str]) -> Self {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Self::start_again(TempDir::new().unwrap(), environment, args.iter().map(|&arg| arg.to_owned()).collect())
    }

    /// Starts one on a folder that an earlier one left.
    pub fn start_in(folder: TempDir, args: &[&str]) -> Self {
        Self::start_again(folder, Vec::new(), args.iter().map(|&arg| arg.to_owned()).collect())
    }

    fn start_again(folder: TempDir, environment: Vec<(String, PathBuf)>, args: Vec<String>) -> Self {
        for _ in 0..PORTS_TRIED {
            let port = free_port();
            let logged = std::fs::metadata(folder.path().join("stdout")).map_or(0, |meta| meta.len() as usize);
            let mut child = spawn(folder.path(), port, &environment, &args);
            // A stranger may have taken the port meanwhile, and would answer as well.
            let is_quiet = args.iter().any(|arg| arg == "--logfile");
            let listens = || is_quiet || has_said(folder.path(), logged, "listening on");
            if wait_for_answer(&mut child, port, listens) {
                return Self { child, port, folder, args, environment };
            }
            let said = std::fs::read_to_string(folder.path().join("stderr")).unwrap_or_default();
            assert!(said.contains("Cannot listen"), "the server did not start: {said}");
        }
        panic!("no free port was found");
    }

    /// A client.
    pub fn connect(&self) -> Client {
        Client::tcp(self.port)
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Has it stand still: when this returns, none of its threads runs any more.
    pub fn freeze(&self) {
        let pid = self.pid();
        kill_process(pid, Signal::STOP).unwrap();
        let tasks = PathBuf::from(format!("/proc/{}/task", pid.as_raw_nonzero()));
        until("every thread to stand still", || {
            tasks.read_dir().unwrap().all(|task| {
                // The state stands behind the name, which is in brackets. A thread that has ended has no file.
                let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
                stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('T'))
            })
        });
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    /// A path inside its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("stdout")).unwrap()
    }

    /// Kills it as a crash would.
    pub fn crash(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Kills it as a crash would, and starts it again on what it left.
    pub fn crash_and_restart(mut self) -> Self {
        self.crash();
        self.again()
    }

    /// Ends it in good order, and starts it again.
    pub fn restart(mut self) -> Self {
        kill_process(self.pid(), Signal::TERM).unwrap();
        assert!(self.wait().success(), "{}", self.log());
        self.again()
    }

    /// Starts it again after its end.
    pub fn again(mut self) -> Self {
        let (args, environment) = (std::mem::take(&mut self.args), std::mem::take(&mut self.environment));
        let folder = std::mem::replace(&mut self.folder, TempDir::new().unwrap());
        drop(self);
        Self::start_again(folder, environment, args)
    }

    /// Starts another one on its folder, which must refuse to start. Answers what it says, one sentence.
    pub fn refusal(&self) -> String {
        let mut child = spawn(self.folder.path(), free_port(), &self.environment, &self.args);
        let mut status = None;
        until("the refusal", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        let said = std::fs::read_to_string(self.path("stderr")).unwrap();
        assert!(status.unwrap().code() == Some(1) && said.trim_end().lines().count() == 1, "{status:?}: {said}");
        said
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("the server to end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Bytes of it that are in memory.
    pub fn resident_bytes(&self) -> u64 {
        let pid = self.pid().as_raw_nonzero();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() << 10
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let said = std::fs::read_to_string(self.path("stderr")).unwrap_or_default();
            eprintln!("--- the server on port {} ---\n{}{said}", self.port, self.log());
        }
    }
}

/// A folder for a server whose data is at `data`.
pub fn folder_of(data: &Path) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::os::unix::fs::symlink(data, folder.path().join("data")).unwrap();
    folder
}

/// A port that nobody uses now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn spawn(folder: &Path, port: u16, environment: &[(String, PathBuf)], args: &[String]) -> Child {
    let data = folder.join("data");
    let port = port.to_string();
    // A configuration file comes before all parameters.
    let file: Vec<&str> =
        args.first().map(String::as_str).filter(|first| !first.starts_with("--")).into_iter().collect();
    let args = &args[file.len()..];
    let own = ["--bind", "127.0.0.1", "--port", &port, "--dir", data.to_str().unwrap()];
    let small = ["--maxmemory", "128mb", "--workers", "2", "--desk-threads", "4"];
    let mut command = haypile(&[&file[..], &own].concat());
    command.args(small).args(args).stdin(Stdio::null()).envs(environment.iter().map(|(name, value)| (name, value)));
    command.stdout(File::options().create(true).append(true).open(folder.join("stdout")).unwrap());
    command.stderr(File::create(folder.join("stderr")).unwrap());
    command.spawn().unwrap()
}

/// Whether a server has logged this since its log had so many bytes.
fn has_said(folder: &Path, since: usize, what: &str) -> bool {
    let log = std::fs::read(folder.join("stdout")).unwrap_or_default();
    String::from_utf8_lossy(&log[since.min(log.len())..]).contains(what)
}

/// Whether the server answers; `false`: it has ended.
fn wait_for_answer(child: &mut Child, port: u16, listens: impl Fn() -> bool) -> bool {
    let mut ended = false;
    until("the server to answer", || {
        ended = child.try_wait().unwrap().is_some();
        ended || listens() && std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    !ended
}
