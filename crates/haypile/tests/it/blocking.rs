//! Blocking commands: against Redis itself, and what Redis cannot show.

use resp::Value;

use crate::conformance::sessions::Sessions;
use crate::server::{Server, until};
use crate::wire::{Client, bulk};

fn blocked(client: &mut Client) -> usize {
    let Value::Bulk(info) = client.ask("INFO clients") else { panic!("INFO is text") };
    let info = String::from_utf8(info).unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("blocked_clients:")).unwrap();
    line.parse().unwrap()
}

fn until_blocked(client: &mut Client, count: usize) {
    until("clients to wait", || blocked(client) == count);
}

#[test]
fn who_waits_is_served_as_by_redis() {
    let Some(mut both) = Sessions::start() else { return };
    both.script(
        "p: RPUSH l a
        a: BLPOP l 0
        a! BLPOP l 0
        b! BRPOP l 0
        c! BLPOP x l 0
        p: RPUSH l 1 2 3 4
        a?
        b?
        c?
        p: LRANGE l 0 -1
        p: DEL l
        # what is pushed and popped in one pipeline of the pusher was somebody else's
        a! BLPOP l 0
        p: LPUSH l 1
        p: LPOP l
        a?",
    );
    both.script(
        "a! BLMOVE l m LEFT RIGHT 0
        b! BRPOPLPUSH m n 0
        c! BLMPOP 0 2 x n RIGHT COUNT 5
        p: RPUSH l v
        a?
        b?
        c?
        p: EXISTS l m n
        # onto itself
        a! BRPOPLPUSH l l 0
        p: RPUSH l v
        a?
        p: LRANGE l 0 -1",
    );
}

#[test]
fn what_wakes_and_what_does_not_is_as_in_redis() {
    let Some(mut both) = Sessions::start() else { return };
    both.script(
        "a! BLPOP l 0
        # another type wakes nobody
        p: SET l text
        p: DEL l
        # nor what is gone at the end of a transaction
        p: MULTI
        p: RPUSH l a
        p: DEL l
        p: EXEC
        p: MULTI
        p: RPUSH l a
        p: RPUSH l b
        p: EXEC
        a?
        p: DEL l
        # renamed, copied, sorted, moved
        a! BLPOP l 0
        p: RPUSH m 1
        p: RENAME m l
        a?
        a! BLPOP l 0
        p: RPUSH m 1
        p: COPY m l
        a?
        a! BLPOP l 0
        p: RPUSH s 2 1
        p: SORT s STORE l
        a?
        p: DEL l
        a! BLPOP l 0
        p: SELECT 1
        p: RPUSH l moved
        p: MOVE l 0
        a?",
    );
    both.script(
        "a! BLMOVE l target LEFT LEFT 0
        p: SET target text
        p: RPUSH l v
        a?
        p: LRANGE l 0 -1
        p: SET text x
        a: BLPOP text 0
        a: BLPOP l text 0",
    );
}

#[test]
fn who_waits_for_sorted_sets_is_served_as_by_redis() {
    let Some(mut both) = Sessions::start() else { return };
    both.script(
        "p: ZADD z 1 a
        a: BZPOPMIN z 0
        a! BZPOPMIN z 0
        b! BZPOPMAX z 0
        c! BZPOPMIN x z 0
        p: ZADD z 1 a 2 b 3 c 4 d
        a?
        b?
        c?
        p: ZRANGE z 0 -1 WITHSCORES
        p: DEL z
        a! BZMPOP 0 2 x z MAX COUNT 2
        b! BZMPOP 0 1 z MIN COUNT 5
        p: ZADD z 1.5 a 2 b 3 c
        a?
        b?
        p: EXISTS z
        # whatever makes a sorted set wakes
        a! BZPOPMIN z 0
        p: ZINCRBY z 2.25 m
        a?
        a! BZPOPMIN z 0
        p: SADD s member
        p: ZUNIONSTORE z 1 s
        a?
        a! BZPOPMAX z 0
        p: ZADD m 5 v 7 w
        p: ZRANGESTORE z m 0 0
        a?
        a! BZMPOP 0 1 z MIN
        p: RENAME m z
        a?
        p: ZRANGE z 0 -1 WITHSCORES",
    );
    both.script(
        "a! BZPOPMIN z 0
        # another type serves only those who wait for it
        b! BLPOP z 0
        p: RPUSH z element
        b?
        p: MULTI
        p: ZADD z 1 a
        p: DEL z
        p: EXEC
        p: MULTI
        p: ZADD z 1 a
        p: ZADD z 0 b
        p: EXEC
        a?
        p: ZRANGE z 0 -1
        p: DEL z
        a: BZPOPMIN z 0.01
        a: BZPOPMAX z y 0.01
        a: BZMPOP 0.01 1 z MIN
        a: BZPOPMIN z x
        a: BZPOPMIN z -1
        a: BZMPOP 0 0 z MIN
        a: BZMPOP 0 1 z LEFT
        a: BZMPOP 0 1 z MIN COUNT 0
        p: SET text x
        a: BZPOPMIN text 0
        a: BZMPOP 0 2 z text MAX
        a: MULTI
        a: BZPOPMIN z 0
        a: BZPOPMAX z 0
        a: BZMPOP 0 1 z MIN
        a: EXEC",
    );
}

#[test]
fn sets_and_sorted_sets_are_sorted_as_by_redis() {
    let Some(mut both) = Sessions::start() else { return };
    both.script(
        "p: SADD s 3 1 2
        p: ZADD z 10 3 30 1 20 2
        p: HSET w_1 f 30 name one
        p: HSET w_2 f 10 name two
        p: HSET w_3 f 20 name three
        p: SET text_1 x
        a: SORT s
        a: SORT s DESC LIMIT 0 2
        a: SORT s ALPHA LIMIT 1 5
        a: SORT s BY w_*->f
        a: SORT s BY w_*->f DESC GET # GET w_*->name GET w_*->none
        a: SORT s BY w_*->name ALPHA GET w_*->name
        a: SORT_RO s GET w_*->name
        a: SORT s GET text_*->f GET text_* GET w_*
        a: SORT s BY w_*->
        a: SORT z
        a: SORT z BY nosort
        a: SORT z BY nosort DESC LIMIT 1 2
        a: SORT z BY nosort GET w_*->name
        a: SORT z BY w_*->f GET #
        a: SORT z BY w_*->f STORE out
        a: LRANGE out 0 -1
        a: TYPE out
        a: SORT s BY nosort STORE out
        a: LRANGE out 0 -1
        a: SORT none STORE out
        a: EXISTS out
        a: SORT w_1
        a: SADD words b a c
        a: SORT words
        a: SORT words ALPHA DESC
        # what a client waits for is there at once
        b! BLPOP out 0
        a: SORT z BY w_*->f GET w_*->name STORE out
        b?
        a: LRANGE out 0 -1",
    );
}

#[test]
fn times_and_unblocking_are_as_in_redis() {
    let Some(mut both) = Sessions::start() else { return };
    both.script(
        "a: BLPOP l 0.01
        a: BLMOVE l m LEFT LEFT 0.01
        a: BRPOPLPUSH l m 0.01
        a: BLMPOP 0.01 1 l LEFT
        a: BLPOP l x
        a: BLPOP l -1
        a: MULTI
        a: BLPOP l 0
        a: BLMOVE l m LEFT LEFT 0
        a: BRPOPLPUSH l m 0
        a: BLMPOP 0 1 l LEFT
        a: EXEC
        p: CLIENT UNBLOCK 999999
        p: CLIENT UNBLOCK 1 WHY
        p: CLIENT UNBLOCK x",
    );
}

#[test]
fn clients_are_unblocked_killed_and_missed() {
    let server = Server::start(&[]);
    let mut control = server.connect();
    let mut client = server.connect();
    let Value::Integer(id) = client.ask("CLIENT ID") else { panic!("a number") };
    client.send(&[b"BLPOP", b"l", b"0"]);
    until_blocked(&mut control, 1);
    let Value::Bulk(list) = control.ask("CLIENT LIST") else { panic!("a list") };
    assert!(String::from_utf8(list).unwrap().contains("flags=b "));
    assert_eq!(control.ask(&format!("CLIENT UNBLOCK {id} ERROR")), Value::Integer(1));
    assert_eq!(client.read(), Value::Error(b"UNBLOCKED client unblocked via CLIENT UNBLOCK".to_vec()));
    assert_eq!(blocked(&mut control), 0);
    assert_eq!(control.ask(&format!("CLIENT UNBLOCK {id}")), Value::Integer(0));
    client.send(&[b"BLPOP", b"l", b"0"]);
    until_blocked(&mut control, 1);
    assert_eq!(control.ask(&format!("CLIENT UNBLOCK {id}")), Value::Integer(1));
    assert_eq!(client.read(), Value::NullArray);
    // Killed, and gone by itself: neither takes what is pushed later.
    client.send(&[b"BLPOP", b"l", b"0"]);
    let mut other = server.connect();
    other.send(&[b"BLPOP", b"l", b"0"]);
    until_blocked(&mut control, 2);
    assert_eq!(control.ask(&format!("CLIENT KILL ID {id}")), Value::Integer(1));
    assert!(client.try_read().is_none());
    drop(other);
    until_blocked(&mut control, 0);
    assert_eq!(control.ask("RPUSH l v"), Value::Integer(1));
    assert_eq!(control.ask("LLEN l"), Value::Integer(1));
}

#[test]
fn a_pipeline_behind_a_blocking_command_waits_with_it() {
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.connect(), server.connect());
    client.send_raw(b"BLPOP l 0\r\nPING\r\n");
    until_blocked(&mut other, 1);
    client.send_raw(b"ECHO more\r\n");
    other.ask("RPUSH l v");
    assert_eq!(client.read(), Value::Array(vec![bulk("l"), bulk("v")]));
    assert_eq!(client.read(), Value::Simple(b"PONG".to_vec()));
    assert_eq!(client.read(), bulk("more"));
}

#[test]
fn a_served_client_looks_at_its_keys_in_their_order() {
    // As Redis 7.2 has it, which runs the command again. Redis 7.0 takes the key that was pushed to first.
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.connect(), server.connect());
    client.send(&[b"BLPOP", b"one", b"two", b"0"]);
    until_blocked(&mut other, 1);
    for line in ["MULTI", "RPUSH two 2", "RPUSH one 1", "EXEC"] {
        other.ask(line);
    }
    assert_eq!(client.read(), Value::Array(vec![bulk("one"), bulk("1")]));
    assert_eq!(other.ask("LLEN two"), Value::Integer(1));
}

#[test]
fn reads_count_hits_and_misses() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for line in ["SET k 1", "GET k", "GET k", "GET none", "EXISTS k none", "INCR k", "RPUSH l a", "MGET k l none k"] {
        client.ask(line);
    }
    let Value::Bulk(info) = client.ask("INFO stats") else { panic!("INFO is text") };
    let info = String::from_utf8(info).unwrap();
    assert!(info.contains("keyspace_hits:6\r\nkeyspace_misses:3\r\n"), "{info}");
}

#[test]
fn a_key_that_a_command_reads_counts_once() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let (mut hits, mut misses) = (0, 0);
    for (line, found, missed) in [
        ("SET k 1", 0, 0),
        ("SET k abc EX 100", 0, 0),
        ("SET k abc GET", 1, 0),
        ("SET new abc GET", 0, 1),
        ("SET k abc GET KEEPTTL", 1, 0),
        ("GETSET k abc", 1, 0),
        ("GETEX k EX 100", 1, 0),
        ("GETEX none", 0, 1),
        ("COPY k copy", 1, 0),
        ("COPY none other", 0, 1),
        ("GETDEL copy", 1, 0),
        ("GETDEL copy", 0, 1),
        ("GETRANGE k 0 1", 1, 0),
        ("BITCOUNT k", 1, 0),
        ("BITCOUNT none", 0, 1),
        ("STRLEN k", 1, 0),
        ("LCS k new", 2, 0),
        ("INCR number", 0, 0),
        ("APPEND k x", 0, 0),
    ] {
        client.ask(line);
        hits += found;
        misses += missed;
        let Value::Bulk(info) = client.ask("INFO stats") else { panic!("INFO is text") };
        let info = String::from_utf8(info).unwrap();
        assert!(info.contains(&format!("keyspace_hits:{hits}\r\nkeyspace_misses:{misses}\r\n")), "{line}: {info}");
    }
}

#[test]
fn many_waiters_are_served_in_the_order_in_which_they_came() {
    const CLIENTS: usize = 200;
    let server = Server::start(&[]);
    let mut control = server.connect();
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.connect()).collect();
    for (at, client) in clients.iter_mut().enumerate() {
        client.send(&[b"BLPOP", b"l", b"0"]);
        until_blocked(&mut control, at + 1);
    }
    let elements: Vec<String> = (0..CLIENTS).map(|n| n.to_string()).collect();
    control.ask(&format!("RPUSH l {}", elements.join(" ")));
    for (at, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.read(), Value::Array(vec![bulk("l"), bulk(at.to_string())]));
    }
    assert_eq!((control.ask("EXISTS l"), blocked(&mut control)), (Value::Integer(0), 0));
}

#[test]
fn nothing_is_lost_or_served_twice_between_many_clients() {
    const CONSUMERS: usize = 8;
    const ELEMENTS: usize = 2000;
    let server = Server::start(&[]);
    let consumers: Vec<_> = (0..CONSUMERS)
        .map(|_| {
            let mut client = server.connect();
            std::thread::spawn(move || {
                let mut got = Vec::new();
                while let Value::Array(pair) = client.ask("BLPOP a b 0") {
                    let Value::Bulk(element) = &pair[1] else { panic!("{pair:?}") };
                    if element == b"end" {
                        break;
                    }
                    got.push(String::from_utf8(element.clone()).unwrap().parse::<usize>().unwrap());
                }
                got
            })
        })
        .collect();
    let producers: Vec<_> = (0..2)
        .map(|at| {
            let mut client = server.connect();
            std::thread::spawn(move || {
                for n in (at..ELEMENTS).step_by(2) {
                    client.ask(&format!("RPUSH {} {n}", if n % 3 == 0 { "a" } else { "b" }));
                }
            })
        })
        .collect();
    producers.into_iter().for_each(|producer| producer.join().unwrap());
    let mut control = server.connect();
    for _ in 0..CONSUMERS {
        control.ask("RPUSH b end");
    }
    let mut all: Vec<usize> = consumers.into_iter().flat_map(|consumer| consumer.join().unwrap()).collect();
    all.sort_unstable();
    assert_eq!(all, (0..ELEMENTS).collect::<Vec<_>>());
}

#[test]
fn the_server_stops_while_clients_wait() {
    let mut server = Server::start(&[]);
    let (mut client, mut control) = (server.connect(), server.connect());
    client.send(&[b"BLPOP", b"l", b"0"]);
    until_blocked(&mut control, 1);
    control.send(&[b"SHUTDOWN"]);
    assert!(client.try_read().is_none());
    assert!(server.wait().success());
}
