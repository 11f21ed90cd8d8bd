//! SLOWLOG GET, LEN, RESET.

use commands::Error;
use resp::Reply;

use super::{Answer, Call, Outcome, wrong_subcommand};
use crate::slowlog::Entry;

const BAD_COUNT: &str = "ERR count should be greater than or equal to -1";
/// How many entries are shown when nobody says.
const SHOWN: usize = 10;

pub(super) fn run(name: &str, call: &mut Call<'_>) -> Answer {
    match name {
        "get" => get(call)?,
        "len" => call.reply.integer(count(call.shared.slowlog.len())),
        "reset" => {
            call.shared.slowlog.reset();
            call.reply.ok();
        }
        _ => return super::not_built(),
    }
    Ok(Outcome::Done)
}

fn get(call: &mut Call<'_>) -> Result<(), Error> {
    let most = match call.args.from(2) {
        [] => SHOWN,
        [number] => match resp::parse_i64(number).ok_or(BAD_COUNT)? {
            -1 => usize::MAX,
            number => usize::try_from(number).map_err(|_| Error::from(BAD_COUNT))?,
        },
        [_, _, ..] => return Err(wrong_subcommand(call.args.at(1), "SLOWLOG")),
    };
    let entries = call.shared.slowlog.latest(most);
    call.reply.array(entries.len());
    entries.iter().for_each(|entry| write(entry, call.reply));
    Ok(())
}

fn write(entry: &Entry, reply: &mut Reply) {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    reply.array(6);
    reply.integer(number(entry.id));
    reply.integer(number(entry.at));
    reply.integer(number(entry.micros));
    reply.array(entry.args.len());
    entry.args.iter().for_each(|arg| reply.bulk(arg));
    reply.bulk(entry.peer.as_bytes());
    reply.bulk(&entry.name);
}

fn count(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Server;
    use super::*;

    #[test]
    fn entries_are_shown_latest_first() {
        let server = Server::new(&[]);
        let mut session = server.session();
        for micros in 0..12 {
            let entry = Entry {
                id: 0,
                at: 5,
                micros,
                args: vec![b"GET".to_vec()],
                peer: "1.1.1.1:1".into(),
                name: b"me".to_vec(),
            };
            server.shared.slowlog.push(entry, 100);
        }
        assert_eq!(session.text(&["SLOWLOG", "LEN"]), ":12\r\n");
        let first = "*6\r\n:11\r\n:5\r\n:11\r\n*1\r\n$3\r\nGET\r\n$9\r\n1.1.1.1:1\r\n$2\r\nme\r\n";
        assert_eq!(session.text(&["SLOWLOG", "GET", "1"]), format!("*1\r\n{first}"));
        assert!(session.text(&["SLOWLOG", "GET"]).starts_with("*10\r\n"));
        assert!(session.text(&["SLOWLOG", "GET", "-1"]).starts_with("*12\r\n"));
        assert_eq!(session.text(&["SLOWLOG", "RESET"]), "+OK\r\n");
        assert_eq!(session.text(&["SLOWLOG", "GET"]), "*0\r\n");
    }

    #[test]
    fn refusals_have_redis_texts() {
        let server = Server::new(&[]);
        let mut session = server.session();
        assert_eq!(session.text(&["SLOWLOG", "GET", "x"]), format!("-{BAD_COUNT}\r\n"));
        assert_eq!(session.text(&["SLOWLOG", "GET", "-2"]), format!("-{BAD_COUNT}\r\n"));
        let wrong = "-ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.\r\n";
        assert_eq!(session.text(&["SLOWLOG", "GET", "1", "2"]), wrong);
    }
}
