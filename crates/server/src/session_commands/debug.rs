//! DEBUG: what test suites call. What has no meaning here but would fail a suite is accepted and does nothing.

use std::time::Duration;

use commands::{Args, Error};
use engine::instance::ActiveExpiry;

use super::{Answer, Call, Outcome, at_desk, debug_keys, debug_protocol, wrong_subcommand};
use crate::client::Transport;
use crate::code::fault_text;
use crate::config::Permission;

const REFUSED: &str = "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can \
                       run it from a local connection, otherwise you need to set this option in the configuration \
                       file, and then restart the server.";
/// Nobody needs a longer nap, in seconds.
const LONGEST_SLEEP: f64 = 86_400.0;
const HELP: &[&str] = &[
    "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "DIGEST",
    "    Returns a hash of everything in all databases.",
    "DIGEST-VALUE <key> [<key> ...]",
    "    Returns a hash of the value of each key.",
    "ERROR <string>",
    "    Returns an error with this text.",
    "HTSTATS <dbid>",
    "    Shows how many keys a database has.",
    "HTSTATS-KEY <key>",
    "    Shows how many elements a value has that Redis keeps in a hash table.",
    "LISTPACK <key>",
    "    Says whether a value is packed.",
    "LOADAOF",
    "    As RELOAD.",
    "LOG <message>",
    "    Writes a message into the server's log.",
    "OBJECT <key>",
    "    Shows how a value is kept.",
    "POPULATE <count> [<prefix>] [<size>]",
    "    Makes keys <prefix>:0 and so on, which are left alone where they exist.",
    "PROTOCOL <type>",
    "    Returns a value of that type.",
    "RELOAD",
    "    Writes everything to the stores and drops it from memory.",
    "SET-ACTIVE-EXPIRE <0|1>",
    "    Says whether expired keys in memory are deleted without being met.",
    "SLEEP <seconds>",
    "    Lets this connection sleep. Others go on.",
    "STRUCTSIZE",
    "    Shows how wide the machine's words are.",
    "CHANGE-REPL-ID, JMAP, PAUSE-CRON, QUICKLIST-PACKED-THRESHOLD, REPLYBUFFER,",
    "SET-DISABLE-DENY-SCRIPTS, STRINGMATCH-LEN",
    "    Do nothing.",
    "HELP",
    "    Prints this help.",
];

pub(super) fn run(call: &mut Call<'_>) -> Answer {
    check_permission(call)?;
    let args = call.args;
    let database = call.session.database;
    let name = args.at(1).to_ascii_lowercase();
    match (name.as_slice(), args.len()) {
        (b"help", 2) => help(call),
        (b"sleep", 3) => return sleep(call),
        (b"object", 3..=4) => return debug_keys::object(database, args.at(2)),
        (b"digest", 2) => return debug_keys::digest(),
        (b"digest-value", _) => return debug_keys::digest_values(database, args.from(2)),
        (b"populate", 3..=5) => return debug_keys::populate(database, args),
        (b"htstats", 3) => return debug_keys::table(call.shared, args),
        (b"htstats-key", 3) => return debug_keys::table_of(database, args.at(2)),
        (b"listpack", 3) => return debug_keys::listpack(database, args.at(2)),
        (b"structsize", 2) => call.reply.simple(&format!("bits:{}", usize::BITS)),
        (b"reload" | b"loadaof", _) => return reload(),
        (b"set-active-expire", 3) => set_active_expire(call),
        (b"protocol", 3) => debug_protocol::run(args.at(2), call.reply)?,
        (b"error", 3) => call.reply.error_bytes(args.at(2)),
        (b"log", 3) => {
            tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(args.at(2)));
            call.reply.ok();
        }
        _ if does_nothing(&name, args) => call.reply.ok(),
        _ => return Err(wrong_subcommand(args.at(1), "DEBUG")),
    }
    Ok(Outcome::Done)
}

fn check_permission(call: &Call<'_>) -> Result<(), Error> {
    let is_local = match call.session.info.ends.transport {
        Transport::Loopback | Transport::Unix => true,
        Transport::Remote => false,
    };
    let is_allowed = match call.shared.config.load().enable_debug_command {
        Permission::Yes => true,
        Permission::No => false,
        Permission::Local => is_local,
    };
    if is_allowed { Ok(()) } else { Err(REFUSED.into()) }
}

fn does_nothing(name: &[u8], args: Args<'_>) -> bool {
    match name {
        b"change-repl-id" | b"jmap" => args.len() == 2,
        b"quicklist-packed-threshold" | b"set-active-expire" | b"set-disable-deny-scripts" | b"pause-cron" => {
            args.len() == 3
        }
        b"stringmatch-len" | b"replybuffer" => args.len() == 4,
        _ => false,
    }
}

fn help(call: &mut Call<'_>) {
    call.reply.array(HELP.len());
    HELP.iter().for_each(|line| call.reply.simple(line));
}

/// As C's `strtod`, what is not a number is no time.
fn sleep(call: &mut Call<'_>) -> Answer {
    let seconds = std::str::from_utf8(call.args.at(2)).ok().and_then(|text| text.trim().parse::<f64>().ok());
    let seconds = seconds.filter(|seconds| seconds.is_finite()).unwrap_or(0.0).clamp(0.0, LONGEST_SLEEP);
    call.reply.ok();
    Ok(Outcome::Sleep(Duration::from_secs_f64(seconds)))
}

/// As C's `atoi`, what is not a number is 0.
fn set_active_expire(call: &mut Call<'_>) {
    let on = resp::parse_i64(call.args.at(2)).is_some_and(|number| number != 0);
    call.shared.instance.set_active_expiry(if on { ActiveExpiry::On } else { ActiveExpiry::Off });
    call.reply.ok();
}

fn reload() -> Answer {
    at_desk(|context, reply| {
        context.shared.instance.reload().map_err(|fault| Error::from(fault_text(&fault)))?;
        reply.ok();
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Server;
    use super::*;

    #[test]
    fn who_may_debug_is_configured() {
        let refused = format!("-{REFUSED}\r\n");
        for (value, near, far) in [("yes", true, true), ("local", true, false), ("no", false, false)] {
            let server = Server::new(&["--enable-debug-command", value]);
            for (transport, allowed) in [(Transport::Loopback, near), (Transport::Unix, near), (Transport::Remote, far)]
            {
                let reply = server.session_by(transport).text(&["DEBUG", "JMAP"]);
                assert_eq!(reply, if allowed { "+OK\r\n" } else { &refused }, "{value} {transport:?}");
            }
        }
    }

    #[test]
    fn subcommands_answer_as_redis() {
        let server = Server::new(&[]);
        let mut session = server.session();
        let wrong = |name: &str| {
            format!("-ERR unknown subcommand or wrong number of arguments for '{name}'. Try DEBUG HELP.\r\n")
        };
        assert_eq!(session.text(&["DEBUG", "FOO"]), wrong("FOO"));
        assert_eq!(session.text(&["DEBUG", "SLEEP"]), wrong("SLEEP"));
        assert_eq!(session.text(&["DEBUG", "ERROR", "FOO bar\r\n"]), "-FOO bar  \r\n");
        assert_eq!(session.text(&["DEBUG", "LOG", "x"]), "+OK\r\n");
        for line in [
            &["SET-ACTIVE-EXPIRE", "0"][..],
            &["QUICKLIST-PACKED-THRESHOLD", "100B"],
            &["SET-DISABLE-DENY-SCRIPTS", "1"],
            &["REPLYBUFFER", "RESIZING", "0"],
            &["PAUSE-CRON", "1"],
            &["CHANGE-REPL-ID"],
        ] {
            assert_eq!(session.text(&[&["DEBUG"], line].concat()), "+OK\r\n");
        }
        assert!(session.text(&["DEBUG", "HELP"]).contains("+DEBUG <subcommand>"));
    }

    #[test]
    fn a_nap_is_the_sessions() {
        let server = Server::new(&[]);
        let mut session = server.session();
        for (text, nap) in [("0.25", 0.25), ("0", 0.0), ("x", 0.0), ("-1", 0.0), ("nan", 0.0)] {
            let (outcome, reply) = session.run(&["DEBUG", "SLEEP", text]);
            assert_eq!(reply, b"+OK\r\n");
            let Outcome::Sleep(time) = outcome else { panic!("DEBUG SLEEP {text} does not sleep") };
            assert_eq!(time, Duration::from_secs_f64(nap));
        }
    }

    #[test]
    fn a_reload_keeps_everything() {
        let server = Server::new(&[]);
        let mut session = server.session();
        server.keys(&["SET", "a", "1"]);
        for line in [&["DEBUG", "RELOAD"][..], &["DEBUG", "RELOAD", "NOSAVE", "NOFLUSH"], &["DEBUG", "LOADAOF"]] {
            assert_eq!(session.text(line), "+OK\r\n");
        }
        assert_eq!(server.keys(&["GET", "a"]), "$1\r\n1\r\n");
    }
}
