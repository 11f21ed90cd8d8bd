//! Clients that want too much.

use resp::Value;

use crate::server::{Server, until};
use crate::wire::{Client, error, ok};

#[test]
fn more_clients_than_allowed_are_told_so() {
    let server = Server::start(&["--maxclients", "3"]);
    // The probe of the start may still be counted.
    until("three places to be free", || {
        let mut clients = [server.connect(), server.connect(), server.connect()];
        clients.iter_mut().all(|client| {
            client.try_send_raw(b"PING\r\n").is_ok()
                && client.try_read().is_some_and(|got| got == Value::Simple(b"PONG".to_vec()))
        })
    });
    until("a fourth client to be refused, and others served", || {
        let mut clients = [server.connect(), server.connect(), server.connect()];
        clients.iter_mut().for_each(|client| drop(client.try_send_raw(b"PING\r\n")));
        let served = clients
            .iter_mut()
            .filter_map(|client| client.try_read())
            .filter(|got| matches!(got, Value::Simple(_)))
            .count();
        served == 3 && server.connect().read_to_end() == b"-ERR max number of clients reached\r\n"
    });
    until("a place to be free again", || {
        let mut client = server.connect();
        client.try_send_raw(b"PING\r\n").is_ok() && client.try_read() == Some(Value::Simple(b"PONG".to_vec()))
    });
}

#[test]
fn as_many_clients_as_the_system_allows_are_shown() {
    let server = Server::start(&["--maxclients", "4294967295"]);
    let mut client = server.connect();
    let Value::Array(pair) = client.ask("CONFIG GET maxclients") else { panic!("CONFIG GET is a list") };
    let [_, Value::Bulk(most)] = &pair[..] else { panic!("{pair:?}") };
    let most = std::str::from_utf8(most).unwrap();
    assert!(most.parse::<u32>().unwrap() < u32::MAX, "{most}");
    let Value::Bulk(info) = client.ask("INFO clients") else { panic!("INFO is a text") };
    assert!(String::from_utf8(info).unwrap().contains(&format!("\r\nmaxclients:{most}\r\n")));
    assert!(server.log().contains(&format!("maxclients is {most} instead of 4294967295")), "{}", server.log());
}

#[test]
fn a_browsers_request_ends_the_connection() {
    let server = Server::start(&[]);
    for request in ["POST / HTTP/1.1\r\nSET k v\r\n", "Host: localhost:6379\r\nSET k v\r\n"] {
        let mut browser = server.connect();
        browser.send_raw(request.as_bytes());
        assert_eq!(browser.read_to_end(), b"");
    }
    let mut framed = server.connect();
    framed.send(&[b"PING"]);
    framed.send(&[b"post", b"x"]);
    framed.send(&[b"SET", b"k", b"v"]);
    assert_eq!(framed.read_to_end(), b"+PONG\r\n");
    assert_eq!(server.connect().ask("GET k"), Value::NullBulk);
    assert_eq!(server.log().matches("SECURITY ATTACK").count(), 1, "{}", server.log());
}

#[test]
fn an_idle_client_is_closed() {
    let server = Server::start(&["--timeout", "1"]);
    let mut idle = server.connect();
    assert_eq!(idle.ask("SET k v"), ok());
    assert_eq!(idle.try_read(), None, "the server closes it");
}

#[test]
fn half_a_command_and_then_silence_holds_nobody_up() {
    let server = Server::start(&["--workers", "1"]);
    let mut slow = server.connect();
    slow.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhe");
    let mut other = server.connect();
    for _ in 0..100 {
        assert_eq!(other.ask("GET k"), Value::NullBulk);
    }
    for byte in b"llo\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n" {
        slow.send_raw(&[*byte]);
    }
    assert_eq!(slow.read(), ok());
    assert_eq!(slow.read(), Value::Bulk(b"hello".to_vec()));
}

#[test]
fn arguments_above_the_limit_are_refused_before_they_come() {
    let server = Server::start(&["--proto-max-bulk-len", "1mb"]);
    let mut client = server.connect();
    client.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048577\r\n");
    assert_eq!(error(&client.read()), "ERR Protocol error: invalid bulk length");
    assert_eq!(client.try_read(), None);
}

#[test]
fn input_that_is_no_command_is_bounded() {
    let server = Server::start(&["--client-query-buffer-limit", "1mb"]);
    let mut client = server.connect();
    client.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4000000\r\n");
    // The server closes in the middle of it.
    let _ = client.try_send_raw(&vec![b'x'; 4_000_000]);
    assert_eq!(client.try_read(), None);
    assert_eq!(server.connect().ask("GET k"), Value::NullBulk);
}

#[test]
fn output_that_nobody_reads_is_bounded_when_a_limit_is_set() {
    let server = Server::start(&["--client-output-buffer-limit", "normal", "8mb", "0", "0"]);
    let mut client = server.connect();
    let value = vec![b'x'; 1 << 20];
    assert_eq!(client.call(&[b"SET", b"k", &value]), ok());
    let mut sent = 0;
    until("the server to close the client", || {
        let commands = b"GET k\r\n".repeat(10);
        sent += 1;
        client.try_send_raw(&commands).is_err() || sent > 100_000
    });
    assert!(sent <= 100_000);
    assert_eq!(server.connect().ask("STRLEN k"), Value::Integer(1 << 20));
}

/// A field of the line that CLIENT LIST has of a client.
fn listed(observer: &mut Client, id: i64, field: &str) -> Option<u64> {
    let Value::Bulk(list) = observer.ask(&format!("CLIENT LIST ID {id}")) else { panic!("CLIENT LIST is a text") };
    let list = String::from_utf8(list).unwrap();
    let value = list.split_whitespace().find_map(|word| word.strip_prefix(field)?.strip_prefix('='))?;
    Some(value.parse().unwrap())
}

#[test]
fn output_that_nobody_reads_for_long_is_shown_and_ends_the_client() {
    let server = Server::start(&["--client-output-buffer-limit", "normal", "0", "6mb", "1"]);
    let (mut silent, mut observer) = (server.connect(), server.connect());
    assert_eq!(silent.call(&[b"SET", b"k", &vec![b'x'; 1 << 20]]), ok());
    let Value::Integer(id) = silent.ask("CLIENT ID") else { panic!("an id is a number") };
    // Until its socket is full; and then more.
    let mut asked = 0;
    until("the socket to be full", || {
        silent.send(&[b"GET", b"k"]);
        asked += 1;
        listed(&mut observer, id, "omem").unwrap() > 0
    });
    let before = listed(&mut observer, id, "omem").unwrap();
    (0..30).for_each(|_| silent.send(&[b"GET", b"k"]));
    until("what it does not read to be shown", || {
        listed(&mut observer, id, "omem").unwrap_or(u64::MAX) >= before + (30 << 20)
    });
    until("the server to close it", || listed(&mut observer, id, "omem").is_none());
    let Value::Bulk(info) = observer.ask("INFO stats") else { panic!("INFO is a text") };
    assert!(String::from_utf8(info).unwrap().contains("haypile_closed_output_limit:1"), "after {asked} commands");
}

#[test]
fn a_client_that_reads_late_gets_everything() {
    let server = Server::start(&["--workers", "1"]);
    let mut client = server.connect();
    let value = vec![b'x'; 100_000];
    assert_eq!(client.call(&[b"SET", b"k", &value]), ok());
    for _ in 0..300 {
        client.send(&[b"GET", b"k"]);
    }
    // Others are served while this one's socket is full.
    let mut other = server.connect();
    (0..100).for_each(|_| assert_eq!(other.ask("STRLEN k"), Value::Integer(100_000)));
    for _ in 0..300 {
        assert_eq!(client.read(), Value::Bulk(value.clone()));
    }
}

#[test]
fn a_password_is_asked_for_and_limits_what_a_stranger_may_send() {
    let server = Server::start(&["--requirepass", "secret"]);
    let mut client = server.connect();
    assert_eq!(error(&client.ask("GET k")), "NOAUTH Authentication required.");
    client.send_raw(b"*2\r\n$3\r\nGET\r\n$20000\r\n");
    assert_eq!(error(&client.read()), "ERR Protocol error: unauthenticated bulk length");
    assert_eq!(client.try_read(), None);
}

#[test]
fn a_password_lets_in_who_knows_it() {
    let server = Server::start(&["--requirepass", "secret"]);
    let mut client = server.connect();
    assert_eq!(error(&client.ask("SET k v")), "NOAUTH Authentication required.");
    let wrong = "WRONGPASS invalid username-password pair or user is disabled.";
    assert_eq!(error(&client.ask("AUTH guess")), wrong);
    assert_eq!(error(&client.ask("AUTH nobody secret")), wrong);
    assert_eq!(error(&client.ask("GET k")), "NOAUTH Authentication required.");
    assert_eq!(client.ask("AUTH secret"), ok());
    assert_eq!(client.ask("SET k v"), ok());
    assert_eq!(error(&client.ask("AUTH guess")), wrong);
    assert_eq!(client.ask("GET k"), Value::Bulk(b"v".to_vec()), "a wrong guess does not put out who is in");

    let mut other = server.connect();
    assert_eq!(other.ask("AUTH default secret"), ok());
    assert_eq!(other.ask("CONFIG SET requirepass changed"), ok());
    let mut late = server.connect();
    assert_eq!(error(&late.ask("AUTH secret")), wrong);
    assert!(error(&late.ask("HELLO 3")).starts_with("NOAUTH "));
    assert_eq!(error(&late.ask("HELLO 3 AUTH default secret")), wrong);
    assert!(matches!(late.ask("HELLO 3 AUTH default changed"), Value::Map(_)));
    assert_eq!(late.ask("GET k"), Value::Bulk(b"v".to_vec()));
    assert_eq!(client.ask("GET k"), Value::Bulk(b"v".to_vec()), "who is in stays in");

    let open = Server::start(&[]);
    let said = "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
                configuration is correct?";
    assert_eq!(error(&open.connect().ask("AUTH secret")), said);
}

#[test]
fn a_password_in_a_pipeline_counts_from_the_next_request_on() {
    let server = Server::start(&["--requirepass", "secret"]);
    // More words than a stranger may send.
    let mut long = Vec::new();
    resp::encode_command(&[b"MSET".as_slice(), b"a", b"1", b"b", b"2", b"c", b"3", b"d", b"4", b"e", b"5"], &mut long);

    let mut client = server.connect();
    client.send_raw(&[b"PING\r\nAUTH secret\r\nPING\r\n".as_slice(), &long, b"GET e\r\n"].concat());
    assert_eq!(error(&client.read()), "NOAUTH Authentication required.");
    assert_eq!(client.read(), ok());
    assert_eq!(client.read(), Value::Simple(b"PONG".to_vec()));
    assert_eq!(client.read(), ok());
    assert_eq!(client.read(), Value::Bulk(b"5".to_vec()));

    let mut stranger = server.connect();
    stranger.send_raw(&[b"AUTH guess\r\n".as_slice(), &long].concat());
    assert!(error(&stranger.read()).starts_with("WRONGPASS"));
    assert_eq!(error(&stranger.read()), "ERR Protocol error: unauthenticated multibulk length");
    assert_eq!(stranger.try_read(), None);

    client.send_raw(&[b"RESET\r\n".as_slice(), &long].concat());
    assert_eq!(client.read(), Value::Simple(b"RESET".to_vec()));
    assert_eq!(error(&client.read()), "ERR Protocol error: unauthenticated multibulk length");
}

/// What the process takes beyond `maxmemory`, here for a request that is not whole, hot records get less.
#[test]
fn a_process_that_takes_too_much_keeps_fewer_records_until_it_takes_less() {
    let server = Server::start(&["--maxmemory", "128mb"]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid().as_raw_nonzero())).unwrap();
    assert!(!status.contains("THP_enabled:\t1"), "a small budget does without huge pages");
    let mut control = server.connect();
    let mut limit = || -> u64 {
        let Value::Bulk(info) = control.ask("INFO memory") else { panic!("no text") };
        let text = String::from_utf8(info).unwrap();
        text.lines().find_map(|line| line.strip_prefix("haypile_hot_limit:")).unwrap().parse().unwrap()
    };
    let whole = limit();
    let mut large = server.connect();
    large.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$300000000\r\n");
    let part = vec![b'v'; 1 << 20];
    (0..200).for_each(|_| large.send_raw(&part));
    until("hot records to get less", || limit() <= whole / 2);
    drop(large);
    until("hot records to get it back", || limit() == whole);
}
