//! A feed: the log of one database to one replica, as fast as its socket takes it.
//!
//! ```text
//!   SYNCSHARD ──▶ verdict ──CONTINUE──▶ read the log's file ──▶ FRAMES ──▶ wait for more ──┐
//!                    │                        ▲                  ALIVE, each idle second   │
//!                    └─ else: the link ends   └──────────────────────────────────────────-─┘
//! ```
//!
//! It holds one piece of the log at a time, so a slow replica costs no memory. It sends what is in the log's file; what
//! lies far back is read by a thread that may wait for the disk. Damage ends the link: a link that is up and brings
//! nothing would be worse.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use engine::Role;
use lineage::Lsn;
use replication_proto::{Ask, Db, NodeId, SyncReason, Verdict, judge};
use replog::{Health, Log, Pin, ReadError, Reader};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::link::{self, End, Link, Listener};
use super::local::Source;
use super::replicas::LinkNumber;
use super::{Durable, Primary, local};
use crate::wire::{MAX_FRAMES, Reply, Request, SyncShard, VERSION};

/// `ALIVE` is said when nothing else was for so long.
const ALIVE: Duration = Duration::from_secs(1);
/// What was written so recently is in the page cache, and may be read by the links thread.
const RECENT: u64 = 1 << 20;
/// Memory for a message that an idle feed keeps.
const KEPT_BYTES: usize = 16 << 10;

/// Serves the link until it ends.
pub(super) async fn serve(primary: Arc<Primary>, mut link: Link, ask: SyncShard) {
    let end = run(&primary, &mut link, &ask).await;
    let (node, db) = (ask.node, ask.db);
    if end.is_trouble() {
        tracing::warn!(%node, %db, "a feed ended: {end}");
    } else {
        tracing::info!(%node, %db, "a feed ended: {end}");
    }
}

async fn run(primary: &Primary, link: &mut Link, ask: &SyncShard) -> End {
    let patience = primary.settings().timeout;
    if let Some(trouble) = primary.begin_reigns().await {
        return link::refuse(&mut *link.writer, trouble, patience).await;
    }
    let started = match start(primary, ask) {
        Ok(started) => started,
        Err(Refused::Told(reason)) => {
            if !reason.binds() {
                primary.refused.fetch_add(1, Ordering::Relaxed);
            }
            let reason = reason.to_string();
            let told = link::say(&mut *link.writer, &Reply::FullSync { reason: reason.clone() }, patience).await;
            return told.map_or_else(|end| end, |_| End::Answered(format!("full sync: {reason}")));
        }
        Err(Refused::Error(text)) => return link::refuse(&mut *link.writer, text, patience).await,
        Err(Refused::Log(error)) => {
            link::refuse(&mut *link.writer, unreadable(&error), patience).await;
            return End::Log(error);
        }
    };
    let verdict =
        Reply::Continue { generation: started.generation, from: started.from, lineage: started.lineage.clone() };
    if let Err(end) = link::say(&mut *link.writer, &verdict, patience).await {
        return end;
    }
    tracing::info!(node = %ask.node, db = %ask.db, from = %started.from, "a feed begins");
    primary.continued.fetch_add(1, Ordering::Relaxed);
    primary.snapshots.continued(ask.node, ask.db, started.from);
    let seat = Seat::take(primary, ask, &started);
    let mut feed = Feed {
        primary,
        db: ask.db,
        role_generation: ask.role_generation,
        supply: started.supply,
        position: started.from,
        pin: started.pin,
        hurried: None,
        message: Vec::new(),
    };
    let Link { reader, writer, inbox, client, .. } = link;
    let mut listener = Listener { reader: &mut **reader, inbox, client: &**client };
    let end = tokio::select! {
        end = listen(primary, &mut listener, &seat) => end,
        end = feed.speak(&mut **writer, &seat) => end,
        end = link::killed(&**client) => end,
    };
    if let End::Log(error @ ReadError::Damage(_)) = &end {
        // Between two messages. A replica that is told so asks for a copy in the end; one whose link just closes would come
        // again for ever.
        link::refuse(&mut **writer, unreadable(error), patience).await;
    }
    end
}

/// What a replica is told of a log that cannot be read.
fn unreadable(error: &ReadError) -> String {
    let word = match error {
        ReadError::Damage(_) => "DAMAGED",
        ReadError::Disk(_) | ReadError::Trimmed { .. } | ReadError::Beyond { .. } => "ERR",
    };
    format!("{word} the log cannot be read: {error}")
}

/// What a link that continues begins with.
struct Started {
    generation: u64,
    from: Lsn,
    lineage: lineage::Lineage,
    supply: Option<Supply>,
    pin: Option<Pin>,
}

/// Why it does not begin.
enum Refused {
    Told(SyncReason),
    Error(String),
    Log(ReadError),
}

/// The verdict, and what it takes to act on it.
fn start(primary: &Primary, ask: &SyncShard) -> Result<Started, Refused> {
    if ask.version != VERSION {
        let text = format!("INCOMPATIBLE this node speaks version {VERSION} of replication, not {}", ask.version);
        return Err(Refused::Error(text));
    }
    if ask.primary_run != primary.node.run() || ask.role_generation != primary.node.role_generation() {
        return Err(Refused::Error("BUSYSYNC this node is not what it was when it was asked last".to_owned()));
    }
    if ask.db.0 as usize >= primary.instance.databases() {
        return Err(Refused::Error("INCOMPATIBLE there can be no such database here".to_owned()));
    }
    let source = Source::of(&primary.instance, ask.db);
    let origin = source.as_ref().map(Source::origin);
    let question = Ask { lineage: ask.lineage.clone(), end: ask.end, bound: ask.bound };
    let judgement = judge(primary.node.standing(ask.db), origin.as_ref(), &question);
    let (generation, from) = match judgement.verdict {
        Verdict::Continue { log_generation, from } => (log_generation, from),
        Verdict::FullSync(reason) => return Err(Refused::Told(reason)),
        // A rewind is never the verdict of this version; a replica would take it for a full sync.
        Verdict::Rewind(at) => return Err(Refused::Told(SyncReason::Diverged(at))),
        Verdict::NotYet => {
            return Err(Refused::Error("BUSYSYNC this node is itself behind, or cut off".to_owned()));
        }
    };
    let lineage = origin.map(|origin| origin.lineage).unwrap_or_default();
    let Some(source) = source else {
        return Ok(Started { generation, from, lineage, supply: None, pin: None });
    };
    let pin = source.log.pin(&format!("replica {}", ask.node), from);
    let reader = match source.log.reader(from) {
        Ok(reader) => reader,
        // Trimmed just now.
        Err(ReadError::Trimmed { .. }) => return Err(Refused::Told(SyncReason::Trimmed)),
        Err(error @ (ReadError::Beyond { .. } | ReadError::Disk(_) | ReadError::Damage(_))) => {
            return Err(Refused::Log(error));
        }
    };
    Ok(Started { generation, from, lineage, supply: Some(Supply { source, reader: Some(reader) }), pin })
}

/// Where the frames come from.
struct Supply {
    source: Source,
    /// Away while another thread reads with it.
    reader: Option<Reader>,
}

struct Feed<'a> {
    primary: &'a Primary,
    db: Db,
    /// Of this node when the replica asked.
    role_generation: u64,
    /// `None`: there was no such database when the replica asked.
    supply: Option<Supply>,
    /// Everything below was sent.
    position: Lsn,
    /// Keeps the log from what the replica has on.
    pin: Option<Pin>,
    /// The replica was told on this link to make everything below durable at once.
    hurried: Option<Lsn>,
    message: Vec<u8>,
}

impl Feed<'_> {
    /// Sends what there is, and then what comes.
    async fn speak(&mut self, writer: &mut (dyn AsyncWrite + Send + Unpin), seat: &Seat<'_>) -> End {
        let mut said = Instant::now();
        loop {
            // Counted before the look.
            let seen = self.primary.instance.changes().count();
            if !self.is_current() {
                return End::Superseded;
            }
            self.keep_log(seat);
            let got = self.read().await;
            let hurries = self.hurry();
            match got {
                Ok(_) if hurries => {}
                Ok(true) => {}
                Ok(false) if said.elapsed() < ALIVE => {
                    self.wait(seen, ALIVE.saturating_sub(said.elapsed())).await;
                    continue;
                }
                Ok(false) => self.alive(),
                Err(error) => return End::Log(error),
            }
            seat.offered.store(self.position.0, Ordering::Relaxed);
            // Without a deadline of its own: a replica that is slow but lives says so, and that is waited for elsewhere.
            if let Err(error) = writer.write_all(&self.message).await {
                return End::Broken(error);
            }
            self.primary.note_sent(self.message.len());
            said = Instant::now();
            self.message.clear();
        }
    }

    /// Whether role and log are what the replica was told.
    fn is_current(&self) -> bool {
        let same_role = self.primary.node.role_generation() == self.role_generation;
        let same_log = match &self.supply {
            Some(supply) => supply.source.is_current(&self.primary.instance, self.db),
            // The database exists now: the replica asks again, and gets its lineage.
            None => Source::of(&self.primary.instance, self.db).is_none(),
        };
        same_role && same_log
    }

    /// Puts the next frames into the message, if there are any.
    async fn read(&mut self) -> Result<bool, ReadError> {
        let Some(supply) = &mut self.supply else { return Ok(false) };
        let Some(mut reader) = supply.reader.take() else { return Ok(false) };
        let mut message = std::mem::take(&mut self.message);
        let behind = supply.source.log.written().since(reader.position());
        let (reader, message, got) = if behind <= RECENT {
            let got = next_message(&mut reader, &mut message);
            (reader, message, got)
        } else {
            let read = tokio::task::spawn_blocking(move || {
                let got = next_message(&mut reader, &mut message);
                (reader, message, got)
            });
            match read.await {
                Ok(read) => read,
                // A panic there has ended the process already; otherwise the runtime ends, and this task with it.
                Err(_) => return std::future::pending().await,
            }
        };
        self.position = reader.position();
        (supply.reader, self.message) = (Some(reader), message);
        got
    }

    /// Puts into the message that what was sent must be durable, if clients wait for that and it was not said.
    fn hurry(&mut self) -> bool {
        let hurries = self.primary.settings().durable == Durable::AtOnce
            && self.primary.instance.role() == Role::Primary
            && self.hurried.is_none_or(|position| position < self.position);
        if hurries {
            self.hurried = Some(self.position);
            Reply::Fsync.encode(&mut self.message);
        }
        hurries
    }

    fn alive(&mut self) {
        let log = self.supply.as_ref().map(|supply| &supply.source.log);
        let (written, end) = log.map_or((Lsn::ZERO, Lsn::ZERO), |log: &Arc<Log>| (log.written(), log.end()));
        let now_ms = self.primary.node.now_ms();
        Reply::Alive { end, written: written.min(self.position), now_ms }.encode(&mut self.message);
    }

    /// Waits until there is something to read, or log or role may be others than they were when `seen` was counted.
    async fn wait(&mut self, seen: u64, at_most: Duration) {
        self.message.shrink_to(KEPT_BYTES);
        let reader = self.supply.as_ref().and_then(|supply| supply.reader.as_ref());
        let instance = &self.primary.instance;
        let more = poll_fn(|cx| {
            let change = local::poll_change(instance, seen, cx.waker());
            let more = reader.map_or(Poll::Pending, |reader| reader.poll_more(cx.waker()));
            if change.is_ready() { change } else { more }
        });
        // Either way it is looked again.
        let _ = tokio::time::timeout(at_most, more).await;
    }

    /// Lets go of the log that the replica has, and of all of it when that is too much or the disk is full.
    fn keep_log(&mut self, seat: &Seat<'_>) {
        let (Some(pin), Some(supply)) = (&mut self.pin, &self.supply) else { return };
        let log = &supply.source.log;
        pin.advance(Lsn(seat.received.load(Ordering::Relaxed)));
        let retain_max = self.primary.settings().retain_max;
        let is_too_much = retain_max > 0 && log.end().since(pin.lsn()) > retain_max;
        if is_too_much || log.health() != Health::Ok {
            tracing::warn!(
                node = %seat.node,
                db = %self.db,
                "the log is not kept for a replica any more: it is too far behind, or the disk is full"
            );
            self.pin = None;
        }
    }
}

/// The next frames as a message.
fn next_message(reader: &mut Reader, message: &mut Vec<u8>) -> Result<bool, ReadError> {
    let Some(frames) = reader.next_raw(MAX_FRAMES)? else { return Ok(false) };
    Reply::Frames { lsn: frames.lsn, bytes: frames.bytes }.encode(message);
    Ok(true)
}

async fn listen(primary: &Primary, listener: &mut Listener<'_>, seat: &Seat<'_>) -> End {
    loop {
        let patience = primary.settings().timeout;
        let ack = match listener.next(patience, |bytes| primary.note_received(bytes)).await {
            Ok(Request::Ack(ack)) => ack,
            Ok(Request::SyncMeta(_) | Request::SyncShard(_) | Request::Heartbeat(_) | Request::Snapshot(_)) => {
                return End::Unexpected("a message that is not for a shard link");
            }
            Err(end) => return end,
        };
        if ack.received.0 > seat.offered.load(Ordering::Relaxed)
            || ack.applied > ack.received
            || ack.synced > ack.received
        {
            return End::Unexpected("an acknowledgement of what was not sent");
        }
        let end = seat.log.as_ref().map_or(Lsn::ZERO, |log| log.end());
        let whose = (seat.node, seat.db, seat.number);
        if !primary.replicas.lock().acknowledge(whose, ack, end, Instant::now()) {
            return End::Superseded;
        }
        seat.received.fetch_max(ack.received.0, Ordering::Relaxed);
        primary.replicas_changed();
    }
}

/// The entry of the link in the table, which goes with the link.
struct Seat<'a> {
    primary: &'a Primary,
    node: NodeId,
    db: Db,
    number: LinkNumber,
    log: Option<Arc<Log>>,
    /// Everything below was sent, or is being sent.
    offered: AtomicU64,
    /// Everything below is in the replica's log.
    received: AtomicU64,
}

impl<'a> Seat<'a> {
    fn take(primary: &'a Primary, ask: &SyncShard, started: &Started) -> Self {
        let from = started.from;
        let log = (ask.db, started.generation);
        let number = primary.replicas.lock().follow(ask.node, log, from, Instant::now());
        primary.count_good();
        primary.replicas_changed();
        let log = started.supply.as_ref().map(|supply| Arc::clone(&supply.source.log));
        let (offered, received) = (AtomicU64::new(from.0), AtomicU64::new(from.0));
        Self { primary, node: ask.node, db: ask.db, number, log, offered, received }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.primary.replicas.lock().unfollow(self.node, self.db, self.number);
        self.primary.count_good();
        self.primary.replicas_changed();
    }
}
