//! DEBUG PROTOCOL: a value of each type of the protocol.

use commands::Error;
use resp::{Protocol, Reply};

const UNKNOWN: &str = "ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|\
                       array|set|map|attrib|push|verbatim|true|false";

#[expect(clippy::approx_constant, reason = "what Redis sends")]
const DOUBLE: f64 = 3.141;

pub(super) fn run(name: &[u8], reply: &mut Reply) -> Result<(), Error> {
    match name.to_ascii_lowercase().as_slice() {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.integer(12345),
        b"double" => reply.double(DOUBLE),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"map" => {
            reply.map(3);
            for number in 0..3 {
                reply.integer(number);
                reply.boolean(number == 1);
            }
        }
        b"attrib" => attribute(reply),
        b"push" => return push(reply),
        b"true" => reply.boolean(true),
        b"false" => reply.boolean(false),
        b"verbatim" => reply.verbatim(b"txt", b"This is a verbatim\nstring"),
        b"bignum" => reply.big_number("1234567999999999999999999999999999999"),
        _ => return Err(UNKNOWN.into()),
    }
    Ok(())
}

/// An attribute is no reply, so one follows it; in RESP2 that is all.
fn attribute(reply: &mut Reply) {
    if reply.protocol() == Protocol::Resp3 {
        reply.attribute(1);
        reply.bulk(b"key-popularity");
        reply.array(2);
        reply.bulk(b"key:123");
        reply.integer(90);
    }
    reply.bulk(b"Some real reply following the attribute");
}

/// So is a push message.
fn push(reply: &mut Reply) -> Result<(), Error> {
    if reply.protocol() == Protocol::Resp2 {
        return Err("ERR RESP2 is not supported by this command".into());
    }
    reply.push(2);
    reply.bulk(b"server-cpu-usage");
    reply.integer(42);
    reply.bulk(b"Some real reply following the push reply");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, protocol: Protocol) -> String {
        let mut reply = Reply::new(protocol);
        match run(name.as_bytes(), &mut reply) {
            Ok(()) => String::from_utf8(reply.into_buffer()).unwrap(),
            Err(Error::Reply(text)) => String::from_utf8(text.into_owned()).unwrap(),
            Err(error @ (Error::Stop(_) | Error::Wait(_))) => panic!("no reply: {error:?}"),
        }
    }

    #[test]
    fn resp2_is_that_of_redis() {
        for (name, bytes) in [
            ("string", "$11\r\nHello World\r\n"),
            ("integer", ":12345\r\n"),
            ("double", "$5\r\n3.141\r\n"),
            ("null", "$-1\r\n"),
            ("array", "*3\r\n:0\r\n:1\r\n:2\r\n"),
            ("set", "*3\r\n:0\r\n:1\r\n:2\r\n"),
            ("map", "*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n"),
            ("attrib", "$39\r\nSome real reply following the attribute\r\n"),
            ("push", "ERR RESP2 is not supported by this command"),
            ("verbatim", "$25\r\nThis is a verbatim\nstring\r\n"),
            ("TRUE", ":1\r\n"),
            ("false", ":0\r\n"),
            ("bignum", "$37\r\n1234567999999999999999999999999999999\r\n"),
            ("foo", UNKNOWN),
        ] {
            assert_eq!(text(name, Protocol::Resp2), bytes);
        }
    }

    #[test]
    fn resp3_is_that_of_redis() {
        for (name, bytes) in [
            ("double", ",3.141\r\n"),
            ("null", "_\r\n"),
            ("set", "~3\r\n:0\r\n:1\r\n:2\r\n"),
            ("map", "%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n"),
            (
                "attrib",
                "|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n$39\r\nSome real reply following the \
                 attribute\r\n",
            ),
            ("push", ">2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n$40\r\nSome real reply following the push reply\r\n"),
            ("verbatim", "=29\r\ntxt:This is a verbatim\nstring\r\n"),
            ("bignum", "(1234567999999999999999999999999999999\r\n"),
            ("true", "#t\r\n"),
        ] {
            assert_eq!(text(name, Protocol::Resp3), bytes);
        }
    }
}
