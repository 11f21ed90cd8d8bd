//! A command that works on keys, run by the engine: on a worker or at the desk, the same.

use std::time::{Duration, Instant};

use commands::{Args, Command, Context, Error, KeyRef, Settings, Wait, Waiting};
use engine::{Abort, Fault, FaultKind, Instance, LockKey, Place, Ran, Request, Scope, Scratch};
use keyspace::Millis;
use parking_lot::Mutex;
use resp::Reply;
use smallvec::SmallVec;

/// How much of the key space a run locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breadth {
    /// What the command's entry declares.
    Declared,
    /// The whole selected database: the command turned out to touch keys that it did not name.
    Shard,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Ran(Ran),
    /// There was nothing: the session is to wait.
    Waits(Box<Wait>),
}

/// A command line, ready to run.
pub(crate) struct Code<'a> {
    pub instance: &'a Instance,
    pub command: &'static Command,
    pub run: commands::spec::ViewFn,
    pub args: Args<'a>,
    pub database: usize,
    pub settings: &'a Settings,
    pub clock: Millis,
}

impl Code<'_> {
    /// Runs it. The reply holds nothing new unless the run is done.
    pub(crate) fn run(
        &self,
        place: Place,
        breadth: Breadth,
        memory: (&mut Scratch, &mut Vec<KeyRef>),
        reply: &mut Reply,
    ) -> Result<Ended, Fault> {
        let (scratch, keys) = memory;
        let mut waits = None;
        let one;
        let mut locks: SmallVec<[LockKey<'_>; 4]> = SmallVec::new();
        let scope = match (breadth, self.command.scope) {
            (Breadth::Shard, _) | (Breadth::Declared, commands::spec::Scope::Shard) => Scope::Shard,
            (Breadth::Declared, commands::spec::Scope::AllShards) => Scope::AllShards,
            (Breadth::Declared, commands::spec::Scope::Walk) => Scope::Walk,
            (Breadth::Declared, commands::spec::Scope::Keys) => match commands::only_key(self.command) {
                Some(index) => {
                    one = [LockKey { database: self.database, key: self.args.at(index) }];
                    Scope::Keys(&one)
                }
                None => {
                    keys.clear();
                    self.list_keys(keys, &mut locks);
                    Scope::Keys(&locks)
                }
            },
        };
        let request = Request { place, scope, database: self.database, clock: self.clock };
        let mark = reply.len();
        let ran = self.instance.run(&request, scratch, &mut |view| {
            reply.truncate(mark);
            let mut context =
                Context { view, reply, database: self.database, settings: self.settings, waiting: Waiting::Allowed };
            match (self.run)(&mut context, self.args) {
                Ok(()) => Ok(()),
                Err(Error::Stop(stop)) => Err(Abort::Stop(stop)),
                Err(Error::Wait(wait)) => {
                    reply.truncate(mark);
                    waits = Some(wait);
                    Err(Abort::Undo)
                }
                Err(Error::Reply(text)) => {
                    reply.truncate(mark);
                    reply.error_bytes(&text);
                    Err(Abort::Undo)
                }
            }
        });
        if !matches!(ran, Ok(Ran::Done(_))) {
            reply.truncate(mark);
        }
        match (waits, ran) {
            (Some(wait), Ok(Ran::Done(_))) => Ok(Ended::Waits(wait)),
            (_, ran) => ran.map(Ended::Ran),
        }
    }

    /// The keys to lock: those in databases that exist. A command whose keys cannot be read answers an error and
    /// touches none.
    fn list_keys<'k>(&'k self, keys: &mut Vec<KeyRef>, locks: &mut SmallVec<[LockKey<'k>; 4]>) {
        if commands::keys(self.command, self.args, self.database, keys).is_err() {
            return;
        }
        let databases = self.instance.databases();
        let known = keys.iter().filter(|key| key.database < databases);
        locks.extend(known.map(|key| LockKey { database: key.database, key: self.args.at(key.index) }));
    }
}

/// What a client is told of a failure of the world.
pub(crate) fn fault_text(fault: &Fault) -> String {
    match fault.kind {
        FaultKind::NoSpace | FaultKind::ReadOnly => refusal_text(fault),
        FaultKind::Corrupt | FaultKind::Format | FaultKind::Io => format!("ERR {fault}"),
    }
}

/// What a client is told while a database takes no writes.
pub(crate) fn refusal_text(fault: &Fault) -> String {
    if fault.kind == FaultKind::ReadOnly {
        return format!("READONLY {}", fault.what);
    }
    format!("MISCONF Haypile cannot write: {fault}. Commands that change data are refused until this is cured.")
}

/// A fault of one kind is logged at most this often.
const FAULT_LOG_PAUSE: Duration = Duration::from_secs(10);

/// Logs faults of commands, each kind rarely: a broken disk meets every command.
#[derive(Debug, Default)]
pub(crate) struct FaultLog(Mutex<[Option<Instant>; 4]>);

impl FaultLog {
    pub(crate) fn note(&self, fault: &Fault) {
        let slot = match fault.kind {
            FaultKind::NoSpace => 0,
            FaultKind::Corrupt => 1,
            FaultKind::Format => 2,
            FaultKind::Io => 3,
            // Nothing failed.
            FaultKind::ReadOnly => return,
        };
        let now = Instant::now();
        let mut last = self.0.lock();
        if last[slot].is_none_or(|last| now.duration_since(last) >= FAULT_LOG_PAUSE) {
            last[slot] = Some(now);
            drop(last);
            tracing::error!(%fault, "a command failed; the same kind of fault is not logged again for a while");
        }
    }
}

/// Requests of HTTP are logged at most this often.
const ATTACK_LOG_PAUSE: Duration = Duration::from_secs(60);

/// Logs requests of HTTP, at most once a minute: whoever sends them can send many.
#[derive(Debug, Default)]
pub(crate) struct AttackLog(Mutex<Option<Instant>>);

impl AttackLog {
    pub(crate) fn note(&self, peer: &str) {
        let now = Instant::now();
        let mut last = self.0.lock();
        if last.is_none_or(|last| now.duration_since(last) >= ATTACK_LOG_PAUSE) {
            *last = Some(now);
            drop(last);
            tracing::warn!(
                peer,
                "Possible SECURITY ATTACK detected: POST or Host: instead of a command. A web page may have made somebody's \
                 browser send it (cross protocol scripting); the connection is closed"
            );
        }
    }
}
