//! The commands that one read brought, run one after the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use commands::spec::{Command, Flags, Run, Scope, ViewFn};
use commands::{Args, Error, KeyRef, Wait};
use engine::{Gate, Place, Ran, Role, Scratch};
use keyspace::Millis;
use replication::primary::Opening;
use replication::replica::Admission;
use replication_proto::Db;
use resp::{Limits, Parser, ProtocolError, Reply, Request, Trust};
use smallvec::SmallVec;

use crate::catalog::{self, CommandNumber, Numbers};
use crate::code::{self, Breadth, Code, Ended};
use crate::desk::Desk;
use crate::following;
use crate::gate::Marks;
use crate::meter::{self, Meter};
use crate::outbox::{self, Promise};
use crate::pause::Nature;
use crate::pledge::Pledge;
use crate::rules::Rules;
use crate::session::window::{Edge, Window};
use crate::session_commands::waits::Awaited;
use crate::session_commands::{self, DeskWork, Outcome};
use crate::shared::Shared;
use crate::state::{Replies, SessionState};
use crate::stats::ThreadStats;
use crate::transaction::{self, Exec, Line};
use crate::waiting::Waker;

/// How much one batch may do before others get their turn.
const MAX_COMMANDS: usize = 1024;
const MAX_BYTES: usize = 256 << 10;

/// First words of what a browser sends that a web page has talked into it: they end the connection, without an answer, before
/// the lines that follow are taken for commands.
const ATTACKS: [&[u8]; 2] = [b"post", b"host:"];

/// What the batches of one worker use one after the other.
pub(crate) struct Tools {
    pub scratch: Scratch,
    pub keys: Vec<KeyRef>,
    pub numbers: Numbers,
}

/// Where a batch stopped, and why.
pub(crate) struct Halt {
    /// Bytes executed.
    pub at: usize,
    pub why: Why,
}

/// Why a batch stopped.
pub(crate) enum Why {
    /// No whole command is left; so many bytes from `at` on are needed at least.
    Incomplete { wanted: usize },
    /// Others must get their turn.
    Full,
    /// A command of `len` bytes at `at` needs something.
    Needs { len: usize, need: Need },
    /// The last command ended the session.
    Close,
    /// The client does not speak the protocol. The error is in the reply.
    Protocol,
}

/// What a command needs. It is read again when it needs room, the log or the end of a pause; the others are taken out of the input.
pub(crate) enum Need {
    /// The desk.
    Desk(Breadth),
    /// Room for dirty records.
    Room,
    /// The log of the selected database to be written.
    Log,
    /// The end of a pause.
    Pause(Nature),
    /// The desk, for the rest of it.
    Work(DeskWork),
    /// Time.
    Sleep(Duration),
    /// Replicas, or the disk. It has run; its reply has not been written.
    Acknowledged(Awaited),
    /// To be a link: the session is over.
    Link(Box<Opening>),
    /// The end of the server.
    End,
    /// The desk, to look at these keys of the selected database, which are to be watched.
    Watch(Vec<Vec<u8>>),
    /// The desk, for a transaction.
    Exec(Box<Exec>),
    /// Something to come, for this command line.
    Block(Box<(Line, Wait)>),
}

/// How a command ended.
pub(super) enum Verdict {
    Next,
    Close,
    Needs(Need),
}

/// What a batch works with.
pub(crate) struct Batch<'a> {
    pub shared: &'a Arc<Shared>,
    pub stats: &'a ThreadStats,
    pub rules: &'a Rules,
    pub tools: &'a mut Tools,
    pub desk: &'a Desk,
    pub state: &'a mut SessionState,
    pub reply: &'a mut Reply,
    /// Which replies must not leave before replicas confirm what they tell of.
    pub promises: &'a mut VecDeque<Promise>,
    /// What the replies show and what was done.
    pub marks: Marks,
    /// Of that, what replicas are to confirm.
    pub changed: Marks,
    /// What the reply that is being made promises.
    pub pledge: Option<Pledge>,
    pub clock: Millis,
    pub meter: Meter,
}

impl Batch<'_> {
    /// Runs the whole commands of `bytes`.
    pub(crate) fn run(&mut self, parser: &mut Parser, window: &mut Window, bytes: &[u8]) -> Halt {
        let mut at = 0;
        let mut last = None;
        let mut trust = self.state.trust;
        let mut limits = self.rules.limits(trust);
        if let Some(assembly) = self.state.assembly.take() {
            let mark = self.reply.len();
            let verdict = self.assemble(assembly);
            self.promise(mark);
            match verdict {
                Verdict::Next => {}
                Verdict::Close => return Halt { at, why: Why::Close },
                Verdict::Needs(need) => return Halt { at, why: Why::Needs { len: 0, need } },
            }
        }
        let mut left = MAX_COMMANDS;
        let why = 'batch: loop {
            if left == 0 || at > MAX_BYTES {
                break if at < bytes.len() { Why::Full } else { Why::Incomplete { wanted: 1 } };
            }
            let reach = window.fill(parser, (bytes, &limits), at, (left, MAX_BYTES));
            left -= reach.parsed;
            if window.requests().len() > 1 {
                self.shared.instance.foresee_requests(self.state.database, window.glances(bytes));
            }
            for ahead in window.requests() {
                at = ahead.at;
                let verdict = self.line(&ahead.request, &bytes[at..], &mut last);
                if !matches!(verdict, Verdict::Next) {
                    // What was read beyond this request is read again.
                    *parser = Parser::new();
                }
                match verdict {
                    Verdict::Next => at += ahead.len,
                    Verdict::Close => break 'batch Why::Close,
                    Verdict::Needs(need) => break 'batch Why::Needs { len: ahead.len, need },
                }
                if self.state.trust != trust {
                    // So is what was read within other limits.
                    *parser = Parser::new();
                    trust = self.state.trust;
                    limits = self.rules.limits(trust);
                    continue 'batch;
                }
            }
            at = reach.at;
            match reach.why {
                Edge::Full => {}
                Edge::Incomplete { wanted } => break Why::Incomplete { wanted },
                Edge::Broken(error) => break self.broken_protocol(error, &limits),
            }
        };
        self.meter.finish(self.stats);
        if let Some(CommandNumber(number)) = last {
            self.state.info.command.store(number, std::sync::atomic::Ordering::Relaxed);
        }
        Halt { at, why }
    }

    #[inline]
    fn line(&mut self, request: &Request, bytes: &[u8], last: &mut Option<CommandNumber>) -> Verdict {
        let mut args: SmallVec<[&[u8]; 8]> = SmallVec::new();
        if request.len() > args.inline_size() {
            args.reserve_exact(request.len());
        }
        for arg in request.args(bytes) {
            args.push(arg);
        }
        let args = Args::new(&args);
        if self.state.replies == Replies::SkipNext {
            self.state.replies = Replies::Skip;
        }
        let mark = self.reply.len();
        let verdict = match commands::resolve(args) {
            Ok(command) => self.command(command, args, mark, last),
            Err(error) => self.unresolved(args, &error),
        };
        match (&verdict, self.state.replies) {
            (_, Replies::On) => {}
            // The reply is yet to come, and so is its end.
            (Verdict::Needs(need), _) if need.answers_later() => {}
            (_, _) => end_reply(self.state, self.reply, mark),
        }
        if self.pledge.is_some() {
            self.promise(mark);
        }
        verdict
    }

    /// A run is done, which may have changed something that replicas are to confirm.
    #[inline]
    pub(super) fn note_run(&mut self, gate: &Gate) {
        self.marks.raise(gate);
        if self.rules.sync_replicas > 0 && self.tools.scratch.tally().committed.get() {
            self.pledge = Some(Pledge::new(&self.shared.instance, gate));
            self.changed.raise(gate);
        }
    }

    /// The reply that begins at `mark` is complete; it leaves when what it promises is kept.
    #[cold]
    fn promise(&mut self, mark: usize) {
        if let Some(pledge) = self.pledge.take() {
            outbox::promise(self.promises, mark..self.reply.len(), pledge);
        }
    }

    #[inline]
    fn command(
        &mut self,
        command: &'static Command,
        args: Args<'_>,
        mark: usize,
        last: &mut Option<CommandNumber>,
    ) -> Verdict {
        let number = self.tools.numbers.of(command);
        *last = Some(number);
        if self.state.trust == Trust::Unauthenticated && !command.spec.flags.has(Flags::NO_AUTH) {
            return self.reject(number, "NOAUTH Authentication required.");
        }
        let admission = self.shared.replica.admission();
        if admission != Admission::Primary
            && let Some(text) = self.not_admitted(admission, command)
        {
            return self.reject(number, text);
        }
        if let Some(nature) = self.held_back(command) {
            return Verdict::Needs(Need::Pause(nature));
        }
        if self.state.queue.is_some()
            && let Some(verdict) = self.enqueue(command, number, args)
        {
            return verdict;
        }
        let verdict = match command.run {
            Run::View(run) => self.view(command, number, run, args),
            Run::Session => self.session(command, args),
            Run::Container => unreachable!("a container resolves to its subcommand"),
        };
        if matches!(verdict, Verdict::Needs(Need::Desk(_) | Need::Room | Need::Log)) {
            return verdict;
        }
        let nanos = self.meter.lap(self.stats, number);
        if self.reply.buffer().get(mark) == Some(&b'-') {
            let counters = self.stats.command(number);
            meter::note_outcome(&self.shared.stats, counters, &self.reply.buffer()[mark..]);
        }
        if nanos >= self.rules.slow_nanos {
            meter::note_slow(self.shared, self.rules, &self.state.info, command, args, nanos);
        }
        verdict
    }

    #[inline]
    fn view(&mut self, command: &'static Command, number: CommandNumber, run: ViewFn, args: Args<'_>) -> Verdict {
        let instance = &self.shared.instance;
        if command.spec.flags.has(Flags::WRITE) {
            if let Some(text) = self.too_few_replicas() {
                return self.reject(number, text);
            }
            if let Some(shard) = instance.shard(self.state.database) {
                if let Some(fault) = shard.refuses_writes() {
                    self.shared.faults.note(&fault);
                    return self.reject(number, &code::refusal_text(&fault));
                }
                if shard.log.is_full() {
                    return Verdict::Needs(Need::Log);
                }
            }
            if !instance.budget().has_room() {
                self.shared.stats.waits_for_room.add(1);
                return Verdict::Needs(Need::Room);
            }
        }
        if command.scope != Scope::Keys {
            return Verdict::Needs(Need::Desk(Breadth::Declared));
        }
        let settings = &self.rules.settings;
        let database = self.state.database;
        if command.spec.flags.has(Flags::BLOCKING)
            && let Some(wait) = self.others_wait(command, args)
        {
            return Verdict::Needs(Need::Block(Box::new((Line::new(command, args), wait))));
        }
        let code = Code { instance, command, run, args, database, settings, clock: self.clock };
        let memory = (&mut self.tools.scratch, &mut self.tools.keys);
        match code.run(Place::Worker, Breadth::Declared, memory, self.reply) {
            Ok(Ended::Ran(Ran::Done(gate))) => {
                self.note_run(&gate);
                if command.spec.flags.has(Flags::READONLY) {
                    let keys = if commands::only_key(command).is_some() { 1 } else { self.tools.keys.len() };
                    self.meter.note_looks(self.tools.scratch.tally(), keys);
                } else {
                    self.meter.note_changes(self.tools.scratch.tally());
                    if commands::reads_first(command, args) {
                        self.meter.note_looks(self.tools.scratch.tally(), 1);
                    }
                }
                if self.tools.scratch.has_woken() {
                    self.wake();
                }
                Verdict::Next
            }
            Ok(Ended::Ran(Ran::Later)) => Verdict::Needs(Need::Desk(Breadth::Declared)),
            Ok(Ended::Ran(Ran::Undeclared)) => Verdict::Needs(Need::Desk(Breadth::Shard)),
            Ok(Ended::Waits(wait)) => Verdict::Needs(Need::Block(Box::new((Line::new(command, args), *wait)))),
            Err(fault) => {
                self.shared.faults.note(&fault);
                self.reply.error(&code::fault_text(&fault));
                Verdict::Next
            }
        }
    }

    /// What a blocking command has to wait for because others wait for it already.
    #[cold]
    fn others_wait(&self, command: &Command, args: Args<'_>) -> Option<Wait> {
        let wait = commands::wait_of(command, args)?;
        let keys = args.from(0).get(wait.keys.clone())?;
        let database = self.state.database;
        keys.iter().any(|key| self.shared.instance.is_expected(database, key)).then_some(wait)
    }

    /// Serves those who wait for what was just done.
    #[cold]
    pub(super) fn wake(&mut self) {
        let Tools { scratch, keys, .. } = &mut *self.tools;
        Waker { shared: self.shared, desk: Some(self.desk), scratch, keys }.serve(None);
    }

    fn session(&mut self, command: &'static Command, args: Args<'_>) -> Verdict {
        match session_commands::run(self.shared, self.state, command, args, self.reply) {
            Outcome::Done => Verdict::Next,
            Outcome::Close => Verdict::Close,
            Outcome::Desk(work) => Verdict::Needs(Need::Work(work)),
            Outcome::Sleep(time) => Verdict::Needs(Need::Sleep(time)),
            Outcome::Acknowledged(awaited) => Verdict::Needs(Need::Acknowledged(awaited)),
            Outcome::Link(opening) => Verdict::Needs(Need::Link(opening)),
            Outcome::Shutdown => Verdict::Needs(Need::End),
            Outcome::Exec => self.exec(),
            Outcome::Watch(keys) => self.watch(keys),
        }
    }

    /// Whether a pause holds a command back, and as what. Whoever becomes a replica is not held back.
    #[inline]
    fn held_back(&self, command: &Command) -> Option<Nature> {
        let nature = || {
            let of_queue =
                || command.spec.name == "exec" && self.state.queue.as_ref().is_some_and(|queue| queue.writes);
            if transaction::may_write(command) || of_queue() { Nature::Writes } else { Nature::Reads }
        };
        self.shared.pause.holds(nature)?;
        (!matches!(command.spec.name, "replconf" | "syncmeta" | "syncshard")).then(nature)
    }

    /// Why a replica does not run a command, if it does not.
    #[cold]
    fn not_admitted(&self, mut admission: Admission, command: &Command) -> Option<&'static str> {
        if !self.rules.config.replica_serve_stale_data {
            let database = u32::try_from(self.state.database).unwrap_or(u32::MAX);
            admission = self.shared.replica.admission_to(Db(database));
        }
        following::refusal(admission, &self.rules.config, command).or_else(|| {
            let shard = self.shared.instance.shard(self.state.database);
            let looks_at_keys = matches!(command.run, Run::View(_));
            (looks_at_keys && shard.is_some_and(|shard| shard.is_damaged())).then_some(following::LOADING)
        })
    }

    /// Why there are no writes, if so: too few replicas keep up (`min-replicas-to-write`).
    #[inline]
    pub(super) fn too_few_replicas(&self) -> Option<&'static str> {
        let least = self.rules.config.min_replicas_to_write;
        if least == 0 {
            return None;
        }
        let is_primary = self.shared.instance.role() == Role::Primary;
        let are_few = self.shared.primary.good_replicas() < least as usize;
        (is_primary && are_few).then_some("NOREPLICAS Not enough good replicas to write.")
    }

    #[cold]
    pub(super) fn reject(&mut self, number: CommandNumber, text: &str) -> Verdict {
        self.stats.command(number).rejected.add(1);
        let name = catalog::name(number);
        self.refuse(name, text.as_bytes());
        Verdict::Next
    }

    /// Answers with an error a command that does not run.
    fn refuse(&mut self, name: &str, text: &[u8]) {
        let error = self.refuse_in_queue(name, text);
        let text = match &error {
            Some(Error::Reply(text)) => text,
            Some(Error::Stop(_) | Error::Wait(_)) | None => text,
        };
        self.shared.stats.count_error(text);
        self.reply.error_bytes(text);
    }

    #[cold]
    fn unresolved(&mut self, args: Args<'_>, error: &Error) -> Verdict {
        let Error::Reply(text) = error else { unreachable!("looking up a command stops at nothing") };
        if ATTACKS.iter().any(|word| args.at(0).eq_ignore_ascii_case(word)) {
            self.shared.attacks.note(&self.state.info.ends.peer);
            return Verdict::Close;
        }
        if let Some(command) = commands::lookup(args.at(0)) {
            self.stats.command(self.tools.numbers.of(command)).rejected.add(1);
        }
        self.refuse(&String::from_utf8_lossy(args.at(0)).to_ascii_lowercase(), text);
        Verdict::Next
    }

    #[cold]
    fn broken_protocol(&mut self, error: ProtocolError, limits: &Limits) -> Why {
        self.shared.stats.protocol_errors.add(1);
        self.shared.stats.count_error(b"ERR");
        tracing::debug!(peer = self.state.info.ends.peer, ?limits, "closing a client: {error}");
        self.reply.error_bytes(&error.reply());
        Why::Protocol
    }
}

impl Need {
    /// Whether the reply, or the rest of it, is yet to come.
    fn answers_later(&self) -> bool {
        match self {
            Self::Desk(_)
            | Self::Room
            | Self::Log
            | Self::Pause(_)
            | Self::Work(_)
            | Self::Watch(_)
            | Self::Exec(_)
            | Self::Block(_)
            | Self::Acknowledged(_) => true,
            Self::Sleep(_) | Self::Link(_) | Self::End => false,
        }
    }
}

impl<'a> Batch<'a> {
    /// A batch that begins now.
    pub(crate) fn begin_meter() -> Meter {
        Meter::new(Instant::now())
    }
}

/// Ends the reply that begins at `mark`, as `CLIENT REPLY` has it.
pub(crate) fn end_reply(state: &mut SessionState, reply: &mut Reply, mark: usize) {
    match state.replies {
        Replies::On => {}
        Replies::Off | Replies::SkipNext => reply.truncate(mark),
        Replies::Skip => {
            reply.truncate(mark);
            state.replies = Replies::On;
        }
    }
}
