//! MULTI, EXEC, DISCARD, WATCH, UNWATCH. What touches keys is left to the session.

use commands::Error;

use super::{Answer, Call, Outcome};
use crate::transaction::Queue;

const NESTED: &str = "ERR MULTI calls can not be nested";
const WATCH_INSIDE: &str = "ERR WATCH inside MULTI is not allowed";
const NO_EXEC: &str = "ERR EXEC without MULTI";
const NO_DISCARD: &str = "ERR DISCARD without MULTI";
const BROKEN: &str = "EXECABORT Transaction discarded because of previous errors.";

pub(super) fn run(name: &str, call: &mut Call<'_>) -> Answer {
    let session = &mut *call.session;
    match name {
        "multi" => {
            if session.queue.is_some() {
                return Err(NESTED.into());
            }
            session.queue = Some(Box::new(Queue::default()));
            session.note_transaction();
        }
        "exec" => match &session.queue {
            None => return Err(NO_EXEC.into()),
            Some(queue) if queue.is_broken => {
                session.end_transaction();
                return Err(BROKEN.into());
            }
            Some(_) => return Ok(Outcome::Exec),
        },
        "discard" => {
            if session.queue.is_none() {
                return Err(NO_DISCARD.into());
            }
            session.end_transaction();
        }
        "watch" => {
            if session.queue.is_some() {
                return Err(WATCH_INSIDE.into());
            }
            let database = session.database;
            let mut keys: Vec<Vec<u8>> = call.args.from(1).iter().map(|key| key.to_vec()).collect();
            keys.sort_unstable();
            keys.dedup();
            keys.retain(|key| !session.watched.iter().any(|known| known.database == database && known.key == *key));
            return Ok(Outcome::Watch(keys));
        }
        "unwatch" => {
            session.watched.clear();
            session.note_transaction();
        }
        _ => return super::not_built(),
    }
    call.reply.ok();
    Ok(Outcome::Done)
}

/// The error of an EXEC that something else forbids: the transaction is gone.
pub(crate) fn discarded(because: &str) -> Error {
    format!("EXECABORT Transaction discarded because of: {because}").into()
}
