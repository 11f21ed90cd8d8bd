//! The primary's side: [`Primary`] answers those who follow this node, and knows what each of them has.
//!
//! ```text
//!   session ── Arrival ──▶ links thread ─┬─ control link: who follows, heartbeats
//!                                        └─ feed: one database's log to one replica
//!                                             │ ACK
//!                                        Replicas ──▶ WAIT, INFO, min-replicas, synchronous replies
//! ```
//!
//! Every node has this side, a replica too: it feeds others from its own log. Links live on one thread of their own that
//! waits for sockets only; what reads far back in files is done by threads that may wait.

mod connection;
mod control;
mod feed;
mod link;
mod local;
mod replicas;
mod snapshots;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use engine::Instance;
use engine::instance::system_clock;
use lineage::Lsn;
use parking_lot::Mutex;
use replication_proto::{Db, NodeId, Path, RunId, Standing};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};

pub use connection::{Announced, Arrival, Client, Opening, Socket};
pub use snapshots::Snapshots;

pub use replicas::{Measure, Need, ReplicaState, ReplicaView, ShardView};

use replicas::Replicas;

/// Links that wait for the links thread to take them. One that finds no place is closed, and its replica comes again.
const ARRIVALS: usize = 1024;
/// Threads that read files for feeds that are far behind.
const READERS: usize = 8;
/// How long the thread may take to end its links.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// How often it is looked whether replicas keep up.
const LOOK: Duration = Duration::from_millis(250);

/// What a primary's side asks of the node.
pub trait Node: Send + Sync {
    /// The node's name.
    fn id(&self) -> NodeId;
    /// The name of this run.
    fn run(&self) -> RunId;
    /// How often the node's role, or whom it follows, has changed in this run.
    fn role_generation(&self) -> u64;
    /// From this node to its root primary.
    fn path(&self) -> Path;
    /// With what right it speaks about a database.
    fn standing(&self, db: Db) -> Standing;
    /// The clock.
    fn now_ms(&self) -> u64;
}

/// What may be changed while links are up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A link on which nothing comes for so long is closed (`repl-timeout`).
    pub timeout: Duration,
    /// A replica whose last word is older does not count as one that keeps up (`min-replicas-max-lag`); 0: all count.
    pub max_lag: Duration,
    /// For a replica that is connected, at most so many bytes of log are kept (`repl-log-retain-max`).
    pub retain_max: u64,
    /// How many replicas may fetch snapshots at a time (`repl-max-parallel-syncs`).
    pub max_syncs: usize,
    /// When replicas are to make durable what they are sent.
    pub durable: Durable,
}

/// When replicas are to make durable what a primary sends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durable {
    /// As they are configured.
    AsTheyPlease,
    /// At once: clients wait for it (`repl-sync-replicas`).
    AtOnce,
}

impl Default for Settings {
    fn default() -> Self {
        let (timeout, max_lag) = (Duration::from_secs(10), Duration::from_secs(10));
        Self { timeout, max_lag, retain_max: 8 << 30, max_syncs: 2, durable: Durable::AsTheyPlease }
    }
}

/// How many shard links were told what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// To continue.
    pub continued: u64,
    /// To start anew.
    pub refused: u64,
}

/// The primary's side of a node.
pub struct Primary {
    instance: Arc<Instance>,
    node: Arc<dyn Node>,
    settings: Mutex<Settings>,
    replicas: Mutex<Replicas>,
    snapshots: Arc<Snapshots>,
    /// Whether a thread looks after the snapshots just now.
    tidying: AtomicBool,
    /// How many replicas keep up; a copy for writes, which look at it often.
    good: AtomicUsize,
    /// Counts what replicas acknowledged; who waits for acknowledgements watches it.
    acknowledged: watch::Sender<u64>,
    /// Shard links that continued, and those that were told to start anew.
    continued: AtomicU64,
    refused: AtomicU64,
    /// Bytes sent to replicas and received from them.
    sent: AtomicU64,
    received: AtomicU64,
    arrivals: mpsc::Sender<Arrival>,
    /// Until the links thread takes it.
    receiver: Mutex<Option<mpsc::Receiver<Arrival>>>,
    stop: watch::Sender<bool>,
}

impl Primary {
    /// The primary's side of a node whose links thread has not been started.
    #[must_use]
    pub fn new(instance: Arc<Instance>, node: Arc<dyn Node>, settings: Settings) -> Arc<Self> {
        let (arrivals, receiver) = mpsc::channel(ARRIVALS);
        let snapshots = Snapshots::new(Arc::clone(&instance), Arc::clone(&node), settings.max_syncs);
        Arc::new(Self {
            instance,
            node,
            snapshots: Arc::new(snapshots),
            settings: Mutex::new(settings),
            replicas: Mutex::default(),
            tidying: AtomicBool::new(false),
            good: AtomicUsize::new(0),
            acknowledged: watch::Sender::new(0),
            continued: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            arrivals,
            receiver: Mutex::new(Some(receiver)),
            stop: watch::Sender::new(false),
        })
    }

    /// Starts the links thread, once. It ends after [`Primary::stop`].
    ///
    /// # Errors
    /// When there can be no such thread.
    pub fn start(self: &Arc<Self>) -> io::Result<JoinHandle<()>> {
        let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(READERS).build()?;
        let receiver = self.receiver.lock().take().expect("the links thread is started once");
        self.snapshots.clean();
        let own = Arc::clone(self);
        std::thread::Builder::new().name("links".to_owned()).spawn(move || {
            runtime.block_on(Arc::clone(&own).live(receiver));
            own.snapshots.stop();
            runtime.shutdown_timeout(LAST_WORDS);
        })
    }

    /// Takes over a connection whose client has asked to follow. `false`: there is no place; it is closed.
    pub fn take(&self, arrival: Arrival) -> bool {
        self.arrivals.try_send(arrival).is_ok()
    }

    /// Closes all links and ends the thread.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Changes what may be changed.
    pub fn configure(&self, settings: Settings) {
        *self.settings.lock() = settings;
        self.snapshots.set_most(settings.max_syncs);
        self.count_good();
    }

    /// Who follows, in the order of their names.
    #[must_use]
    pub fn replicas(&self) -> Vec<ReplicaView> {
        let shards = local::ends(&self.instance);
        self.replicas.lock().view(&shards, Instant::now())
    }

    /// The copies of databases for those who cannot continue.
    #[must_use]
    pub fn snapshots(&self) -> &Arc<Snapshots> {
        &self.snapshots
    }

    /// How many replicas keep up.
    #[inline]
    #[must_use]
    pub fn good_replicas(&self) -> usize {
        self.good.load(Ordering::Relaxed)
    }

    /// How many replicas have all of `needs`, by the measure; if there are none, how many are online.
    #[must_use]
    pub fn count(&self, needs: &[Need], measure: Measure) -> usize {
        if needs.is_empty() {
            let shards = local::ends(&self.instance);
            return self.replicas.lock().online(&shards);
        }
        self.replicas.lock().count(needs, measure)
    }

    /// The position below which at least `count` replicas have everything of a database's log of this generation; 0 if
    /// they are fewer.
    #[must_use]
    pub fn held_by(&self, log: (Db, u64), count: usize, measure: Measure) -> Lsn {
        self.replicas.lock().held_by(log, count, measure)
    }

    /// Changes whenever a replica has acknowledged something, or came, or went.
    #[must_use]
    pub fn acknowledgements(&self) -> watch::Receiver<u64> {
        self.acknowledged.subscribe()
    }

    /// What those who asked to continue were told.
    #[must_use]
    pub fn verdicts(&self) -> Verdicts {
        let (continued, refused) = (self.continued.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed));
        Verdicts { continued, refused }
    }

    /// Bytes sent to replicas, and received from them.
    #[must_use]
    pub fn traffic(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }

    async fn live(self: Arc<Self>, mut arrivals: mpsc::Receiver<Arrival>) {
        let mut stopped = self.stop.subscribe();
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                arrival = arrivals.recv() => match arrival {
                    Some(arrival) => self.welcome(arrival),
                    None => return,
                },
                _ = looks.tick() => {
                    self.count_good();
                    self.tidy();
                }
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
        }
    }

    fn welcome(self: &Arc<Self>, arrival: Arrival) {
        let primary = Arc::clone(self);
        match arrival.settle() {
            Ok((link, Opening::Meta(ask))) => {
                tokio::spawn(control::serve(primary, link, ask));
            }
            Ok((link, Opening::Shard(ask))) => {
                tokio::spawn(feed::serve(primary, link, ask));
            }
            Err(error) => tracing::warn!("a replica's link cannot be served: {error}"),
        }
    }

    /// Begins the reigns that this node has put off, on a thread that may wait: nobody is told of a history that could still
    /// become another one. Answers why that cannot be, if so.
    async fn begin_reigns(&self) -> Option<String> {
        let resting: Vec<usize> = (0..self.instance.databases()).filter(|db| self.instance.rests(*db)).collect();
        if resting.is_empty() {
            return None;
        }
        let instance = Arc::clone(&self.instance);
        let begin = move || resting.into_iter().try_for_each(|db| instance.begin_reign(db, system_clock()));
        match tokio::task::spawn_blocking(begin).await {
            Ok(begun) => begun.err().map(|fault| format!("ERR no reign can begin here: {fault}")),
            Err(ended) => Some(format!("ERR no reign can begin here: {ended}")),
        }
    }

    /// Looks after the snapshots, on a thread that may wait.
    fn tidy(self: &Arc<Self>) {
        let retain_max = self.settings().retain_max;
        let retain_max = if retain_max == 0 { u64::MAX } else { retain_max };
        if !self.tidying.swap(true, Ordering::AcqRel) {
            let own = Arc::clone(self);
            tokio::task::spawn_blocking(move || {
                own.snapshots.tidy(retain_max);
                own.tidying.store(false, Ordering::Release);
            });
        }
    }

    fn settings(&self) -> Settings {
        *self.settings.lock()
    }

    fn count_good(&self) {
        let shards = local::ends(&self.instance);
        let good = self.replicas.lock().good(&shards, self.settings().max_lag, Instant::now());
        self.good.store(good, Ordering::Relaxed);
    }

    /// Tells those who wait for replicas that something about them is new, or about how many they wait for.
    pub fn replicas_changed(&self) {
        self.acknowledged.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn note_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn note_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
