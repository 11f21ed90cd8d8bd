//! CLIENT PAUSE: against Redis itself, and what Redis 7.0 cannot show.

use resp::Value;

use crate::conformance::sessions::Sessions;
use crate::server::{Server, until};
use crate::wire::{Client, bulk, ok};

/// A field of INFO.
fn field(client: &mut Client, section: &str, name: &str) -> String {
    let Value::Bulk(info) = client.ask(&format!("INFO {section}")) else { panic!("INFO is text") };
    let info = String::from_utf8(info).unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap().to_owned()
}

fn until_held(control: &mut Client, count: usize) {
    until("commands to be held back", || field(control, "clients", "blocked_clients") == count.to_string());
}

#[test]
fn what_is_held_back_is_as_in_redis() {
    let Some(mut both) = Sessions::start() else { return };
    both.script(
        "p: CLIENT PAUSE 1000000 WRITE
        a! SET k 1
        b! LPUSH l 1
        p: GET k
        p: EXISTS k l
        # errors are told at once
        c: SET k
        c: NOSUCH
        c: PING
        p: CLIENT UNPAUSE
        a?
        b?
        p: GET k
        p: LRANGE l 0 -1
        p: CLIENT UNPAUSE",
    );
    both.script(
        "# transactions: reads run, writes wait at EXEC, and while a pause lasts, writes are not even queued
        a: MULTI
        a: SET k 1
        b: MULTI
        b: GET k
        p: CLIENT PAUSE 1000000 WRITE
        a! EXEC
        b: EXEC
        c: MULTI
        c! SET k 2
        p: GET k
        p: CLIENT UNPAUSE
        a?
        c?
        c: EXEC
        p: GET k",
    );
    both.script(
        "# it begins at the end of the transaction that asks for it
        a: MULTI
        a: SET k 1
        a: CLIENT PAUSE 1000000 WRITE
        a: SET l 2
        a: EXEC
        b! SET m 3
        p: MGET k l m
        p: CLIENT UNPAUSE
        b?
        p: CLIENT PAUSE 60 ALL
        # held back until the time is over
        p: PING
        p: SET k 2
        p: CLIENT PAUSE x
        p: CLIENT PAUSE -1
        p: CLIENT PAUSE 1 READ
        p: CLIENT PAUSE 1 WRITE ALL
        p: CLIENT PAUSE
        p: CLIENT UNPAUSE 1",
    );
}

#[test]
fn a_client_that_goes_takes_its_command_along() {
    let server = Server::start(&[]);
    let (mut control, mut gone, mut killed) = (server.connect(), server.connect(), server.connect());
    assert_eq!(control.ask("CLIENT PAUSE 1000000 WRITE"), ok());
    assert_eq!(field(&mut control, "clients", "paused_actions"), "write");
    let Value::Integer(id) = killed.ask("CLIENT ID") else { panic!("a client has a number") };
    gone.send(&[b"SET", b"gone", b"1"]);
    killed.send(&[b"SET", b"killed", b"1"]);
    until_held(&mut control, 2);
    drop(gone);
    assert_eq!(control.ask(&format!("CLIENT KILL ID {id}")), Value::Integer(1));
    until_held(&mut control, 0);
    assert_eq!(control.ask("CLIENT UNPAUSE"), ok());
    assert_eq!(control.ask("EXISTS gone killed"), Value::Integer(0));
    assert_eq!(field(&mut control, "clients", "paused_reason"), "none");
}

#[test]
fn nothing_expires_while_writes_are_held_back() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.ask("CLIENT PAUSE 1000000 WRITE"), ok());
    assert_eq!(client.ask("CLIENT UNPAUSE"), ok());
    for line in ["MULTI", "SET k v PX 1", "CLIENT PAUSE 1000000 WRITE"] {
        client.ask(line);
    }
    assert_eq!(client.ask("EXEC"), Value::Array(vec![ok(), ok()]));
    until("the key to expire", || client.ask("GET k") == Value::NullBulk);
    assert_eq!((client.ask("DBSIZE"), field(&mut client, "stats", "expired_keys")), (Value::Integer(1), "0".into()));
    assert_eq!(client.ask("CLIENT UNPAUSE"), ok());
    assert_eq!(client.ask("GET k"), Value::NullBulk);
    assert_eq!((client.ask("DBSIZE"), field(&mut client, "stats", "expired_keys")), (Value::Integer(0), "1".into()));
}

#[test]
fn replicas_follow_through_a_pause_of_everything() {
    let primary = Server::start(&[]);
    let mut client = primary.connect();
    let replica = Server::start(&["--replicaof", &format!("127.0.0.1 {}", primary.port)]);
    let mut follower = replica.connect();
    for line in ["MULTI", "SET k v", "CLIENT PAUSE 1000000 ALL"] {
        client.ask(line);
    }
    assert_eq!(client.ask("EXEC"), Value::Array(vec![ok(), ok()]));
    until("the replica to have what was written before the pause", || follower.ask("GET k") == bulk("v"));
}
