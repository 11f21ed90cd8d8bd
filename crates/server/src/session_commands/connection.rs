//! PING, ECHO, QUIT, RESET, HELLO, AUTH, SELECT.

use commands::{Args, Error, text, wrong_arity};
use resp::{Protocol, Trust};

use super::client::{self, CLIENT_NAMES};
use super::{Answer, Call, Outcome, REDIS_VERSION, quoting};
use crate::config::Config;

/// The only user there is.
const DEFAULT_USER: &[u8] = b"default";
const WRONG_PASSWORD: &str = "WRONGPASS invalid username-password pair or user is disabled.";
const NO_PASSWORD: &str = "ERR AUTH <password> called without any password configured for the default user. Are you \
                           sure your configuration is correct?";
const HELLO_FIRST: &str = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO \
                           <proto> AUTH <user> <pass> option can be used to authenticate the client and select the \
                           RESP protocol version at the same time";
const NO_PROTOCOL: &str = "NOPROTO unsupported protocol version";
const BAD_PROTOCOL: &str = "ERR Protocol version is not an integer or out of range";

pub(super) fn run(name: &str, call: &mut Call<'_>) -> Answer {
    match name {
        "ping" => ping(call)?,
        "echo" => call.reply.bulk(call.args.at(1)),
        "quit" => {
            call.reply.ok();
            return Ok(Outcome::Close);
        }
        "reset" => {
            call.session.reset(&call.shared.config.load());
            call.reply.set_protocol(Protocol::Resp2);
            call.reply.simple("RESET");
        }
        "hello" => hello(call)?,
        "auth" => auth(call)?,
        "select" => select(call)?,
        _ => return super::not_built(),
    }
    Ok(Outcome::Done)
}

fn ping(call: &mut Call<'_>) -> Result<(), Error> {
    match call.args.from(1) {
        [] => call.reply.simple("PONG"),
        [message] => call.reply.bulk(message),
        [_, _, ..] => return Err(wrong_arity("ping")),
    }
    Ok(())
}

fn select(call: &mut Call<'_>) -> Result<(), Error> {
    let number = usize::try_from(call.args.small_integer(1)?).ok();
    let database = number.filter(|number| *number < call.shared.instance.databases()).ok_or(text::DATABASE_RANGE)?;
    call.session.select(database);
    call.reply.ok();
    Ok(())
}

fn auth(call: &mut Call<'_>) -> Result<(), Error> {
    let config = call.shared.config.load();
    let args = call.args;
    let (user, password) = match args.from(1) {
        [_] if config.requirepass.is_empty() => return Err(NO_PASSWORD.into()),
        [password] => (DEFAULT_USER, *password),
        [user, password] => (*user, *password),
        [] | [_, _, _, ..] => return Err(text::SYNTAX.into()),
    };
    check_password(&config, user, password)?;
    call.session.trust = Trust::Authenticated;
    call.reply.ok();
    Ok(())
}

/// A default user without a password takes any, as in Redis.
fn check_password(config: &Config, user: &[u8], password: &[u8]) -> Result<(), Error> {
    let expected = config.requirepass.as_bytes();
    let is_right = expected.is_empty() || is_same(expected, password);
    if user == DEFAULT_USER && is_right { Ok(()) } else { Err(WRONG_PASSWORD.into()) }
}

/// Compares in a time that depends on the length of what the client sent only, not on where the two differ.
fn is_same(secret: &[u8], given: &[u8]) -> bool {
    let mut difference = secret.len() ^ given.len();
    for (at, byte) in given.iter().enumerate() {
        // Never empty: an empty secret is no secret.
        let secret_byte = secret[at % secret.len()];
        difference |= usize::from(std::hint::black_box(secret_byte ^ byte));
    }
    difference == 0
}

/// What HELLO asks for.
#[derive(Default)]
struct Greeting<'a> {
    protocol: Option<Protocol>,
    login: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

impl<'a> Greeting<'a> {
    fn read(args: Args<'a>) -> Result<Self, Error> {
        let mut greeting = Self::default();
        let Some(version) = args.get(1) else { return Ok(greeting) };
        greeting.protocol = Some(match resp::parse_i64(version).ok_or(BAD_PROTOCOL)? {
            2 => Protocol::Resp2,
            3 => Protocol::Resp3,
            _ => return Err(NO_PROTOCOL.into()),
        });
        let mut at = 2;
        while at < args.len() {
            match args.len() - at - 1 {
                2.. if args.is(at, "AUTH") => {
                    greeting.login = Some((args.at(at + 1), args.at(at + 2)));
                    at += 3;
                }
                1.. if args.is(at, "SETNAME") => {
                    client::check_printable(args.at(at + 1), CLIENT_NAMES)?;
                    greeting.name = Some(args.at(at + 1));
                    at += 2;
                }
                _ => return Err(quoting("ERR Syntax error in HELLO option '", args.at(at), "'")),
            }
        }
        Ok(greeting)
    }
}

fn hello(call: &mut Call<'_>) -> Result<(), Error> {
    let greeting = Greeting::read(call.args)?;
    if let Some((user, password)) = greeting.login {
        check_password(&call.shared.config.load(), user, password)?;
        call.session.trust = Trust::Authenticated;
    }
    if call.session.trust == Trust::Unauthenticated {
        return Err(HELLO_FIRST.into());
    }
    if let Some(name) = greeting.name {
        call.session.info.words.lock().name = name.to_vec();
    }
    if let Some(protocol) = greeting.protocol {
        call.session.set_protocol(protocol);
        call.reply.set_protocol(protocol);
    }
    let protocol = match call.session.protocol {
        Protocol::Resp2 => 2,
        Protocol::Resp3 => 3,
    };
    let reply = &mut *call.reply;
    reply.map(7);
    for (field, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        reply.bulk(field.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"proto");
    reply.integer(protocol);
    reply.bulk(b"id");
    reply.integer(i64::try_from(call.session.info.id).unwrap_or(i64::MAX));
    for (field, value) in [("mode", "standalone"), ("role", "master")] {
        reply.bulk(field.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Server;
    use super::*;

    #[test]
    fn ping_echo_and_select_answer_as_redis() {
        let server = Server::new(&[]);
        let mut session = server.session();
        assert_eq!(session.text(&["PING"]), "+PONG\r\n");
        assert_eq!(session.text(&["PING", "a"]), "$1\r\na\r\n");
        assert_eq!(session.text(&["PING", "a", "b"]), "-ERR wrong number of arguments for 'ping' command\r\n");
        assert_eq!(session.text(&["ECHO", "a"]), "$1\r\na\r\n");
        assert_eq!(session.text(&["SELECT", "x"]), "-ERR value is not an integer or out of range\r\n");
        assert_eq!(session.text(&["SELECT", "99"]), "-ERR DB index is out of range\r\n");
        assert_eq!(session.text(&["SELECT", "-1"]), "-ERR DB index is out of range\r\n");
        let wide = "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n";
        assert_eq!(session.text(&["SELECT", "99999999999999"]), wide);
        assert_eq!(session.text(&["SELECT", "3"]), "+OK\r\n");
        assert_eq!(session.state.database, 3);
        assert!(matches!(session.outcome(&["QUIT"]), Outcome::Close));
    }

    #[test]
    fn hello_has_its_texts_and_its_map() {
        let server = Server::new(&[]);
        let mut session = server.session();
        assert_eq!(session.text(&["HELLO", "4"]), "-NOPROTO unsupported protocol version\r\n");
        assert_eq!(session.text(&["HELLO", "x"]), "-ERR Protocol version is not an integer or out of range\r\n");
        assert_eq!(session.text(&["HELLO", "2", "FOO"]), "-ERR Syntax error in HELLO option 'FOO'\r\n");
        assert_eq!(session.text(&["HELLO", "2", "AUTH", "x"]), "-ERR Syntax error in HELLO option 'AUTH'\r\n");
        assert_eq!(session.text(&["HELLO", "2", "SETNAME", "a b"]), format!("-{CLIENT_NAMES}\r\n"));
        let id = session.state.info.id;
        let body = |proto: u8| {
            format!(
                "$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.2.4\r\n$5\r\nproto\r\n:{proto}\r\n$2\r\nid\r\n\
                 :{id}\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"
            )
        };
        assert_eq!(session.text(&["HELLO"]), format!("*14\r\n{}", body(2)));
        assert_eq!(session.text(&["HELLO", "3", "SETNAME", "me"]), format!("%7\r\n{}", body(3)));
        assert_eq!(session.text(&["CLIENT", "GETNAME"]), "$2\r\nme\r\n");
        assert_eq!(session.text(&["RESET"]), "+RESET\r\n");
        assert_eq!(session.text(&["CLIENT", "GETNAME"]), "$-1\r\n");
        assert_eq!(session.state.protocol, Protocol::Resp2);
    }

    #[test]
    fn passwords_open_what_they_should() {
        let open = Server::new(&[]);
        let mut session = open.session();
        assert_eq!(session.text(&["AUTH", "x"]), format!("-{NO_PASSWORD}\r\n"));
        assert_eq!(session.text(&["AUTH", "default", "x"]), "+OK\r\n");
        assert_eq!(session.text(&["AUTH", "foo", "x"]), format!("-{WRONG_PASSWORD}\r\n"));
        assert_eq!(session.text(&["AUTH", "a", "b", "c"]), "-ERR syntax error\r\n");

        let closed = Server::new(&["--requirepass", "secret"]);
        let mut session = closed.session();
        assert_eq!(session.text(&["HELLO", "3"]), format!("-{HELLO_FIRST}\r\n"));
        for wrong in ["secre", "secret1", "secretsecret", "Secret", ""] {
            assert_eq!(session.text(&["AUTH", wrong]), format!("-{WRONG_PASSWORD}\r\n"));
        }
        assert_eq!(session.state.trust, Trust::Unauthenticated);
        assert_eq!(session.text(&["HELLO", "2", "AUTH", "default", "no"]), format!("-{WRONG_PASSWORD}\r\n"));
        assert!(session.text(&["HELLO", "3", "AUTH", "default", "secret"]).starts_with("%7\r\n"));
        assert_eq!(session.text(&["RESET"]), "+RESET\r\n");
        assert_eq!(session.state.trust, Trust::Unauthenticated);
        assert_eq!(session.text(&["AUTH", "secret"]), "+OK\r\n");
        assert_eq!(session.state.trust, Trust::Authenticated);
    }
}
