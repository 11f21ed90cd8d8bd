//! CLIENT and its subcommands, but for KILL.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use commands::{Args, Error, text};
use keyspace::Millis;

use super::client_line::{self, Kind};
use super::{Answer, Call, Outcome, client_kill, quoting};
use crate::pause::Held;
use crate::shared::clock;
use crate::state::Replies;
use crate::waiting::Unblock;

/// The error of a name that CLIENT LIST could not show.
pub(super) const CLIENT_NAMES: &str = "ERR Client names cannot contain spaces, newlines or special characters.";

pub(super) fn run(name: &str, call: &mut Call<'_>) -> Answer {
    match name {
        "id" => call.reply.integer(i64::try_from(call.session.info.id).unwrap_or(i64::MAX)),
        "getname" => getname(call),
        "setname" => setname(call)?,
        "setinfo" => setinfo(call)?,
        "list" => list(call)?,
        "info" => {
            let line = client_line::line(&call.session.info, client_line::Watcher::of(call));
            call.reply.verbatim(b"txt", &line);
        }
        "kill" => client_kill::run(call)?,
        "no-evict" => switch(call.args, &call.session.info.no_evict).map(|()| call.reply.ok())?,
        "no-touch" => switch(call.args, &call.session.info.no_touch).map(|()| call.reply.ok())?,
        "reply" => replies(call)?,
        "unblock" => unblock(call)?,
        "pause" => pause(call)?,
        "unpause" => {
            call.shared.pause.end();
            call.shared.instance.hold_expiry(Millis(0));
            call.reply.ok();
        }
        "getredir" => call.reply.integer(-1),
        "trackinginfo" => trackinginfo(call),
        _ => return super::not_built(),
    }
    Ok(Outcome::Done)
}

fn getname(call: &mut Call<'_>) {
    let words = call.session.info.words.lock();
    if words.name.is_empty() {
        call.reply.null();
    } else {
        call.reply.bulk(&words.name);
    }
}

fn setname(call: &mut Call<'_>) -> Result<(), Error> {
    check_printable(call.args.at(2), CLIENT_NAMES)?;
    call.session.info.words.lock().name = call.args.at(2).to_vec();
    call.reply.ok();
    Ok(())
}

fn setinfo(call: &mut Call<'_>) -> Result<(), Error> {
    let args = call.args;
    let mut words = call.session.info.words.lock();
    let place = if args.is(2, "LIB-NAME") {
        &mut words.lib_name
    } else if args.is(2, "LIB-VER") {
        &mut words.lib_version
    } else {
        return Err(quoting("ERR Unrecognized option '", args.at(2), "'"));
    };
    if !is_printable(args.at(3)) {
        return Err(quoting("ERR ", args.at(2), " cannot contain spaces, newlines or special characters."));
    }
    *place = args.at(3).to_vec();
    call.reply.ok();
    Ok(())
}

/// Refuses, with the text `refusal`, what would break the line of CLIENT LIST.
pub(super) fn check_printable(word: &[u8], refusal: &'static str) -> Result<(), Error> {
    if is_printable(word) { Ok(()) } else { Err(refusal.into()) }
}

fn is_printable(word: &[u8]) -> bool {
    word.iter().all(u8::is_ascii_graphic)
}

fn list(call: &mut Call<'_>) -> Result<(), Error> {
    let args = call.args;
    let watcher = client_line::Watcher::of(call);
    let clients = &call.shared.clients;
    let mut lines = Vec::new();
    match args.len() {
        2 => clients.list().iter().for_each(|info| lines.extend(client_line::line(info, watcher))),
        4 if args.is(2, "TYPE") => {
            let kind = Kind::named(args.at(3))?;
            let listed = clients.list();
            let of_kind = listed.iter().filter(|info| Kind::of(info) == kind);
            of_kind.for_each(|info| lines.extend(client_line::line(info, watcher)));
        }
        4.. if args.is(2, "ID") => {
            for id in args.from(3) {
                let id = resp::parse_i64(id).ok_or("ERR Invalid client ID")?;
                let info = u64::try_from(id).ok().and_then(|id| clients.find(id));
                lines.extend(info.map(|info| client_line::line(&info, watcher)).unwrap_or_default());
            }
        }
        _ => return Err(text::SYNTAX.into()),
    }
    call.reply.verbatim(b"txt", &lines);
    Ok(())
}

fn switch(args: Args<'_>, state: &AtomicBool) -> Result<(), Error> {
    let on = args.is(2, "ON");
    if !on && !args.is(2, "OFF") {
        return Err(text::SYNTAX.into());
    }
    state.store(on, Ordering::Relaxed);
    Ok(())
}

fn replies(call: &mut Call<'_>) -> Result<(), Error> {
    let session = &mut call.session;
    if call.args.is(2, "ON") {
        session.replies = Replies::On;
        call.reply.ok();
    } else if call.args.is(2, "OFF") {
        session.replies = Replies::Off;
    } else if call.args.is(2, "SKIP") {
        if session.replies != Replies::Off {
            session.replies = Replies::SkipNext;
        }
    } else {
        return Err(text::SYNTAX.into());
    }
    Ok(())
}

const UNBLOCKED: &str = "UNBLOCKED client unblocked via CLIENT UNBLOCK";

fn unblock(call: &mut Call<'_>) -> Result<(), Error> {
    let args = call.args;
    let how = match args.get(3) {
        None => Unblock::TimedOut,
        Some(_) if args.len() == 4 && args.is(3, "TIMEOUT") => Unblock::TimedOut,
        Some(_) if args.len() == 4 && args.is(3, "ERROR") => Unblock::Error(UNBLOCKED),
        Some(_) => return Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR".into()),
    };
    let client = u64::try_from(args.integer(2)?).ok();
    let is_unblocked = client.is_some_and(|client| call.shared.waiting.unblock(client, how));
    call.reply.integer(i64::from(is_unblocked));
    Ok(())
}

/// Holds commands back, and what expires from being deleted: a client that pauses writes wants the data to stay as it is.
fn pause(call: &mut Call<'_>) -> Result<(), Error> {
    let args = call.args;
    let held = match args.len() {
        3 => Held::All,
        4 if args.is(3, "ALL") => Held::All,
        4 if args.is(3, "WRITE") => Held::Writes,
        4 => return Err("ERR CLIENT PAUSE mode must be WRITE or ALL".into()),
        _ => return Err(super::wrong_subcommand(b"PAUSE", "CLIENT")),
    };
    let time = resp::parse_i64(args.at(2)).ok_or("ERR timeout is not an integer or out of range")?;
    let time = u64::try_from(time).map_err(|_| "ERR timeout is negative")?;
    let left = call.shared.pause.begin(held, Duration::from_millis(time));
    let until = clock().0.saturating_add(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
    call.shared.instance.hold_expiry(Millis(until));
    call.reply.ok();
    Ok(())
}

fn trackinginfo(call: &mut Call<'_>) {
    let reply = &mut *call.reply;
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(1);
    reply.bulk(b"off");
    reply.bulk(b"redirect");
    reply.integer(-1);
    reply.bulk(b"prefixes");
    reply.array(0);
}

#[cfg(test)]
mod tests {
    use super::super::testing::Server;
    use super::*;

    #[test]
    fn names_are_kept_and_refused() {
        let server = Server::new(&[]);
        let mut session = server.session();
        assert_eq!(session.text(&["CLIENT", "GETNAME"]), "$-1\r\n");
        assert_eq!(session.text(&["CLIENT", "SETNAME", "a b"]), format!("-{CLIENT_NAMES}\r\n"));
        assert_eq!(session.text(&["CLIENT", "SETNAME", "ab"]), "+OK\r\n");
        assert_eq!(session.text(&["CLIENT", "GETNAME"]), "$2\r\nab\r\n");
        assert_eq!(session.text(&["CLIENT", "SETNAME", ""]), "+OK\r\n");
        assert_eq!(session.text(&["CLIENT", "GETNAME"]), "$-1\r\n");
        assert_eq!(session.text(&["CLIENT", "SETINFO", "lib-name", "x"]), "+OK\r\n");
        assert_eq!(session.text(&["CLIENT", "SETINFO", "lib-ver", "1.2"]), "+OK\r\n");
        assert_eq!(
            session.text(&["CLIENT", "SETINFO", "lib-ver", "1 2"]),
            "-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n"
        );
        assert_eq!(session.text(&["CLIENT", "SETINFO", "foo", "1"]), "-ERR Unrecognized option 'foo'\r\n");
    }

    #[test]
    fn lists_have_one_line_a_client() {
        let server = Server::new(&[]);
        let mut session = server.session();
        let other = server.session();
        let id = other.state.info.id.to_string();
        assert_eq!(session.text(&["CLIENT", "LIST"]).matches("id=").count(), 2);
        assert_eq!(session.text(&["CLIENT", "LIST", "TYPE", "normal"]).matches("id=").count(), 2);
        assert_eq!(session.text(&["CLIENT", "LIST", "TYPE", "Replica"]), "$0\r\n\r\n");
        assert!(session.text(&["CLIENT", "LIST", "ID", &id, "99999"]).contains(&format!("id={id} ")));
        assert_eq!(session.text(&["CLIENT", "LIST", "TYPE", "foo"]), "-ERR Unknown client type 'foo'\r\n");
        assert_eq!(session.text(&["CLIENT", "LIST", "ID", "x"]), "-ERR Invalid client ID\r\n");
        for wrong in [["CLIENT", "LIST", "ID"], ["CLIENT", "LIST", "foo"]] {
            assert_eq!(session.text(&wrong), "-ERR syntax error\r\n");
        }
        session.state.set_protocol(resp::Protocol::Resp3);
        let info = session.text(&["CLIENT", "INFO"]);
        assert!(info.starts_with('=') && info.contains("txt:id=") && info.ends_with("lib-ver=\n\r\n"), "{info}");
        assert!(info.contains(" cmd=client|info ") && info.contains(" resp=3 "), "{info}");
    }

    #[test]
    fn switches_have_two_positions() {
        let server = Server::new(&[]);
        let mut session = server.session();
        assert_eq!(session.text(&["CLIENT", "NO-EVICT", "on"]), "+OK\r\n");
        assert!(session.text(&["CLIENT", "INFO"]).contains(" flags=e "));
        assert_eq!(session.text(&["CLIENT", "NO-TOUCH", "on"]), "+OK\r\n");
        assert!(session.text(&["CLIENT", "INFO"]).contains(" flags=eT "));
        assert_eq!(session.text(&["CLIENT", "NO-EVICT", "x"]), "-ERR syntax error\r\n");
        assert_eq!(session.text(&["CLIENT", "REPLY", "x"]), "-ERR syntax error\r\n");
        assert_eq!(session.text(&["CLIENT", "REPLY", "skip"]), "");
        assert_eq!(session.state.replies, Replies::SkipNext);
        assert_eq!(session.text(&["CLIENT", "REPLY", "off"]), "");
        assert_eq!(session.text(&["CLIENT", "REPLY", "skip"]), "");
        assert_eq!(session.state.replies, Replies::Off);
        assert_eq!(session.text(&["CLIENT", "REPLY", "on"]), "+OK\r\n");
        assert_eq!(session.state.replies, Replies::On);
    }

    #[test]
    fn nobody_is_blocked_or_tracked() {
        let server = Server::new(&[]);
        let mut session = server.session();
        assert_eq!(session.text(&["CLIENT", "UNBLOCK", "1"]), ":0\r\n");
        assert_eq!(session.text(&["CLIENT", "UNBLOCK", "x"]), "-ERR value is not an integer or out of range\r\n");
        assert_eq!(
            session.text(&["CLIENT", "UNBLOCK", "1", "foo"]),
            "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n"
        );
        assert_eq!(session.text(&["CLIENT", "GETREDIR"]), ":-1\r\n");
        assert_eq!(
            session.text(&["CLIENT", "TRACKINGINFO"]),
            "*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n"
        );
        session.state.set_protocol(resp::Protocol::Resp3);
        assert!(session.text(&["CLIENT", "TRACKINGINFO"]).starts_with("%3\r\n$5\r\nflags\r\n~1\r\n$3\r\noff\r\n"));
        assert!(session.text(&["CLIENT", "HELP"]).contains("CLIENT <subcommand>"));
        assert_eq!(
            session.text(&["CLIENT", "MAINT_NOTIFICATIONS", "ON"]),
            "-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.\r\n"
        );
    }
}
