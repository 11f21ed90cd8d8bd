//! A server under measurement: its process, its port, its folder. All of them end with the value.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Bench;
use super::client::{Client, Reply};
use super::proc;
use crate::failure::{Context, Failure, Outcome};
use crate::workspace::find_program;

/// A server that is not ready after this is broken; a long recovery is shorter.
const READY_WITHIN: Duration = Duration::from_secs(300);
const READY_POLL: Duration = Duration::from_millis(2);

/// A server is quiet when it used next to no CPU for a while; settling and compaction are then over.
const QUIET_WINDOW: Duration = Duration::from_millis(1500);
const QUIET_CPU: Duration = Duration::from_millis(40);
/// Background work that takes longer than this is left running, and the measurement goes on without it.
const QUIET_WITHIN: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Product {
    Haypile,
    Redis,
}

impl Product {
    pub fn name(self) -> &'static str {
        match self {
            Product::Haypile => "haypile",
            Product::Redis => "redis",
        }
    }
}

pub struct Instance {
    pub port: u16,
    program: PathBuf,
    args: Vec<String>,
    folder: PathBuf,
    child: Child,
}

impl Instance {
    /// Starts a server with an empty folder and waits until it answers. `extra` are further arguments.
    pub fn start(bench: &Bench, product: Product, extra: &[&str]) -> Outcome<Self> {
        let port = free_port()?;
        let folder = bench.scratch.folder.join(format!("{}-{port}", product.name()));
        fs::create_dir_all(&folder).context(format_args!("creating {}", folder.display()))?;
        let (program, mut args) = command_line(bench, product, port, &folder)?;
        args.extend(extra.iter().map(|&arg| arg.to_owned()));
        let child = spawn(&program, &args, &folder)?;
        let mut instance = Self { port, program, args, folder, child };
        instance.wait_until_ready()?;
        Ok(instance)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Ends the process as a power cut of the process would: without warning.
    pub fn kill(&mut self) -> Outcome {
        self.child.kill().context(format_args!("killing {}", self.program.display()))?;
        self.child.wait().context(format_args!("waiting for {}", self.program.display()))?;
        Ok(())
    }

    /// Starts the process again on the same folder and port; returns how long it took until it answered.
    pub fn restart(&mut self) -> Outcome<Duration> {
        let begun = Instant::now();
        self.child = spawn(&self.program, &self.args, &self.folder)?;
        self.wait_until_ready()?;
        Ok(begun.elapsed())
    }

    pub fn cpu(&self) -> Outcome<Duration> {
        proc::cpu(self.child.id())
    }

    pub fn memory(&self) -> Outcome<proc::Memory> {
        proc::memory(self.child.id())
    }

    pub fn written(&self) -> Outcome<u64> {
        proc::written(self.child.id())
    }

    /// Waits until the server's background work is done.
    pub fn wait_until_quiet(&self) -> Outcome {
        let begun = Instant::now();
        let mut before = self.cpu()?;
        while begun.elapsed() < QUIET_WITHIN {
            std::thread::sleep(QUIET_WINDOW);
            let now = self.cpu()?;
            if now - before <= QUIET_CPU {
                return Ok(());
            }
            before = now;
        }
        println!("    still busy after {} s", QUIET_WITHIN.as_secs());
        Ok(())
    }

    fn wait_until_ready(&mut self) -> Outcome {
        let begun = Instant::now();
        while begun.elapsed() < READY_WITHIN {
            if answers(self.port) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait().context("asking for the server's state")? {
                return Err(self.failure(&format!("ended early ({status})")));
            }
            std::thread::sleep(READY_POLL);
        }
        Err(self.failure(&format!("did not answer within {} s", READY_WITHIN.as_secs())))
    }

    fn failure(&self, what: &str) -> Failure {
        let log = fs::read_to_string(self.folder.join(LOG)).unwrap_or_default();
        let mut last: Vec<&str> = log.lines().rev().take(20).collect();
        last.reverse();
        Failure::new(format!("{} {what}; its last lines:\n{}", self.program.display(), last.join("\n")))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // It may be dead already, and a folder that stays is removed with the scratch folder.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

const LOG: &str = "server.log";

fn command_line(bench: &Bench, product: Product, port: u16, folder: &Path) -> Outcome<(PathBuf, Vec<String>)> {
    let port = port.to_string();
    let data = folder.to_string_lossy();
    let (program, args) = match product {
        Product::Haypile => {
            let args = ["serve", "--bind", "127.0.0.1", "--port", &port, "--dir", &data];
            (bench.haypile.clone(), [&args[..], &["--appendfsync", "everysec"]].concat())
        }
        Product::Redis => {
            let program = find_program("redis-server").context("looking for redis-server")?;
            let args = ["--bind", "127.0.0.1", "--port", &port, "--dir", &data, "--save", ""];
            let log = ["--appendonly", "yes", "--appendfsync", "everysec"];
            // Rewrites of its log run in a child whose cost we do not count, so they are spared altogether.
            let no_rewrite = ["--auto-aof-rewrite-percentage", "0"];
            (program, [&args[..], &log, &no_rewrite].concat())
        }
    };
    Ok((program, args.into_iter().map(str::to_owned).collect()))
}

fn spawn(program: &Path, args: &[String], folder: &Path) -> Outcome<Child> {
    let log = fs::File::options().create(true).append(true).open(folder.join(LOG)).context("creating the log")?;
    let errors = log.try_clone().context("creating the log")?;
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .context(format_args!("starting {}", program.display()))
}

/// Whether the server on `port` is ready: it may answer errors while it loads.
fn answers(port: u16) -> bool {
    let Ok(mut client) = Client::connect(port) else {
        return false;
    };
    client.call(&[b"PING"]).is_ok_and(|reply| reply == Reply::Simple("PONG".to_owned()))
}

/// A port that was free a moment ago.
fn free_port() -> Outcome<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr().context("looking for a free port")?.port())
}
