//! Keys as session commands use them: at the desk, by running commands and looks of their own.

use commands::{Args, Error, Run};
use engine::{LockKey, Place, Ran, Request, Scope};
use keyspace::{Stop, View};
use resp::{Protocol, Reply};

use super::DeskContext;
use crate::code::{Breadth, Code, Ended, fault_text};
use crate::rules::Rules;
use crate::shared::clock;

/// Runs a command on keys; returns its reply in RESP2.
pub(super) fn run_command(context: &mut DeskContext<'_>, database: usize, line: &[&[u8]]) -> Result<Vec<u8>, Error> {
    let args = Args::new(line);
    let command = commands::resolve(args)?;
    let Run::View(run) = command.run else { unreachable!("only commands on keys are run like this") };
    let rules = Rules::new(context.shared.config.load_full());
    let instance = &context.shared.instance;
    let code = Code { instance, command, run, args, database, settings: &rules.settings, clock: clock() };
    let mut reply = Reply::new(Protocol::Resp2);
    let ran = code.run(Place::Desk, Breadth::Declared, (context.scratch, &mut Vec::new()), &mut reply);
    let ran = ran.map(|ended| match ended {
        Ended::Ran(ran) => ran,
        Ended::Waits(wait) => unreachable!("no look waits: {wait:?}"),
    });
    end(context, ran)?;
    Ok(reply.into_buffer())
}

/// Looks at one key, which is locked; `see` may be called several times.
pub(super) fn look<T>(
    context: &mut DeskContext<'_>,
    database: usize,
    key: &[u8],
    see: impl FnMut(&mut dyn View) -> Result<T, Stop>,
) -> Result<T, Error> {
    look_at(context, database, Scope::Keys(&[LockKey { database, key }]), see)
}

/// Looks at what `scope` says.
pub(super) fn look_at<T>(
    context: &mut DeskContext<'_>,
    database: usize,
    scope: Scope<'_>,
    mut see: impl FnMut(&mut dyn View) -> Result<T, Stop>,
) -> Result<T, Error> {
    let request = Request { place: Place::Desk, scope, database, clock: clock() };
    let mut seen = None;
    let ran = context.shared.instance.run(&request, context.scratch, &mut |view| {
        seen = Some(see(view)?);
        Ok(())
    });
    end(context, ran)?;
    Ok(seen.expect("a run that is done has looked"))
}

fn end(context: &mut DeskContext<'_>, ran: Result<Ran, engine::Fault>) -> Result<(), Error> {
    match ran {
        Ok(Ran::Done(gate)) => {
            context.gate.extend(gate);
            context.changed |= context.scratch.tally().committed.get();
            Ok(())
        }
        Ok(Ran::Later | Ran::Undeclared) => unreachable!("the desk waits, and looks touch what they declare"),
        Err(fault) => Err(fault_text(&fault).into()),
    }
}
