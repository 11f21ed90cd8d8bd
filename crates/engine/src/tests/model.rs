//! Random programs on the engine and on the plain model: same answers, same content.

use std::sync::Arc;

use keyspace::view::Limits;
use keyspace::{Millis, Seek, View};
use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use testkit::MemoryView;

use super::calls::{self, Call};
use super::{Rig, START, cases, drive, drive_any};
use crate::instance::Instance;
use crate::memory_store::{Moment, Temper};
use crate::run::{Abort, LockKey, Place, Request, Scope};
use crate::txn::Scratch;

/// What happens to an instance.
#[derive(Clone, Debug)]
pub enum Step {
    Run(Run),
    Settle,
    /// A settle whose store is full after so many batches.
    FailSettle(usize),
    Flush,
    Reload,
    Evict,
    Tick(u64),
    Temper(Temper),
    WriteLogs,
    Settled,
    /// A settle, with a run before one of its batches.
    SettleMeanwhile {
        batch: usize,
        run: Run,
    },
    /// A run, with another between its first look at the disk and its next attempt.
    RunMeanwhile {
        run: Run,
        meanwhile: Run,
    },
    /// Killed with some of the unflushed batches kept, so many times in a row.
    Crash {
        keep: Keep,
        again: usize,
    },
    /// Closed in order and opened.
    Close,
}

/// A command.
#[derive(Clone, Debug)]
pub struct Run {
    pub database: usize,
    pub calls: Vec<Call>,
    /// It changes its mind at its end.
    pub abort: bool,
    /// It says before which keys it will touch.
    pub declare: bool,
    /// Its calls are steps, and those whose bit is set fail.
    pub fails: Option<u8>,
}

impl Run {
    pub fn of(calls: Vec<Call>) -> Self {
        Self { database: 0, calls, abort: false, declare: true, fails: None }
    }

    /// Whether the call at a place is a step that fails. A database that was emptied stays so.
    fn fails(&self, at: usize) -> bool {
        self.fails.is_some_and(|fails| fails >> at & 1 == 1) && !matches!(self.calls[at], Call::Clear)
    }

    /// Runs it and answers what it was answered.
    pub fn execute(&self, instance: &Instance, scratch: &mut Scratch, clock: Millis) -> Vec<String> {
        let looks = !self.calls.is_empty() && self.calls.iter().all(Call::looks);
        let names: Vec<(usize, Vec<u8>)> = self
            .calls
            .iter()
            .flat_map(|call| {
                let databases = [Some(self.database), call.other_database()].into_iter().flatten();
                databases.flat_map(|at| call.keys().into_iter().map(move |key| (at, calls::key(key))))
            })
            .collect();
        let declared = if self.declare { names.len() } else { names.len().min(1) };
        let keys: Vec<LockKey<'_>> =
            names[..declared].iter().map(|(database, key)| LockKey { database: *database, key }).collect();
        let scope = if looks { Scope::Walk } else { Scope::Keys(&keys) };
        let mut answers = Vec::new();
        let request = Request { place: Place::Worker, scope, database: self.database, clock };
        if self.fails.is_some() {
            drive_any(request, |request| {
                instance.run_steps(request, scratch, &mut |steps| {
                    answers.clear();
                    for (at, call) in self.calls.iter().enumerate() {
                        steps.begin_step();
                        answers.push(call.apply(steps, self.database)?);
                        if self.fails(at) {
                            steps.undo_step();
                        }
                    }
                    if self.abort { Err(Abort::Undo) } else { Ok(()) }
                })
            });
            return answers;
        }
        drive(instance, scratch, request, &mut |view| {
            answers.clear();
            assert_eq!(view.now(), clock);
            for call in &self.calls {
                answers.push(call.apply(view, self.database)?);
            }
            if self.abort { Err(Abort::Undo) } else { Ok(()) }
        });
        answers
    }
}

/// Which of the unflushed batches a kill leaves: the first so many, or all but the last so many.
#[derive(Clone, Copy, Debug)]
pub enum Keep {
    First(usize),
    AllBut(usize),
}

/// The engine, the model, and what the model was at each end of the logs.
pub struct Machine {
    pub rig: Rig,
    model: MemoryView,
    history: Vec<(Vec<u64>, MemoryView)>,
    temper: Temper,
}

impl Machine {
    pub fn new(hot_bytes: u64) -> Self {
        Self::with_retained(hot_bytes, 0)
    }

    /// One that keeps at least so much log.
    pub fn with_retained(hot_bytes: u64, log_retain_bytes: u64) -> Self {
        let rig = Rig::with(|options| {
            options.hot_bytes = hot_bytes;
            options.segment_bytes = 20_000;
            options.log_retain_bytes = log_retain_bytes;
        });
        let mut model = MemoryView::new(rig.options.databases, START, 1);
        model.set_limits(Limits { string_chunk_threshold: 100, packed_max_bytes: 1000, ..Limits::default() });
        let mut machine = Self { rig, model, history: Vec::new(), temper: Temper::Warm };
        machine.remember();
        machine
    }

    fn remember(&mut self) {
        let instance = self.rig.instance();
        let ends = (0..instance.databases()).map(|at| instance.shard(at).map_or(0, |shard| shard.log.end().0));
        let ends = ends.collect();
        self.history.push((ends, self.model.clone()));
    }

    pub fn step(&mut self, step: &Step) {
        match step {
            Step::Run(run) => self.run(run),
            Step::SettleMeanwhile { batch, run } => self.settle_meanwhile(*batch, run),
            Step::RunMeanwhile { run, meanwhile } => self.run_meanwhile(run, meanwhile),
            Step::Settle => {
                self.rig.settle();
                self.rig.fill();
            }
            Step::FailSettle(batches) => self.fail_settle(*batches),
            Step::Flush => self.rig.flush(),
            Step::Reload => self.rig.instance().reload().unwrap(),
            Step::Evict => self.rig.evict(),
            Step::Tick(ms) => {
                self.rig.clock = Millis(self.rig.clock.0 + ms);
                self.rig.fill();
            }
            Step::Temper(temper) => {
                self.temper = *temper;
                self.chill();
            }
            Step::WriteLogs => self.rig.write_logs(),
            Step::Settled => self.rig.audit_settled(),
            Step::Crash { keep, again } => self.crash(*keep, *again),
            Step::Close => {
                self.rig.instance().close().unwrap();
                self.rig.kill();
                self.reopen();
            }
        }
        self.rig.audit();
    }

    fn chill(&self) {
        for database in 0..self.rig.options.databases {
            self.rig.store(database).set_temper(self.temper);
        }
    }

    fn run(&mut self, run: &Run) {
        let instance = self.rig.instance().clone();
        let answers = run.execute(&instance, &mut self.rig.scratch, self.rig.clock);
        self.expect(run, &answers);
    }

    /// The model gives the same answers.
    fn expect(&mut self, run: &Run, answers: &[String]) {
        self.model.set_now(self.rig.clock);
        let before = self.model.clone();
        for (at, (call, answer)) in run.calls.iter().zip(answers).enumerate() {
            let before = run.fails(at).then(|| self.model.clone());
            let expected = call.apply(&mut self.model, run.database).unwrap();
            if matches!(call, Call::Count) {
                // Of those that have expired the engine has deleted what commands met; the model counts them all.
                let [answer, most] = [answer, &expected].map(|count| count.parse::<u64>().unwrap());
                let live = self.live();
                assert!((live..=most).contains(&answer), "counted {answer}, not {live} to {most}");
            } else {
                assert_eq!(*answer, expected, "answer of {call:?}");
            }
            if let Some(before) = before {
                self.model = before;
            }
        }
        assert_eq!(answers.len(), run.calls.len());
        if run.abort {
            self.model = before;
        }
        self.remember();
    }

    /// How many live records the model's database has that was used last.
    fn live(&mut self) -> u64 {
        let mut live = 0;
        self.model.walk(Seek::Start, b"", usize::MAX, &mut |_, _| live += 1).unwrap();
        live
    }

    /// Has a run happen at a moment of something else; whoever checks the answers then calls the answer.
    fn plan(&self, moment: Moment, run: &Run) -> Arc<Mutex<Vec<String>>> {
        let answers = Arc::new(Mutex::new(Vec::new()));
        let (instance, clock) = (self.rig.instance().clone(), self.rig.clock);
        let (run, theirs) = (run.clone(), answers.clone());
        self.rig.store(run.database).meanwhile(moment, move || {
            *theirs.lock() = run.execute(&instance, &mut Scratch::new(5), clock);
        });
        answers
    }

    /// A settle, with a run before one of its batches.
    fn settle_meanwhile(&mut self, batch: usize, run: &Run) {
        let answers = self.plan(Moment::Write(batch), run);
        self.rig.settle();
        if !self.rig.store(run.database).forget_meanwhile() {
            self.expect(run, &answers.lock());
        }
    }

    /// A run, with another between its first look at the disk and its next attempt.
    fn run_meanwhile(&mut self, run: &Run, meanwhile: &Run) {
        self.rig.store(meanwhile.database).set_temper(Temper::Cold);
        let theirs = self.plan(Moment::Read, meanwhile);
        let instance = self.rig.instance().clone();
        let answers = run.execute(&instance, &mut self.rig.scratch, self.rig.clock);
        if !self.rig.store(meanwhile.database).forget_meanwhile() {
            self.expect(meanwhile, &theirs.lock());
        }
        self.expect(run, &answers);
        self.chill();
    }

    fn fail_settle(&mut self, batches: usize) {
        for database in 0..self.rig.options.databases {
            self.rig.store(database).set_room(Some(batches));
        }
        let _ = self.rig.instance().settle();
        self.rig.audit();
        for database in 0..self.rig.options.databases {
            self.rig.store(database).set_room(None);
        }
    }

    fn crash(&mut self, keep: Keep, again: usize) {
        for _ in 0..=again {
            let written: Vec<_> = (0..self.rig.options.databases)
                .map(|at| self.rig.instance().shard(at).map_or(0, |shard| shard.log.written().0))
                .collect();
            self.rig.kill();
            for (database, written) in written.into_iter().enumerate() {
                let store = self.rig.store(database);
                let batches = store.unflushed();
                store.crash_keeping(match keep {
                    Keep::First(count) => count % (batches + 1),
                    Keep::AllBut(count) => batches - count % (batches + 1),
                });
                let last = self.history.iter().rev().find(|(ends, _)| ends[database] <= written);
                let model = &last.expect("the first point is older than all frames").1;
                self.model.copy_database(model, database);
            }
            self.reopen();
        }
    }

    fn reopen(&mut self) {
        self.rig.open();
        self.chill();
        self.history.clear();
        self.remember();
        // What was recovered is below any end from here on.
        self.history[0].0.fill(0);
        self.rig.audit();
        self.compare();
    }

    /// Compares all content, and leaves the engine's memory as empty as it can.
    pub fn compare(&mut self) {
        self.model.set_now(self.rig.clock);
        for database in 0..self.rig.options.databases {
            let mut keys = Vec::new();
            self.rig.run(Scope::Walk, database, &mut |view| {
                keys = calls::walk(view, 3)?;
                Ok(())
            });
            self.model.select(database).unwrap();
            assert_eq!(keys, calls::walk(&mut self.model, 3).unwrap(), "keys of database {database}");
            for index in 0..calls::KEYS {
                let key = calls::key(index);
                let mut dump = String::new();
                let declared = [LockKey { database, key: &key }];
                self.rig.run(Scope::Keys(&declared), database, &mut |view| {
                    dump = calls::dump_key(view, &key)?;
                    Ok(())
                });
                self.model.select(database).unwrap();
                let expected = calls::dump_key(&mut self.model, &key).unwrap();
                assert_eq!(dump, expected, "{} in database {database}", String::from_utf8_lossy(&key));
            }
        }
        self.rig.evict();
    }

    pub fn finish(&mut self) {
        self.compare();
        self.rig.audit_settled();
        self.rig.evict();
        self.compare();
        self.rig.instance().reload().unwrap();
        self.compare();
    }
}

pub fn any_run() -> impl Strategy<Value = Step> {
    let database = prop::sample::select(vec![0usize, 0, 0, 1]);
    let calls = prop::collection::vec(calls::any_call(), 1..5);
    let alone = calls::any_call().prop_map(|call| vec![call]);
    let steps = prop::collection::vec(calls::any_call(), 2..7);
    let abort = prop::bool::weighted(0.15);
    let plain = (prop_oneof![2 => alone, 1 => calls], Just(None));
    let steps = (steps, any::<u8>().prop_map(Some));
    (database, prop_oneof![3 => plain, 1 => steps], abort, prop::bool::weighted(0.9)).prop_map(
        |(database, (calls, fails), abort, declare)| Step::Run(Run { database, calls, abort, declare, fails }),
    )
}

/// A run that locks its keys and nothing else, so that it can happen while another waits for the store.
fn small_run() -> impl Strategy<Value = Run> {
    let call = calls::any_call().prop_filter("of keys", |call| !call.keys().is_empty());
    (prop::collection::vec(call, 1..4), prop::bool::weighted(0.1))
        .prop_map(|(calls, abort)| Run { abort, ..Run::of(calls) })
}

/// Two things at once.
pub fn any_meanwhile() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..12usize, small_run()).prop_map(|(batch, run)| Step::SettleMeanwhile { batch, run }),
        (small_run(), small_run()).prop_map(|(run, meanwhile)| Step::RunMeanwhile { run, meanwhile }),
    ]
}

/// What may happen besides runs and crashes.
pub fn any_upkeep() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Settle),
        2 => (0..8usize).prop_map(Step::FailSettle),
        1 => Just(Step::Flush),
        1 => Just(Step::Reload),
        2 => Just(Step::Evict),
        1 => prop::sample::select(vec![1u64, 700, 10_000]).prop_map(Step::Tick),
        2 => prop::sample::select(vec![Temper::Warm, Temper::Cold, Temper::Tepid(0), Temper::Tepid(1), Temper::Tepid(3)])
            .prop_map(Step::Temper),
        1 => Just(Step::Settled),
    ]
}

/// Runs programs until one fails or there were enough; the same ones each time, but in a long run.
pub fn explore(count: u32, budget: u64, steps: impl Strategy<Value = Vec<Step>>) {
    check(count, steps, |steps| {
        let mut machine = Machine::new(budget);
        for step in &steps {
            machine.step(step);
        }
        machine.finish();
    });
}

/// Runs `test` on values until it fails or there were enough; the same ones each time, but in a long run.
pub fn check<S: Strategy>(count: u32, values: S, test: impl Fn(S::Value)) {
    let seed = std::env::var("HAYPILE_TEST_SEED").ok().and_then(|seed| seed.parse::<u8>().ok()).unwrap_or(7);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let config = Config { cases: cases(count), failure_persistence: None, max_shrink_iters: 3000, ..Config::default() };
    let outcome = TestRunner::new_with_rng(config, rng).run(&values, |value| {
        test(value);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(prop_oneof![6 => any_run(), 2 => any_upkeep(), 1 => any_meanwhile()], 1..most)
}

#[test]
fn the_engine_agrees_with_the_model() {
    explore(60, 1 << 20, steps(60));
}

#[test]
fn the_engine_agrees_with_the_model_in_little_memory() {
    explore(60, 2_000, steps(60));
}
