//! CLIENT KILL: by the address, or by filters that must all match.

use commands::{Args, Error, text};
use keyspace::Millis;

use super::client_line::Kind;
use super::{Call, quoting};
use crate::client::{ClientInfo, Kill};
use crate::shared::clock;

const BAD_ID: &str = "ERR client-id should be greater than 0";

/// Whether the client that asks may be among the killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    Spared,
    Included,
}

/// Which clients.
#[derive(Debug)]
struct Filters<'a> {
    id: Option<u64>,
    kind: Option<Kind>,
    address: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
    max_age: Option<u64>,
    own: Own,
}

impl<'a> Filters<'a> {
    /// The old form: the address only, and one may kill oneself.
    fn address(address: &'a [u8]) -> Self {
        Self { id: None, kind: None, address: Some(address), local: None, max_age: None, own: Own::Included }
    }

    fn read(args: Args<'a>) -> Result<Self, Error> {
        let mut filters = Self { id: None, kind: None, address: None, local: None, max_age: None, own: Own::Spared };
        for at in (2..args.len()).step_by(2) {
            let Some(value) = args.get(at + 1) else { return Err(text::SYNTAX.into()) };
            if args.is(at, "ID") {
                let id = resp::parse_i64(value).filter(|id| *id > 0).ok_or(BAD_ID)?;
                filters.id = u64::try_from(id).ok();
            } else if args.is(at, "TYPE") {
                filters.kind = Some(Kind::named(value)?);
            } else if args.is(at, "ADDR") {
                filters.address = Some(value);
            } else if args.is(at, "LADDR") {
                filters.local = Some(value);
            } else if args.is(at, "USER") {
                // Every client is the default user.
                if value != b"default" {
                    return Err(quoting("ERR No such user '", value, "'"));
                }
            } else if args.is(at, "MAXAGE") {
                let age = resp::parse_i64(value).ok_or("ERR maxage is not an integer or out of range")?;
                let age = u64::try_from(age).ok().filter(|age| *age > 0);
                filters.max_age = Some(age.ok_or("ERR maxage should be greater than 0")?);
            } else if args.is(at, "SKIPME") && value.eq_ignore_ascii_case(b"yes") {
                filters.own = Own::Spared;
            } else if args.is(at, "SKIPME") && value.eq_ignore_ascii_case(b"no") {
                filters.own = Own::Included;
            } else {
                return Err(text::SYNTAX.into());
            }
        }
        Ok(filters)
    }

    fn hit(&self, info: &ClientInfo, now: Millis) -> bool {
        let age = now.0.saturating_sub(info.since.0) / 1000;
        self.id.is_none_or(|id| info.id == id)
            && self.kind.is_none_or(|kind| kind == Kind::of(info))
            && self.address.is_none_or(|address| info.ends.peer.as_bytes() == address)
            && self.local.is_none_or(|local| info.ends.local.as_bytes() == local)
            && self.max_age.is_none_or(|max_age| age >= max_age)
    }
}

pub(super) fn run(call: &mut Call<'_>) -> Result<(), Error> {
    let is_old_form = call.args.len() == 3;
    let filters = if is_old_form { Filters::address(call.args.at(2)) } else { Filters::read(call.args)? };
    let killed = kill(call, &filters);
    match (is_old_form, killed) {
        (true, 0) => return Err("ERR No such client".into()),
        (true, _) => call.reply.ok(),
        (false, killed) => call.reply.integer(killed),
    }
    Ok(())
}

fn kill(call: &Call<'_>, filters: &Filters<'_>) -> i64 {
    let own = call.session.info.id;
    let now = clock();
    let mut killed = 0;
    for info in call.shared.clients.list() {
        if !filters.hit(&info, now) || (info.id == own && filters.own == Own::Spared) {
            continue;
        }
        // The one who asks shall read the answer.
        info.kill(if info.id == own { Kill::AfterReplies } else { Kill::Now });
        killed += 1;
    }
    killed
}

#[cfg(test)]
mod tests {
    use super::super::testing::Server;
    use super::*;

    #[test]
    fn what_redis_refuses_is_refused() {
        let server = Server::new(&[]);
        let mut session = server.session();
        for (line, text) in [
            (vec!["1"], "No such client"),
            (vec!["ID", "0"], "client-id should be greater than 0"),
            (vec!["ID", "x"], "client-id should be greater than 0"),
            (vec!["TYPE", "foo"], "Unknown client type 'foo'"),
            (vec!["USER", "foo"], "No such user 'foo'"),
            (vec!["SKIPME", "maybe"], "syntax error"),
            (vec!["ID", "1", "foo"], "syntax error"),
            (vec!["MAXAGE", "x"], "maxage is not an integer or out of range"),
            (vec!["MAXAGE", "0"], "maxage should be greater than 0"),
        ] {
            let line: Vec<&str> = ["CLIENT", "KILL"].into_iter().chain(line).collect();
            assert_eq!(session.text(&line), format!("-ERR {text}\r\n"));
        }
    }

    #[test]
    fn filters_must_all_match() {
        let server = Server::new(&[]);
        let (mut session, other) = (server.session(), server.session());
        let id = other.state.info.id.to_string();
        assert_eq!(session.text(&["CLIENT", "KILL", "ID", &id, "ADDR", "1.1.1.1:1"]), ":0\r\n");
        assert_eq!(session.text(&["CLIENT", "KILL", "ID", &id, "TYPE", "pubsub"]), ":0\r\n");
        assert_eq!(session.text(&["CLIENT", "KILL", "MAXAGE", "1000"]), ":0\r\n");
        assert_eq!(other.state.info.killed(), None);
        assert_eq!(session.text(&["CLIENT", "KILL", "TYPE", "normal", "USER", "default"]), ":1\r\n");
        assert_eq!(other.state.info.killed(), Some(Kill::Now));
        assert_eq!(session.state.info.killed(), None);
        assert_eq!(session.text(&["CLIENT", "KILL", "LADDR", "127.0.0.1:6379", "SKIPME", "no"]), ":2\r\n");
        assert_eq!(session.state.info.killed(), Some(Kill::AfterReplies));
    }

    #[test]
    fn the_old_form_kills_by_address_also_the_one_who_asks() {
        let server = Server::new(&[]);
        let mut session = server.session();
        assert_eq!(session.text(&["CLIENT", "KILL", "127.0.0.1:5"]), "+OK\r\n");
        assert_eq!(session.state.info.killed(), Some(Kill::AfterReplies));
    }
}
