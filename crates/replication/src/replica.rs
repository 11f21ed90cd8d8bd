//! The replica's side, and the owner of this node's role: [`Replica`].
//!
//! ```text
//!   operator ──▶ ┌─────────┐ persist ──▶ ledger file, synced
//!   links    ──▶ │  owner  │ start ────▶ control link, shard links, transfers, promotion
//!   transfers ─▶ │ (Node)  │ send ─────▶ heartbeats
//!   time     ──▶ └─────────┘ events ───▶ journal, alarms
//!     one bounded queue   └─▶ View: one snapshot after each step, for INFO and for who answers clients
//! ```
//!
//! Decisions are made in `replication-proto` by one task; everything here only carries them out and reports. The owner
//! never waits for a link or for data: what must come one after the other for a shard is chained (`lanes`).

mod broken;
mod control;
mod data;
mod engine_data;
mod fetch;
mod lanes;
mod limiter;
mod link;
mod owner;
mod settings;
mod shard;
mod start;
mod view;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use replication_proto::{Address, Cause, Db, DbOrder, Input, NodeId, Path, Role, RunId, Scope, Standing};
use tokio::sync::mpsc;

use crate::alarms::Alarms;
use crate::events::{Journal, now_ms};
use crate::primary::Node;

pub use data::{Data, DataFault, Standpoint};
pub use engine_data::EngineData;
pub use settings::{Settings, Sync};
pub use start::Prepared;
pub use view::View;

use broken::Broken;
use limiter::Limiter;
use owner::Owner;

/// Messages that may wait for the owner.
const QUEUE: usize = 1024;
/// How long an operator waits until an order is durable.
const ORDER_PATIENCE: Duration = Duration::from_secs(5);
/// How often an operator's thread looks whether a promotion is over: first, and at most.
const PROMOTION_LOOK: Duration = Duration::from_millis(1);
const PROMOTION_LOOK_MOST: Duration = Duration::from_millis(20);
/// How long the owner may take to end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What an operator may want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// `REPLICAOF host port`.
    Follow(Address),
    /// `REPLICAOF NO ONE`.
    Lead,
    /// `DBSLAVEOF db ..`.
    Database(Db, DbOrder),
    /// `REPLICATION RESET [db]`.
    Reset(Scope),
    /// The configuration file was rewritten and names this primary now.
    FileSays(Option<Address>),
}

/// What a client may do here, as far as replication decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Everything: this is a primary.
    Primary,
    /// Reads: this is a replica, and its link is up; of a database that does not follow, as if it were cut.
    Replica,
    /// Reads of what is old: this is a replica, and its link is down, or that of the database that is meant.
    Cut,
}

/// This node's replication.
pub struct Replica {
    context: Arc<Context>,
    view: Arc<ArcSwap<View>>,
    admission: Arc<AtomicU8>,
    journal: Arc<Journal>,
    alarms: Arc<Alarms>,
    stage: Mutex<Stage>,
}

/// What has become of the owner.
enum Stage {
    /// It has not begun.
    Waiting(Box<Owner>, mpsc::Receiver<Message>),
    /// It is at work.
    Running(JoinHandle<()>),
    /// It has ended.
    Over,
}

/// What the owner, links and transfers share.
struct Context {
    node: NodeId,
    run: RunId,
    folder: PathBuf,
    settings: ArcSwap<Settings>,
    data: Arc<dyn Data>,
    limiter: Limiter,
    queue: mpsc::Sender<Message>,
}

/// What comes to the owner.
enum Message {
    /// Something happened.
    Happened { input: Input, detail: String },
    /// An operator wants something, and wants to know when it is durable.
    Ordered { input: Input, done: SyncSender<()> },
    /// The end.
    Stop,
}

impl Context {
    fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Tells the owner. Waits for a place in its queue.
    async fn tell(&self, input: Input) {
        self.tell_loss(input, String::new()).await;
    }

    /// The same, with a text for people.
    async fn tell_loss(&self, input: Input, detail: String) {
        // Without an owner the server ends.
        let _ = self.queue.send(Message::Happened { input, detail }).await;
    }

    /// Tells of a link that has ended. If it was refused for credentials that were changed meanwhile, the others are tried at
    /// once.
    async fn tell_end(&self, input: Input, broken: Broken, used: &Settings) {
        self.tell_loss(input, broken.detail).await;
        if broken.cause == Cause::AuthRefused && self.settings().credentials() != used.credentials() {
            self.tell(Input::Reset(Scope::Everything)).await;
        }
    }

    /// The same as [`Context::tell`], for threads that may wait.
    fn tell_blocking(&self, input: Input) {
        let _ = self.queue.blocking_send(Message::Happened { input, detail: String::new() });
    }

    /// Tells what will be told anew soon, if there is a place in the queue.
    fn tell_soon(&self, input: Input) {
        let _ = self.queue.try_send(Message::Happened { input, detail: String::new() });
    }
}

impl Replica {
    /// The replication of a node that is about to start. Makes the ledger durable; nothing happens before
    /// [`Replica::start`].
    ///
    /// # Errors
    /// A sentence for the operator: the ledger cannot be written, or no thread can be started.
    pub fn open(
        prepared: Prepared,
        run: RunId,
        settings: Settings,
        data: Arc<dyn Data>,
        alarm_command: Vec<String>,
    ) -> Result<Arc<Self>, String> {
        prepared.save()?;
        let failed = |error: io::Error| format!("Replication cannot be started: {error}.");
        let (queue, messages) = mpsc::channel(QUEUE);
        let journal = Arc::new(Journal::start(&prepared.folder).map_err(failed)?);
        let alarms = Arc::new(Alarms::start(Arc::clone(&journal), alarm_command).map_err(failed)?);
        let context = Arc::new(Context {
            node: prepared.ledger.node,
            run,
            folder: prepared.folder.clone(),
            settings: ArcSwap::from_pointee(settings),
            data,
            limiter: Limiter::default(),
            queue,
        });
        let owner = Owner::new(Arc::clone(&context), prepared, Arc::clone(&journal), Arc::clone(&alarms));
        let owner = Box::new(owner.map_err(failed)?);
        let (view, admission) = owner.published();
        let stage = Mutex::new(Stage::Waiting(owner, messages));
        Ok(Arc::new(Self { context, view, admission, journal, alarms, stage }))
    }

    /// Starts the owner on a thread of its own.
    ///
    /// # Errors
    /// When there can be no such thread.
    pub fn start(&self) -> io::Result<()> {
        let mut stage = self.stage.lock();
        let Stage::Waiting(owner, messages) = std::mem::replace(&mut *stage, Stage::Over) else { return Ok(()) };
        // Each shard may have one thread at work; some more resolve names, sync the ledger, and promote.
        let threads = 2 * self.context.settings().machine.databases as usize + 16;
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().max_blocking_threads(threads).thread_name("replica-work").build()?;
        let thread = std::thread::Builder::new().name("replica".to_owned()).spawn(move || {
            runtime.block_on(owner.live(messages));
            runtime.shutdown_timeout(LAST_WORDS);
        })?;
        *stage = Stage::Running(thread);
        Ok(())
    }

    /// Has an order carried out; returns when it is durable, and this node a primary if it is to be one. Blocks.
    ///
    /// # Errors
    /// A sentence, when that is not so in time: the order stands all the same, and is tried on.
    pub fn order(&self, order: Order) -> Result<(), String> {
        let (deadline, leads) = (Instant::now() + ORDER_PATIENCE, order == Order::Lead);
        let input = match order {
            Order::Follow(address) => Input::ReplicaOf(address),
            Order::Lead => Input::NoOne,
            Order::Database(db, order) => Input::DbSlaveOf(db, order),
            Order::Reset(scope) => Input::Reset(scope),
            Order::FileSays(address) => Input::FileSays(address),
        };
        let (done, wait) = std::sync::mpsc::sync_channel(1);
        let ends = || "the server ends".to_owned();
        self.context.queue.blocking_send(Message::Ordered { input, done }).map_err(|_| ends())?;
        match wait.recv_timeout(ORDER_PATIENCE) {
            Ok(()) if leads => self.until_it_leads(deadline),
            Ok(()) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err(ends()),
            Err(RecvTimeoutError::Timeout) => {
                Err("the ledger of replication cannot be written at present; it is tried again and again".to_owned())
            }
        }
    }

    /// Whoever asks for a primary may write at once when told that there is one.
    fn until_it_leads(&self, deadline: Instant) -> Result<(), String> {
        let mut pause = PROMOTION_LOOK;
        while self.admission() != Admission::Primary {
            if Instant::now() >= deadline {
                return Err("what is still written here must end before this node is a primary".to_owned());
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PROMOTION_LOOK_MOST);
        }
        Ok(())
    }

    /// Changes the parameters. Other credentials are tried at once.
    pub fn configure(&self, settings: Settings) {
        let settings = Arc::new(settings);
        let before = self.context.settings.swap(Arc::clone(&settings));
        self.context.tell_blocking(Input::Configure(settings.machine.clone()));
        if before.credentials() != settings.credentials() {
            self.context.tell_blocking(Input::Reset(Scope::Everything));
        }
    }

    /// The last published state.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// What clients may do.
    #[inline]
    #[must_use]
    pub fn admission(&self) -> Admission {
        match self.admission.load(Ordering::Acquire) {
            0 => Admission::Primary,
            1 => Admission::Replica,
            _ => Admission::Cut,
        }
    }

    /// What clients may do with a database.
    #[must_use]
    pub fn admission_to(&self, db: Db) -> Admission {
        match self.admission() {
            Admission::Replica if !self.view.load().is_current(db) => Admission::Cut,
            admission @ (Admission::Primary | Admission::Replica | Admission::Cut) => admission,
        }
    }

    /// This node's name.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.context.node
    }

    /// What happened.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// What somebody should look at.
    #[must_use]
    pub fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// Ends links and transfers; what has begun to be installed ends by itself.
    pub fn stop(&self) {
        let stage = std::mem::replace(&mut *self.stage.lock(), Stage::Over);
        if let Stage::Running(thread) = stage {
            let _ = self.context.queue.blocking_send(Message::Stop);
            // A panic has ended the process already.
            let _ = thread.join();
        }
        self.journal.stop();
    }
}

/// What those who follow this node ask of it.
impl Node for Replica {
    fn id(&self) -> NodeId {
        self.context.node
    }

    fn run(&self) -> RunId {
        self.context.run
    }

    fn role_generation(&self) -> u64 {
        self.view.load().status.role_generation
    }

    fn path(&self) -> Path {
        self.view.load().status.path.clone()
    }

    fn standing(&self, db: Db) -> Standing {
        let view = self.view.load();
        view.standings.get(&db).copied().unwrap_or(view.standing)
    }

    fn now_ms(&self) -> u64 {
        now_ms()
    }
}

impl From<Role> for Admission {
    /// A replica counts as cut off until its link is up.
    fn from(role: Role) -> Self {
        match role {
            Role::Primary => Self::Primary,
            Role::Replica | Role::Promoting => Self::Cut,
        }
    }
}
