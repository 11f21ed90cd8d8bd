//! A shard link: from where may I continue, and then the frames.
//!
//! ```text
//!   primary ── FRAMES ──▶ link's task ── queue, bounded by bytes ──▶ applying thread ──▶ the log and the hot records
//!           ◀── ACK ────              ◀── applied, synced ──────────
//! ```
//!
//! The task reads no further while the queue is full, so a replica that is slower than its primary makes the primary's
//! feed wait in its log files, and nobody's memory grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lineage::Lsn;
use replication_proto::{Address, Cause, Db, Input, LinkId, Positions, RunId, SyncReason, Verdict};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::Context;
use super::broken::Broken;
use super::control::{bytes_of, plain_cause, send_some};
use super::data::{Data, DataFault, Standpoint};
use super::link::Link;
use super::settings::{Settings, Sync};
use crate::wire::{self, Ack, Reply, Request, SyncShard};

/// Bytes of frames that may wait to be applied. A longer message waits until it is alone.
const QUEUE_BYTES: usize = 8 << 20;
/// What a short message counts, so that they are not too many.
const LEAST_BYTES: usize = 4 << 10;
/// The owner is told of progress this often.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// The primary is told where we are at least this often.
const ACK_EVERY: Duration = Duration::from_secs(1);

/// What a shard link is opened for.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub db: Db,
    pub link: LinkId,
    pub primary: Address,
    pub run: RunId,
    pub role_generation: u64,
    pub bound: Option<SyncReason>,
}

/// Opens the link and follows it until it ends or `stop` says so; tells the owner all of it. When this is over nothing
/// more is applied.
pub(super) async fn follow(context: Arc<Context>, question: Question, mut stop: watch::Receiver<bool>) {
    let (db, link) = (question.db, question.link);
    let settings = context.settings();
    let asked = tokio::select! {
        _ = stop.wait_for(|stop| *stop) => return,
        asked = ask_twice(&context, &settings, &question) => asked,
    };
    let ended = match asked {
        Ok(Some((connection, here))) => Stream::begin(&context, &question, connection, here).run(stop).await,
        Ok(None) => return,
        Err(broken) => Some(broken),
    };
    if let Some(broken) = ended {
        context.tell_end(Input::ShardLost { db, link, cause: broken.cause }, broken, &settings).await;
    }
}

/// Asks, and once more if the answer is that what stands here has no place on the primary's history, and nobody ever wrote
/// anything here: who has nothing loses nothing, and needs neither an alarm nor a copy.
async fn ask_twice(
    context: &Arc<Context>,
    settings: &Settings,
    question: &Question,
) -> Result<Option<(Link, Standpoint)>, Broken> {
    let mut answer = ask(context, settings, question).await?;
    if let Asked::Otherwise(Verdict::FullSync(reason)) = answer
        && reason.discards()
    {
        let (data, db) = (Arc::clone(&context.data), question.db);
        if blocking(move || data.forget_blank(db)).await? {
            answer = ask(context, settings, question).await?;
        }
    }
    match answer {
        Asked::Continue(begun) => Ok(Some(*begun)),
        Asked::Otherwise(verdict) => {
            context.tell(Input::Verdict { db: question.db, link: question.link, verdict }).await;
            Ok(None)
        }
    }
}

/// What came of a question.
enum Asked {
    /// Frames follow, and the owner knows it.
    Continue(Box<(Link, Standpoint)>),
    /// The answer was no invitation to continue.
    Otherwise(Verdict),
}

async fn ask(context: &Arc<Context>, settings: &Settings, question: &Question) -> Result<Asked, Broken> {
    let &Question { db, link, run, role_generation, bound, .. } = question;
    let mut connection = Link::open(settings, &question.primary).await?;
    // As late as possible: what stands here may have changed while we dialed.
    let data = Arc::clone(&context.data);
    let here = blocking(move || data.standpoint(db)).await?;
    let message = Request::SyncShard(SyncShard {
        version: wire::VERSION,
        node: context.node,
        primary_run: run,
        role_generation,
        db,
        end: here.end,
        lineage: here.lineage.clone(),
        bound,
    });
    connection.send(&bytes_of(&message)).await?;
    loop {
        let answer = connection.answer(|reply| match reply {
            Reply::Continue { generation, from, .. } => Ok(Answer::Continue { generation, from }),
            Reply::FullSync { reason } => SyncReason::parse(&reason)
                .map(|reason| Answer::Other(Verdict::FullSync(reason)))
                .ok_or_else(|| Broken::new(Cause::Protocol, format!("an unknown reason for a full sync: {reason}"))),
            Reply::Rewind { to } => Ok(Answer::Other(Verdict::Rewind(to))),
            Reply::Preparing { percent } => Ok(Answer::Preparing(percent)),
            Reply::Refused(refusal) => match Broken::refused(&refusal, plain_cause(&refusal.text)) {
                Broken { cause: Cause::Busy, .. } => Ok(Answer::Other(Verdict::NotYet)),
                broken => Err(broken),
            },
            _ => Err(Broken::unexpected("SYNCSHARD")),
        });
        match answer.await?? {
            Answer::Preparing(percent) => context.tell(Input::Preparing { db, link, percent }).await,
            Answer::Other(verdict) => return Ok(Asked::Otherwise(verdict)),
            Answer::Continue { from, .. } if from != here.end => {
                let detail = format!("asked at {}, and to continue from {from}", here.end);
                return Err(Broken::new(Cause::Protocol, detail));
            }
            Answer::Continue { generation, from } => {
                let verdict = Verdict::Continue { log_generation: generation, from };
                context.tell(Input::Verdict { db, link, verdict }).await;
                return Ok(Asked::Continue(Box::new((connection, here))));
            }
        }
    }
}

enum Answer {
    Continue { generation: u64, from: Lsn },
    Other(Verdict),
    Preparing(u8),
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DataFault> + Send + 'static,
) -> Result<T, Broken> {
    let done = tokio::task::spawn_blocking(work).await;
    // A panic has ended the process already.
    let done = done.map_err(|error| Broken::new(Cause::DiskFault, error.to_string()))?;
    done.map_err(|fault| Broken::new(fault.cause, fault.detail))
}

/// What the applying thread is to do.
enum Work {
    /// To apply frames.
    Frames { at: Lsn, bytes: Vec<u8>, _place: OwnedSemaphorePermit },
    /// To have what was applied made durable: the primary's clients wait for it. Between two of these there are frames,
    /// so the bound of those bounds these.
    Fsync,
}

/// A link on which frames come.
struct Stream {
    context: Arc<Context>,
    db: Db,
    link: LinkId,
    connection: Link,
    /// Where the next frames must begin.
    next: Lsn,
    /// Up to where the primary's log is written, as last heard.
    end: Lsn,
    /// Frames that wait for a place in the queue.
    waiting: Option<(Lsn, Vec<u8>)>,
    queue: mpsc::UnboundedSender<Work>,
    /// Whether there may be something in the data that the primary's clients wait for and that no `Fsync` is queued for.
    is_fresh: bool,
    places: Arc<Semaphore>,
    applying: JoinHandle<()>,
    /// What made the applying thread end.
    ended: oneshot::Receiver<Option<Broken>>,
    applied: Arc<Notify>,
    cancel: Arc<AtomicBool>,
    unsent: Vec<u8>,
    acknowledged: Ack,
    /// Whether anything came since the owner was last told.
    heard: bool,
}

/// What woke the task.
enum Woken {
    Stop,
    Read(std::io::Result<()>),
    Write(std::io::Result<()>),
    Place(OwnedSemaphorePermit),
    Applied,
    Acknowledge,
    Tell,
    Ended(Option<Broken>),
}

impl Stream {
    fn begin(context: &Arc<Context>, question: &Question, connection: Link, here: Standpoint) -> Self {
        let (queue, works) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        let (applied, cancel) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let applier = Applier {
            data: Arc::clone(&context.data),
            db: question.db,
            generation: here.generation,
            sync: context.settings().sync,
            applied: Arc::clone(&applied),
            cancel: Arc::clone(&cancel),
        };
        Self {
            context: Arc::clone(context),
            db: question.db,
            link: question.link,
            connection,
            next: here.end,
            end: here.end,
            waiting: None,
            queue,
            is_fresh: true,
            places: Arc::new(Semaphore::new(QUEUE_BYTES)),
            applying: tokio::task::spawn_blocking(move || {
                // Nobody listens any more if the link has ended.
                let _ = end.send(applier.run(works));
            }),
            ended,
            applied,
            cancel,
            unsent: Vec::new(),
            acknowledged: Ack::default(),
            heard: true,
        }
    }

    /// Follows. `None`: it was stopped, and nobody needs to be told.
    async fn run(mut self, mut stop: watch::Receiver<bool>) -> Option<Broken> {
        let outcome = self.live(&mut stop).await;
        // Whoever follows next must find nothing at work here.
        self.cancel.store(true, Ordering::Release);
        let Self { queue, applying, .. } = self;
        drop(queue);
        // A panic has ended the process already.
        let _ = applying.await;
        outcome
    }

    async fn live(&mut self, stop: &mut watch::Receiver<bool>) -> Option<Broken> {
        let mut tells = tokio::time::interval(TELL_EVERY);
        let mut acks = tokio::time::interval(ACK_EVERY);
        tells.set_missed_tick_behavior(MissedTickBehavior::Delay);
        acks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Err(broken) = self.take_messages() {
                return Some(broken);
            }
            let places = Arc::clone(&self.places);
            let cost = self.waiting.as_ref().map_or(0, |(_, bytes)| cost(bytes.len()));
            let (data, db, Ack { received, synced, .. }) = (&self.context.data, self.db, self.acknowledged);
            // Each fsync is told, whether or not it has brought everything that is here by now.
            let is_awaited = synced < received && self.unsent.is_empty();
            let woken = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => Woken::Stop,
                ended = &mut self.ended => Woken::Ended(ended.ok().flatten()),
                ready = self.connection.stream.readable(), if self.waiting.is_none() => Woken::Read(ready),
                ready = self.connection.stream.writable(), if !self.unsent.is_empty() => Woken::Write(ready),
                Ok(place) = places.acquire_many_owned(cost), if self.waiting.is_some() => Woken::Place(place),
                () = self.applied.notified() => Woken::Applied,
                () = std::future::poll_fn(|cx| data.poll_synced(db, synced + 1, cx)), if is_awaited => Woken::Acknowledge,
                _ = acks.tick() => Woken::Acknowledge,
                _ = tells.tick() => Woken::Tell,
            };
            let done = match woken {
                Woken::Stop => return None,
                Woken::Ended(broken) => {
                    return Some(broken.unwrap_or_else(|| Broken::new(Cause::UpstreamChanged, "nothing applies here")));
                }
                Woken::Read(ready) => ready.map_err(Broken::from).and_then(|()| self.read()),
                Woken::Write(ready) => {
                    ready.map_err(Broken::from).and_then(|()| send_some(&self.connection, &mut self.unsent))
                }
                Woken::Place(place) => {
                    self.hand_over(place);
                    Ok(())
                }
                Woken::Applied | Woken::Acknowledge => {
                    self.acknowledge();
                    Ok(())
                }
                Woken::Tell => {
                    self.tell();
                    Ok(())
                }
            };
            if let Err(broken) = done {
                return Some(broken);
            }
        }
    }

    fn read(&mut self) -> Result<(), Broken> {
        self.heard |= self.connection.read()? > 0;
        Ok(())
    }

    /// Takes messages up to the first that brings frames: those wait for their place.
    fn take_messages(&mut self) -> Result<(), Broken> {
        while self.waiting.is_none() {
            match self.connection.inbox.next_reply()? {
                None => return Ok(()),
                Some(Reply::Frames { lsn, bytes }) if lsn == self.next => {
                    self.next += bytes.len() as u64;
                    self.end = self.end.max(self.next);
                    self.waiting = Some((lsn, bytes.to_vec()));
                }
                Some(Reply::Frames { lsn, .. }) => {
                    return Err(Broken::new(Cause::Gap, format!("frames from {lsn} instead of {}", self.next)));
                }
                // What is not written there is not sent, so it is not missing here.
                Some(Reply::Alive { written, .. }) => self.end = self.end.max(written),
                Some(Reply::Fsync) => {
                    if std::mem::take(&mut self.is_fresh) {
                        // If nobody takes it any more, the next turn finds out why.
                        let _ = self.queue.send(Work::Fsync);
                    }
                }
                Some(Reply::Refused(refusal)) => return Err(Broken::refused(&refusal, Cause::Rejected)),
                Some(_) => return Err(Broken::unexpected("a stream of frames")),
            }
        }
        Ok(())
    }

    fn hand_over(&mut self, place: OwnedSemaphorePermit) {
        if let Some((at, bytes)) = self.waiting.take() {
            self.is_fresh = true;
            // If nobody takes it any more, the next turn finds out why.
            let _ = self.queue.send(Work::Frames { at, bytes, _place: place });
        }
    }

    /// Tells the primary where we are, unless it has not read the last time yet.
    fn acknowledge(&mut self) {
        if self.unsent.is_empty() {
            let Positions { received, applied, synced } = self.context.data.positions(self.db);
            self.acknowledged = Ack { received, applied, synced };
            self.unsent = bytes_of(&Request::Ack(self.acknowledged));
        }
    }

    /// Tells the owner, if there is anything to tell.
    fn tell(&mut self) {
        // What waits here for its place has come, however long it waits.
        if std::mem::take(&mut self.heard) || self.waiting.is_some() {
            let mut positions = self.context.data.positions(self.db);
            // A long frame gets somewhere while it comes.
            positions.received += self.connection.inbox.len() as u64;
            self.context.tell_soon(Input::Position { db: self.db, link: self.link, positions, end: self.end });
        }
    }
}

fn cost(bytes: usize) -> u32 {
    bytes.clamp(LEAST_BYTES, QUEUE_BYTES) as u32
}

/// Applies what comes, on a thread that may wait.
struct Applier {
    data: Arc<dyn Data>,
    db: Db,
    generation: u64,
    sync: Sync,
    applied: Arc<Notify>,
    cancel: Arc<AtomicBool>,
}

impl Applier {
    /// Until the queue ends, or something does not fit.
    fn run(self, mut works: mpsc::UnboundedReceiver<Work>) -> Option<Broken> {
        while let Some(work) = works.blocking_recv() {
            let (at, bytes) = match work {
                Work::Frames { at, bytes, .. } => (at, bytes),
                Work::Fsync => {
                    self.data.request_sync(self.db);
                    continue;
                }
            };
            if self.cancel.load(Ordering::Acquire) {
                return None;
            }
            let is_wanted = || !self.cancel.load(Ordering::Acquire);
            if let Err(fault) = self.data.apply(self.db, &bytes, at, self.generation, &is_wanted) {
                return Some(Broken::new(fault.cause, fault.detail));
            }
            if self.sync == Sync::AtOnce && works.is_empty() {
                self.data.request_sync(self.db);
            }
            self.applied.notify_one();
        }
        None
    }
}
