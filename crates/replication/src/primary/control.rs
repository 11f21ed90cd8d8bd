//! A control link: the replica says that it lives, this node says what it has.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use replication_proto::NodeId;
use tokio::io::AsyncWrite;

use super::link::{self, End, Link, Listener};
use super::replicas::LinkNumber;
use super::{Primary, local};
use crate::wire::{Reply, Request, SyncMeta, VERSION};

/// How often something is said at least.
const BEAT: Duration = Duration::from_secs(1);
/// How long is waited for more news before the first of them is told.
const BUNCH: Duration = Duration::from_millis(5);

/// Serves the link until it ends.
pub(super) async fn serve(primary: Arc<Primary>, mut link: Link, ask: SyncMeta) {
    let replica = link.announced.clone();
    let end = run(&primary, &mut link, &ask).await;
    let (node, address, port) = (ask.node, replica.address, replica.port);
    if end.is_trouble() {
        tracing::warn!(%node, address, port, "the link of a replica ended: {end}");
    } else {
        tracing::info!(%node, address, port, "the link of a replica ended: {end}");
    }
}

async fn run(primary: &Primary, link: &mut Link, ask: &SyncMeta) -> End {
    let patience = primary.settings().timeout;
    let node = &*primary.node;
    if let Some(objection) = objection(primary, ask) {
        return link::refuse(&mut *link.writer, objection, patience).await;
    }
    if let Some(trouble) = primary.begin_reigns().await {
        return link::refuse(&mut *link.writer, trouble, patience).await;
    }
    let meta = Reply::Meta(local::meta(&primary.instance, node));
    if let Err(end) = link::say(&mut *link.writer, &meta, patience).await {
        return end;
    }
    tracing::info!(node = %ask.node, address = link.announced.address, port = link.announced.port, "a replica follows");
    let seat = Seat::take(primary, ask.node, link);
    let Link { reader, writer, inbox, client, .. } = link;
    let mut listener = Listener { reader: &mut **reader, inbox, client: &**client };
    tokio::select! {
        end = listen(primary, &mut listener, &seat) => end,
        end = speak(primary, &mut **writer) => end,
        end = link::killed(&**client) => end,
    }
}

/// Why this replica cannot follow this node.
fn objection(primary: &Primary, ask: &SyncMeta) -> Option<String> {
    let own = primary.instance.databases();
    if ask.version != VERSION {
        return Some(format!("INCOMPATIBLE this node speaks version {VERSION} of replication, not {}", ask.version));
    }
    if primary.node.id() == ask.node {
        return Some("ITSELF a node cannot follow itself".to_owned());
    }
    if primary.node.path().nodes.contains(&ask.node) {
        return Some("CYCLE this node follows the one that asks".to_owned());
    }
    if (ask.databases as usize) < own {
        return Some(format!("INCOMPATIBLE this node may have {own} databases, the replica {}", ask.databases));
    }
    None
}

async fn listen(primary: &Primary, listener: &mut Listener<'_>, seat: &Seat<'_>) -> End {
    loop {
        let patience = primary.settings().timeout;
        match listener.next(patience, |bytes| primary.note_received(bytes)).await {
            Ok(Request::Heartbeat(beat)) => {
                let parts = beat.shards.iter().map(|shard| shard.db).collect();
                if !primary.replicas.lock().heard(seat.node, seat.number, parts, Instant::now()) {
                    return End::Superseded;
                }
            }
            Ok(Request::SyncMeta(_) | Request::SyncShard(_) | Request::Ack(_) | Request::Snapshot(_)) => {
                return End::Unexpected("a message that is not for a control link");
            }
            Err(end) => return end,
        }
    }
}

async fn speak(primary: &Primary, writer: &mut (dyn AsyncWrite + Send + Unpin)) -> End {
    // The first beat comes at once: what has changed since the answer to the question is in it.
    let mut seen = 0;
    loop {
        // News come in bunches.
        tokio::time::sleep(BUNCH).await;
        let news = poll_fn(|cx| local::poll_change(&primary.instance, seen, cx.waker()));
        // Either way there is something to say.
        let _ = tokio::time::timeout(BEAT, news).await;
        // Counted before the look.
        seen = primary.instance.changes().count();
        let beat = Reply::Heartbeat(local::heartbeat(&primary.instance, &*primary.node));
        match link::say(writer, &beat, primary.settings().timeout).await {
            Ok(bytes) => primary.note_sent(bytes),
            Err(end) => return end,
        }
    }
}

/// The replica's entry in the table, which goes with the link.
struct Seat<'a> {
    primary: &'a Primary,
    node: NodeId,
    number: LinkNumber,
}

impl<'a> Seat<'a> {
    fn take(primary: &'a Primary, node: NodeId, link: &Link) -> Self {
        let number = primary.replicas.lock().enter(node, link.announced.clone(), Instant::now());
        primary.count_good();
        primary.replicas_changed();
        Self { primary, node, number }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.primary.replicas.lock().leave(self.node, self.number);
        self.primary.count_good();
        self.primary.replicas_changed();
    }
}
