//! REPLICAOF, SLAVEOF, DBSLAVEOF, REPLICATION.
//!
//! Orders go to the desk: they return when the ledger on the disk knows them.

use std::sync::Arc;

use commands::{Error, text};
use replication::events::{Record, Subject, Turn, What, utc};
use replication::replica::{Admission, Order};
use replication_proto::{Address, Db, DbOrder, Scope};
use resp::Reply;

use super::info::replica;
use super::{Answer, Call, Outcome, at_desk, wrong_subcommand};
use crate::following::as_configured;
use crate::shared::Shared;

const BAD_PORT: &str = "ERR Invalid master port";
const BAD_DATABASE: &str = "ERR DB index is out of range";
const NOT_A_REPLICA: &str = "ERR this server is not a replica";
/// How many events are shown when nobody says.
const SHOWN: usize = 50;

pub(super) fn run(name: &str, call: &mut Call<'_>) -> Answer {
    match name {
        "replicaof" | "slaveof" => replicaof(call),
        "dbslaveof" => dbslaveof(call),
        _ => super::not_built(),
    }
}

/// The subcommands of REPLICATION.
pub(super) fn replication(name: &str, call: &mut Call<'_>) -> Answer {
    match name {
        "status" => call.reply.verbatim(b"txt", replica::text(call.shared).as_bytes()),
        "alarms" => alarms(call),
        "history" => history(call)?,
        "reset" => return reset(call),
        _ => return super::not_built(),
    }
    Ok(Outcome::Done)
}

fn replicaof(call: &mut Call<'_>) -> Answer {
    let (host, port) = (call.args.at(1), call.args.at(2));
    if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
        return follow(None);
    }
    let port = resp::parse_i64(port).and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    let port = port.ok_or(BAD_PORT)?;
    let host = std::str::from_utf8(host).ok().filter(|host| is_host(host)).ok_or("ERR Invalid master host")?;
    follow(Some(Address { host: host.to_owned(), port }))
}

/// A name or an address, as the ledger and the configuration can hold it.
fn is_host(host: &str) -> bool {
    const LONGEST: usize = 255;
    (1..=LONGEST).contains(&host.len()) && host.chars().all(|letter| letter.is_ascii_graphic())
}

/// The same address again restarts the link.
fn follow(primary: Option<Address>) -> Answer {
    at_desk(move |context, reply| {
        let shared = context.shared;
        let order = primary.clone().map_or(Order::Lead, Order::Follow);
        obey(shared, order)?;
        // For CONFIG GET and CONFIG REWRITE.
        let configured = as_configured(primary);
        let kept: Result<(), std::convert::Infallible> = shared.configure(|config| {
            config.replicaof = configured;
            Ok(Vec::new())
        });
        let Ok(()) = kept;
        reply.ok();
        Ok(())
    })
}

fn obey(shared: &Arc<Shared>, order: Order) -> Result<(), Error> {
    shared.replica.order(order).map_err(|sentence| Error::from(format!("MISCONF The order stands, but {sentence}.")))
}

fn dbslaveof(call: &mut Call<'_>) -> Answer {
    let db = database(call.shared, call.args.at(1))?;
    let words: Vec<Vec<u8>> = call.args.from(2).iter().map(|word| word.to_ascii_lowercase()).collect();
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let order = match words.as_slice() {
        [b"no", b"one"] => DbOrder::NoOne,
        [b"sync"] => DbOrder::Sync,
        [b"force"] => DbOrder::Force,
        _ => return Err(text::SYNTAX.into()),
    };
    if call.shared.replica.admission() == Admission::Primary {
        return Err(NOT_A_REPLICA.into());
    }
    at_desk(move |context, reply| {
        obey(context.shared, Order::Database(db, order))?;
        reply.ok();
        Ok(())
    })
}

/// A database as `0` or `db0`.
fn database(shared: &Shared, word: &[u8]) -> Result<Db, Error> {
    let digits = word.strip_prefix(b"db").unwrap_or(word);
    let number = resp::parse_i64(digits).and_then(|number| u32::try_from(number).ok());
    let number = number.filter(|number| (*number as usize) < shared.instance.databases());
    number.map(Db).ok_or_else(|| BAD_DATABASE.into())
}

fn reset(call: &mut Call<'_>) -> Answer {
    let scope = match call.args.from(2) {
        [] => Scope::Everything,
        [db] => Scope::Shard(database(call.shared, db)?),
        [_, _, ..] => return Err(wrong_subcommand(call.args.at(1), "REPLICATION")),
    };
    at_desk(move |context, reply| {
        obey(context.shared, Order::Reset(scope))?;
        reply.ok();
        Ok(())
    })
}

fn alarms(call: &mut Call<'_>) {
    let alarms = call.shared.replica.alarms().list();
    call.reply.array(alarms.len());
    for (alarm, raised) in alarms {
        let line = format!("{} ({}) since {}: {}", alarm.name, alarm.subject, utc(raised.since_ms), raised.detail);
        call.reply.bulk(line.as_bytes());
    }
}

/// `HISTORY [db] [n]`: of the instance itself with `-`, of all with `*`.
fn history(call: &mut Call<'_>) -> Result<(), Error> {
    let (subject, count) = match call.args.from(2) {
        [] => (None, None),
        [subject] => (Some(*subject), None),
        [subject, count] => (Some(*subject), Some(*count)),
        [_, _, _, ..] => return Err(wrong_subcommand(call.args.at(1), "REPLICATION")),
    };
    let subject = match subject {
        None | Some(b"*") => None,
        Some(b"-") => Some(Subject::Instance),
        Some(db) => Some(Subject::Shard(database(call.shared, db)?.0)),
    };
    let count = count.map(|count| resp::parse_i64(count).and_then(|count| usize::try_from(count).ok()));
    let count = count.map_or(Ok(SHOWN), |count| count.ok_or_else(|| Error::from(text::NOT_INTEGER)))?;
    let records = call.shared.replica.journal().newest(subject, count);
    call.reply.array(records.len());
    records.iter().for_each(|record| write(record, call.reply));
    Ok(())
}

fn write(record: &Record, reply: &mut Reply) {
    let what = match &record.what {
        What::Started => "started".to_owned(),
        What::Transition { from, to, cause, detail, attempt, position } => {
            let because = if detail.is_empty() { cause.clone() } else { format!("{cause}: {detail}") };
            format!("{from} -> {to} ({because}) attempt {attempt} at {position}")
        }
        What::Alarm { name, turn, detail } => {
            let turn = match turn {
                Turn::Raised => "raised",
                Turn::Cleared => "cleared",
            };
            format!("alarm {name} {turn} {detail}")
        }
        What::Note { text } => text.clone(),
        What::Missing { count } => format!("{count} events are missing here"),
    };
    reply.bulk(format!("{} {} {what}", utc(record.at_ms), record.subject).trim_end().as_bytes());
}
