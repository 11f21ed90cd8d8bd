//! WAIT, WAITAOF: what is asked for. The session waits.

use std::time::Duration;

use commands::{Args, Error, text};
use engine::Role;

use super::{Answer, Call, Outcome};

const ON_REPLICA: &str = "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a \
                          replica is configured to be writable (which is not the default) writes to replicas are just \
                          local and are not propagated.";
const AOF_ON_REPLICA: &str = "ERR WAITAOF cannot be used with replica instances. Please also note that writes to \
                              replicas are just local and are not propagated.";

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// What must have happened.
    pub goal: Goal,
    /// How long at most; `None`: for ever, as the client asked.
    pub patience: Option<Duration>,
}

/// What must have happened to everything that the session has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// So many replicas have applied it.
    Applied {
        /// How many.
        replicas: i64,
    },
    /// It is durable.
    Durable {
        /// Here, if 1.
        local: i64,
        /// On so many replicas.
        replicas: i64,
    },
}

pub(super) fn run(name: &str, call: &mut Call<'_>) -> Answer {
    let args = call.args;
    let is_replica = call.shared.instance.role() == Role::Replica;
    let awaited = match name {
        "wait" => {
            if is_replica {
                return Err(ON_REPLICA.into());
            }
            let replicas = resp::parse_i64(args.at(1)).ok_or(text::NOT_INTEGER)?;
            Awaited { goal: Goal::Applied { replicas }, patience: patience(args, 2)? }
        }
        "waitaof" => {
            let in_range = |at, range: std::ops::RangeInclusive<i64>, wrong: &'static str| {
                let number = resp::parse_i64(args.at(at)).ok_or(text::NOT_INTEGER)?;
                if range.contains(&number) { Ok(number) } else { Err(wrong) }
            };
            let local = in_range(1, 0..=1, "ERR value is out of range, must be between 0 and 1")?;
            let replicas = in_range(2, 0..=i64::MAX, "ERR value is out of range, must be positive")?;
            let patience = patience(args, 3)?;
            if is_replica {
                return Err(AOF_ON_REPLICA.into());
            }
            Awaited { goal: Goal::Durable { local, replicas }, patience }
        }
        _ => return super::not_built(),
    };
    Ok(Outcome::Acknowledged(awaited))
}

/// Milliseconds; 0 is for ever.
fn patience(args: Args<'_>, at: usize) -> Result<Option<Duration>, Error> {
    let number = resp::parse_i64(args.at(at)).ok_or("ERR timeout is not an integer or out of range")?;
    let millis = u64::try_from(number).map_err(|_| "ERR timeout is negative")?;
    Ok((millis > 0).then(|| Duration::from_millis(millis)))
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
            (&["WAIT", "x", "0"][..], "value is not an integer or out of range"),
            (&["WAIT", "1", "x"], "timeout is not an integer or out of range"),
            (&["WAIT", "1", "-1"], "timeout is negative"),
            (&["WAITAOF", "2", "0", "0"], "value is out of range, must be between 0 and 1"),
            (&["WAITAOF", "x", "0", "0"], "value is not an integer or out of range"),
            (&["WAITAOF", "0", "-1", "0"], "value is out of range, must be positive"),
            (&["WAITAOF", "0", "0", "-1"], "timeout is negative"),
        ] {
            assert_eq!(session.text(line), format!("-ERR {text}\r\n"));
        }
    }

    #[test]
    fn zero_milliseconds_are_for_ever() {
        let server = Server::new(&[]);
        let mut session = server.session();
        let (outcome, _) = session.run(&["WAIT", "1", "0"]);
        let forever = Awaited { goal: Goal::Applied { replicas: 1 }, patience: None };
        assert!(matches!(outcome, Outcome::Acknowledged(awaited) if awaited == forever));
        let (outcome, _) = session.run(&["WAITAOF", "1", "2", "30"]);
        let patience = Some(Duration::from_millis(30));
        let durable = Awaited { goal: Goal::Durable { local: 1, replicas: 2 }, patience };
        assert!(matches!(outcome, Outcome::Acknowledged(awaited) if awaited == durable));
    }

    #[test]
    fn a_replica_has_nothing_to_wait_for() {
        let server = Server::new(&[]);
        server.shared.instance.demote();
        let mut session = server.session();
        assert_eq!(session.text(&["WAIT", "1", "0"]), format!("-{ON_REPLICA}\r\n"));
        assert_eq!(session.text(&["WAITAOF", "1", "1", "0"]), format!("-{AOF_ON_REPLICA}\r\n"));
    }
}
