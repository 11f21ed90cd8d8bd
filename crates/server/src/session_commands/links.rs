//! REPLCONF, SYNCMETA, SYNCSHARD, SNAPSHOT: a replica introduces itself, and its connection becomes a link, or
//! asks for files.

use std::sync::atomic::Ordering;

use commands::{Error, text};
use replication::primary::{Announced, Opening};
use replication::wire::{SnapshotRequest, SyncMeta, SyncShard, WireError};

use super::{Answer, Call, Outcome, quoting};

/// The longest address that a replica may announce, in bytes.
const MAX_ADDRESS: usize = 255;

pub(super) fn run(name: &str, call: &mut Call<'_>) -> Answer {
    let fields = call.args.from(1);
    let opening = match name {
        "replconf" => return replconf(call),
        "syncmeta" => Opening::Meta(SyncMeta::decode(fields).map_err(malformed)?),
        "syncshard" => Opening::Shard(SyncShard::decode(fields).map_err(malformed)?),
        _ => return super::not_built(),
    };
    Ok(Outcome::Link(Box::new(opening)))
}

/// Questions about snapshots wait for the disk.
pub(super) fn snapshot(call: &mut Call<'_>) -> Answer {
    let request = SnapshotRequest::decode(call.args.from(1)).map_err(malformed)?;
    call.session.info.is_fetching.store(true, Ordering::Relaxed);
    Ok(Outcome::Desk(Box::new(move |context| context.shared.primary.snapshots().answer(&request))))
}

fn malformed(error: WireError) -> Error {
    format!("ERR {error}").into_bytes().into()
}

/// The words of Redis's replicas. `capa` says nothing that is of use here; `ack` and `getack` have no reply.
fn replconf(call: &mut Call<'_>) -> Answer {
    let args = call.args;
    if args.len().is_multiple_of(2) {
        return Err(text::SYNTAX.into());
    }
    let mut announced = call.session.announced.as_deref().cloned().unwrap_or_default();
    for at in (1..args.len()).step_by(2) {
        let value = args.at(at + 1);
        if args.is(at, "listening-port") {
            let port = resp::parse_i64(value).and_then(|port| u16::try_from(port).ok());
            announced.port = port.ok_or(text::NOT_INTEGER)?;
        } else if args.is(at, "ip-address") {
            if value.len() > MAX_ADDRESS {
                let bytes = value.len();
                let text = format!("ERR REPLCONF ip-address provided by replica instance is too long: {bytes} bytes");
                return Err(text.into_bytes().into());
            }
            // Shown in INFO, whose lines are made of it.
            let is_plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'=');
            if !value.iter().all(is_plain) {
                return Err("ERR Invalid address".into());
            }
            announced.address = String::from_utf8_lossy(value).into_owned();
        } else if args.is(at, "ack") || args.is(at, "getack") {
            return Ok(Outcome::Done);
        } else if !args.is(at, "capa") {
            return Err(quoting("ERR Unrecognized REPLCONF option: ", value_of(args.at(at)), ""));
        }
    }
    call.session.announced = Some(Box::new(announced));
    call.reply.ok();
    Ok(Outcome::Done)
}

/// As much of an option as an error shows.
fn value_of(option: &[u8]) -> &[u8] {
    const SHOWN: usize = 128;
    &option[..option.len().min(SHOWN)]
}

/// How a replica is shown: as it announced itself, or else by where it comes from.
pub(crate) fn announced(told: Option<&Announced>, peer: &str) -> Announced {
    let mut announced = told.cloned().unwrap_or_default();
    if announced.address.is_empty() {
        let address = peer.rsplit_once(':').map_or(peer, |(address, _)| address);
        announced.address = address.trim_start_matches('[').trim_end_matches(']').to_owned();
    }
    announced
}

#[cfg(test)]
mod tests {
    use super::super::testing::Server;
    use super::*;

    #[test]
    fn replicas_introduce_themselves_as_those_of_redis_do() {
        let server = Server::new(&[]);
        let mut session = server.session();
        assert_eq!(session.text(&["REPLCONF", "listening-port", "7002", "ip-address", "10.0.0.7"]), "+OK\r\n");
        assert_eq!(session.text(&["REPLCONF", "capa", "eof", "capa", "psync2"]), "+OK\r\n");
        let told = session.state.announced.as_deref();
        assert_eq!(announced(told, "1.2.3.4:5"), Announced { address: "10.0.0.7".to_owned(), port: 7002 });
        assert_eq!(session.text(&["REPLCONF", "ACK", "7"]), "");
        assert_eq!(session.text(&["REPLCONF", "GETACK", "*"]), "");
    }

    #[test]
    fn what_redis_refuses_is_refused() {
        let server = Server::new(&[]);
        let mut session = server.session();
        assert_eq!(session.text(&["REPLCONF", "capa"]), "-ERR syntax error\r\n");
        assert_eq!(session.text(&["REPLCONF", "foo", "1"]), "-ERR Unrecognized REPLCONF option: foo\r\n");
        let not_a_number = "-ERR value is not an integer or out of range\r\n";
        assert_eq!(session.text(&["REPLCONF", "listening-port", "x"]), not_a_number);
        assert_eq!(session.text(&["REPLCONF", "listening-port", "70000"]), not_a_number);
        let long = "a".repeat(300);
        assert!(session.text(&["REPLCONF", "ip-address", &long]).ends_with("is too long: 300 bytes\r\n"));
        assert_eq!(session.text(&["REPLCONF", "ip-address", "a,port=1"]), "-ERR Invalid address\r\n");
        assert_eq!(session.state.announced, None);
    }

    #[test]
    fn a_peer_is_shown_without_its_port() {
        for (peer, address) in [("1.2.3.4:5", "1.2.3.4"), ("[::1]:5", "::1"), ("/tmp/x.sock:0", "/tmp/x.sock")] {
            assert_eq!(announced(None, peer), Announced { address: address.to_owned(), port: 0 });
        }
    }

    #[test]
    fn who_fetches_a_copy_is_a_replica_to_people() {
        let server = Server::new(&[]);
        let (mut session, mut client) = (server.session(), server.session());
        assert_eq!(client.text(&["CLIENT", "LIST", "TYPE", "replica"]), "$0\r\n\r\n");
        assert!(session.text(&["SNAPSHOT", "OPEN", "1", "x", "0"]).starts_with("-ERR SNAPSHOT"));
        assert_eq!(client.text(&["CLIENT", "LIST", "TYPE", "replica"]), "$0\r\n\r\n");
        let (_, answer) = session.run(&["SNAPSHOT", "OPEN", "1", &"ab".repeat(20), "0"]);
        assert!(answer.starts_with(b"*"), "{answer:?}");
        let list = client.text(&["CLIENT", "LIST", "TYPE", "replica"]);
        assert!(list.matches("id=").count() == 1 && list.contains(" flags=S "), "{list}");
        assert_eq!(client.text(&["CLIENT", "LIST", "TYPE", "normal"]).matches("id=").count(), 1);
    }

    #[test]
    fn only_whole_questions_make_a_link() {
        let server = Server::new(&[]);
        let mut session = server.session();
        let id = "ab".repeat(20);
        let wrong = session.text(&["SYNCMETA", "1", "x", &id, "16", "0"]);
        assert_eq!(wrong, "-ERR SYNCMETA with a wrong node id\r\n");
        let (outcome, reply) = session.run(&["SYNCMETA", "1", &id, &id, "16", "0"]);
        assert!(matches!(outcome, Outcome::Link(_)) && reply.is_empty());
        let wrong = session.text(&["SYNCSHARD", "1", &id, &id, "0", "0", "0", "x"]);
        assert_eq!(wrong, "-ERR SYNCSHARD with a wrong lineage\r\n");
    }
}
