//! A client as CLIENT LIST and CLIENT INFO show it: one line of `field=value`.

use std::io::Write as _;
use std::sync::atomic::Ordering;

use commands::{Command, Error};
use keyspace::Millis;

use super::{Call, quoting};
use crate::catalog;
use crate::client::{ClientInfo, Kill, Transport};
use crate::shared::clock;

/// What of a client's output Redis keeps in a fixed buffer (`obl`); the rest is in a list (`oll`, `omem`), at which tools look
/// for those who do not read.
const REPLY_BUFFER: usize = 16 << 10;

/// Sorts of clients, in Redis's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A client that sends commands.
    Normal,
    /// A replica.
    Replica,
    /// Our primary.
    Master,
    /// A client that has subscribed to channels.
    PubSub,
}

impl Kind {
    /// Of which sort a client is.
    pub(super) fn of(info: &ClientInfo) -> Self {
        if info.is_of_replica() { Self::Replica } else { Self::Normal }
    }

    /// The sort that a client calls so.
    pub(super) fn named(name: &[u8]) -> Result<Self, Error> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Ok(Self::Normal),
            b"slave" | b"replica" => Ok(Self::Replica),
            b"master" => Ok(Self::Master),
            b"pubsub" => Ok(Self::PubSub),
            _ => Err(quoting("ERR Unknown client type '", name, "'")),
        }
    }
}

/// Who looks, and when. A session notes its last command only after it has run a few.
#[derive(Clone, Copy)]
pub(super) struct Watcher {
    id: u64,
    command: &'static Command,
    now: Millis,
}

impl Watcher {
    pub(super) fn of(call: &Call<'_>) -> Self {
        Self { id: call.session.info.id, command: call.command, now: clock() }
    }
}

/// The line of a client, with its end.
pub(super) fn line(info: &ClientInfo, watcher: Watcher) -> Vec<u8> {
    let now = watcher.now.0;
    let number = |value: &std::sync::atomic::AtomicUsize| value.load(Ordering::Relaxed);
    let (input, input_memory, argument) =
        (number(&info.input_bytes), number(&info.input_memory), number(&info.argument_bytes));
    let output = number(&info.output_bytes);
    let (buffered, listed) = (output.min(REPLY_BUFFER), output.saturating_sub(REPLY_BUFFER));
    let queued_bytes = number(&info.queued_bytes);
    let idle = now.saturating_sub(info.last_active.load(Ordering::Relaxed)) / 1000;
    let words = info.words.lock();
    let mut line = Vec::with_capacity(384);
    let mut put = |field: &str, value: &[u8]| {
        if !line.is_empty() {
            line.push(b' ');
        }
        // Writing to a vector does not fail.
        let _ = write!(line, "{field}=");
        line.extend_from_slice(value);
    };
    let mut put_number = |field: &str, value: u64| put(field, value.to_string().as_bytes());
    put_number("id", info.id);
    put("addr", info.ends.peer.as_bytes());
    put("laddr", info.ends.local.as_bytes());
    put("fd", info.ends.fd.to_string().as_bytes());
    put("name", &words.name);
    put("age", (now.saturating_sub(info.since.0) / 1000).to_string().as_bytes());
    put("idle", idle.to_string().as_bytes());
    put("flags", flags(info).as_bytes());
    put("db", info.database.load(Ordering::Relaxed).to_string().as_bytes());
    for field in ["sub", "psub", "ssub"] {
        put(field, b"0");
    }
    put("multi", queued(info).as_bytes());
    put("watch", info.watched.load(Ordering::Relaxed).to_string().as_bytes());
    for (field, value) in [
        ("qbuf", input),
        ("qbuf-free", input_memory.saturating_sub(input)),
        ("argv-mem", argument),
        ("multi-mem", queued_bytes),
        ("rbs", 0),
        ("rbp", 0),
        ("obl", buffered),
        ("oll", usize::from(listed > 0)),
        ("omem", listed),
        ("tot-mem", input_memory + argument + queued_bytes + output),
    ] {
        put(field, value.to_string().as_bytes());
    }
    put("events", if output > 0 { b"rw" } else { b"r" });
    put("cmd", command(info, watcher).as_bytes());
    put("user", b"default");
    put("redir", b"-1");
    put("resp", info.protocol.load(Ordering::Relaxed).to_string().as_bytes());
    put("lib-name", &words.lib_name);
    put("lib-ver", &words.lib_version);
    line.push(b'\n');
    line
}

fn command(info: &ClientInfo, watcher: Watcher) -> String {
    if info.id == watcher.id {
        return watcher.command.spec.full_name();
    }
    info.command().map_or_else(|| "NULL".to_owned(), |number| catalog::name(number).to_owned())
}

/// How many commands are queued, -1 outside of a transaction.
fn queued(info: &ClientInfo) -> String {
    match info.queued.load(Ordering::Relaxed) {
        ClientInfo::NO_QUEUE => "-1".to_owned(),
        count => count.to_string(),
    }
}

fn flags(info: &ClientInfo) -> String {
    let of = [
        ('S', info.is_of_replica()),
        ('x', info.queued.load(Ordering::Relaxed) != ClientInfo::NO_QUEUE),
        ('b', info.is_blocked.load(Ordering::Relaxed)),
        ('c', info.killed() == Some(Kill::AfterReplies)),
        ('A', info.killed() == Some(Kill::Now)),
        ('U', info.ends.transport == Transport::Unix),
        ('e', info.no_evict.load(Ordering::Relaxed)),
        ('T', info.no_touch.load(Ordering::Relaxed)),
    ];
    let flags: String = of.into_iter().filter(|(_, set)| *set).map(|(flag, _)| flag).collect();
    if flags.is_empty() { "N".to_owned() } else { flags }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Server;

    #[test]
    fn a_line_has_the_fields_of_redis_in_its_order() {
        let server = Server::new(&[]);
        let mut session = server.session();
        session.text(&["CLIENT", "SETNAME", "me"]);
        session.text(&["CLIENT", "SETINFO", "LIB-NAME", "lib"]);
        session.text(&["SELECT", "2"]);
        let list = session.text(&["CLIENT", "LIST"]);
        let line = list.lines().find(|line| line.starts_with("id=")).unwrap();
        let fields: Vec<&str> = line.split(' ').map(|field| field.split('=').next().unwrap()).collect();
        let redis = "id addr laddr fd name age idle flags db sub psub ssub multi watch qbuf qbuf-free argv-mem multi-mem rbs \
                     rbp obl oll omem tot-mem events cmd user redir resp lib-name lib-ver";
        assert_eq!(fields.join(" "), redis);
        for field in ["addr=127.0.0.1:5", "laddr=127.0.0.1:6379", "fd=7", "name=me", "flags=N", "db=2", "multi=-1"] {
            assert!(line.contains(field), "{field} in {line}");
        }
        for field in ["cmd=client|list", "user=default", "redir=-1", "resp=2", "lib-name=lib", "events=r"] {
            assert!(line.contains(field), "{field} in {line}");
        }
    }
}
