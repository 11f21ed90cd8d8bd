//! The owner: one task that steps the state machine and has its outputs carried out, in their order.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use replication_proto::{
    Address, Alarm, Cause, Db, Event, Input, Ledger, Level, LinkId, Millis, Node, Occurrence, Output, PromotionId,
    Role, Scope, Start, Status, TransferId, Transmit,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::fetch::{self, Arrived, Stop, Transfer};
use super::lanes::{Lanes, Work};
use super::shard::{Question, follow};
use super::{Admission, Context, Message, Prepared, View};
use crate::alarms::Alarms;
use crate::events::{Journal, Record, Subject, What, now_ms};
use crate::ledger::LedgerFile;
use crate::replica::control::{bytes_of, control};
use crate::wire::{Ack, ReplicaHeartbeat, Request, ShardAck};

/// A ledger that cannot be written is tried again so often.
const PERSIST_AGAIN: Duration = Duration::from_secs(1);
/// The view is renewed at least so often while nothing happens: its figures age.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// Heartbeats that may wait for a control link.
const HEARTBEATS: usize = 2;

/// The owner.
pub(super) struct Owner {
    context: Arc<Context>,
    node: Node,
    began: Instant,
    file: LedgerFile,
    journal: Arc<Journal>,
    alarms: Arc<Alarms>,
    view: Arc<ArcSwap<View>>,
    admission: Arc<AtomicU8>,
    details: BTreeMap<Level, String>,
    /// What has come for the transfers that fetch.
    arrived: BTreeMap<Db, Arc<Arrived>>,
    /// Databases that the state machine knows to be here.
    known: BTreeSet<Db>,
    control: Option<Control>,
    /// Where the present control link leads to; shard links and transfers go there, too.
    upstream: Option<Address>,
    lanes: Lanes,
    /// The last promotion, which may still run.
    promotion: Option<oneshot::Receiver<()>>,
    /// What was logged of an unwritable ledger.
    is_ledger_well: bool,
}

/// The control link.
struct Control {
    link: LinkId,
    outgoing: mpsc::Sender<Vec<u8>>,
    task: JoinHandle<()>,
}

impl Owner {
    pub fn new(
        context: Arc<Context>,
        prepared: Prepared,
        journal: Arc<Journal>,
        alarms: Arc<Alarms>,
    ) -> io::Result<Self> {
        let Prepared { ledger, folder, .. } = prepared;
        let config = context.settings().machine.clone();
        let seed = u64::from_le_bytes(*crate::ledger::random_node()?.0.first_chunk().unwrap_or(&[0; 8]));
        let node = Node::new(Millis(0), config, ledger, seed);
        let began = Instant::now();
        let details = BTreeMap::new();
        let view = ArcSwap::from_pointee(view_of(&node, began, &details, &BTreeMap::new()));
        let admission = AtomicU8::new(Admission::from(node.role()) as u8);
        Ok(Self {
            context,
            node,
            began,
            file: LedgerFile::in_folder(&folder),
            journal,
            alarms,
            view: Arc::new(view),
            admission: Arc::new(admission),
            details,
            arrived: BTreeMap::new(),
            known: BTreeSet::new(),
            control: None,
            upstream: None,
            lanes: Lanes::default(),
            promotion: None,
            is_ledger_well: true,
        })
    }

    /// What it will publish.
    pub fn published(&self) -> (Arc<ArcSwap<View>>, Arc<AtomicU8>) {
        (Arc::clone(&self.view), Arc::clone(&self.admission))
    }

    /// Serves until the end is wanted.
    pub async fn live(mut self: Box<Self>, mut messages: mpsc::Receiver<Message>) {
        self.look_around().await;
        self.step(Input::Tick, String::new()).await;
        loop {
            let sleep = self.until_due().min(LONGEST_SLEEP);
            tokio::select! {
                message = messages.recv() => match message {
                    Some(Message::Happened { input, detail }) => self.step(input, detail).await,
                    Some(Message::Ordered { input, done }) => {
                        self.look_around().await;
                        self.step(input, String::new()).await;
                        // Who does not wait any more need not know.
                        let _ = done.try_send(());
                    }
                    Some(Message::Stop) | None => break,
                },
                () = tokio::time::sleep(sleep) => {
                    self.look_around().await;
                    self.step(Input::Tick, String::new()).await;
                }
            }
        }
        self.close_control();
        for ended in self.lanes.stop_all() {
            let _ = tokio::time::timeout(super::LAST_WORDS, ended).await;
        }
    }

    /// Notes databases that were made since the last look, by clients or by links.
    async fn look_around(&mut self) {
        for db in self.context.data.existing() {
            if self.known.insert(db) {
                self.step(Input::Local(db), String::new()).await;
            }
        }
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn until_due(&self) -> Duration {
        self.node.deadline().map_or(Duration::MAX, |due| Duration::from_millis(due.since(self.now()).0))
    }

    async fn step(&mut self, input: Input, detail: String) {
        let level = level_of(&input);
        if let Input::Fetched { db, .. } | Input::TransferFailed { db, .. } = input {
            self.arrived.remove(&db);
        }
        let output = self.node.step(self.now(), input);
        let Output { persist, start, send, events } = output;
        self.note_details(level, &detail, &events);
        if let Some(ledger) = persist {
            self.persist(ledger).await;
        }
        // Clients learn of a new role before the data does what the role allows, and after the ledger knows it.
        self.publish();
        for start in start {
            self.start(start).await;
        }
        send.into_iter().for_each(|message| self.send(message));
        for event in events {
            let detail = if event.level == level { detail.as_str() } else { "" };
            self.tell(&event, detail);
        }
    }

    /// Keeps what exactly happened to a machine for as long as it is in the state that it got into by that.
    fn note_details(&mut self, level: Level, detail: &str, events: &[Event]) {
        for event in events {
            if let Occurrence::Transition { .. } = event.what {
                self.details.remove(&event.level);
            }
        }
        if !detail.is_empty() {
            self.details.insert(level, detail.to_owned());
        }
    }

    /// Writes the ledger, however long that takes: nothing that follows from it may happen before.
    async fn persist(&mut self, ledger: Ledger) {
        loop {
            let (file, content) = (self.file.clone(), ledger.clone());
            let stored = tokio::task::spawn_blocking(move || file.store(&content)).await;
            let Ok(Err(error)) = stored else { break };
            if std::mem::take(&mut self.is_ledger_well) {
                let path = self.file.path();
                tracing::error!(file = %path.display(), "the ledger of replication cannot be written, and is tried again: {error}");
            }
            tokio::time::sleep(PERSIST_AGAIN).await;
        }
        self.is_ledger_well = true;
    }

    fn publish(&self) {
        let mut view = view_of(&self.node, self.began, &self.details, &self.arrived);
        view.fresh = self.view.load().fresh_in(&view.status);
        let admission = match view.status.role {
            Role::Primary => Admission::Primary,
            Role::Replica if view.is_linked() => Admission::Replica,
            Role::Replica | Role::Promoting => Admission::Cut,
        };
        self.view.store(Arc::new(view));
        self.admission.store(admission as u8, Ordering::Release);
    }

    async fn start(&mut self, start: Start) {
        match start {
            Start::Demote => {
                if let Some(promotion) = self.promotion.take() {
                    let _ = promotion.await;
                }
                let data = Arc::clone(&self.context.data);
                let _ = tokio::task::spawn_blocking(move || data.demote()).await;
            }
            Start::Promote(promotion) => self.promote(promotion),
            Start::Dial { link, primary, role_generation } => self.dial(link, primary, role_generation),
            Start::CloseControl { link } => {
                if self.control.as_ref().is_some_and(|control| control.link == link) {
                    self.close_control();
                }
            }
            Start::OpenShard { db, link, run, role_generation, bound } => {
                let Some(primary) = self.upstream.clone() else { return };
                let (stop, stopped) = watch::channel(false);
                let question = Question { db, link, primary, run, role_generation, bound };
                let task = follow(Arc::clone(&self.context), question, stopped);
                self.lanes.begin(db, Work::Link(link, stop), task);
            }
            Start::CloseShard { db, link } => self.lanes.stop_link(db, link),
            Start::Fetch { db, transfer, reason, resume } => {
                let resume = resume.as_ref().map_or("", |snapshot| snapshot.as_str());
                tracing::info!(database = db.0, %reason, resume, "a full sync begins");
                self.fetch(db, transfer);
            }
            Start::Reset { db, transfer } => self.reset(db, transfer),
            Start::Install { db, transfer } => self.lanes.install(db, transfer),
            Start::AbortFetch { db, transfer } => self.lanes.stop_transfer(db, transfer),
            Start::DropFiles { db } => self.drop_files(db),
        }
    }

    fn dial(&mut self, link: LinkId, primary: Address, role_generation: u64) {
        self.close_control();
        self.upstream = Some(primary.clone());
        let (outgoing, messages) = mpsc::channel(HEARTBEATS);
        let task = tokio::spawn(control(Arc::clone(&self.context), link, primary, role_generation, messages));
        self.control = Some(Control { link, outgoing, task });
    }

    fn close_control(&mut self) {
        if let Some(control) = self.control.take() {
            control.task.abort();
        }
    }

    fn fetch(&mut self, db: Db, id: TransferId) {
        let Some(primary) = self.upstream.clone() else { return };
        let stop = Arc::new(Stop::default());
        let (context, handle) = (Arc::clone(&self.context), tokio::runtime::Handle::current());
        let arrived = Arc::new(Arrived::default());
        self.arrived.insert(db, Arc::clone(&arrived));
        let transfer =
            Transfer { context: Arc::clone(&context), db, id, primary, stop: Arc::clone(&stop), handle, arrived };
        self.lanes.begin(db, Work::Transfer(id, stop), async move {
            let Ok(ended) = tokio::task::spawn_blocking(move || transfer.run()).await else { return };
            match ended {
                Ok(end) => context.tell(Input::Installed { db, transfer: id, end }).await,
                Err(broken) => {
                    let input = Input::TransferFailed { db, transfer: id, cause: broken.cause };
                    context.tell_loss(input, broken.detail).await;
                }
            }
        });
    }

    fn reset(&mut self, db: Db, id: TransferId) {
        let context = Arc::clone(&self.context);
        self.lanes.begin(db, Work::Short, async move {
            let data = Arc::clone(&context.data);
            let Ok(done) = tokio::task::spawn_blocking(move || data.reset(db)).await else { return };
            match done {
                Ok(end) => context.tell(Input::Installed { db, transfer: id, end }).await,
                Err(fault) => {
                    let input = Input::TransferFailed { db, transfer: id, cause: fault.cause };
                    context.tell_loss(input, fault.detail).await;
                }
            }
        });
    }

    fn drop_files(&mut self, db: Db) {
        let folder = self.context.folder.clone();
        self.lanes.begin(db, Work::Short, async move {
            let _ = tokio::task::spawn_blocking(move || fetch::drop_files(&folder, db)).await;
        });
    }

    /// Waits for everything that still writes into shards, then promotes.
    fn promote(&mut self, promotion: PromotionId) {
        let (context, running) = (Arc::clone(&self.context), self.lanes.stop_all());
        let data = Arc::clone(&self.context.data);
        let (over, ended) = oneshot::channel();
        self.promotion = Some(ended);
        tokio::spawn(async move {
            for ended in running {
                let _ = ended.await;
            }
            let promoted = tokio::task::spawn_blocking(move || data.promote()).await;
            // A demotion that waits for this must not wait for the owner, who waits for it.
            let _ = over.send(());
            match promoted {
                Ok(Ok(())) => context.tell(Input::Promoted(promotion)).await,
                Ok(Err(fault)) => {
                    context.tell_loss(Input::PromoteFailed(promotion, fault.cause), fault.detail).await;
                }
                Err(error) => {
                    let input = Input::PromoteFailed(promotion, Cause::DiskFault);
                    context.tell_loss(input, error.to_string()).await;
                }
            }
        });
    }

    fn send(&self, message: Transmit) {
        let Transmit::Heartbeat { link, role_generation, positions: _ } = message;
        let Some(control) = self.control.as_ref().filter(|control| control.link == link) else { return };
        let of = |db| {
            let now = self.context.data.positions(db);
            ShardAck { db, ack: Ack { received: now.received, applied: now.applied, synced: now.synced } }
        };
        // Also those that do not follow yet: what is not among them is detached here, and does not count as lacking.
        let shards = self.node.status().shards;
        let shards = shards.iter().filter(|shard| !shard.detached).map(|shard| of(shard.db)).collect();
        let heartbeat = ReplicaHeartbeat { role_generation, now_ms: now_ms(), shards };
        // A heartbeat that finds two before it would tell nothing new.
        let _ = control.outgoing.try_send(bytes_of(&Request::Heartbeat(heartbeat)));
    }

    fn tell(&self, event: &Event, detail: &str) {
        let subject = match event.level {
            Level::Node => Subject::Instance,
            Level::Shard(db) => Subject::Shard(db.0),
        };
        let what = match &event.what {
            Occurrence::Transition { from, to, cause, attempt, limit: _, position } => What::Transition {
                from: from.to_string(),
                to: to.to_string(),
                cause: cause.to_string(),
                detail: detail.to_owned(),
                attempt: *attempt,
                position: position.map_or(0, |position| position.0),
            },
            Occurrence::Raised(alarm) if detail.is_empty() => {
                return self.alarms.raise(alarm.as_str(), subject, &reason(&self.node.status(), *alarm, event.level));
            }
            Occurrence::Raised(alarm) => return self.alarms.raise(alarm.as_str(), subject, detail),
            Occurrence::Cleared(alarm) => return self.alarms.clear(alarm.as_str(), subject),
            Occurrence::Healed(_) | Occurrence::SyncBegan(_) | Occurrence::Promoted | Occurrence::PromotionWaits(_) => {
                What::Note { text: event.what.to_string() }
            }
        };
        self.journal.note(Record::now(subject, what));
    }
}

/// Why an alarm was raised, if the machine did so by itself.
fn reason(status: &Status, alarm: Alarm, level: Level) -> String {
    let shard = status.shards.iter().find(|shard| level == Level::Shard(shard.db));
    let sync = shard.and_then(|shard| shard.transfer).map(|transfer| transfer.reason);
    let age = shard.and_then(|shard| shard.age);
    match (alarm, sync, age) {
        (Alarm::Diverged | Alarm::FullSyncLoop, Some(reason), _) => format!("full sync: {reason}"),
        (Alarm::Lag, _, Some(age)) => format!("the data is {age} ms old"),
        (Alarm::Lag, _, None) => "the primary has not been heard since the start".to_owned(),
        (
            Alarm::ShardError
            | Alarm::RetriesExhausted
            | Alarm::Diverged
            | Alarm::LinkFlapping
            | Alarm::FullSyncLoop
            | Alarm::NoPrimary,
            _,
            _,
        ) => alarm.raised_when().to_owned(),
    }
}

fn view_of(
    node: &Node,
    began: Instant,
    details: &BTreeMap<Level, String>,
    arrived: &BTreeMap<Db, Arc<Arrived>>,
) -> View {
    let rates = arrived.iter().map(|(db, arrived)| (*db, arrived.rate())).collect();
    let status = node.status();
    let standings = status.shards.iter().map(|shard| (shard.db, node.standing(shard.db))).collect();
    // No node has so many databases: what is said of this one is said of all that it does not know.
    let standing = node.standing(Db(u32::MAX));
    View { status, began, standings, standing, details: details.clone(), rates, fresh: BTreeSet::new() }
}

/// Whom an input is about.
fn level_of(input: &Input) -> Level {
    match input {
        Input::DbSlaveOf(db, _)
        | Input::Local(db)
        | Input::Reset(Scope::Shard(db))
        | Input::Verdict { db, .. }
        | Input::Preparing { db, .. }
        | Input::Position { db, .. }
        | Input::ShardLost { db, .. }
        | Input::Progress { db, .. }
        | Input::Fetched { db, .. }
        | Input::Installed { db, .. }
        | Input::TransferFailed { db, .. } => Level::Shard(*db),
        Input::ReplicaOf(_)
        | Input::NoOne
        | Input::Reset(Scope::Everything)
        | Input::Configure(_)
        | Input::FileSays(_)
        | Input::Meta { .. }
        | Input::Beat { .. }
        | Input::ControlLost { .. }
        | Input::Promoted(_)
        | Input::PromoteFailed(..)
        | Input::Tick => Level::Node,
    }
}
