//! Transactions of a session: commands that MULTI has queued, keys that WATCH has noted, and EXEC, which runs the queue
//! as one run of the engine.
//!
//! ```text
//!   Queue ──EXEC──▶ Exec::run ──▶ all commands on keys, in one run   ──▶ Assembly: their replies in their places,
//!                    │ (worker, or the desk)                               commands of the session run in theirs
//!                    └▶ a watched key was changed: nothing happens
//! ```
//!
//! A run may be stopped and begun anew, so a command of the session, whose effects cannot be undone, has no place in it:
//! such commands are run when the run is done and the replies are put together. Only SELECT and HELLO are looked at
//! before, for they change what the others mean.

use std::time::Instant;

use commands::spec::{Flags, Run, Scope as Breadth};
use commands::{Args, Command, Context, Error, KeyRef, Settings, Waiting};
use engine::{Abort, Fault, Instance, LockKey, Place, Ran, Request, Scope, Scratch, Trace};
use keyspace::Millis;
use resp::{Protocol, Reply};
use smallvec::SmallVec;

use crate::meter;
use crate::pledge::Pledge;

/// A queue of more commands is run at the desk: a worker has others to serve.
const WORKER_COMMANDS: usize = 128;

/// Commands queued since MULTI.
#[derive(Debug, Default)]
pub struct Queue {
    lines: Vec<Line>,
    bytes: usize,
    /// A command was refused: EXEC will do nothing.
    pub is_broken: bool,
    /// One of them may change keys.
    pub writes: bool,
}

impl Queue {
    /// Adds a command.
    pub(crate) fn push(&mut self, command: &'static Command, args: Args<'_>) {
        let line = Line::new(command, args);
        self.bytes += line.memory();
        self.writes |= may_write(command);
        self.lines.push(line);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Bytes of memory they take.
    pub(crate) fn memory(&self) -> usize {
        self.bytes
    }
}

/// Whether a command may change what replicas have.
pub(crate) fn may_write(command: &Command) -> bool {
    command.spec.flags.has(Flags::WRITE) || command.spec.flags.has(Flags::MAY_REPLICATE)
}

/// A command line that is kept.
#[derive(Debug)]
pub(crate) struct Line {
    pub command: &'static Command,
    bytes: Box<[u8]>,
    /// Where each argument ends.
    ends: Box<[usize]>,
}

impl Line {
    pub(crate) fn new(command: &'static Command, args: Args<'_>) -> Self {
        let args = args.from(0);
        let bytes = args.concat().into_boxed_slice();
        let end = |end: &mut usize, arg: &&[u8]| {
            *end += arg.len();
            Some(*end)
        };
        Self { command, bytes, ends: args.iter().scan(0, end).collect() }
    }

    pub(crate) fn args(&self) -> SmallVec<[&[u8]; 8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(self.ends.iter()).map(|(start, end)| &self.bytes[start..*end]).collect()
    }

    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.bytes.len() + self.ends.len() * size_of::<usize>()
    }
}

/// A key that WATCH has noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Its database.
    pub database: usize,
    /// The user key.
    pub key: Vec<u8>,
    /// What was known of it then.
    pub trace: Trace,
}

/// Looks at keys of one database that are to be watched. `None`: not on a worker.
///
/// # Errors
/// A fault of the disk.
pub(crate) fn watch(
    instance: &Instance,
    place: Place,
    (database, keys): (usize, &[Vec<u8>]),
    clock: Millis,
    scratch: &mut Scratch,
) -> Result<Option<Vec<Watched>>, Fault> {
    let locks: Vec<LockKey<'_>> = keys.iter().map(|key| LockKey { database, key }).collect();
    let request = Request { place, scope: Scope::Keys(&locks), database, clock };
    let mut watched = Vec::with_capacity(keys.len());
    let ran = instance.run_steps(&request, scratch, &mut |run| {
        watched.clear();
        for key in keys {
            watched.push(Watched { database, key: key.clone(), trace: run.trace(key)? });
        }
        Ok(())
    })?;
    Ok(matches!(ran, Ran::Done(_)).then_some(watched))
}

/// A transaction that is to be run.
#[derive(Debug)]
pub(crate) struct Exec {
    pub queue: Queue,
    pub watched: Vec<Watched>,
    /// What is selected before the first command.
    pub database: usize,
    pub protocol: Protocol,
}

/// What became of a transaction.
pub(crate) enum Executed {
    /// These are the replies of its commands on keys.
    Done(Pieces),
    /// A watched key was changed: nothing happened.
    Changed,
}

/// A database and a key of a command, to be locked.
type Keys<'a> = Vec<LockKey<'a>>;

impl Exec {
    /// Whether it can be tried on a worker.
    pub(crate) fn is_small(&self) -> bool {
        self.queue.len() <= WORKER_COMMANDS
    }

    /// Runs it. `Ok(None)`: not on a worker.
    ///
    /// # Errors
    /// A fault of the world; nothing has happened then.
    pub(crate) fn run(
        &self,
        (instance, place): (&Instance, Place),
        (settings, clock): (&Settings, Millis),
        scratch: &mut Scratch,
        gate: &mut engine::Gate,
    ) -> Result<Option<Executed>, Fault> {
        let lines: Vec<SmallVec<[&[u8]; 8]>> = self.queue.lines.iter().map(Line::args).collect();
        let mut locks = Keys::new();
        let mut breadth = self.list_keys(&lines, instance.databases(), &mut locks);
        loop {
            let scope = match breadth {
                Breadth::Keys => Scope::Keys(&locks),
                Breadth::Walk | Breadth::Shard => Scope::Shard,
                Breadth::AllShards => Scope::AllShards,
            };
            let request = Request { place, scope, database: self.database, clock };
            let mut pieces = Pieces::new(self.protocol);
            let mut changed = false;
            let ran = instance.run_steps(&request, scratch, &mut |run| {
                pieces.begin(self.protocol);
                changed = self.is_changed(run)?;
                if changed { Err(Abort::Undo) } else { self.run_lines(run, &lines, settings, &mut pieces) }
            })?;
            match ran {
                Ran::Done(seen) => {
                    *gate = seen;
                    return Ok(Some(if changed { Executed::Changed } else { Executed::Done(pieces) }));
                }
                Ran::Later => return Ok(None),
                Ran::Undeclared if place == Place::Worker => return Ok(None),
                Ran::Undeclared => breadth = Breadth::AllShards,
            }
        }
    }

    /// Collects the keys of all commands and what is watched, and says how much is to be locked.
    fn list_keys<'a>(&'a self, lines: &'a [SmallVec<[&[u8]; 8]>], databases: usize, locks: &mut Keys<'a>) -> Breadth {
        let mut breadth = Breadth::Keys;
        let mut database = self.database;
        let mut refs: Vec<KeyRef> = Vec::new();
        locks.extend(self.watched.iter().map(|key| LockKey { database: key.database, key: &key.key }));
        for (line, args) in self.queue.lines.iter().zip(lines) {
            let args: Args<'_> = Args::new(args);
            if let Run::Session | Run::Container = line.command.run {
                database = selected(line.command, args, databases).unwrap_or(database);
                continue;
            }
            breadth = match (breadth, line.command.scope) {
                (Breadth::AllShards, _) | (_, Breadth::AllShards) => Breadth::AllShards,
                // Whatever lies in another database than the first: all are locked.
                (_, Breadth::Shard | Breadth::Walk) if database != self.database => Breadth::AllShards,
                (_, Breadth::Shard | Breadth::Walk) => Breadth::Shard,
                (breadth, Breadth::Keys) => breadth,
            };
            refs.clear();
            if commands::keys(line.command, args, database, &mut refs).is_ok() {
                let known = refs.iter().filter(|key| key.database < databases);
                locks.extend(known.map(|key| LockKey { database: key.database, key: args.at(key.index) }));
            }
        }
        let only_here = locks.iter().all(|lock| lock.database == self.database);
        if breadth == Breadth::Shard && !only_here { Breadth::AllShards } else { breadth }
    }

    fn is_changed(&self, run: &mut dyn engine::Transaction) -> Result<bool, Abort> {
        for watched in &self.watched {
            run.select(watched.database)?;
            if watched.trace.differs(run.trace(&watched.key)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn run_lines(
        &self,
        run: &mut dyn engine::Transaction,
        lines: &[SmallVec<[&[u8]; 8]>],
        settings: &Settings,
        pieces: &mut Pieces,
    ) -> Result<(), Abort> {
        let mut database = self.database;
        let mut began = Instant::now();
        for (line, args) in self.queue.lines.iter().zip(lines) {
            let args = Args::new(args);
            let Run::View(code) = line.command.run else {
                database = selected(line.command, args, run.databases()).unwrap_or(database);
                if let Some(protocol) = spoken(line.command, args) {
                    pieces.reply.set_protocol(protocol);
                }
                pieces.list.push(Piece::Session);
                continue;
            };
            run.begin_step();
            run.select(database)?;
            let reply = &mut pieces.reply;
            let mark = reply.len();
            let mut context = Context { view: run, reply, database, settings, waiting: Waiting::Refused };
            match code(&mut context, args) {
                Ok(()) => {}
                Err(Error::Stop(stop)) => return Err(Abort::Stop(stop)),
                Err(Error::Wait(wait)) => unreachable!("waiting was refused: {wait:?}"),
                Err(Error::Reply(text)) => {
                    pieces.reply.truncate(mark);
                    pieces.reply.error_bytes(&text);
                    run.undo_step();
                }
            }
            let now = Instant::now();
            pieces.list.push(Piece::Reply { end: pieces.reply.len(), nanos: meter::nanos(began, now) });
            began = now;
        }
        Ok(())
    }

    /// The reply, once it has run.
    pub(crate) fn into_assembly(self, pieces: Pieces) -> Box<Assembly> {
        let mut head = Reply::new(self.protocol);
        head.array(pieces.list.len());
        Box::new(Assembly {
            is_muted: false,
            so_far: head.into_buffer(),
            pledge: None,
            bytes: pieces.reply.into_buffer(),
            at: 0,
            lines: self.queue.lines.into_iter(),
            pieces: pieces.list.into_iter(),
        })
    }
}

/// The database that a SELECT will select.
fn selected(command: &Command, args: Args<'_>, databases: usize) -> Option<usize> {
    if command.spec.name != "select" || command.spec.container.is_some() {
        return None;
    }
    let number = usize::try_from(args.small_integer(1).ok()?).ok()?;
    (number < databases).then_some(number)
}

/// The protocol that a HELLO will choose.
fn spoken(command: &Command, args: Args<'_>) -> Option<Protocol> {
    if command.spec.name != "hello" {
        return None;
    }
    match resp::parse_i64(args.get(1)?)? {
        2 => Some(Protocol::Resp2),
        3 => Some(Protocol::Resp3),
        _ => None,
    }
}

/// The replies of a run, one after the other, with gaps.
pub(crate) struct Pieces {
    reply: Reply,
    list: Vec<Piece>,
}

/// What belongs at a place of EXEC's reply.
#[derive(Clone, Copy, Debug)]
enum Piece {
    /// The bytes up to `end`; the command took so many nanoseconds.
    Reply { end: usize, nanos: u64 },
    /// The reply of a command of the session, which has not run yet.
    Session,
}

impl Pieces {
    fn new(protocol: Protocol) -> Self {
        Self { reply: Reply::new(protocol), list: Vec::new() }
    }

    fn begin(&mut self, protocol: Protocol) {
        self.reply.truncate(0);
        self.reply.set_protocol(protocol);
        self.list.clear();
    }
}

/// The reply of an EXEC, being put together.
#[derive(Debug)]
pub struct Assembly {
    /// `CLIENT REPLY` has it that nothing of it is sent.
    pub(crate) is_muted: bool,
    /// What must be settled before it may leave.
    pub(crate) pledge: Option<Pledge>,
    /// What there is of it, while it is interrupted.
    so_far: Vec<u8>,
    /// The replies of the commands on keys.
    bytes: Vec<u8>,
    at: usize,
    lines: std::vec::IntoIter<Line>,
    pieces: std::vec::IntoIter<Piece>,
}

/// The next place of EXEC's reply.
pub(crate) enum Part<'a> {
    /// These bytes, of a command that took so many nanoseconds.
    Reply(Line, &'a [u8], u64),
    /// What this command of the session answers.
    Session(Line),
}

impl Assembly {
    /// Adds what was made of it elsewhere, and what that promises.
    pub(crate) fn add(&mut self, bytes: &[u8], pledge: Option<Pledge>) {
        if !self.is_muted {
            self.so_far.extend_from_slice(bytes);
        }
        match (&mut self.pledge, pledge) {
            (Some(own), Some(pledge)) => own.add(pledge),
            (None, pledge) => self.pledge = pledge,
            (Some(_), None) => {}
        }
    }

    /// What there is of it, which goes on from here.
    pub(crate) fn take_parts(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.so_far)
    }

    /// Goes on to the next place.
    pub(crate) fn next(&mut self) -> Option<Part<'_>> {
        let (line, piece) = self.lines.next().zip(self.pieces.next())?;
        Some(match piece {
            Piece::Session => Part::Session(line),
            Piece::Reply { end, nanos } => {
                let bytes = &self.bytes[self.at..end];
                self.at = end;
                Part::Reply(line, bytes, nanos)
            }
        })
    }
}
