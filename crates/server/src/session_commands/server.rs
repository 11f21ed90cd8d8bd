//! TIME, ROLE, SHUTDOWN.

use std::time::{SystemTime, UNIX_EPOCH};

use commands::{Args, Error, text};
use replication::primary::ReplicaState;
use replication::replica::Admission;

use super::{Answer, Call, Outcome};

pub(super) fn run(name: &str, call: &mut Call<'_>) -> Answer {
    match name {
        "time" => time(call),
        "role" => role(call),
        "shutdown" => return shutdown(call.args),
        _ => return super::not_built(),
    }
    Ok(Outcome::Done)
}

fn time(call: &mut Call<'_>) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    call.reply.array(2);
    call.reply.bulk(since.as_secs().to_string().as_bytes());
    call.reply.bulk(since.subsec_micros().to_string().as_bytes());
}

/// Of a primary: its offset, and the replicas that follow with every database.
fn role(call: &mut Call<'_>) {
    if call.shared.replica.admission() != Admission::Primary {
        let (host, port, state, offset) = super::info::replica::role(call.shared);
        call.reply.array(5);
        call.reply.bulk(b"slave");
        call.reply.bulk(host.as_bytes());
        call.reply.integer(port.into());
        call.reply.bulk(state.as_bytes());
        return call.reply.integer(i64::try_from(offset).unwrap_or(i64::MAX));
    }
    let offset = super::info::replication_offset(&call.shared.instance);
    let mut replicas = call.shared.primary.replicas();
    replicas.retain(|replica| replica.state == ReplicaState::Online);
    call.reply.array(3);
    call.reply.bulk(b"master");
    call.reply.integer(i64::try_from(offset).unwrap_or(i64::MAX));
    call.reply.array(replicas.len());
    for replica in replicas {
        call.reply.array(3);
        call.reply.bulk(replica.announced.address.as_bytes());
        call.reply.bulk(replica.announced.port.to_string().as_bytes());
        call.reply.bulk(replica.offset().to_string().as_bytes());
    }
}

/// The words of SHUTDOWN.
#[derive(Default)]
struct Words {
    nosave: bool,
    save: bool,
    /// NOW or FORCE: there are no replicas to wait for, and no fault keeps the server from ending.
    haste: bool,
    abort: bool,
}

impl Words {
    fn read(args: Args<'_>) -> Result<Self, Error> {
        let mut words = Self::default();
        for word in args.from(1) {
            let place = match word.to_ascii_lowercase().as_slice() {
                b"nosave" => &mut words.nosave,
                b"save" => &mut words.save,
                b"now" | b"force" => &mut words.haste,
                b"abort" => &mut words.abort,
                _ => return Err(text::SYNTAX.into()),
            };
            *place = true;
        }
        let contradicts = (words.abort && (words.nosave || words.save || words.haste)) || (words.nosave && words.save);
        if contradicts { Err(text::SYNTAX.into()) } else { Ok(words) }
    }
}

/// NOSAVE and SAVE come to the same: every write is in the log already, and the end settles it.
fn shutdown(args: Args<'_>) -> Answer {
    if Words::read(args)?.abort {
        // A shutdown does not wait for replicas, so there is never one that could be taken back.
        return Err("ERR No shutdown in progress.".into());
    }
    Ok(Outcome::Shutdown)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Server;
    use super::*;

    #[test]
    fn time_is_two_strings_and_the_role_is_master() {
        let server = Server::new(&[]);
        let mut session = server.session();
        assert!(session.text(&["TIME"]).starts_with("*2\r\n$10\r\n"));
        let role = session.text(&["ROLE"]);
        assert!(role.starts_with("*3\r\n$6\r\nmaster\r\n:") && role.ends_with("\r\n*0\r\n"), "{role}");
    }

    #[test]
    fn shutdown_takes_redis_words() {
        let server = Server::new(&[]);
        let mut session = server.session();
        for wrong in [&["SHUTDOWN", "x"][..], &["SHUTDOWN", "SAVE", "NOSAVE"], &["SHUTDOWN", "ABORT", "NOW"]] {
            assert_eq!(session.text(wrong), "-ERR syntax error\r\n");
        }
        assert_eq!(session.text(&["SHUTDOWN", "ABORT"]), "-ERR No shutdown in progress.\r\n");
        for right in [&["SHUTDOWN"][..], &["SHUTDOWN", "nosave"], &["SHUTDOWN", "SAVE", "NOW", "FORCE"]] {
            let (outcome, reply) = session.run(right);
            assert!(matches!(outcome, Outcome::Shutdown) && reply.is_empty());
        }
    }
}
