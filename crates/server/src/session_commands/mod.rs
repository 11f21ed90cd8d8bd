//! The commands of the session: about the connection and the server.
//!
//! ```text
//!   run --by container and name--> connection, client, configuration, info, ... --> reply and Outcome
//!                                        | what may wait
//!                                        '--> DeskWork, run by a thread of the desk
//! ```
//!
//! Whatever touches files, takes a lock that others hold for long, or looks at keys goes to the desk: a worker serves
//! other clients meanwhile.

mod client;
mod client_kill;
mod client_line;
mod configuration;
mod connection;
mod debug;
mod debug_keys;
mod debug_protocol;
mod following;
mod info;
mod key_look;
mod latency;
pub(crate) mod links;
mod lolwut;
mod memory;
mod saving;
mod secrets;
mod server;
mod slow_commands;
#[cfg(test)]
mod testing;
mod transaction;
pub(crate) mod waits;

use std::sync::Arc;
use std::time::Duration;

use commands::{Args, Command, Error, docs};
use engine::{Gate, Scratch};
use replication::primary::Opening;
use resp::{Protocol, Reply};

use crate::shared::Shared;
use crate::state::SessionState;

pub(crate) use secrets::hide;
pub(crate) use transaction::discarded;
use waits::Awaited;

/// The version of Redis whose behaviour clients may expect.
pub const REDIS_VERSION: &str = "7.2.4";

/// What the session does next.
pub enum Outcome {
    /// The reply is written.
    Done,
    /// The reply is written; the connection is closed once it is sent.
    Close,
    /// The work may wait for something: the desk does it. What was written to the reply is kept before its bytes.
    Desk(DeskWork),
    /// The session sleeps before it goes on; the reply is written.
    Sleep(Duration),
    /// The session waits for replicas, or for the disk; no reply yet.
    Acknowledged(Awaited),
    /// The connection becomes a link of a replica: no session any more. The reply is the link's.
    Link(Box<Opening>),
    /// The server ends; no reply.
    Shutdown,
    /// What is queued is to be run; no reply yet.
    Exec,
    /// These keys of the selected database are to be watched; no reply yet.
    Watch(Vec<Vec<u8>>),
}

/// Work for the desk; returns the bytes of the reply, in the protocol of the context.
pub type DeskWork = Box<dyn FnOnce(&mut DeskContext<'_>) -> Vec<u8> + Send>;

/// What work at the desk may use.
pub struct DeskContext<'a> {
    /// The server.
    pub shared: &'a Arc<Shared>,
    /// For runs of the engine.
    pub scratch: &'a mut Scratch,
    /// What the client speaks.
    pub protocol: Protocol,
    /// What the logs must hold before the reply leaves; work that shows or changes data adds the gates of its runs.
    pub gate: &'a mut Gate,
    /// Whether one of its runs has changed something.
    pub changed: bool,
}

/// Runs a command of the session. Its name and arity have been checked.
pub fn run(
    shared: &Arc<Shared>,
    session: &mut SessionState,
    command: &'static Command,
    args: Args<'_>,
    reply: &mut Reply,
) -> Outcome {
    let mark = reply.len();
    let mut call = Call { shared, session, command, args, reply };
    let answer = dispatch(&mut call);
    answer.unwrap_or_else(|error| {
        reply.truncate(mark);
        write_error(&error, reply);
        Outcome::Done
    })
}

/// A command line of a session that is being run.
struct Call<'a> {
    shared: &'a Arc<Shared>,
    session: &'a mut SessionState,
    command: &'static Command,
    args: Args<'a>,
    reply: &'a mut Reply,
}

/// How a command ends; an error is the client's, and all of its reply.
type Answer = Result<Outcome, Error>;

fn dispatch(call: &mut Call<'_>) -> Answer {
    let name = call.command.spec.name;
    match call.command.spec.container {
        Some(container) if name == "help" => {
            let container = commands::lookup(container.as_bytes()).expect("a subcommand is in its container");
            docs::help(container, call.reply);
            Ok(Outcome::Done)
        }
        Some("client") => client::run(name, call),
        Some("command") => describe(name, call),
        Some("config") => configuration::run(name, call),
        Some("latency") => latency::run(name, call),
        Some("memory") => memory::run(name),
        Some("replication") => following::replication(name, call),
        Some("slowlog") => slow_commands::run(name, call),
        Some(_) => not_built(),
        None => run_plain(name, call),
    }
}

fn run_plain(name: &str, call: &mut Call<'_>) -> Answer {
    match name {
        "ping" | "echo" | "quit" | "reset" | "hello" | "auth" | "select" => connection::run(name, call),
        "command" => describe(name, call),
        "info" => info::run(call),
        "time" | "role" | "shutdown" => server::run(name, call),
        "lastsave" | "save" | "bgsave" | "bgrewriteaof" => saving::run(name, call),
        "debug" => debug::run(call),
        "multi" | "exec" | "discard" | "watch" | "unwatch" => transaction::run(name, call),
        "wait" | "waitaof" => waits::run(name, call),
        "snapshot" => links::snapshot(call),
        "replconf" | "syncmeta" | "syncshard" => links::run(name, call),
        "replicaof" | "slaveof" | "dbslaveof" => following::run(name, call),
        "lolwut" => lolwut::run(call),
        _ => not_built(),
    }
}

/// Every session command of the table is built; a test runs through it.
fn not_built() -> Answer {
    Err("ERR this command is not built yet".into())
}

/// COMMAND and its subcommands.
fn describe(name: &str, call: &mut Call<'_>) -> Answer {
    let Call { args, reply, .. } = call;
    match name {
        "command" => docs::command(reply),
        "count" => docs::count(reply),
        "docs" => docs::docs(*args, reply),
        "getkeys" => docs::getkeys(*args, reply)?,
        "getkeysandflags" => docs::getkeysandflags(*args, reply)?,
        "info" => docs::info(*args, reply),
        "list" => docs::list(*args, reply)?,
        _ => return not_built(),
    }
    Ok(Outcome::Done)
}

/// Leaves the rest of a command to the desk.
fn at_desk<F>(work: F) -> Answer
where
    F: FnOnce(&mut DeskContext<'_>, &mut Reply) -> Result<(), Error> + Send + 'static,
{
    Ok(Outcome::Desk(Box::new(move |context| {
        let mut reply = Reply::new(context.protocol);
        if let Err(error) = work(context, &mut reply) {
            reply.truncate(0);
            write_error(&error, &mut reply);
        }
        reply.into_buffer()
    })))
}

fn write_error(error: &Error, reply: &mut Reply) {
    match error {
        Error::Reply(text) => reply.error_bytes(text),
        Error::Stop(_) | Error::Wait(_) => unreachable!("a session command has no view to stop it: {error:?}"),
    }
}

/// The error of a subcommand that does not exist or has too many arguments, in containers that check by themselves.
fn wrong_subcommand(name: &[u8], container: &str) -> Error {
    const SHOWN: usize = 128;
    let mut text = b"ERR unknown subcommand or wrong number of arguments for '".to_vec();
    text.extend_from_slice(&name[..name.len().min(SHOWN)]);
    text.extend_from_slice(format!("'. Try {container} HELP.").as_bytes());
    text.into()
}

/// An error text with bytes of the client's in the middle.
fn quoting(before: &str, bytes: &[u8], after: &str) -> Error {
    [before.as_bytes(), bytes, after.as_bytes()].concat().into()
}

#[cfg(test)]
mod tests {
    use commands::spec::Run;

    use super::testing::Server;
    use crate::catalog;

    #[test]
    fn every_session_command_of_the_table_is_built() {
        let server = Server::new(&[]);
        for listed in catalog::all() {
            let spec = &listed.command.spec;
            if !matches!(listed.command.run, Run::Session) || spec.name == "shutdown" {
                continue;
            }
            let mut line: Vec<&str> = listed.name.split('|').collect();
            line.resize(line.len().max(spec.arity.unsigned_abs() as usize), "1");
            let reply = server.session().text(&line);
            assert!(!reply.contains("not built"), "{}: {reply}", listed.name);
        }
    }

    #[test]
    fn command_describes_the_table() {
        let server = Server::new(&[]);
        let mut session = server.session();
        let count = commands::all().count();
        assert_eq!(session.text(&["COMMAND", "COUNT"]), format!(":{count}\r\n"));
        assert!(session.text(&["COMMAND"]).starts_with(&format!("*{count}\r\n")));
        assert_eq!(session.text(&["COMMAND", "GETKEYS", "GET", "a"]), "*1\r\n$1\r\na\r\n");
        assert_eq!(session.text(&["COMMAND", "GETKEYS", "FOO", "a"]), "-ERR Invalid command specified\r\n");
        assert_eq!(session.text(&["COMMAND", "LIST", "FILTERBY", "PATTERN", "xx"]), "*0\r\n");
        assert_eq!(session.text(&["COMMAND", "LIST", "FOO"]), "-ERR syntax error\r\n");
        assert!(session.text(&["COMMAND", "HELP"]).contains("COMMAND <subcommand>"));
        assert!(session.text(&["COMMAND", "DOCS", "ping"]).starts_with("*2\r\n$4\r\nping\r\n"));
        assert_eq!(session.text(&["COMMAND", "INFO", "nope"]), "*1\r\n$-1\r\n");
    }
}
