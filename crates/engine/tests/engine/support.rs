//! An instance on stores in memory, and sessions that run commands on it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use engine::memory_store::{MemoryStore, MemoryStores};
use engine::{Abort, FsyncPolicy, Instance, LockKey, Options, Place, Ran, Request, Scope, Scratch};
use keyspace::string::StringError;
use keyspace::view::Limits;
use keyspace::{Millis, View};

pub const START: Millis = Millis(1_700_000_000_000);

pub struct Home {
    _dir: tempfile::TempDir,
    pub stores: Arc<MemoryStores>,
    pub options: Options,
}

impl Home {
    pub fn new() -> Self {
        let shm = PathBuf::from("/dev/shm");
        let dir = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.unwrap();
        let stores = Arc::new(MemoryStores::default());
        let mut options = Options::new(dir.path().join("data"), stores.clone());
        options.databases = 3;
        options.fsync = FsyncPolicy::No;
        options.segment_bytes = 100_000;
        options.log_retain_bytes = 0;
        options.recovery_log_max = 200_000;
        options.hot_bytes = 30_000;
        options.settle_interval = Duration::from_millis(5);
        options.limits = Limits { string_chunk_threshold: 1000, packed_max_bytes: 1000, ..Limits::default() };
        Self { _dir: dir, stores, options }
    }

    /// Close it at the end: its threads must not find the folder gone.
    pub fn open(&self) -> Arc<Instance> {
        Instance::open(self.options.clone(), START).unwrap().0
    }

    pub fn store(&self, database: usize) -> Arc<MemoryStore> {
        self.stores.store(&self.options.dir.join(format!("db{database}")).join("store"))
    }
}

/// One thread's way to the engine: a worker's attempt first, then the desk.
pub struct Session {
    pub instance: Arc<Instance>,
    scratch: Scratch,
    random: u64,
}

impl Session {
    pub fn new(instance: &Arc<Instance>, seed: u64) -> Self {
        Self { instance: instance.clone(), scratch: Scratch::new(seed), random: seed }
    }

    /// A random number below `most`.
    pub fn below(&mut self, most: u64) -> u64 {
        // The constants are those of Knuth's MMIX generator; its low bits are poor.
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % most
    }

    pub fn run(
        &mut self,
        scope: Scope<'_>,
        database: usize,
        command: &mut dyn FnMut(&mut dyn View) -> Result<(), Abort>,
    ) {
        let mut request = Request { place: Place::Worker, scope, database, clock: START };
        loop {
            match self.instance.run(&request, &mut self.scratch, command).unwrap() {
                Ran::Done(_) => return,
                Ran::Later => {
                    assert_eq!(request.place, Place::Worker, "the desk always comes to an end");
                    request.place = Place::Desk;
                }
                Ran::Undeclared => panic!("all keys are declared"),
            }
        }
    }

    pub fn on(&mut self, keys: &[&str], mut command: impl FnMut(&mut dyn View) -> Result<(), Abort>) {
        let keys: Vec<_> = keys.iter().map(|key| LockKey { database: 0, key: key.as_bytes() }).collect();
        self.run(Scope::Keys(&keys), 0, &mut command);
    }
}

pub fn stop(error: StringError) -> Abort {
    match error {
        StringError::Stop(stop) => Abort::Stop(stop),
        StringError::WrongType => panic!("only strings are stored"),
    }
}

/// Runs the threads; a test that does not come to an end is a deadlock.
pub fn join_all(threads: Vec<Box<dyn FnOnce() + Send>>) {
    const PATIENCE: Duration = Duration::from_secs(120);
    let count = threads.len();
    let (done, ended) = mpsc::channel();
    let handles: Vec<_> = threads
        .into_iter()
        .map(|body| {
            let done = done.clone();
            std::thread::spawn(move || {
                let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
                done.send(outcome.is_ok()).unwrap();
            })
        })
        .collect();
    let mut failed = 0;
    for _ in 0..count {
        match ended.recv_timeout(PATIENCE) {
            Ok(is_ok) => failed += usize::from(!is_ok),
            Err(_) => {
                eprintln!("{} threads are stuck", handles.iter().filter(|handle| !handle.is_finished()).count());
                std::process::abort();
            }
        }
    }
    assert_eq!(failed, 0, "threads that failed, see above");
    handles.into_iter().for_each(|handle| handle.join().unwrap());
}
