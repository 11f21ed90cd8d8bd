//! A primary, a proxy and replicas, and what tests wait for.

use resp::Value;

use crate::proxy::Proxy;
use crate::server::{Server, until};
use crate::wire::Client;

/// Short deadlines, so that what heals by them heals within a test.
pub const QUICK: &[&str] = &[
    "--repl-timeout",
    "3",
    "--repl-connect-timeout",
    "1",
    "--repl-reply-timeout",
    "1",
    "--repl-progress-timeout",
    "2",
    "--repl-backoff-max",
    "300",
];

/// A primary, and a replica that reaches it through a proxy.
pub struct Pair {
    pub primary: Server,
    pub proxy: Proxy,
    pub replica: Server,
}

impl Pair {
    /// A pair whose replica has all that its primary has.
    pub fn start(primary: &[&str], replica: &[&str]) -> Self {
        let pair = Self::begin(primary, replica);
        until_up(&pair.replica);
        pair
    }

    /// A pair whose replica has just been started.
    pub fn begin(primary: &[&str], replica: &[&str]) -> Self {
        let primary = Server::start(&[QUICK, primary].concat());
        let proxy = Proxy::to(primary.port);
        let follows = format!("127.0.0.1 {}", proxy.port);
        let replica = Server::start(&[QUICK, &["--replicaof", &follows], replica].concat());
        Self { primary, proxy, replica }
    }

    /// Waits until both have the same.
    pub fn until_equal(&self) {
        until_equal(&self.primary, &self.replica);
    }
}

/// A line of INFO; empty if there is none.
pub fn info(client: &mut Client, name: &str) -> String {
    let Value::Bulk(text) = client.ask("INFO everything") else { panic!("no INFO") };
    let text = String::from_utf8(text).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().to_owned()
}

/// A number of INFO.
pub fn number(client: &mut Client, name: &str) -> u64 {
    let text = info(client, name);
    text.parse().unwrap_or_else(|_| panic!("{name} is '{text}'"))
}

/// A field of a database's line of a replica's INFO; empty if there is none.
pub fn field(client: &mut Client, database: usize, name: &str) -> String {
    let line = info(client, &format!("repl_db{database}"));
    let found = line.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_default().to_owned()
}

/// Waits until everything flows to a replica.
pub fn until_up(replica: &Server) {
    let mut client = replica.connect();
    until("the replica to be up", || info(&mut client, "master_link_status") == "up");
}

/// Waits until it is known that something does not.
pub fn until_down(replica: &Server) {
    let mut client = replica.connect();
    until("the replica to be down", || info(&mut client, "master_link_status") == "down");
}

/// What a client can read, as one text.
pub fn digest(client: &mut Client) -> Vec<u8> {
    match client.ask("DEBUG DIGEST") {
        Value::Simple(text) | Value::Bulk(text) => text,
        other => panic!("no digest: {other:?}"),
    }
}

/// Waits until a replica has what its primary has, then compares every key.
pub fn until_equal(primary: &Server, replica: &Server) {
    until_same(&mut primary.connect(), &mut replica.connect());
}

/// The same by clients of both.
pub fn until_same(primary: &mut Client, replica: &mut Client) {
    until("the replica to have everything", || {
        let end = info(primary, "master_repl_offset");
        info(replica, "master_link_status") == "up" && info(replica, "slave_repl_offset") == end
    });
    assert_eq!(dump(primary), dump(replica));
    assert_eq!(digest(primary), digest(replica));
}

/// Every key with its value, sorted.
fn dump(client: &mut Client) -> Vec<(Vec<u8>, Value)> {
    let mut keys = Vec::new();
    let mut cursor = b"0".to_vec();
    loop {
        let Value::Array(page) = client.call(&[b"SCAN", &cursor, b"COUNT", b"1000"]) else { panic!("no page") };
        let [Value::Bulk(next), Value::Array(names)] = &page[..] else { panic!("not a page: {page:?}") };
        keys.extend(names.iter().map(|name| match name {
            Value::Bulk(name) => name.clone(),
            other => panic!("not a key: {other:?}"),
        }));
        cursor.clone_from(next);
        if cursor == b"0" {
            break;
        }
    }
    keys.sort();
    keys.dedup();
    let mut values = Vec::new();
    client.each(keys.len(), |n| vec![b"GET".to_vec(), keys[n].clone()], |_, value| values.push(value));
    keys.into_iter().zip(values).collect()
}

/// Sets keys `prefix:from` and on.
pub fn fill(client: &mut Client, prefix: &str, count: usize, len: usize) {
    let value = |n: usize| format!("{prefix}-{n}-").repeat(len / (prefix.len() + 4) + 1).into_bytes();
    let command = |n: usize| vec![b"SET".to_vec(), format!("{prefix}:{n}").into_bytes(), value(n)];
    client.each(count, command, |n, reply| assert_eq!(reply, crate::wire::ok(), "{prefix}:{n}"));
}
