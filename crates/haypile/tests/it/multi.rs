//! Transactions: against Redis itself, and what Redis cannot show.

use resp::Value;

use crate::conformance::sessions::Sessions;
use crate::server::Server;
use crate::wire::{bulk, error, ok};

fn queued() -> Value {
    Value::Simple(b"QUEUED".to_vec())
}

#[test]
fn queues_and_their_errors_are_those_of_redis() {
    let Some(mut both) = Sessions::start() else { return };
    both.script(
        "a: EXEC
        a: DISCARD
        a: MULTI
        a: SET k 1
        a: GET k
        b: GET k
        a: INCR k
        a: EXEC
        a: EXEC
        a: MULTI
        a: MULTI
        a: WATCH k
        a: INCR k
        a: EXEC
        a: GET k
        a: MULTI
        a: INCR k
        a: DISCARD
        a: GET k
        a: MULTI
        a: EXEC",
    );
    both.script(
        "a: MULTI
        a: SET k 1
        a: NOSUCH x
        a: SET l 1
        a: EXEC
        a: EXISTS k l
        a: MULTI
        a: SET k
        a: EXEC
        a: MULTI
        a: SET k 1
        a: EXEC now
        a: EXEC
        a: EXISTS k
        a: EXEC now
        a: MULTI
        a: DISCARD now
        a: EXEC
        a: MULTI
        a: CONFIG NOSUCH
        a: EXEC
        a: MULTI
        a: SAVE
        a: EXEC
        a: UNWATCH
        a: WATCH",
    );
}

#[test]
fn a_failed_command_leaves_the_others() {
    let Some(mut both) = Sessions::start() else { return };
    both.script(
        "a: SET text x
        a: MULTI
        a: SET one 1
        a: INCR text
        a: APPEND one 2
        a: GETRANGE one 0 x
        a: SETRANGE one 1 yy
        a: RENAME nosuch one
        a: EXEC
        a: MGET one text",
    );
}

#[test]
fn commands_of_the_session_answer_in_their_places() {
    let Some(mut both) = Sessions::start() else { return };
    both.script(
        "a: MULTI
        a: PING
        a: SET k 1
        a: ECHO hello
        a: SELECT 3
        a: SET k 3
        a: PING there
        a: SELECT 99
        a: GET k
        a: CLIENT SETNAME me
        a: CLIENT GETNAME
        a: CONFIG GET maxmemory-policy
        a: COMMAND COUNT x
        a: DBSIZE
        a: EXEC
        a: GET k
        a: CLIENT GETNAME
        a: SELECT 0
        a: GET k
        a: MULTI
        a: PING
        a: RESET
        a: EXEC
        a~ HELLO 3
        a: MULTI
        a: GET nosuch
        a: QUIT",
    );
}

#[test]
fn protocols_change_in_their_places() {
    let Some(mut both) = Sessions::start() else { return };
    both.script(
        "a: MULTI
        a: GET nosuch
        a~ HELLO 3
        a: GET nosuch
        a~ HELLO 2
        a: GET nosuch
        a~ EXEC
        a: GET nosuch",
    );
}

#[test]
fn transactions_see_several_databases_and_whole_ones() {
    let Some(mut both) = Sessions::start() else { return };
    both.script(
        "a: SET k zero
        a: MULTI
        a: SELECT 1
        a: SET k one
        a: MOVE k 2
        a: SELECT 2
        a: GET k
        a: COPY k l DB 3
        a: KEYS *
        a: DBSIZE
        a: SELECT 3
        a: GET l
        a: RANDOMKEY
        a: SCAN 0
        a: FLUSHDB
        a: SET again 1
        a: DBSIZE
        a: EXEC
        a: DBSIZE
        a: SELECT 0
        a: KEYS *
        a: MULTI
        a: SET other 1
        a: FLUSHALL
        a: SET last 1
        a: KEYS *
        a: EXEC",
    );
}

#[test]
fn watched_keys_are_those_of_redis() {
    let Some(mut both) = Sessions::start() else { return };
    both.script(
        "a: SET k 1
        a: WATCH k absent
        b: GET k
        a: MULTI
        a: GET k
        a: EXEC
        # by another
        a: WATCH k
        b: SET k 1
        a: MULTI
        a: SET seen 1
        a: EXEC
        a: EXISTS seen
        # EXEC has forgotten it
        a: MULTI
        a: PING
        a: EXEC
        # by oneself
        a: WATCH k
        a: SET k 2
        a: MULTI
        a: EXEC
        # absent, then made; made, then removed
        a: WATCH absent
        b: SET absent 1
        a: MULTI
        a: EXEC
        a: WATCH absent
        b: DEL absent
        a: MULTI
        a: EXEC
        a: WATCH absent
        b: SET absent 1
        b: DEL absent
        a: MULTI
        a: EXEC
",
    );
}

#[test]
fn watched_keys_are_forgotten_as_in_redis() {
    let Some(mut both) = Sessions::start() else { return };
    both.script(
        "a: WATCH k
        b: SET k 3
        a: UNWATCH
        a: MULTI
        a: EXEC
        a: WATCH k
        b: SET k 3
        a: MULTI
        a: DISCARD
        a: MULTI
        a: EXEC",
    );
}

#[test]
fn flushes_and_other_databases_touch_watched_keys_as_in_redis() {
    let Some(mut both) = Sessions::start() else { return };
    both.script(
        "a: SET k 1
        a: WATCH k
        b: FLUSHALL
        a: MULTI
        a: EXEC
        a: WATCH k
        b: FLUSHALL
        a: MULTI
        a: EXEC
        # another database
        a: SET k 1
        a: WATCH k
        a: SELECT 1
        b: SELECT 1
        b: SET k 1
        a: MULTI
        a: PING
        a: EXEC
        a: WATCH k
        b: FLUSHDB
        a: MULTI
        a: PING
        a: EXEC
        # what touches
        a: SET k 1
        a: WATCH k
        b: EXPIRE k 100
        a: MULTI
        a: EXEC
        a: WATCH k
        b: PERSIST nosuch
        b: OBJECT ENCODING k
        b: SETNX k 2
        a: MULTI
        a: EXEC
        a: WATCH target
        b: RENAME k target
        a: MULTI
        a: EXEC",
    );
}

#[test]
fn a_client_shows_its_transaction() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut other = server.connect();
    let mut shows = |what: &[&str]| {
        let Value::Bulk(list) = other.ask("CLIENT LIST") else { panic!("a list") };
        let list = String::from_utf8(list).unwrap();
        let line = list.lines().find(|line| line.contains("name=me ")).unwrap().to_owned();
        for what in what {
            assert!(line.contains(what), "{what} in {line}");
        }
    };
    assert_eq!(client.ask("CLIENT SETNAME me"), ok());
    shows(&["multi=-1", "watch=0", "flags=N"]);
    assert_eq!(client.ask("WATCH a b a"), ok());
    shows(&["multi=-1", "watch=2"]);
    assert_eq!(client.ask("MULTI"), ok());
    shows(&["multi=0", "flags=x", "multi-mem=0 "]);
    assert_eq!(client.ask("SET a 1"), queued());
    shows(&["multi=1", "watch=2"]);
    assert_eq!(client.ask("DISCARD"), ok());
    shows(&["multi=-1", "watch=0", "flags=N"]);
}

#[test]
fn a_transaction_is_one_frame_and_survives_a_crash_whole() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.ask("MULTI");
    for n in 0..1000 {
        client.ask(&format!("SET k{n} {n}"));
    }
    assert!(matches!(client.ask("EXEC"), Value::Array(replies) if replies.len() == 1000));
    let server = server.crash_and_restart();
    let mut client = server.connect();
    assert_eq!(client.ask("DBSIZE"), Value::Integer(1000));
    assert_eq!(client.ask("GET k999"), bulk("999"));
}

#[test]
fn commands_of_the_session_answer_as_in_redis() {
    let Some(mut both) = Sessions::start() else { return };
    both.script(
        "a: CLIENT SETNAME zero
        a: MULTI
        a: CLIENT GETNAME
        a: CLIENT SETNAME one
        a: CLIENT GETNAME
        a: SET k 1
        a: SELECT 1
        a: SET k 2
        a: CLIENT SETNAME two
        a: GET k
        a: ECHO x
        a: SELECT 99
        a: GET k
        a: CLIENT GETNAME
        a: SELECT 0
        a: CLIENT NO-EVICT on
        a: GET k
        a: WAIT 0 0
        a: CONFIG GET databases
        a: PING
        a: EXEC
        a: CLIENT GETNAME
        a: GET k
        a: MULTI
        a: SELECT 1
        a: DISCARD
        a: GET k
        # a transaction that does nothing leaves the session alone, too
        a: WATCH k
        b: SET k 3
        a: MULTI
        a: SELECT 1
        a: CLIENT SETNAME three
        a: EXEC
        a: CLIENT GETNAME
        a: GET k",
    );
}

#[test]
fn memory_usage_sees_what_the_commands_before_it_did() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for line in ["MULTI", "SET k 1", "MEMORY USAGE k", "DEL k", "MEMORY USAGE k"] {
        client.ask(line);
    }
    let Value::Array(replies) = client.ask("EXEC") else { panic!("no array") };
    assert!(matches!(replies[1], Value::Integer(1..)), "{replies:?}");
    assert_eq!(replies[3], Value::NullBulk);
}

#[test]
fn a_watched_key_that_came_and_went_is_noticed_even_if_memory_has_forgotten_it() {
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.connect(), server.connect());
    for last in ["DEL k", "FLUSHALL", "RENAME k l", "MOVE k 1"] {
        assert_eq!(client.ask("WATCH k"), ok());
        assert_eq!(other.ask("SET k 1"), ok());
        other.ask(last);
        assert_eq!(other.ask("DEBUG RELOAD"), ok());
        assert_eq!((client.ask("MULTI"), client.ask("PING")), (ok(), queued()));
        assert_eq!(client.ask("EXEC"), Value::NullArray, "{last}");
    }
}

#[test]
fn work_for_the_desk_keeps_its_place() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for line in
        ["MULTI", "SET k 1", "DEBUG DIGEST-VALUE k", "GET k", "DEBUG SLEEP 0", "INFO keyspace", "DBSIZE", "PING"]
    {
        client.ask(line);
    }
    let Value::Array(replies) = client.ask("EXEC") else { panic!("no array") };
    assert_eq!(replies.len(), 7);
    assert_eq!((&replies[0], &replies[2], &replies[3]), (&ok(), &bulk("1"), &ok()));
    assert!(matches!(&replies[1], Value::Array(digests) if digests.len() == 1), "{replies:?}");
    assert!(matches!(&replies[4], Value::Bulk(text) if text.starts_with(b"# Keyspace")), "{replies:?}");
    assert_eq!(replies[5], Value::Integer(1));
    assert_eq!(client.ask("PING"), Value::Simple(b"PONG".to_vec()), "and nothing follows");
}

#[test]
fn a_queue_is_bounded_by_the_limit_of_input() {
    let server = Server::start(&["--client-query-buffer-limit", "1mb"]);
    let mut client = server.connect();
    assert_eq!(client.ask("MULTI"), ok());
    let value = vec![b'x'; 100_000];
    for _ in 0..10 {
        assert_eq!(client.call(&[b"SET", b"k", &value]), queued());
    }
    client.send(&[b"SET", b"k", &value]);
    assert!(client.try_read().is_none(), "the server has closed");
    assert_eq!(server.connect().ask("GET k"), Value::NullBulk);
}

#[test]
fn counters_of_many_clients_lose_nothing_under_watch() {
    const CLIENTS: usize = 4;
    const EACH: usize = 200;
    let server = Server::start(&[]);
    let clients: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
    let handles = clients.into_iter().map(|mut client| {
        std::thread::spawn(move || {
            let mut done = 0;
            while done < EACH {
                client.ask("WATCH counter");
                let now = match client.ask("GET counter") {
                    Value::Bulk(text) => String::from_utf8(text).unwrap().parse::<usize>().unwrap(),
                    _ => 0,
                };
                client.ask("MULTI");
                client.ask(&format!("SET counter {}", now + 1));
                done += usize::from(matches!(client.ask("EXEC"), Value::Array(_)));
            }
        })
    });
    handles.collect::<Vec<_>>().into_iter().for_each(|handle| handle.join().unwrap());
    assert_eq!(server.connect().ask("GET counter"), bulk((CLIENTS * EACH).to_string()));
}

#[test]
fn replies_that_are_not_wanted_are_not_sent() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send(&[b"CLIENT", b"REPLY", b"OFF"]);
    for line in ["MULTI", "SET k 1", "DEBUG DIGEST-VALUE k", "PING", "EXEC"] {
        client.send(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>());
    }
    assert_eq!(client.ask("CLIENT REPLY ON"), ok());
    assert_eq!(client.ask("GET k"), bulk("1"));
    assert!(error(&client.ask("EXEC")).starts_with("ERR EXEC without"));
}
