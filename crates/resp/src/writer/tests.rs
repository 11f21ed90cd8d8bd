//! The bytes of every kind of reply in both protocols.

use super::*;

fn written(protocol: Protocol, write: impl FnOnce(&mut Reply)) -> Vec<u8> {
    let mut reply = Reply::new(protocol);
    write(&mut reply);
    reply.into_buffer()
}

#[track_caller]
fn assert_bytes(write: impl Fn(&mut Reply), resp2: &[u8], resp3: &[u8]) {
    assert_eq!(written(Protocol::Resp2, &write), resp2);
    assert_eq!(written(Protocol::Resp3, &write), resp3);
}

#[test]
fn golden_lines() {
    assert_bytes(Reply::ok, b"+OK\r\n", b"+OK\r\n");
    assert_bytes(|r| r.simple("PONG"), b"+PONG\r\n", b"+PONG\r\n");
    assert_bytes(|r| r.error("ERR a\r\nb"), b"-ERR a  b\r\n", b"-ERR a  b\r\n");
    assert_bytes(|r| r.error_bytes(b"ERR '\xff'"), b"-ERR '\xff'\r\n", b"-ERR '\xff'\r\n");
    assert_bytes(|r| r.raw(b"+raw\r\n"), b"+raw\r\n", b"+raw\r\n");
    for (value, bytes) in [
        (0, &b":0\r\n"[..]),
        (9, b":9\r\n"),
        (10, b":10\r\n"),
        (99, b":99\r\n"),
        (100, b":100\r\n"),
        (-1, b":-1\r\n"),
        (i64::MAX, b":9223372036854775807\r\n"),
        (i64::MIN, b":-9223372036854775808\r\n"),
    ] {
        assert_bytes(|r| r.integer(value), bytes, bytes);
    }
    assert_bytes(Reply::null, b"$-1\r\n", b"_\r\n");
    assert_bytes(Reply::null_array, b"*-1\r\n", b"_\r\n");
    assert_bytes(|r| r.boolean(true), b":1\r\n", b"#t\r\n");
    assert_bytes(|r| r.boolean(false), b":0\r\n", b"#f\r\n");
    assert_bytes(|r| r.big_number("-123"), b"$4\r\n-123\r\n", b"(-123\r\n");
}

#[test]
fn golden_strings() {
    assert_bytes(|r| r.bulk(b"a\r\nb"), b"$4\r\na\r\nb\r\n", b"$4\r\na\r\nb\r\n");
    assert_bytes(|r| r.bulk(b""), b"$0\r\n\r\n", b"$0\r\n\r\n");
    assert_bytes(Reply::empty_bulk, b"$0\r\n\r\n", b"$0\r\n\r\n");
    assert_bytes(|r| r.bulk(b"0123456789"), b"$10\r\n0123456789\r\n", b"$10\r\n0123456789\r\n");
    assert_bytes(|r| r.bulk_int(-42), b"$3\r\n-42\r\n", b"$3\r\n-42\r\n");
    assert_bytes(|r| r.bulk_double(1.5), b"$3\r\n1.5\r\n", b"$3\r\n1.5\r\n");
    assert_bytes(|r| r.verbatim(b"txt", b"hi"), b"$2\r\nhi\r\n", b"=6\r\ntxt:hi\r\n");
    assert_bytes(|r| r.double(3.0), b"$1\r\n3\r\n", b",3\r\n");
    assert_bytes(|r| r.double(1e300), b"$6\r\n1e+300\r\n", b",1e+300\r\n");
    assert_bytes(|r| r.double(f64::INFINITY), b"$3\r\ninf\r\n", b",inf\r\n");
    assert_bytes(|r| r.double(f64::NEG_INFINITY), b"$4\r\n-inf\r\n", b",-inf\r\n");
    assert_bytes(|r| r.double(f64::NAN), b"$3\r\nnan\r\n", b",nan\r\n");
}

#[test]
fn golden_aggregates() {
    assert_bytes(|r| r.array(3), b"*3\r\n", b"*3\r\n");
    assert_bytes(|r| r.map(3), b"*6\r\n", b"%3\r\n");
    assert_bytes(|r| r.set(3), b"*3\r\n", b"~3\r\n");
    assert_bytes(|r| r.push(3), b"*3\r\n", b">3\r\n");
    assert_eq!(written(Protocol::Resp3, |r| r.attribute(1)), b"|1\r\n");
}

#[test]
#[should_panic(expected = "an attribute in RESP2")]
fn attributes_have_no_place_in_resp2() {
    Reply::new(Protocol::Resp2).attribute(1);
}

#[test]
fn deferred_lengths_of_every_width_nest() {
    for (n, header) in [(0, "*0\r\n"), (9, "*9\r\n"), (10, "*10\r\n"), (12345, "*12345\r\n")] {
        let bytes = written(Protocol::Resp2, |reply| {
            reply.ok();
            let outer = reply.begin(Aggregate::Map);
            let inner = reply.begin(Aggregate::Array);
            for _ in 0..n {
                reply.integer(7);
            }
            reply.end(inner, n);
            reply.null();
            reply.end(outer, 6);
        });
        assert_eq!(bytes, alloc::format!("+OK\r\n*12\r\n{header}{}$-1\r\n", ":7\r\n".repeat(n)).into_bytes());
    }
    let write = |r: &mut Reply| {
        let map = r.begin(Aggregate::Map);
        r.end(map, 0);
    };
    assert_bytes(write, b"*0\r\n", b"%0\r\n");
}

#[test]
fn bulk_strings_in_pieces_outlive_the_buffer() {
    let mut reply = Reply::new(Protocol::Resp2);
    let mut bulk = reply.bulk_begin(5);
    reply.bulk_append(&mut bulk, b"ab");
    assert_eq!((reply.take(), bulk.left()), (b"$5\r\nab".to_vec(), 3));
    reply.bulk_append(&mut bulk, b"cde");
    reply.bulk_end(bulk);
    assert_eq!(reply.buffer(), b"cde\r\n");
}

#[test]
#[should_panic(expected = "longer than announced")]
fn a_bulk_string_takes_no_more_than_announced() {
    let mut reply = Reply::new(Protocol::Resp2);
    let mut bulk = reply.bulk_begin(1);
    reply.bulk_append(&mut bulk, b"ab");
}

#[test]
#[should_panic(expected = "shorter than announced")]
fn a_bulk_string_takes_no_less_than_announced() {
    let mut reply = Reply::new(Protocol::Resp2);
    let bulk = reply.bulk_begin(1);
    reply.bulk_end(bulk);
}

#[test]
fn the_buffer_is_kept_truncated_and_given_up() {
    let mut reply = Reply::with_buffer(b"+a\r\n".to_vec(), Protocol::Resp2);
    assert!(!reply.is_empty());
    let len = reply.len();
    reply.array(2);
    reply.truncate(len);
    reply.set_protocol(Protocol::Resp3);
    assert_eq!(reply.protocol(), Protocol::Resp3);
    reply.null();
    assert_eq!(reply.take(), b"+a\r\n_\r\n");
    assert!(reply.is_empty());
}
