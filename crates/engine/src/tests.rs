//! Tests that look inside: a rig of an instance without a settle thread, what a command may do, and an audit.

mod apply;
mod audit;
mod calls;
mod crash;
mod eviction;
mod expiry;
mod foresight;
mod limits;
mod model;
mod opening;
mod power_loss;
mod refusal;
mod replacing;
mod roles;
mod rows;
mod settling;
mod steps;
mod undo;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use keyspace::view::Limits;
use keyspace::{Head, Millis, View};
use parking_lot::Mutex;
use replog::FsyncPolicy;

use crate::fault::Fault;
use crate::instance::{Instance, Options};
use crate::memory_store::{MemoryStore, MemoryStores};
use crate::recovery::Recovery;
use crate::rows::Eviction;
use crate::run::{Abort, LockKey, Place, Ran, Request, Scope};
use crate::slot::ShardRef;
use crate::txn::{Gate, Scratch};

/// When tests begin.
const START: Millis = Millis(1_700_000_000_000);

/// How many cases a search tries: `few`, or many more in a long run.
fn cases(few: u32) -> u32 {
    if std::env::var_os("HAYPILE_TEST_LONG").is_some() { few * 40 } else { few }
}

/// Runs a command on the worker, then at the desk, then with everything locked.
fn drive(
    instance: &Instance,
    scratch: &mut Scratch,
    request: Request<'_>,
    command: &mut dyn FnMut(&mut dyn View) -> Result<(), Abort>,
) -> Gate {
    drive_any(request, |request| instance.run(request, scratch, command))
}

/// Runs something on the worker, then at the desk, then with everything locked.
fn drive_any(mut request: Request<'_>, mut run: impl FnMut(&Request<'_>) -> Result<Ran, Fault>) -> Gate {
    loop {
        match run(&request).unwrap() {
            Ran::Done(gate) => return gate,
            Ran::Later => {
                assert_eq!(request.place, Place::Worker, "the desk always comes to an end");
                request.place = Place::Desk;
            }
            Ran::Undeclared => {
                assert!(!matches!(request.scope, Scope::AllShards), "then everything is declared");
                request.place = Place::Desk;
                request.scope = Scope::AllShards;
            }
        }
    }
}

/// An instance on stores in memory that settles when it is told to.
struct Rig {
    _dir: tempfile::TempDir,
    stores: Arc<MemoryStores>,
    options: Options,
    scratch: Scratch,
    instance: Option<Arc<Instance>>,
    recoveries: Vec<Recovery>,
    clock: Millis,
    /// Where the databases were last.
    folders: Mutex<HashMap<usize, PathBuf>>,
}

impl Rig {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Options)) -> Self {
        // Memory where there is such a folder: the tests sync a lot.
        let shm = PathBuf::from("/dev/shm");
        let dir = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.unwrap();
        let stores = Arc::new(MemoryStores::default());
        let mut options = Options::new(dir.path().join("data"), stores.clone());
        options.databases = 3;
        options.fsync = FsyncPolicy::No;
        options.limits = Limits { string_chunk_threshold: 100, packed_max_bytes: 1000, ..Limits::default() };
        change(&mut options);
        let scratch = Scratch::new(1);
        let mut rig = Self {
            _dir: dir,
            stores,
            options,
            scratch,
            instance: None,
            recoveries: Vec::new(),
            clock: START,
            folders: Mutex::default(),
        };
        rig.open();
        rig
    }

    fn open(&mut self) {
        let (instance, recoveries) = Instance::open_still(self.options.clone(), self.clock).unwrap();
        self.instance = Some(instance);
        self.recoveries = recoveries;
    }

    /// As if the process were killed: what is in no file is gone.
    fn kill(&mut self) {
        (0..self.options.databases).for_each(|database| drop(self.store(database)));
        let instance = self.instance.take().unwrap();
        assert_eq!(Arc::strong_count(&instance), 1, "nobody else keeps the folder locked");
    }

    /// Killed, with what the stores flushed; opened again.
    fn crash(&mut self) {
        self.kill();
        for database in 0..self.options.databases {
            self.store(database).crash();
        }
        self.open();
    }

    fn instance(&self) -> &Arc<Instance> {
        self.instance.as_ref().unwrap()
    }

    fn shard(&self, database: usize) -> ShardRef {
        self.instance().shard(database).unwrap()
    }

    fn store(&self, database: usize) -> Arc<MemoryStore> {
        let open = self.instance.as_ref().and_then(|instance| instance.shard(database)).map(|shard| shard.dir.clone());
        let known = self.folders.lock().get(&database).cloned();
        let dir = open.or(known).unwrap_or_else(|| self.options.dir.join(format!("db{database}")));
        self.folders.lock().insert(database, dir.clone());
        self.stores.store(&dir.join("store"))
    }

    /// Runs a command as a session would: on the worker, then at the desk, then with everything locked.
    fn run(
        &mut self,
        scope: Scope<'_>,
        database: usize,
        command: &mut dyn FnMut(&mut dyn View) -> Result<(), Abort>,
    ) -> Gate {
        let instance = self.instance.clone().unwrap();
        drive(
            &instance,
            &mut self.scratch,
            Request { place: Place::Worker, scope, database, clock: self.clock },
            command,
        )
    }

    /// Runs a command on keys of database 0 that cannot fail.
    fn on(&mut self, keys: &[&str], mut command: impl FnMut(&mut dyn View) -> Result<(), Abort>) -> Gate {
        let keys: Vec<_> = keys.iter().map(|key| LockKey { database: 0, key: key.as_bytes() }).collect();
        self.run(Scope::Keys(&keys), 0, &mut command)
    }

    fn set(&mut self, key: &str, value: &str) {
        self.on(&[key], |view| Ok(view.put(key.as_bytes(), &Head::string(None), value.as_bytes())?));
    }

    fn set_until(&mut self, key: &str, value: &str, expire_at: Millis) {
        self.on(&[key], |view| Ok(view.put(key.as_bytes(), &Head::string(Some(expire_at)), value.as_bytes())?));
    }

    /// A string in chunks: three rows and a tail.
    fn set_long(&mut self, key: &str, byte: u8) {
        self.write(key, 0, &[byte; 3 * 4096 + 5]);
    }

    fn write(&mut self, key: &str, offset: u64, bytes: &[u8]) {
        self.on(&[key], |view| {
            keyspace::string::write(view, key.as_bytes(), offset, bytes).map_err(calls::stop)?;
            Ok(())
        });
    }

    fn get(&mut self, key: &str) -> Option<Vec<u8>> {
        let mut value = None;
        self.on(&[key], |view| {
            value = keyspace::string::read_all(view, key.as_bytes()).map_err(calls::stop)?;
            Ok(())
        });
        value
    }

    fn delete(&mut self, key: &str) {
        self.on(&[key], |view| {
            view.delete(key.as_bytes())?;
            Ok(())
        });
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.on(&[from, to], |view| Ok(view.rename(from.as_bytes(), to.as_bytes())?));
    }

    fn clear(&mut self) {
        self.run(Scope::Shard, 0, &mut |view| Ok(view.clear()?));
    }

    fn count(&mut self) -> u64 {
        let mut count = 0;
        self.run(Scope::Walk, 0, &mut |view| {
            count = view.count()?;
            Ok(())
        });
        let mut held = 0;
        self.run(Scope::Shard, 0, &mut |view| {
            held = view.count()?;
            Ok(())
        });
        assert_eq!(count, held, "both ways of counting agree");
        count
    }

    /// Drops every clean record from memory.
    fn evict(&self) {
        for shard in self.instance().shards() {
            for stripe in &shard.stripes {
                let freed = stripe.0.lock().evict(usize::MAX, usize::MAX);
                self.instance().budget.book_eviction(freed);
            }
            let _settling = shard.settle_lock();
            self.instance().budget.book_rows(shard.rows.evict(i64::MAX, Eviction::Enough));
        }
    }

    /// Has the logs write what is in their buffers, so that a kill does not lose it.
    fn write_logs(&self) {
        for shard in self.instance().shards() {
            let _ = shard.log.write_to_blocking(shard.log.end());
        }
    }

    fn settle(&self) {
        self.instance().settle().unwrap();
        self.audit();
    }

    /// Takes into memory what reads have asked the stores for, as the settle thread does between cycles.
    fn fill(&self) {
        self.instance().read_ahead();
        self.audit();
    }

    fn flush(&self) {
        for shard in self.instance().shards() {
            crate::settle::flush(&shard, self.instance()).unwrap();
        }
    }

    fn audit(&self) {
        audit::audit(self.instance(), |database| self.store(database).contents());
    }

    /// Also that nothing is left to do: everything is in the stores, and nothing else is.
    fn audit_settled(&self) {
        self.settle();
        self.settle();
        audit::audit_settled(self.instance(), |database| self.store(database).contents());
    }
}
