//! The control link: who the primary is, and that it lives.

use std::sync::Arc;

use replication_proto::{Address, Beat, Cause, Input, LinkId, Meta, PROTOCOL_VERSION, ShardBeat};
use tokio::sync::mpsc;

use super::Context;
use super::broken::Broken;
use super::link::Link;
use super::settings::Settings;
use crate::wire::{self, PrimaryHeartbeat, PrimaryMeta, Reply, Request, SyncMeta};

/// Opens the link and follows it until it ends; tells the owner all of it.
pub(super) async fn control(
    context: Arc<Context>,
    link: LinkId,
    primary: Address,
    role_generation: u64,
    outgoing: mpsc::Receiver<Vec<u8>>,
) {
    let settings = context.settings();
    let ended = match greet(&context, &settings, &primary, role_generation).await {
        Ok((connection, meta)) => {
            context.tell(Input::Meta { link, meta }).await;
            live(&context, link, connection, outgoing).await
        }
        Err(broken) => broken,
    };
    context.tell_end(Input::ControlLost { link, cause: ended.cause }, ended, &settings).await;
}

async fn greet(
    context: &Context,
    settings: &Settings,
    primary: &Address,
    role_generation: u64,
) -> Result<(Link, Meta), Broken> {
    let late = |_| Broken::new(Cause::Timeout, "the handshake took too long");
    tokio::time::timeout(settings.connect_timeout(), async {
        let mut link = Link::open(settings, primary).await?;
        let port = settings.announce_port.to_string();
        let mut words: Vec<&[u8]> = vec![b"REPLCONF", b"listening-port", port.as_bytes()];
        if !settings.announce_ip.is_empty() {
            words.extend([b"ip-address", settings.announce_ip.as_bytes()]);
        }
        words.extend([&b"capa"[..], b"haypile"]);
        link.send_words(&words).await?;
        link.answer(|reply| match reply {
            Reply::Ok => Ok(()),
            Reply::Refused(refusal) => Err(Broken::refused(&refusal, Cause::NotAPeer)),
            _ => Err(Broken::new(Cause::NotAPeer, "it does not understand REPLCONF")),
        })
        .await??;
        let ask = Request::SyncMeta(SyncMeta {
            version: wire::VERSION,
            node: context.node,
            run: context.run,
            databases: settings.machine.databases,
            role_generation,
        });
        link.send(&bytes_of(&ask)).await?;
        let meta = link.answer(|reply| match reply {
            Reply::Meta(meta) => Ok(meta_of(meta)),
            Reply::Refused(refusal) => Err(Broken::refused(&refusal, plain_cause(&refusal.text))),
            _ => Err(Broken::unexpected("SYNCMETA")),
        });
        let meta = meta.await??;
        Ok((link, meta))
    })
    .await
    .map_err(late)?
}

/// What an error without a class of its own says to who asks for replication.
pub(super) fn plain_cause(text: &str) -> Cause {
    if text.contains("unknown command") { Cause::NotAPeer } else { Cause::Rejected }
}

pub(super) fn bytes_of(request: &Request) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode(&mut bytes);
    bytes
}

fn meta_of(meta: PrimaryMeta) -> Meta {
    let beat = |shard: &wire::ShardMeta| ShardBeat { db: shard.db, log_generation: shard.generation, end: shard.end };
    Meta {
        version: u16::try_from(meta.version).unwrap_or(PROTOCOL_VERSION.wrapping_add(1)),
        node: meta.node,
        run: meta.run,
        role_generation: meta.role_generation,
        databases: meta.databases,
        path: meta.path,
        shards: meta.shards.iter().map(beat).collect(),
    }
}

fn beat_of(heartbeat: PrimaryHeartbeat) -> Beat {
    let beat = |shard: &wire::ShardBeat| ShardBeat { db: shard.db, log_generation: shard.generation, end: shard.end };
    Beat {
        run: heartbeat.run,
        role_generation: heartbeat.role_generation,
        path: heartbeat.path,
        shards: heartbeat.shards.iter().map(beat).collect(),
    }
}

/// Heartbeats both ways, until the link breaks. That nothing comes for too long is for the state machine to notice.
async fn live(context: &Context, link: LinkId, mut connection: Link, mut outgoing: mpsc::Receiver<Vec<u8>>) -> Broken {
    let mut unsent: Vec<u8> = Vec::new();
    loop {
        loop {
            match connection.inbox.next_reply() {
                Ok(Some(Reply::Heartbeat(heartbeat))) => {
                    let beat = beat_of(heartbeat);
                    context.tell(Input::Beat { link, beat }).await;
                }
                Ok(Some(Reply::Refused(refusal))) => return Broken::refused(&refusal, Cause::Rejected),
                Ok(Some(_)) => return Broken::unexpected("a heartbeat"),
                Ok(None) => break,
                Err(error) => return error.into(),
            }
        }
        let done = tokio::select! {
            ready = connection.stream.readable() => match ready {
                Ok(()) => connection.read().map(|_| ()),
                Err(error) => Err(error.into()),
            },
            // While one heartbeat cannot be sent there is no sense in a second one.
            message = outgoing.recv(), if unsent.is_empty() => match message {
                Some(message) => {
                    unsent = message;
                    Ok(())
                }
                None => Err(Broken::new(Cause::Operator, "closed here")),
            },
            ready = connection.stream.writable(), if !unsent.is_empty() => match ready {
                Ok(()) => send_some(&connection, &mut unsent),
                Err(error) => Err(error.into()),
            },
        };
        if let Err(broken) = done {
            return broken;
        }
    }
}

/// Sends as much of `unsent` as can be sent without waiting.
pub(super) fn send_some(link: &Link, unsent: &mut Vec<u8>) -> Result<(), Broken> {
    match link.stream.try_write(unsent) {
        Ok(sent) => {
            unsent.drain(..sent);
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error.into()),
    }
}
