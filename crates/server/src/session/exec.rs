//! Transactions in a batch: queueing, WATCH, EXEC, and the reply of EXEC.

use std::time::Instant;

use commands::spec::{Command, Flags};
use commands::{Args, Error};
use engine::{Gate, Place};

use super::batch::{Batch, Need, Verdict};
use crate::acknowledged::Wait;
use crate::catalog::CommandNumber;
use crate::code;
use crate::meter;
use crate::session_commands::{self, Outcome, discarded};
use crate::state::Replies;
use crate::transaction::{self, Assembly, Exec, Executed, Line, Part};

const NOT_INSIDE: &str = "ERR Command not allowed inside a transaction";

/// Whether a command is run at once although commands are queued.
fn is_about_the_queue(command: &Command) -> bool {
    command.spec.container.is_none()
        && matches!(command.spec.name, "exec" | "discard" | "multi" | "watch" | "quit" | "reset")
}

impl Batch<'_> {
    /// Queues a command, unless it is one about the queue itself.
    #[cold]
    pub(super) fn enqueue(
        &mut self,
        command: &'static Command,
        number: CommandNumber,
        args: Args<'_>,
    ) -> Option<Verdict> {
        if is_about_the_queue(command) {
            return None;
        }
        if command.spec.flags.has(Flags::NO_MULTI) {
            return Some(self.reject(number, NOT_INSIDE));
        }
        if command.spec.flags.has(Flags::WRITE)
            && let Some(refusal) = self.refusal()
        {
            return Some(self.reject(number, &refusal));
        }
        let queue = self.state.queue.as_mut()?;
        queue.push(command, args);
        let bytes = queue.memory();
        self.state.note_transaction();
        if bytes > self.rules.input_limit {
            self.shared.stats.closed_input_limit.add(1);
            let peer = &self.state.info.ends.peer;
            tracing::warn!(peer, bytes, "closing a client: too many bytes of queued commands");
            self.state.info.kill(crate::client::Kill::Now);
            return Some(Verdict::Close);
        }
        self.reply.simple("QUEUED");
        Some(Verdict::Next)
    }

    /// A command was refused: if commands are queued, EXEC will do nothing. A refused EXEC ends the transaction.
    #[cold]
    pub(super) fn refuse_in_queue(&mut self, name: &str, text: &[u8]) -> Option<Error> {
        if let Some(queue) = &mut self.state.queue {
            queue.is_broken = true;
        }
        if name != "exec" {
            return None;
        }
        self.state.end_transaction();
        let text = String::from_utf8_lossy(text);
        Some(discarded(text.strip_prefix("ERR ").unwrap_or(&text)))
    }

    /// Why the selected database takes no writes, if so.
    pub(super) fn refusal(&self) -> Option<String> {
        if let Some(text) = self.too_few_replicas() {
            return Some(text.to_owned());
        }
        let fault = self.shared.instance.shard(self.state.database)?.refuses_writes()?;
        self.shared.faults.note(&fault);
        Some(code::refusal_text(&fault))
    }

    /// Notes what keys are now.
    #[cold]
    pub(super) fn watch(&mut self, keys: Vec<Vec<u8>>) -> Verdict {
        let database = self.state.database;
        let instance = &self.shared.instance;
        match transaction::watch(instance, Place::Worker, (database, &keys), self.clock, &mut self.tools.scratch) {
            Ok(Some(watched)) => {
                self.state.watch(watched);
                self.reply.ok();
            }
            Ok(None) => return Verdict::Needs(Need::Watch(keys)),
            Err(fault) => {
                self.shared.faults.note(&fault);
                self.reply.error(&code::fault_text(&fault));
            }
        }
        Verdict::Next
    }

    /// Runs the queue.
    #[cold]
    pub(super) fn exec(&mut self) -> Verdict {
        let writes = self.state.queue.as_ref().is_some_and(|queue| queue.writes);
        if writes {
            if let Some(refusal) = self.refusal() {
                self.state.end_transaction();
                if let Error::Reply(text) = discarded(&refusal) {
                    self.reply.error_bytes(&text);
                }
                return Verdict::Next;
            }
            if self.shared.instance.shard(self.state.database).is_some_and(|shard| shard.log.is_full()) {
                return Verdict::Needs(Need::Log);
            }
            if !self.shared.instance.budget().has_room() {
                self.shared.stats.waits_for_room.add(1);
                return Verdict::Needs(Need::Room);
            }
        }
        let Some(queue) = self.state.queue.take() else { unreachable!("EXEC was checked to have a queue") };
        let watched = std::mem::take(&mut self.state.watched);
        self.state.end_transaction();
        let exec = Exec { queue: *queue, watched, database: self.state.database, protocol: self.state.protocol };
        if !exec.is_small() {
            return Verdict::Needs(Need::Exec(Box::new(exec)));
        }
        let mut gate = Gate::new();
        let at = (&*self.shared.instance, Place::Worker);
        match exec.run(at, (&self.rules.settings, self.clock), &mut self.tools.scratch, &mut gate) {
            Ok(Some(executed)) => {
                self.note_run(&gate);
                self.meter.note_changes(self.tools.scratch.tally());
                if self.tools.scratch.has_woken() {
                    self.wake();
                }
                match executed {
                    Executed::Changed => self.reply.null_array(),
                    Executed::Done(pieces) => return self.begin_assembly(exec.into_assembly(pieces)),
                }
            }
            Ok(None) => return Verdict::Needs(Need::Exec(Box::new(exec))),
            Err(fault) => {
                self.shared.faults.note(&fault);
                self.reply.error(&code::fault_text(&fault));
            }
        }
        Verdict::Next
    }

    /// Answers EXEC.
    fn begin_assembly(&mut self, mut assembly: Box<Assembly>) -> Verdict {
        assembly.is_muted = self.state.replies != Replies::On;
        assembly.pledge = self.pledge.take();
        self.assemble(assembly)
    }

    /// Goes on with the answer of EXEC. Work for the desk, or a pause, interrupts it; what there is of the answer waits
    /// meanwhile, for it leaves as a whole.
    pub(super) fn assemble(&mut self, mut assembly: Box<Assembly>) -> Verdict {
        let mut end = Verdict::Next;
        let mark = self.reply.len();
        let muted_at = assembly.is_muted.then_some(mark);
        self.reply.raw(&assembly.take_parts());
        while let Some(part) = assembly.next() {
            muted_at.into_iter().for_each(|mark| self.reply.truncate(mark));
            match part {
                Part::Reply(line, bytes, nanos) => {
                    let mark = self.reply.len();
                    self.reply.raw(bytes);
                    self.note_call(&line, nanos, mark);
                }
                Part::Session(line) => {
                    let need = match self.run_queued(&line) {
                        Outcome::Close => {
                            end = Verdict::Close;
                            continue;
                        }
                        Outcome::Desk(work) => Need::Work(work),
                        Outcome::Sleep(time) => Need::Sleep(time),
                        // A transaction does not wait.
                        Outcome::Acknowledged(awaited) => {
                            Wait::new(self.shared, awaited, &self.state.seen).answer_now(self.reply);
                            continue;
                        }
                        Outcome::Done | Outcome::Link(_) | Outcome::Shutdown | Outcome::Exec | Outcome::Watch(_) => {
                            continue;
                        }
                    };
                    assembly.add(&self.reply.buffer()[mark..], None);
                    self.reply.truncate(mark);
                    self.state.assembly = Some(assembly);
                    return Verdict::Needs(need);
                }
            }
        }
        muted_at.into_iter().for_each(|mark| self.reply.truncate(mark));
        self.pledge = assembly.pledge.take();
        end
    }

    /// Runs a queued command of the session.
    fn run_queued(&mut self, line: &Line) -> Outcome {
        let (began, mark) = (Instant::now(), self.reply.len());
        let args = line.args();
        let outcome = session_commands::run(self.shared, self.state, line.command, Args::new(&args), self.reply);
        self.note_call(line, meter::nanos(began, Instant::now()), mark);
        outcome
    }

    /// Counts a command of a transaction, whose reply begins at `mark`.
    fn note_call(&mut self, line: &Line, nanos: u64, mark: usize) {
        self.stats.commands.add(1);
        let counters = self.stats.command(self.tools.numbers.of(line.command));
        counters.calls.add(1);
        counters.nanos.add(nanos);
        meter::note_outcome(&self.shared.stats, counters, &self.reply.buffer()[mark..]);
        if nanos >= self.rules.slow_nanos {
            let args = line.args();
            let info = &self.state.info;
            meter::note_slow(self.shared, self.rules, info, line.command, Args::new(&args), nanos);
        }
    }
}
