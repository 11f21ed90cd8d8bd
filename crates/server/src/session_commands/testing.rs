//! A server without a network, for the tests of session commands.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use commands::Args;
use engine::memory_store::MemoryStores;
use engine::{Instance, Scratch};
use keyspace::Millis;
use replication::replica::Prepared;
use resp::{Protocol, Reply};

use super::{DeskContext, Outcome};
use crate::client::{ClientInfo, Ends, Place, Transport};
use crate::config::{Config, LogLevel, Settings};
use crate::host::{Host, Memory, Split};
use crate::shared::{Shared, clock};
use crate::state::SessionState;

/// A binary that has a fixed amount of memory.
#[derive(Default)]
pub(super) struct FakeHost {
    /// How often memory was given back.
    pub purges: AtomicUsize,
}

impl Host for FakeHost {
    fn memory(&self) -> Memory {
        Memory { allocated: 1000, active: 2000, resident: 4000, metadata: 100, retained: 0, process: 8000 }
    }

    fn allocator(&self) -> String {
        "fake-1".to_owned()
    }

    fn split(&self, config: &Config) -> Split {
        let total = config.maxmemory.max(1 << 20);
        Split { total, hot: total / 2, block_cache: total / 4, memtables: total / 8, reserve: total / 8 }
    }

    fn apply_split(&self, _split: &Split) {}

    fn set_log_level(&self, _level: LogLevel) {}

    fn purge(&self) {
        self.purges.fetch_add(1, Ordering::Relaxed);
    }
}

/// A server whose stores are in memory and whose logs are in a folder of its own.
pub(super) struct Server {
    pub shared: Arc<Shared>,
    pub host: Arc<FakeHost>,
    pub dir: tempfile::TempDir,
}

impl Server {
    pub(super) fn new(args: &[&str]) -> Self {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Self::with(Settings::load(None, &args).unwrap())
    }

    pub(super) fn with(settings: Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = engine::Options::new(dir.path(), Arc::new(MemoryStores::default()));
        let (instance, _) = Instance::open(options, clock()).unwrap();
        let host = Arc::new(FakeHost::default());
        let prepared = Prepared::load(dir.path(), None).unwrap();
        let shared = Shared::new(settings, prepared, instance, host.clone(), (1, 1)).unwrap();
        shared.replica.start().unwrap();
        Self { shared: Arc::new(shared), host, dir }
    }

    /// A client that has just connected.
    pub(super) fn session(&self) -> Session {
        self.session_by(Transport::Loopback)
    }

    pub(super) fn session_by(&self, transport: Transport) -> Session {
        let mut place = self.shared.clients.admit(100).unwrap();
        let ends = Ends { transport, peer: "127.0.0.1:5".into(), local: "127.0.0.1:6379".into(), fd: 7 };
        let info: Arc<ClientInfo> = place.enter(ends, Millis(clock().0));
        let state = SessionState::new(info, &self.shared.config.load());
        Session { shared: Arc::clone(&self.shared), state, _place: place }
    }

    /// Runs a command on keys, as a worker and then the desk would.
    pub(super) fn keys(&self, line: &[&str]) -> String {
        let args: Vec<&[u8]> = line.iter().map(|arg| arg.as_bytes()).collect();
        let args = Args::new(&args);
        let command = commands::resolve(args).unwrap();
        let commands::Run::View(run) = command.run else { panic!("{line:?} is not a command on keys") };
        let mut keys = Vec::new();
        commands::keys(command, args, 0, &mut keys).unwrap();
        let locks: Vec<engine::LockKey<'_>> =
            keys.iter().map(|key| engine::LockKey { database: key.database, key: args.at(key.index) }).collect();
        let request = engine::Request {
            place: engine::Place::Desk,
            scope: engine::Scope::Keys(&locks),
            database: 0,
            clock: clock(),
        };
        let mut reply = Reply::new(Protocol::Resp2);
        let settings = commands::Settings::default();
        let ran = self.shared.instance.run(&request, &mut Scratch::new(1), &mut |view| {
            reply.truncate(0);
            let mut context = commands::Context {
                view,
                reply: &mut reply,
                database: 0,
                settings: &settings,
                waiting: commands::Waiting::Refused,
            };
            match run(&mut context, args) {
                Ok(()) => Ok(()),
                Err(commands::Error::Stop(stop)) => Err(stop.into()),
                Err(commands::Error::Wait(wait)) => panic!("waiting was refused: {wait:?}"),
                Err(commands::Error::Reply(text)) => panic!("{}", String::from_utf8_lossy(&text)),
            }
        });
        ran.unwrap();
        String::from_utf8(reply.into_buffer()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.replica.stop();
    }
}

/// A client's session.
pub(super) struct Session {
    shared: Arc<Shared>,
    pub state: SessionState,
    _place: Place,
}

impl Session {
    /// Runs a command; what the desk has to do is done here.
    pub(super) fn run(&mut self, line: &[&str]) -> (Outcome, Vec<u8>) {
        let args: Vec<&[u8]> = line.iter().map(|arg| arg.as_bytes()).collect();
        let args = Args::new(&args);
        let mut reply = Reply::new(self.state.protocol);
        let command = match commands::resolve(args) {
            Ok(command) => command,
            Err(error) => {
                super::write_error(&error, &mut reply);
                return (Outcome::Done, reply.into_buffer());
            }
        };
        let outcome = super::run(&self.shared, &mut self.state, command, args, &mut reply);
        let mut bytes = reply.into_buffer();
        match outcome {
            Outcome::Desk(work) => {
                let mut gate = engine::Gate::new();
                let mut scratch = Scratch::new(1);
                let protocol = self.state.protocol;
                let mut context = DeskContext {
                    shared: &self.shared,
                    scratch: &mut scratch,
                    protocol,
                    gate: &mut gate,
                    changed: false,
                };
                bytes.extend(work(&mut context));
                (Outcome::Done, bytes)
            }
            outcome => (outcome, bytes),
        }
    }

    /// The reply.
    pub(super) fn text(&mut self, line: &[&str]) -> String {
        String::from_utf8(self.run(line).1).unwrap()
    }

    /// What comes after the reply.
    pub(super) fn outcome(&mut self, line: &[&str]) -> Outcome {
        self.run(line).0
    }
}
