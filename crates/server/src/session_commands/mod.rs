//! The commands of the session: about the connection and the server.

use std::sync::Arc;
use std::time::Duration;

use commands::{Args, Command, text};
use engine::{Gate, Scratch};
use resp::{Protocol, Reply};

use crate::shared::Shared;
use crate::state::SessionState;

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
    /// The server ends; no reply.
    Shutdown,
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
}

/// Runs a command of the session. Its name and arity have been checked.
pub fn run(
    shared: &Arc<Shared>,
    session: &mut SessionState,
    command: &'static Command,
    args: Args<'_>,
    reply: &mut Reply,
) -> Outcome {
    match command.spec.name {
        "ping" if args.len() == 1 => reply.simple("PONG"),
        "ping" | "echo" => reply.bulk(args.at(1)),
        "quit" => {
            reply.ok();
            return Outcome::Close;
        }
        "select" => select(shared, session, args, reply),
        _ => reply.error("ERR this command is not built yet"),
    }
    Outcome::Done
}

fn select(shared: &Shared, session: &mut SessionState, args: Args<'_>, reply: &mut Reply) {
    let Some(number) = resp::parse_i64(args.at(1)) else { return reply.error("ERR invalid DB index") };
    match usize::try_from(number) {
        Ok(number) if number < shared.instance.databases() => {
            session.select(number);
            reply.ok();
        }
        Ok(_) | Err(_) => reply.error(text::DATABASE_RANGE),
    }
}
