//! Debian's `redis-server`, with a folder of its own.

use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::server::{free_port, until};
use crate::wire::Client;

/// Another process may take a port between its choice and its use.
const PORTS_TRIED: usize = 5;

/// A running Redis; killed when dropped.
pub struct Redis {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Redis {
    /// Starts one that writes nothing; `None`: it is not installed, which only a machine that is not `CI` may lack.
    pub fn start() -> Option<Self> {
        for _ in 0..PORTS_TRIED {
            let (folder, port) = (TempDir::new().unwrap(), free_port());
            let mut command = Command::new("redis-server");
            command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
            command.arg("--dir").arg(folder.path());
            let child = match command.stdin(Stdio::null()).stdout(Stdio::null()).spawn() {
                Ok(child) => child,
                Err(error) => {
                    assert!(std::env::var_os("CI").is_none(), "redis-server is not installed: {error}");
                    eprintln!("left out: redis-server is not installed: {error}");
                    return None;
                }
            };
            let mut redis = Self { child, port, _folder: folder };
            if redis.answers() {
                return Some(redis);
            }
        }
        panic!("no free port was found for redis-server");
    }

    /// A client.
    pub fn connect(&self) -> Client {
        Client::tcp(self.port)
    }

    /// Whether it answers; `false`: it has ended.
    fn answers(&mut self) -> bool {
        let mut ended = false;
        until("Redis to answer", || {
            ended = self.child.try_wait().unwrap().is_some();
            ended || std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
        !ended
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
